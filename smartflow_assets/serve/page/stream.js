// The stream of what happens, read by fetch, since only so a header can carry the token. It resumes after the last event that it had, waits
// longer after each failure, and takes silence for a broken line: the server sends a heartbeat each 15 s.
import { send } from "./api.js";

const SILENCE = 40_000;
const LONGEST = 20_000;
let current = null;

/** Splits a stream of text into events; `take({id, event, data})`, `begin(id)` of a number without one. Returns what takes a piece of text. */
export function parser(take, begin) {
  let rest = "";
  let event = {};
  return (text) => {
    const lines = (rest + text).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop();
    for (const line of lines) {
      if (line === "") {
        if (event.data !== undefined) take(event);
        else if (event.id !== undefined) begin(event.id);
        event = {};
      } else if (!line.startsWith(":")) {
        const [, name, value] = /^([^:]*):? ?(.*)$/.exec(line);
        event[name] = name === "data" && event.data !== undefined ? `${event.data}\n${value}` : value;
      }
    }
  };
}

/** Reads one connection to its end -> the status of an answer that was no stream, else 0. */
async function listen(lastId, onOpen, take, begin) {
  const mine = (current = new AbortController());
  let timer = 0;
  const watch = () => {
    clearTimeout(timer);
    timer = setTimeout(() => mine.abort(), SILENCE);
  };
  try {
    watch();
    const answer = await send("stream/anomalies", { headers: { Accept: "text/event-stream", ...(lastId ? { "Last-Event-ID": lastId } : {}) }, signal: mine.signal });
    if (!answer.ok) return answer.status;
    onOpen();
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    const feed = parser(take, begin);
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return 0;
      watch();
      feed(value);
    }
  } catch {
    return 0; // broken off: the next try says whether the server is there
  } finally {
    clearTimeout(timer);
  }
}

export const pause = (milliseconds) => new Promise((resolve) => {
  const timer = setTimeout(resolve, milliseconds);
  addEventListener("online", () => (clearTimeout(timer), resolve()), { once: true });
});

/**
 * Listens until the server does not know who asks. `lastId()`: the number of the last event that was seen; `take` as in `parser`; `become(state, again)`:
 * "live", or "reconnecting" until the time of the next try.
 */
export async function follow({ lastId, take, become }) {
  let failures = 0;
  let beginning = null; // where nothing happened before the connection was lost, it resumes from there
  for (;;) {
    const began = Date.now();
    const status = await listen(lastId() ?? beginning, () => become("live"), take, (id) => (beginning ??= id));
    if (status === 401 || status === 403) return;
    failures = Date.now() - began > 5_000 ? 1 : failures + 1;
    const wait = Math.min(LONGEST, 500 * 2 ** failures) * (0.75 + Math.random() / 2);
    become("reconnecting", Date.now() + wait);
    await pause(wait);
  }
}

export function hangUp() {
  current?.abort();
}
