// Messages that come and go, and the history of the last 20. Many at once become a few and one that counts the rest; the sound is made once.
import { get } from "./api.js";
import { h, shape } from "./dom.js";
import { moment, told, words } from "./format.js";
import { beep } from "./sound.js";
import { sources, zoneOf } from "./sources.js";
import { link } from "./router.js";

const SHOWN = 3;
const KEPT = 20;
const TOGETHER = 400;
const STAYS = { critical: 15_000, warning: 10_000, info: 7_000, good: 5_000 };
const RANK = ["good", "info", "warning", "critical"];
let batch = [];
let timer = 0;
const past = [];

const worst = (messages) => RANK[Math.max(...messages.map((message) => RANK.indexOf(message.severity)))];

function show({ severity, text, note, href }) {
  const toast = h("div", { class: `toast ${severity}` },
    shape(severity),
    h("div", { class: "said" }, h("span", { class: "sr" }, `${severity}: `), href ? h("a", { href }, text) : text, note ? h("small", {}, note) : null),
    h("button", { type: "button", "aria-label": "Dismiss", onclick: () => toast.remove() }, "×"));
  let leaving = setTimeout(() => toast.remove(), STAYS[severity]);
  for (const stay of ["pointerenter", "focusin"]) toast.addEventListener(stay, () => clearTimeout(leaving)); // nothing goes while it is being read
  for (const leave of ["pointerleave", "focusout"]) toast.addEventListener(leave, () => (leaving = setTimeout(() => toast.remove(), 4_000)));
  const place = document.getElementById("toasts");
  place.append(toast);
  while (place.children.length > SHOWN + 2) place.firstElementChild.remove();
}

function flush() {
  const messages = batch;
  batch = [];
  timer = 0;
  const ordered = messages.toSorted((a, b) => RANK.indexOf(b.severity) - RANK.indexOf(a.severity));
  ordered.slice(0, SHOWN).forEach(show);
  const rest = ordered.slice(SHOWN);
  if (rest.length) show({ severity: worst(rest), text: `and ${rest.length} more`, href: "#/anomalies" });
  if (messages.some((message) => message.isHeard)) beep(worst(messages.filter((message) => message.isHeard)));
}

/** `{severity: critical|warning|info|good, text, note?, href?, isHeard?, at?, isKept?, isOwn?}` */
export function toast(message) {
  const whole = { severity: "info", at: new Date().toISOString(), ...message };
  if (message.isKept) keep(whole);
  if (message.isOwn) return; // its own toast says it
  batch.push(whole);
  timer ||= setTimeout(flush, TOGETHER);
}

export const failed = (error) => error.name === "AbortError" || toast({ severity: "critical", text: error.detail ?? error.message, note: error.remedy });

function keep(message) {
  past.unshift(message);
  past.sort((a, b) => (a.at < b.at ? 1 : a.at > b.at ? -1 : 0));
  past.length = Math.min(past.length, KEPT);
  draw();
}

function draw() {
  document.getElementById("history-list").replaceChildren(...past.map((message) => h("li", { class: message.severity },
    h("time", { class: "muted", datetime: message.at }, moment(message.at, zoneOf(message.source))),
    shape(message.severity),
    h("div", {}, h("span", { class: "sr" }, `${message.severity}: `), message.href ? h("a", { href: message.href }, message.text) : message.text, message.note ? h("small", { class: "muted" }, message.note) : null))));
}

const OWN = 60_000;
let own = null;

/** Somebody here decides about an incident: what is told of that is in the history, and makes no toast of its own. `name()`: theirs. */
export const deciding = (incident, name) => (own = { incident, name, until: Date.now() + OWN });
const isOwn = (item) => own !== null && item.incident_id === own.incident && Date.now() < own.until;

const known = (severity) => (RANK.includes(severity) ? severity : "info");

const named = (...names) => names.filter((name) => name && name !== "*").join(" · ");

export function ofAnomaly(item) {
  const [headline] = told(item.explanation ?? `${item.series} is strange`, item.series).split(/\. (?=[A-Z])/);
  return { severity: known(item.severity), source: item.source, at: item.started_at, text: headline, note: named(item.source, item.series), isHeard: true, isKept: true,
    href: item.incident_id ? link(["incident", item.incident_id]) : link(["source", item.source], { series: item.series }) };
}

const GROWS = ["opened", "escalated", "reopened"];

export function ofIncident(item) {
  const isNews = GROWS.includes(item.event);
  return { severity: item.event === "resolved" ? "good" : isNews ? known(item.severity) : "info", source: item.source, at: item.at, text: `${words(item.event)}: ${told(item.title, item.series)}`, note: named(item.source, item.series, item.by),
    isHeard: isNews, isKept: true, isOwn: isOwn(item) && item.by === own.name(), href: link(["incident", item.incident_id]) };
}

export function ofDelivery(item) {
  return { severity: item.status === "sent" ? "good" : item.status === "failed" ? "critical" : "info", source: item.source, at: item.at ?? item.happened_at, text: `${item.channel}: ${item.status}`,
    note: [item.error ?? told(item.title, item.series), named(item.source, item.series)].filter(Boolean).join(" · "), isKept: true, isOwn: isOwn(item) && item.status === "sent", href: item.incident_id ? link(["incident", item.incident_id]) : "#/deliveries" };
}

/** What lay before this page was opened: in the history alone, without toasts. */
export async function fill() {
  const [anomalies, alerts] = await Promise.all([get("anomalies", { limit: KEPT }), get("alerts", { limit: KEPT }), sources().catch(() => [])]); // sources: for their zones
  const told = alerts.items.filter((item) => ["sent", "failed"].includes(item.status));
  for (const message of [...anomalies.items.map(ofAnomaly), ...told.map(ofDelivery)]) past.push(message);
  past.sort((a, b) => (a.at < b.at ? 1 : -1));
  past.length = Math.min(past.length, KEPT);
  draw();
}
