// What happens, told to whoever asks for it by name: anomaly, incident, delivery, published, state.
//
// A browser opens six connections to one server and a stream holds one for ever, so the seventh tab would wait in vain. One tab reads the stream and
// tells the others; when it goes, another goes on from the last event. Where a browser cannot share (plain HTTP from another machine), each tab reads.
import { who } from "./api.js";
import { follow, hangUp, pause } from "./stream.js";

const NAME = `smartflow.events ${new URL(".", document.baseURI).pathname}`;
const listeners = new Map();
const others = "locks" in navigator && "BroadcastChannel" in window ? new BroadcastChannel(NAME) : null;
let lastId = null;
let now = { state: "connecting", again: 0 };
let isReader = false;
let logins = 0; // one that comes while the server is asked who this is must not be waited for again
addEventListener("smartflow:login", () => (logins += 1));

/** `call(data)` at each event of that name; returns what ends it. */
export function on(name, call) {
  if (!listeners.has(name)) listeners.set(name, new Set());
  listeners.get(name).add(call);
  return () => listeners.get(name).delete(call);
}

function tell(name, data) {
  for (const call of listeners.get(name) ?? []) call(data);
}

function become(state, again = 0) {
  now = { state, again };
  tell("state", now);
  if (isReader) others?.postMessage({ now, lastId });
}

function take({ id, event = "message", data }) {
  let value;
  try {
    value = JSON.parse(data);
  } catch {
    return; // half a message of a proxy that broke off
  }
  lastId = id ?? lastId;
  tell(event, value);
  others?.postMessage({ event, value, lastId });
}

others?.addEventListener("message", ({ data }) => {
  if (data.isNew) return isReader && others.postMessage({ now, lastId });
  if (isReader) return null;
  lastId = data.lastId ?? lastId;
  if (data.now && (data.now.state !== now.state || data.now.again !== now.again)) become(data.now.state, data.now.again);
  if (data.event) tell(data.event, data.value);
  return null;
});

async function readIt() {
  isReader = true;
  await follow({ lastId: () => lastId, take, become });
  isReader = false;
}

/** Listens for ever; after an answer that the token is not known, once more after a login or a while. */
export async function start() {
  for (;;) {
    const before = logins;
    others?.postMessage({ isNew: true });
    const { role } = await who().catch(() => ({})); // a server that does not answer is waited for by who reads
    if (role !== null) await (others ? navigator.locks.request(NAME, readIt) : readIt());
    become("closed");
    if (logins !== before) continue;
    await Promise.race([pause(30_000), new Promise((resolve) => addEventListener("smartflow:login", resolve, { once: true }))]);
  }
}

/** Once more, with the token as it is now. */
export const restart = hangUp;
