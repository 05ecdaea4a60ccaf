// Asks the server: token, errors, exports. First of all it asks who asks: who may not read yet logs in before anything else is asked. A 401 opens the
// login once, whoever asks, and then asks again. Reading is revalidated by ETag, which the browser does by itself (`no-cache`).
import { remember, remembered } from "./storage.js";

const ROOT = new URL("api/", new URL(".", document.baseURI));

export class ApiError extends Error {
  /** `problem`: as application/problem+json says it. */
  constructor(status, problem) {
    super(problem.title ?? `The server answered ${status}`);
    this.status = status;
    this.detail = problem.detail ?? this.message;
    this.remedy = problem.remedy ?? null;
    this.field = problem.field ?? null;
  }
}

let login = async () => false;
let waiting = null;

/** `ask(problem, isByHand)` shows the login and answers whether there is a token now; not `isByHand`: a page that only reads. */
export function onUnknown(ask) {
  login = ask;
}

const session = () => {
  try {
    return sessionStorage;
  } catch {
    return undefined;
  }
};

export function token() {
  return remembered("token", null, session()) ?? remembered("token");
}

/** Kept as long as the tab lives, or longer where it `isRemembered`. Null: forgotten. */
export function setToken(text, isRemembered = false) {
  remember("token", isRemembered ? null : text, session());
  remember("token", isRemembered ? text : null);
}

const ROLES = ["reader", "operator", "admin"];
let [me, meOf] = [null, null];

/** Who asks, asked once for each token: `{name, role, is_open}`. The role is null where a token is needed first; `is_open`: one reads without a token. */
export function who() {
  const bearer = token(); // another tab may have logged in
  if (me && meOf === bearer) return me;
  meOf = bearer;
  me = send("me").then(async (answer) => {
    if (answer.ok) return answer.json();
    const problem = await refused(answer);
    if (answer.status !== 401) throw problem;
    return { name: null, role: null, is_open: false, problem };
  }).catch((error) => {
    me = null;
    throw error;
  });
  return me;
}

/** What keeps somebody from what needs a role, in words; null for who may, and for who has no token yet: a login is asked of them then. */
export const lacks = ({ role, is_open: isOpen }, needed) => (isOpen || role === null || ROLES.indexOf(role) >= ROLES.indexOf(needed) ? null : `needs the role ${needed}: log in with a token of that role`);

function address(path, query = {}) {
  const url = new URL(path, ROOT);
  for (const [name, value] of Object.entries(query)) {
    for (const each of Array.isArray(value) ? value : [value]) if (each !== null && each !== undefined && each !== "") url.searchParams.append(name, each);
  }
  return url;
}

const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

/** An answer of the server, whatever its status; ApiError where there is none. Too many requests: reading waits as long as the server says. */
export async function send(path, options = {}) {
  for (let again = 0; ; again += 1) {
    const answer = await sent(path, options);
    if (answer.status === 401 && path !== "me") me = null; // the token was revoked, or reading is not open any more
    if (answer.status !== 429 || again === 3 || (options.method ?? "GET") !== "GET") return answer;
    await pause(Math.min(10, Number(answer.headers.get("Retry-After")) || 1) + again * Math.random());
  }
}

async function sent(path, { method = "GET", query, body, headers = {}, signal } = {}) {
  const bearer = token();
  const given = { ...headers, ...(bearer ? { Authorization: `Bearer ${bearer}` } : {}), ...(body === undefined ? {} : { "Content-Type": "application/json" }) };
  try {
    return await fetch(address(path, query), { method, headers: given, body: body === undefined ? undefined : JSON.stringify(body), signal, cache: "no-cache", credentials: "omit" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, { title: "The server does not answer", detail: "The server does not answer.", remedy: "The page goes on by itself once it does: smartflow serve." });
  }
}

/** The error that an answer is. */
export async function refused(answer) {
  const problem = await answer.json().catch(() => ({}));
  const role = /needs (?:the role|a token with the role) (\w+)/.exec(problem.detail ?? "")?.[1];
  if (/Authorization/.test(problem.remedy ?? "")) problem.remedy = role ? `Log in with a token of the role ${role}.` : "Log in with another token."; // the server says it to programs
  return new ApiError(answer.status, typeof problem.detail === "string" || !problem.detail ? problem : { title: problem.title });
}

/** `send`, once more after a login where the server did not know who asks; ApiError where it refuses. */
async function asked(path, options = {}) {
  const caller = await who();
  let answer = caller.role === null ? null : await send(path, options);
  if (answer === null || answer.status === 401) {
    const problem = answer ? await refused(answer) : (caller.problem ?? null); // before `waiting` is looked at: ten lists ask at once, and one login is enough
    waiting ??= login(problem, (options.method ?? "GET") !== "GET").finally(() => (waiting = null));
    if (await waiting) answer = await send(path, options);
    else throw new ApiError(401, { title: "Not logged in", detail: "This needs a token.", remedy: "Log in; an admin makes tokens: smartflow serve token create." });
  }
  if (!answer.ok) throw await refused(answer);
  return answer;
}

async function json(path, options) {
  const answer = await asked(path, options);
  return answer.status === 204 ? null : answer.json();
}

export const get = (path, query, signal) => json(path, { query, signal });
export const post = (path, body = {}, options = {}) => json(path, { method: "POST", body, ...options });
export const put = (path, body) => json(path, { method: "PUT", body });
export const remove = (path) => json(path, { method: "DELETE" });
export const part = encodeURIComponent;

/** A file of the server, saved by the browser. It is fetched and not linked, since the token goes in a header. */
export async function download(path, query) {
  const answer = await asked(path, { query });
  const name = /filename="?([^";]+)"?/.exec(answer.headers.get("Content-Disposition") ?? "")?.[1] ?? `smartflow.${query.format ?? "csv"}`;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await answer.blob());
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  return name;
}
