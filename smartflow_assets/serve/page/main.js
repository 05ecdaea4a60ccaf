// Begins: routes, header, stream. Asks for small things first; each view draws its own skeleton and goes on by itself.
import { get, onUnknown, setToken, token, who } from "./api.js";
import { keys, login } from "./dialogs.js";
import { failure, h } from "./dom.js";
import * as events from "./events.js";
import { clock } from "./format.js";
import "./keys.js";
import { anomaliesPage, checksPage, deliveriesPage, incidentsPage, knowsDagster, knowsTime, serverNow } from "./lists.js";
import { overviewPage, STATES } from "./overview.js";
import { go, read } from "./router.js";
import { isSounding, setSound } from "./sound.js";
import { sources, zoneOf } from "./sources.js";
import { fill, ofAnomaly, ofDelivery, ofIncident, toast } from "./toasts.js";
import { remember, remembered } from "./storage.js";

const $ = (id) => document.getElementById(id);
const ROUTES = {
  "": overviewPage, anomalies: anomaliesPage, incidents: incidentsPage, deliveries: deliveriesPage, checks: checksPage,
  source: async (given) => (await import("./source.js")).sourcePage(given),
  incident: async (given) => (await import("./incident.js")).incidentPage(given),
};
const TITLES = { "": "Overview", anomalies: "Anomalies", incidents: "Incidents", deliveries: "Deliveries", checks: "Checks" };
let view = null;
let place = null;
let turn = 0;
let isGivenUp = false; // who closed the login is asked again when they do something, and not by each list that reloads
let status = askStatus();

function askStatus() {
  const asked = get("status");
  asked.then((said) => {
    knowsTime(said.now);
    if (said.dagster_url) knowsDagster(said.dagster_url);
    const open = said.open_incidents ?? {};
    const total = (open.critical ?? 0) + (open.warning ?? 0) + (open.info ?? 0);
    $("nav-incidents").hidden = !total;
    $("nav-incidents").textContent = String(total);
    $("state").className = `state is-${said.state}`;
    $("state").lastElementChild.textContent = STATES[said.state] ?? said.state;
    view?.onStatus?.(said);
  }, () => {
    $("state").className = "state";
    $("state").lastElementChild.textContent = "Unknown";
  });
  return asked;
}

function refocus({ name, id, start, key }) {
  const again = id ? $(id) : name ? document.querySelector(`main [name="${CSS.escape(name)}"]`) : key ? document.querySelector(`main [data-key="${CSS.escape(key)}"]`) : null;
  again?.focus();
  if (start !== null && again?.setSelectionRange) again.setSelectionRange(start, start);
}

async function route() {
  isGivenUp = false;
  const given = { ...read(), status };
  const [kind = ""] = given.path;
  const next = given.path.join("/");
  document.querySelectorAll("#nav a").forEach((each) => (each.getAttribute("href") === `#/${kind}` || (kind === "incident" && each.getAttribute("href") === "#/incidents") ? each.setAttribute("aria-current", "page") : each.removeAttribute("aria-current")));
  $("source-choice").value = kind === "source" ? given.path[1] : "";
  tick();
  if (view && next === place && view.onQuery) return view.onQuery(given.query);
  const active = document.activeElement;
  const focus = next === place && $("content").contains(active) ? { name: active.name, id: active.id, key: active.dataset.key, start: active.type === "search" ? active.selectionStart : null } : null;
  const isNew = next !== place;
  place = next;
  const mine = ++turn;
  const make = ROUTES[kind];
  let made;
  try {
    made = make ? await make(given) : { element: h("div", { class: "error" }, h("p", {}, "There is no such page."), h("p", {}, h("a", { href: "#/" }, "Overview"))) };
  } catch (error) {
    made = { element: failure(error) };
  }
  if (mine !== turn) return made.leave?.();
  view?.leave?.();
  view = made;
  const flat = [made.element].flat().filter(Boolean);
  $("content").replaceChildren(...flat);
  document.title = `${TITLES[kind] ?? given.path[1] ?? "SmartFlow"} · SmartFlow`;
  if (focus) refocus(focus);
  else if (isNew && turn > 1) {
    scrollTo(0, 0);
    $("content").focus({ preventScroll: true }); // who cannot see that the page changed hears it
  }
  return null;
}

function tick() {
  const { path: [kind, name] } = read();
  const now = serverNow();
  $("clock").textContent = clock(now, kind === "source" ? zoneOf(name) : "UTC");
}

async function fillSources() {
  const all = await sources();
  $("source-choice").replaceChildren(h("option", { value: "" }, "All sources"), ...all.map((item) => h("option", { value: item.source }, item.source)));
  const { path: [kind, name] } = read();
  $("source-choice").value = kind === "source" ? name : "";
}

async function greet() {
  const me = await who().catch(() => null);
  const isIn = Boolean(token() && me?.name);
  $("login").textContent = isIn ? `${me.name} (${me.role})` : "Log in";
  $("login").title = isIn ? `${me.name} (${me.role}): log out` : "";
}

function connection({ state, again }) {
  const line = $("connection");
  if (state === "live") line.hidden = true;
  else if (state === "reconnecting" || state === "closed") {
    line.hidden = false;
    line.textContent = state === "closed" ? "Not logged in: nothing new is shown." : `Reconnecting: the server does not answer. Next try in ${Math.max(1, Math.round((again - Date.now()) / 1000))} s.`;
  }
  document.documentElement.dataset.stream = state;
  if (state === "live" && connection.wasAway) published({});
  connection.wasAway = state !== "live";
}

let publishing = 0;
function published(data) {
  clearTimeout(publishing);
  publishing = setTimeout(() => {
    status = askStatus();
    sources(true).then(fillSources).catch(() => null);
    view?.onEvent?.("published", data);
  }, 150); // a run of several sources publishes in a row
}

function darken() {
  const isDark = getComputedStyle(document.documentElement).colorScheme === "dark";
  document.documentElement.dataset.theme = isDark ? "light" : "dark";
  try {
    localStorage.setItem("smartflow.theme", document.documentElement.dataset.theme); // plain text: theme.js reads it before any module
  } catch {
    return;
  } finally {
    dispatchEvent(new Event("smartflow:theme"));
  }
}

function sounded(isOn) {
  $("sound").setAttribute("aria-pressed", String(isOn));
  $("sound").title = isOn ? "Sound is on" : "Sound is off";
}

onUnknown(async (error, isByHand) => {
  if (isGivenUp && !isByHand) return false;
  const isIn = await login(error?.detail);
  isGivenUp = !isIn;
  return isIn;
});
$("theme").addEventListener("click", darken);
$("sound").addEventListener("click", () => (setSound(!isSounding()), sounded(isSounding())));
$("help").addEventListener("click", keys);
$("views").addEventListener("click", async () => (await import("./views.js")).views());
$("login").addEventListener("click", () => {
  if (!token()) return login();
  setToken(null);
  isGivenUp = true;
  dispatchEvent(new Event("smartflow:login"));
  return null;
});
$("source-choice").addEventListener("change", (event) => (event.target.value ? go(["source", event.target.value]) : go([])));
$("history").open = remembered("history", false);
$("history").addEventListener("toggle", () => remember("history", $("history").open));
addEventListener("smartflow:login", () => (greet(), events.restart(), published({})));
addEventListener("hashchange", route);
sounded(isSounding());
events.on("state", connection);
events.on("anomaly", (data) => (toast(ofAnomaly(data)), view?.onEvent?.("anomaly", data)));
events.on("incident", (data) => (toast(ofIncident(data)), view?.onEvent?.("incident", data), (status = askStatus())));
events.on("delivery", (data) => (toast(ofDelivery(data)), view?.onEvent?.("delivery", data)));
events.on("published", published);
setInterval(tick, 1_000);

route();
fillSources().catch(() => null);
greet();
fill().catch(() => null);
events.start();
