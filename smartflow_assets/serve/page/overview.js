// The first page: four figures, what is open now, all sources with a line each, anomalies by day.
import { get } from "./api.js";
import { chip, failure, h, outward, shape } from "./dom.js";
import { ago, count, moment, percent, plural, short, since, told, words } from "./format.js";
import { about, filter, stateOf, tagsOf } from "./lists.js";
import { change, link } from "./router.js";
import { sources, zoneOf } from "./sources.js";
import { spark } from "./spark.js";

export const STATES = { ok: "All calm", warning: "Needs a look", critical: "Critical", never_run: "No run yet", copy_missing: "Copy missing" };
const isStill = matchMedia("(prefers-reduced-motion: reduce)");

const rounded = (value) => (value === null || value === undefined ? null : Math.round(value));

/** Counts up from what stood there. */
function countTo(element, value, write) {
  const from = Number(element.dataset.value ?? 0);
  element.dataset.value = value ?? 0;
  if (value === null || value === undefined || isStill.matches || from === value || document.hidden) {
    element.textContent = write(value);
    return;
  }
  const began = performance.now();
  const step = (now) => {
    const part = Math.min(1, (now - began) / 700);
    element.textContent = write(from + (value - from) * (1 - (1 - part) ** 3));
    if (part < 1) requestAnimationFrame(step);
    else element.textContent = write(value);
  };
  requestAnimationFrame(step);
}

function cards() {
  const figures = Object.fromEntries(["state", "points", "anomalies", "rate"].map((name) => [name, h("span")]));
  const notes = Object.fromEntries(Object.keys(figures).map((name) => [name, h("p", { class: "note" }, " ")]));
  const pulse = h("i", { class: "pulse", "aria-hidden": "true" });
  const card = (title, name, before = null) => h("section", { class: "card", id: `card-${name}` }, h("h2", {}, title), h("p", { class: "figure" }, before, figures[name]), notes[name]);
  const element = h("div", { class: "cards" }, card("Status", "state", pulse), card("Points judged", "points"), card("Anomalies", "anomalies"), card("Anomaly rate", "rate"));
  function show(status) {
    element.firstChild.className = `card is-${status.state}`;
    figures.state.textContent = STATES[status.state] ?? words(status.state);
    const open = status.open_incidents ?? {};
    const said = ["critical", "warning", "info"].filter((severity) => open[severity]).map((severity) => `${open[severity]} ${severity}`);
    notes.state.textContent = status.remedy ? told(status.remedy) : said.length ? `open: ${said.join(", ")}` : "no open incidents";
    countTo(figures.points, status.judged_count, (value) => short(rounded(value)));
    notes.points.textContent = `${plural(status.source_count ?? 0, "source")} · ${status.published_at ? `copy of ${moment(status.published_at)}` : "no published copy"}`;
    countTo(figures.anomalies, status.anomaly_count, (value) => count(rounded(value)));
    notes.anomalies.textContent = status.remedy ? "last run unknown" : `last run ${ago(status.last_run_at)}`;
    countTo(figures.rate, status.anomaly_rate, percent);
    notes.rate.textContent = "of the points judged";
  }
  return { element, show };
}

function incidentsPanel() {
  const list = h("ul", { class: "open-list" });
  const element = h("section", { class: "panel" }, h("header", {}, h("h2", {}, "Open now"), h("a", { class: "push", href: "#/incidents" }, "All incidents")), list);
  async function load() {
    try {
      const { items } = await get("incidents", { limit: 6 });
      list.replaceChildren(...(items.length ? items.map((item) => h("li", {}, chip(item.severity), h("div", {}, h("a", { href: link(["incident", item.incident_id]) }, told(item.title, item.series)), h("div", { class: "muted" }, item.source === "*" ? "several sources" : item.source, [about(item)].filter((each) => each.length).map((each) => [" · ", each]), ` · ${stateOf(item)} · ${since(item.opened_at, zoneOf(item.source))}`)))) : [h("li", { class: "empty" }, "Nothing is open. ", h("a", { href: "#/incidents?state=resolved" }, "What was"))]));
    } catch (error) {
      list.replaceChildren(h("li", { class: "empty" }, failure(error)));
    }
  }
  return { element, load };
}

function daysPanel() {
  const plot = h("div", { class: "days" });
  const element = h("section", { class: "panel" }, h("header", {}, h("h2", {}, "Anomalies by day"), h("span", { class: "legend push" }, ["critical", "warning", "info"].map((severity) => h("span", { class: severity }, shape(severity), severity)))), h("div", { class: "body" }, plot));
  async function load() {
    try {
      const { by_day: rows, from, to } = await get("stats", { days: 30 });
      const days = new Map();
      for (let at = Date.parse(from); at <= Date.parse(to ?? from); at += 86_400_000) days.set(new Date(at).toISOString().slice(0, 10), {});
      for (const { day, severity, anomalies } of rows) {
        const key = String(day).slice(0, 10);
        if (!days.has(key)) days.set(key, {});
        days.get(key)[severity] = (days.get(key)[severity] ?? 0) + anomalies;
      }
      const most = Math.max(1, ...[...days.values()].map((each) => Object.values(each).reduce((a, b) => a + b, 0)));
      const ordered = [...days.entries()].sort().slice(-31);
      plot.replaceChildren(
        h("div", { class: "bars", role: "img", "aria-label": `Anomalies by day: ${ordered.filter(([, each]) => Object.keys(each).length).map(([day, each]) => `${day}: ${Object.entries(each).map(([severity, n]) => `${n} ${severity}`).join(", ")}`).join("; ") || "none"}` },
          ordered.map(([day, each]) => h("div", { class: "bar", title: `${day}: ${Object.entries(each).map(([severity, n]) => `${n} ${severity}`).join(", ") || "none"}` },
            ["info", "warning", "critical"].map((severity) => (each[severity] ? h("i", { class: severity, style: { height: `${(each[severity] / most) * 100}%` } }) : null))))),
        h("div", { class: "ends muted" }, h("span", {}, ordered[0]?.[0] ?? ""), h("span", {}, `most on a day: ${most}`), h("span", {}, ordered.at(-1)?.[0] ?? "")));
    } catch (error) {
      plot.replaceChildren(failure(error));
    }
  }
  return { element, load };
}

const stateOfSource = (item) => (item.problem ? "broken" : item.is_paused ? "paused" : item.open_incidents ? (item.worst_severity ?? "warning") : item.last_run_status === "failure" || item.last_run_status === "failed" ? "failed" : item.last_run_at ? "calm" : item.record_count === null ? "unknown" : "never run");

function sourceCard(item) {
  const state = stateOfSource(item);
  const line = h("div", { class: "line" });
  spark(line, item.source, item.open_incidents > 0);
  return h("article", { class: `source ${state}` },
    h("div", { class: "title" }, h("h3", {}, h("a", { href: link(["source", item.source]) }, item.source)), item.is_live ? h("span", { class: "tag live" }, "live") : null, chip(state === "calm" ? "good" : state, state)),
    h("p", { class: "about muted" }, item.problem ?? item.description ?? ""),
    line,
    h("dl", {}, h("div", {}, h("dt", {}, "Series"), h("dd", {}, count(item.series_count))), h("div", {}, h("dt", {}, "Points"), h("dd", {}, short(item.record_count))), h("div", {}, h("dt", {}, "Anomalies"), h("dd", {}, count(item.anomaly_count))), h("div", {}, h("dt", {}, "Rate"), h("dd", {}, percent(item.anomaly_rate)))),
    h("p", { class: "foot muted" }, h("span", {}, [item.owner, ...tagsOf(item)].filter(Boolean).map((each) => [h("span", { class: "tag" }, each), " "])), item.dagster_url ? outward(item.dagster_url, "Dagster", { "aria-label": `${item.source} in Dagster` }) : null));
}

function sourcesPanel(query) {
  const grid = h("div", { class: "sources" }, h("div", { class: "skeleton tall" }), h("div", { class: "skeleton tall" }), h("div", { class: "skeleton tall" }));
  const filters = h("div", { class: "toolbar push" });
  const element = h("section", {}, h("div", { class: "head" }, h("h2", { class: "big" }, "Sources"), filters), grid);
  function draw(all) {
    const [words_, tag, owner, state] = ["q", "tag", "owner", "state"].map((name) => query.get(name) ?? "");
    const shown = all.filter((item) => (!words_ || `${item.source} ${item.description} ${item.owner} ${tagsOf(item).join(" ")}`.toLowerCase().includes(words_.toLowerCase())) && (!tag || tagsOf(item).includes(tag)) && (!owner || item.owner === owner) && (!state || stateOfSource(item) === state));
    grid.replaceChildren(...(shown.length ? shown.map(sourceCard) : [h("p", { class: "empty" }, all.length ? "No source is like that. " : "No sources yet: smartflow demo brings five.", all.length ? h("button", { type: "button", onclick: () => change({ q: null, tag: null, owner: null, state: null }) }, "Show all") : null)]));
  }
  async function load(isFresh = false) {
    try {
      const all = await sources(isFresh);
      if (!filters.childElementCount) {
        const choices = (values) => [...new Set(values.filter(Boolean))].sort();
        const search = h("input", { type: "search", "aria-label": "Search sources", placeholder: "Search", value: query.get("q") ?? "", oninput: () => (query.set("q", search.value), change({ q: search.value }, { isQuiet: true }), sources().then(draw)) });
        filters.append(search, filter("tag", "All tags", query, choices(all.flatMap(tagsOf))), filter("owner", "All owners", query, choices(all.map((item) => item.owner))), filter("state", "All states", query, choices(all.map(stateOfSource))));
      }
      draw(all);
    } catch (error) {
      grid.replaceChildren(failure(error));
    }
  }
  return { element, load };
}

export async function overviewPage({ query, status }) {
  const parts = [incidentsPanel(), sourcesPanel(query), daysPanel()];
  const figures = cards();
  status.then(figures.show, (error) => figures.element.replaceChildren(failure(error)));
  parts.forEach((each) => each.load());
  return {
    element: [h("h1", { class: "sr" }, "Overview"), figures.element, h("div", { class: "two even" }, parts[0].element, parts[2].element), parts[1].element],
    onStatus: figures.show,
    onEvent: (name) => {
      if (name === "published") parts.forEach((each) => each.load(true));
      else if (name === "incident") parts[0].load();
    },
  };
}
