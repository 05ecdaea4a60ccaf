// The lists of anomalies, incidents, deliveries: their columns and filters, on pages of their own and under a source.
import { get, lacks, part, post, who } from "./api.js";
import { ask } from "./dialogs.js";
import { amount, chip, debounced, failure, h, name, outward } from "./dom.js";
import { count, figure, lasted, moment, percent, span, told, words } from "./format.js";
import { change, link } from "./router.js";
import { sourceOf, sources, zoneOf } from "./sources.js";
import { listing, table } from "./table.js";
import { failed, toast } from "./toasts.js";

const sourceLink = (item) => (item.source === "*" ? "several" : h("a", { href: link(["source", item.source]) }, item.source));
const at = (value, source) => h("time", { datetime: value ?? null }, moment(value, zoneOf(source)));
const between = (from, to) => (to ? span((new Date(to) - new Date(from)) / 1000) : "–");
const without = (columns, isOne) => (isOne ? columns.filter((column) => column.title !== "Source") : columns);

const ANOMALIES = [
  { title: "Severity", kind: "tight", cell: (item) => chip(item.severity) },
  { title: "Began", kind: "tight", cell: (item) => at(item.started_at, item.source) },
  { title: "Source", kind: "tight", cell: sourceLink },
  { title: "Series", kind: "name", cell: (item) => h("a", { href: link(["source", item.source], { series: item.series, from: Date.parse(item.started_at) - 6 * 3_600_000, to: Date.parse(item.ended_at) + 6 * 3_600_000 }) }, name(item.series)) },
  { title: "What", kind: "wide", cell: (item) => h("details", { class: "more-text" }, h("summary", {}, headline(told(item.explanation, item.series))), h("p", { class: "muted" }, told(item.explanation, item.series)), h("p", {}, runLink(item))) },
  { title: "Value", kind: "number", cell: (item) => amount(item.value) },
  { title: "Usually", kind: "number", cell: (item) => (item.lower === null || item.upper === null ? null : [amount(item.lower), " to ", amount(item.upper)]) },
  { title: "Lasted", kind: "number", cell: (item) => between(item.started_at, item.ended_at) },
  { title: "Found by", kind: "tight", cell: foundBy },
  { title: "Incident", kind: "tight", cell: (item) => (item.incident_id ? h("a", { href: link(["incident", item.incident_id]) }, words(item.incident_state ?? "open")) : null) },
];

/** Of which series an incident is, and how many others are told with it. */
export const about = (item) => [words(item.cause === "anomaly" ? null : item.cause) || null, item.series && item.series !== "*" ? name(item.series) : null, item.member_count ? `and ${count(item.member_count)} more` : null].filter(Boolean).flatMap((each, place) => (place ? [" · ", each] : [each]));

const INCIDENTS = [
  { title: "Severity", kind: "tight", cell: (item) => chip(item.severity) },
  { title: "State", kind: "tight", cell: (item) => chip(stateOf(item), stateOf(item)) },
  { title: "Source", kind: "tight", cell: sourceLink },
  { title: "Incident", kind: "wide", cell: (item) => [h("a", { href: link(["incident", item.incident_id]) }, told(item.title, item.series)), h("div", { class: "muted" }, about(item))] },
  { title: "Began", kind: "tight", cell: (item) => at(item.opened_at, item.source) },
  { title: "Lasted", kind: "number", cell: (item) => lasted(item, serverNow()) },
  { title: "Taken on by", kind: "tight", cell: (item) => item.acknowledged_by },
  { title: "Owner", kind: "tight", cell: (item) => sourceOf(item.source)?.owner },
];

const DELIVERIES = [
  { title: "Status", kind: "tight", cell: (item) => chip(item.status) },
  { title: "At", kind: "tight", cell: (item) => at(item.happened_at, item.source) },
  { title: "Channel", kind: "tight", cell: (item) => item.channel },
  { title: "Source", kind: "tight", cell: sourceLink },
  { title: "Event", kind: "tight", cell: (item) => words(item.event) },
  { title: "Of", kind: "wide", cell: (item) => [item.incident_id ? h("a", { href: link(["incident", item.incident_id]) }, told(item.title, item.series) || item.incident_id.slice(0, 8)) : item.title, item.series ? h("div", { class: "muted" }, name(item.series)) : null] },
  { title: "Attempt", kind: "number", cell: (item) => item.attempt },
  { title: "Why", cell: (item) => item.error },
];

function foundBy({ rules, detectors }) {
  const all = [...(rules ?? []).map((rule) => `rule ${rule}`), ...(detectors ?? []).map(words)];
  return all.length ? h("span", { title: all.join(", ") }, h("span", { class: "tag" }, all[0]), all.length > 1 ? ` +${all.length - 1}` : null) : null;
}

export const headline = (text) => (text ?? "").split(/\. (?=[A-Z])/)[0] || "–";
let dagster = null;
export const knowsDagster = (address) => (dagster = address);
export const runLink = (item) => (dagster && item.run_id ? outward(`${dagster.replace(/\/$/, "")}/runs/${part(item.run_id)}`, `Run ${item.run_id.slice(0, 8)} in Dagster`) : null);
export const stateOf = (item) => (item.snoozed_until && item.state !== "resolved" ? "snoozed" : item.state);
let ahead = 0; // by how much the server's clock is ahead of this one
export const knowsTime = (now) => (ahead = Date.parse(now) - Date.now());
export const serverNow = () => Date.now() + ahead;
const bySeverity = (item) => item.severity;

export const anomalyList = (query, given = {}) => listing({ ...given, path: "anomalies", query, columns: without(ANOMALIES, query.source), caption: "Anomalies", rowClass: bySeverity, empty: "No anomalies here." });
export const incidentList = (query) => listing({ path: "incidents", query, columns: without(INCIDENTS, query.source), caption: "Incidents", rowClass: bySeverity, empty: "No incidents here." });
export const deliveryList = (query) => listing({ path: "alerts", query, columns: without(DELIVERIES, query.source), caption: "Deliveries", empty: "Nobody was told of anything here.", rowClass: (item) => (item.status === "failed" ? "critical" : null) });

/** A field that stands in the address: `kind` "search" or a list of choices. */
export function filter(name, title, query, choices = null) {
  const value = query.get(name) ?? "";
  const given = { "aria-label": title, name };
  if (!choices) {
    const typed = debounced((text) => change({ [name]: text }), 350);
    const field = h("input", { ...given, type: "search", placeholder: title, value, oninput: () => typed(field.value) });
    return field;
  }
  const field = h("select", { ...given, onchange: () => change({ [name]: field.value }) }, h("option", { value: "" }, title), choices.map((each) => h("option", { value: each.value ?? each, selected: (each.value ?? each) === value }, each.title ?? each)));
  return field;
}

const SEVERITIES = ["critical", "warning", "info"];

function page(title, filters, list, extra = null) {
  return {
    element: [h("div", { class: "head" }, h("h1", {}, title), h("div", { class: "toolbar push" }, filters)), extra, h("section", { class: "panel" }, list.element)],
    onEvent: (name) => name === "published" && list.refresh(),
  };
}

async function names() {
  return (await sources().catch(() => [])).map((item) => item.source);
}

export async function anomaliesPage({ query }) {
  const asked = Object.fromEntries(["source", "series", "severity"].map((name) => [name, query.get(name)]));
  return page("Anomalies", [filter("source", "All sources", query, await names()), filter("severity", "All severities", query, SEVERITIES), asked.series ? h("button", { type: "button", onclick: () => change({ series: null }) }, `Series ${asked.series} ×`) : null], anomalyList(asked));
}

export async function incidentsPage({ query }) {
  const all = await sources().catch(() => []);
  const owners = [...new Set(all.map((item) => item.owner).filter(Boolean))].sort();
  const tags = [...new Set(all.flatMap((item) => tagsOf(item)))].sort();
  const asked = Object.fromEntries(["state", "source", "severity", "owner", "tag", "q"].map((name) => [name, query.get(name)]));
  return page("Incidents", [filter("q", "Search", query), filter("state", "Not resolved", query, ["open", "acknowledged", "snoozed", "resolved", { value: "all", title: "All states" }]), filter("severity", "All severities", query, SEVERITIES),
    filter("source", "All sources", query, all.map((item) => item.source)), filter("owner", "All owners", query, owners), filter("tag", "All tags", query, tags)], incidentList(asked));
}

export const tagsOf = (item) => (Array.isArray(item.tags) ? item.tags : Object.entries(item.tags ?? {}).map(([name, value]) => `${name}=${value}`));

export async function deliveriesPage({ query }) {
  const asked = Object.fromEntries(["source", "channel", "status"].map((name) => [name, query.get(name)]));
  const channels = h("section", { class: "panel spaced" }, h("header", {}, h("h2", {}, "Channels")), h("div", { class: "body" }));
  Promise.all([get("channels"), get("stats", { days: 30 }), who()]).then(([{ items }, { sends }, me]) => channels.lastChild.replaceChildren(items.length ? h("ul", { class: "channels" }, items.map((item) => channel(item, (sends ?? []).filter((each) => each.channel === item.channel), lacks(me, "operator")))) : h("p", { class: "muted" }, "No channels yet: data/channels.yaml.")), (error) => channels.lastChild.replaceChildren(failure(error)));
  return page("Deliveries", [filter("source", "All sources", query, await names()), filter("status", "All states", query, ["sent", "failed", "planned", "claimed", "skipped"]), asked.channel ? h("button", { type: "button", onclick: () => change({ channel: null }) }, `Channel ${asked.channel} ×`) : null], deliveryList(asked), channels);
}

/** `sends`: how many messages had which end in 30 days; `refusal`: why this person may send none. */
function channel(item, sends, refusal) {
  const button = h("button", { type: "button", disabled: Boolean(item.problem || refusal), title: refusal, onclick: async () => {
    if (!(await ask({ title: `Send a test message to ${item.channel}?`, text: "Whoever reads this channel gets it. It says that it is a test.", verb: "Send" }))) return;
    button.disabled = true;
    try {
      const said = await post(`channels/${part(item.channel)}/test`);
      toast({ severity: said.sent ? "good" : "critical", text: `${item.channel}: test ${said.sent ? "sent" : "failed"}`, note: said.error, isKept: true });
    } catch (error) {
      failed(error);
    }
    button.disabled = false;
  } }, "Send a test message");
  const wrong = item.problem ?? (item.missing?.length ? `not set: ${item.missing.join(", ")}` : null);
  return h("li", {}, h("div", {}, h("a", { href: link(["deliveries"], { channel: item.channel }) }, item.channel), h("span", { class: "muted" }, ` ${item.type ?? ""}`)),
    wrong ? [chip("warning", "not ready"), h("span", {}, wrong)] : null,
    h("span", { class: "muted" }, item.sources?.length ? `used by ${item.sources.join(", ")}` : "no source sends to it"),
    sends.map(({ status, count: number }) => chip(status, `${number} ${status}`)), button);
}

const CHECKS = [
  { title: "Result", kind: "tight", cell: (item) => (item.error ? chip("broken") : item.is_passed ? chip("passed") : chip(item.severity ?? "warning", "not met")) },
  { title: "Source", kind: "tight", cell: sourceLink },
  { title: "Column", kind: "name", cell: (item) => (item.column_name ? name(item.column_name) : null) },
  { title: "What was found", kind: "wide", cell: (item) => item.error ?? item.message },
  { title: "Check", cell: (item) => h("span", { class: "mono muted" }, item.check_name) },
  { title: "Rows against it", kind: "number", cell: (item) => (item.unexpected_count ? `${figure(item.unexpected_count)} (${percent(item.unexpected_percent / 100)})` : null) },
  { title: "Asked", kind: "tight", cell: (item) => at(item.checked_at, item.source) },
];
const UNASKED = ["too few rows", "warming up"]; // rules by which nothing was compared yet
const DRIFT = [
  { title: "Result", kind: "tight", cell: (item) => (item.is_drifted ? chip("warning", "shifted") : UNASKED.includes(item.rule) ? chip("unknown", item.rule) : chip("passed", "no shift")) },
  { title: "Source", kind: "tight", cell: sourceLink },
  { title: "Column", kind: "name", cell: (item) => (item.column_name ? name(item.column_name) : null) },
  { title: "What was found", kind: "wide", cell: (item) => item.message },
  { title: "Of its limit", kind: "number", cell: (item) => percent(item.limit_value ? item.statistic / item.limit_value : null) },
  { title: "Asked", kind: "tight", cell: (item) => at(item.checked_at, item.source) },
];

/** Checks and drift of a source, or of all. */
export function checkLists(query) {
  const onlyBad = query.result === "bad";
  const both = h("div", {}, h("div", { class: "skeleton tall" }));
  const load = async () => {
    try {
      const { checks, drift } = await get("checks", { source: query.source });
      const bad = (item) => (item.is_passed === false || item.error || item.is_drifted ? 1 : 0);
      const section = (title, columns, items, empty) => {
        const shown = items.filter((item) => !onlyBad || bad(item)).toSorted((a, b) => bad(b) - bad(a));
        return h("section", { class: "panel spaced" }, h("header", {}, h("h2", {}, title), h("span", { class: "muted" }, `${items.filter(bad).length} of ${items.length} need a look`)),
          shown.length ? table(without(columns, query.source), shown, { caption: title, rowClass: (item) => (bad(item) ? (item.severity ?? "warning") : null) }).element : h("p", { class: "empty" }, empty));
      };
      both.replaceChildren(section("Checks", CHECKS, checks, "Nothing to show: a contract in the YAML asks for checks."), section("Drift", DRIFT, drift, "Nothing to show: drift is asked once a day has ended."));
    } catch (error) {
      both.replaceChildren(failure(error));
    }
  };
  load();
  return { element: both, load };
}

export async function checksPage({ query }) {
  const lists = checkLists({ source: query.get("source"), result: query.get("result") });
  return { element: [h("div", { class: "head" }, h("h1", {}, "Checks and drift"), h("div", { class: "toolbar push" }, filter("source", "All sources", query, await names()), filter("result", "All results", query, [{ value: "bad", title: "Needs a look" }]))), lists.element], onEvent: (name) => name === "published" && lists.load() };
}
