// The page of a source: what it is, its charts with window and filters, rules with a preview, its lists below.
import { download } from "./api.js";
import { anomaliesTab } from "./anomalies_tab.js";
import { chartsOf } from "./charts.js";
import { ask } from "./dialogs.js";
import { chip, debounced, h, outward } from "./dom.js";
import { ago, count, moment, percent, plural } from "./format.js";
import { checkLists, deliveryList, incidentList, tagsOf } from "./lists.js";
import { change, link, read } from "./router.js";
import { rulesPanel } from "./rules.js";
import { sources, sourceOf } from "./sources.js";
import { tabs } from "./tabs.js";
import { failed, toast } from "./toasts.js";
import { moved, spansFor, windowOf } from "./window.js";

/** `{series: [numbers]}` of `line=cpu:90` in the address. */
function linesOf(query) {
  const lines = new Map();
  for (const text of query.getAll("line")) {
    const cut = text.lastIndexOf(":");
    const value = Number(text.slice(cut + 1));
    if (cut > 0 && Number.isFinite(value)) lines.set(text.slice(0, cut), [...(lines.get(text.slice(0, cut)) ?? []), value]);
  }
  return lines;
}

async function askLine(series) {
  const { query } = read();
  const others = query.getAll("line").filter((text) => !text.startsWith(`${series.series}:`));
  const old = linesOf(query).get(series.series)?.[0];
  const said = await ask({ title: "A line of your own", text: `Drawn on ${series.series} for you alone; a saved view keeps it. Rules stay as they are.`, fields: [{ name: "value", label: `Value${series.unit ? ` in ${series.unit}` : ""} (empty: no line)`, value: old ?? "" }], verb: "Draw" });
  if (!said) return;
  const value = said.value.trim() === "" ? null : Number(said.value.replace(",", "."));
  if (Number.isNaN(value)) toast({ severity: "warning", text: `${said.value} is no number` });
  else change({ line: value === null ? others : [...others, `${series.series}:${value}`] });
}

function about(source) {
  const facts = [
    source.owner ? ["Owner", source.owner] : null,
    ["Newest bucket", moment(source.last_observed_at, source.timezone)],
    ["Last run", source.last_run_at ? `${ago(source.last_run_at)}, ${source.last_run_status}` : source.record_count === null ? "unknown: the published copy is missing" : "none yet"],
    ["Series", count(source.series_count)],
    ["Anomalies", `${count(source.anomaly_count)} (${percent(source.anomaly_rate)})`],
    source.is_paused ? ["Paused", source.paused_until ? `until ${moment(source.paused_until, source.timezone)}` : "until somebody resumes it"] : null,
  ].filter(Boolean);
  return h("div", { class: "about-source" },
    h("div", { class: "head" }, h("h1", {}, source.source), source.open_incidents ? h("a", { href: link(["incidents"], { source: source.source }) }, chip(source.worst_severity ?? "open", `${source.open_incidents} open`)) : null, tagsOf(source).map((each) => h("span", { class: "tag" }, each)),
      h("span", { class: "links push" }, source.runbook ? outward(source.runbook, "Runbook") : null, source.dagster_url ? outward(source.dagster_url, "In Dagster") : null)),
    source.problem ? h("p", { class: "error" }, source.problem) : null,
    source.description ? h("p", { class: "muted" }, source.description) : null,
    h("dl", { class: "facts" }, facts.map(([title, text]) => h("div", {}, h("dt", {}, title), h("dd", {}, text)))));
}

function exportMenu(source, chart) {
  const chosen = () => ({ series: read().query.getAll("series"), q: read().query.get("q") });
  const save = async (format, isAll) => {
    menu.open = false;
    const range = chart.range();
    try {
      const name = await download("export/scores", { source: source.source, format, series: chosen().series, q: chosen().q, only_anomalies: isAll ? null : "true", from: range && new Date(range[0]).toISOString(), to: range && new Date(range[1]).toISOString() });
      toast({ severity: "good", text: `Saved ${name}` });
    } catch (error) {
      failed(error);
    }
  };
  const button = (text, format, isAll) => h("button", { type: "button", onclick: () => save(format, isAll) }, text);
  const note = h("span", { class: "muted menu-note" });
  const menu = h("details", { class: "menu", ontoggle: () => {
    const { series, q } = chosen();
    note.textContent = `The window that is shown${series.length ? `, ${plural(series.length, "series", "series")}` : ""}${q ? `, names with “${q}”` : ""}; times are UTC`;
  } }, h("summary", {}, "Export"), h("div", {}, note, button("CSV, all points", "csv", true), button("CSV, only anomalies", "csv", false), button("JSON, all points", "json", true), button("JSON, only anomalies", "json", false)));
  return menu;
}

export async function sourcePage({ path: [, name], query }) {
  await sources();
  const source = sourceOf(name);
  if (!source) return { element: h("div", { class: "error" }, h("p", {}, `There is no source ${name}.`), h("p", {}, h("a", { href: "#/" }, "All sources"))) };
  const zoomed = (range) => change(range ? { from: Math.round(range[0]), to: Math.round(range[1]), span: null, live: null } : { from: null, to: null, live: null });
  const shown = h("span", { class: "muted" });
  const charts = chartsOf(source, {
    onWindow: zoomed, onIncident: (id) => (location.hash = link(["incident", id])), onLine: askLine,
    onRange: ([from, to], page) => (lists.current().windowed?.([from, to]), (shown.textContent = `${moment(from, source.timezone, false)} to ${moment(to, source.timezone)}${page.resolution_seconds > page.bucket_seconds ? " · each point stands for several" : ""}`)),
  });
  const { spans, first } = spansFor(source.bucket_seconds);
  const windows = h("div", { class: "group", role: "group", "aria-label": "Window" },
    h("button", { type: "button", "data-key": "l", "data-window": "live", onclick: () => change({ live: read().query.get("live") ? null : 1, span: null, from: null, to: null }) }, h("i", { class: "pulse", "aria-hidden": "true" }), "Live"),
    spans.map(([title]) => h("button", { type: "button", "data-window": title, onclick: () => change({ span: title === first ? null : title, live: null, from: null, to: null }) }, title)));
  const step = (key, title, given) => h("button", { type: "button", "data-key": key, "aria-label": title, title, onclick: () => charts.range() && zoomed(moved(charts.range(), given)) }, { "[": "‹", "]": "›", "+": "+", "-": "−" }[key]);
  const steps = h("div", { class: "group", role: "group", "aria-label": "Zoom" }, step("[", "Earlier", { by: -0.5 }), step("-", "Zoom out", { factor: 2 }), step("+", "Zoom in", { factor: 0.5 }), step("]", "Later", { by: 0.5 }));
  const reset = h("button", { type: "button", onclick: () => change({ from: null, to: null, series: null }) }, "Reset");
  const typed = debounced((text) => change({ q: text }, { isQuiet: true }) ?? update(read().query), 300);
  const search = h("input", { type: "search", name: "q", "aria-label": "Search series", placeholder: `Search ${plural(source.series_count ?? 1, "series", "series")}`, value: query.get("q") ?? "", oninput: () => typed(search.value) });
  const size = h("div", { class: "group", role: "group", "aria-label": "Size" }, ["large", "small"].map((each) => h("button", { type: "button", "data-size": each, onclick: () => change({ size: each }) }, each === "large" ? "Large" : "Small")));
  const order = (source.series_count ?? 1) < 2 ? null : h("select", { "aria-label": "Order", onchange: () => change({ order: order.selectedIndex ? "name" : null }) }, h("option", {}, "Anomalies first"), h("option", {}, "By name"));
  const edit = h("button", { type: "button", "data-key": "e", "aria-expanded": "false", onclick: () => change({ edit: read().query.get("edit") ? null : 1 }) }, "Rules");
  const side = h("aside", { class: "side", "aria-label": "Rules", hidden: true });
  const layout = h("div", { class: "with-side" }, h("div", {}, charts.element), side);
  let rules = null;

  function update(next) {
    const window = windowOf(next, sourceOf(name) ?? source);
    const isSmall = (next.get("size") ?? ((source.series_count ?? 1) > 6 ? "small" : "large")) === "small";
    for (const button of windows.children) button.setAttribute("aria-pressed", String(button.dataset.window === (window.kind === "live" ? "live" : window.title)));
    for (const button of size.children) button.setAttribute("aria-pressed", String((button.dataset.size === "small") === isSmall));
    if (order) order.selectedIndex = next.get("order") === "name" ? 1 : 0;
    windows.classList.toggle("is-live", window.kind === "live");
    reset.hidden = window.kind !== "own" && !next.getAll("series").length;
    const isEditing = Boolean(next.get("edit"));
    side.hidden = !isEditing;
    layout.classList.toggle("is-editing", isEditing);
    edit.setAttribute("aria-expanded", String(isEditing));
    if (isEditing && !rules) {
      rules = rulesPanel(source, { onPreview: (given) => charts.preview(given), onClose: () => change({ edit: null }) });
      side.replaceChildren(rules.element);
    } else if (!isEditing && rules) {
      rules.leave();
      rules = null;
      side.replaceChildren();
      charts.preview(null);
    }
    charts.show({ ...window, q: next.get("q"), series: next.getAll("series"), isSmall, isByName: next.get("order") === "name", lines: linesOf(next) });
  }

  const lists = tabs(
    [["anomalies", "Anomalies", () => {
      const made = anomaliesTab(source);
      if (charts.range()) made.windowed(charts.range());
      return made;
    }], ["incidents", "Incidents", () => incidentList({ source: name, state: "all" })], ["deliveries", "Deliveries", () => deliveryList({ source: name })], ["checks", "Checks and drift", () => checkLists({ source: name })]],
    query.get("list"), (chosen) => change({ list: chosen === "anomalies" ? null : chosen }, { isQuiet: true }));
  const legend = h("p", { class: "legend chart-legend muted", "aria-hidden": "true" }, h("span", { class: "key line" }, "value"), h("span", { class: "key band" }, "usual range"), h("span", { class: "key expected" }, "expected"), h("span", { class: "key forecast" }, "forecast"), h("span", { class: "key shade" }, "incident"), chip("critical"), chip("warning"), chip("info"));
  update(query);
  return {
    element: [about(source), h("div", { class: "toolbar sticky" }, windows, steps, reset, size, order, search, h("span", { class: "push" }), exportMenu(source, charts), edit), h("div", { class: "window-line" }, shown, legend), layout, lists.element],
    source: name,
    onQuery: update,
    onEvent: (event, data) => {
      if (event !== "published" || (data.sources && !data.sources.includes(name))) return;
      sources().then(() => charts.refresh(windowOf(read().query, sourceOf(name) ?? source)), () => null);
      lists.reload();
    },
    leave: () => (rules?.leave(), charts.leave()),
  };
}
