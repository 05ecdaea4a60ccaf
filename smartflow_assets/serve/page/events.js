// The stream of what happens, read by fetch, since only so a header can carry the token. It resumes after the last event that it had, waits
// longer after each failure, and takes silence for a broken line: the server sends a heartbeat each 15 s.
import { send } from "./api.js";

const SILENCE = 40_000;
const LONGEST = 20_000;
const listeners = new Map();
let lastId = null;
let state = "connecting";
let current = null;

export function on(name, call) {
  if (!listeners.has(name)) listeners.set(name, new Set());
  listeners.get(name).add(call);
  return () => listeners.get(name).delete(call);
}

function tell(name, data) {
  for (const call of listeners.get(name) ?? []) call(data);
}

function become(next, again = 0) {
  if (next === state && !again) return;
  state = next;
  tell("state", { state, again });
}

export const isLive = () => state === "live";

/** Splits a stream of text into events; `take({id, event, data})`. Returns what takes a piece of text. */
export function parser(take) {
  let rest = "";
  let event = {};
  return (text) => {
    const lines = (rest + text).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop();
    for (const line of lines) {
      if (line === "") {
        if (event.data !== undefined) take(event);
        event = {};
      } else if (!line.startsWith(":")) {
        const [, name, value] = /^([^:]*):? ?(.*)$/.exec(line);
        event[name] = name === "data" && event.data !== undefined ? `${event.data}\n${value}` : value;
      }
    }
  };
}

function take({ id, event = "message", data }) {
  let value;
  try {
    value = JSON.parse(data);
  } catch {
    return; // half a message of a proxy that broke off
  }
  if (id) lastId = id;
  tell(event, value);
}

async function listen() {
  current = new AbortController();
  let timer = 0;
  const watch = () => {
    clearTimeout(timer);
    timer = setTimeout(() => current.abort(), SILENCE);
  };
  try {
    watch();
    const answer = await send("stream/anomalies", { headers: { Accept: "text/event-stream", ...(lastId ? { "Last-Event-ID": lastId } : {}) }, signal: current.signal });
    if (!answer.ok) return answer.status;
    become("live");
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    const feed = parser(take);
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return 0;
      watch();
      feed(value);
    }
  } catch {
    return 0;
  } finally {
    clearTimeout(timer);
  }
}

const pause = (milliseconds) => new Promise((resolve) => {
  const timer = setTimeout(resolve, milliseconds);
  addEventListener("online", () => (clearTimeout(timer), resolve()), { once: true });
});

/** Listens for ever. 401: a login starts it anew (`restart`). */
export async function start() {
  let failures = 0;
  for (;;) {
    const began = Date.now();
    const status = await listen();
    failures = Date.now() - began > 5_000 ? 1 : failures + 1;
    const wait = Math.min(LONGEST, 500 * 2 ** failures) * (0.75 + Math.random() / 2);
    become(status === 401 || status === 403 ? "closed" : "reconnecting", Date.now() + wait);
    await pause(wait);
  }
}

export function restart() {
  current?.abort();
}
