// The charts of a source: pages of series as one scrolls, each series a panel; live movement; what a preview or the reader adds to them.
import { SeriesChart } from "./chart.js";
import { failure, h, name } from "./dom.js";
import { beyond, endWith, forecastsOf } from "./forecast.js";
import { figure, moment, plural, span, whole } from "./format.js";
import { labels } from "./labels.js";
import { page as asked } from "./series_pages.js";
import { sliding } from "./window.js";

const TICK = 2_000;
const isStill = matchMedia("(prefers-reduced-motion: reduce)");

/**
 * `element` stands at once; `show({asked, kind, q, series, isSmall, isByName, lines})` asks for the first page. `onWindow`, `onIncident`, `onLine(series)`: what a reader does
 * to a chart. `preview({anomalies, thresholds} | null)` draws beside what is.
 */
export function chartsOf(source, { onWindow, onIncident, onLine, onRange }) {
  const grid = h("div", { class: "charts" });
  const end = h("div", { class: "sentinel" });
  const element = h("section", { "aria-label": "Charts" }, h("h2", { class: "sr" }, "Charts"), grid, end);
  const panels = new Map();
  const forecasts = forecastsOf(source.source);
  let wanted = null;
  let cursor = null;
  let asking = null;
  let range = null;
  let drawnUpTo = null;
  let incidents = [];
  let previewed = null;
  let bucket = source.bucket_seconds ?? 300;
  let resolution = bucket;
  let ticking = 0;

  function panel(series) {
    const chart = new SeriesChart({ height: wanted.isSmall ? 128 : 230, zone: source.timezone, onWindow, onIncident, onDrawn: () => foretell(made) });
    const now = h("span", { class: "now push" });
    const title = h("h3", { title: series.series });
    const header = h("header", {}, title, now, h("button", { type: "button", class: "icon small", "aria-label": `A line of your own on ${series.series}`, title: "A line of your own", onclick: () => onLine(series) }, "―"));
    const made = { chart, whole: h("article", { class: "panel chart-panel" }, header, chart.element), now, title, series, newest: null, forecast: null, askedAt: null };
    grid.append(made.whole);
    panels.set(series.series, made);
    return made;
  }

  function entitle() {
    const short = wanted.isSmall ? labels([...panels.values()].map(({ series }) => series)) : null;
    for (const { title, series } of panels.values()) title.replaceChildren(name(short?.get(series.series) ?? series.series));
  }

  /** The value in the head: the newest one itself, or where the window ends before it (or it has none) the last that is drawn. */
  function head({ now, series, newest, isUpToNow }) {
    const place = series.value.findLastIndex((value) => value !== null);
    const drawn = place < 0 ? null : { value: series.value[place], at: series.at[place], severity: series.severity?.[place], of: resolution > bucket ? `, of ${span(resolution)}` : "" };
    const shown = newest ?? drawn;
    now.textContent = shown ? `${newest || (isUpToNow && resolution === bucket) ? "" : "last: "}${figure(shown.value, series.unit)}` : "no values";
    now.title = shown ? `${whole(shown.value, series.unit)} at ${moment(shown.at, source.timezone)}${newest ? "" : drawn.of}` : "";
    now.className = `now push ${shown?.severity ?? ""}`;
  }

  function fill(made, slide = 0) {
    const { chart, series } = made;
    const of = (each) => each.series === series.series;
    head(made);
    const foretold = isForetold(made) ? made.forecast : null;
    const until = wanted.kind === "own" ? range[1] : endWith(foretold, range);
    chart.show(series, { range, until, forecast: beyond(foretold, series.at.at(-1), until), resolution, slide, isSmall: wanted.isSmall, seconds: bucket < 60, incidents: incidents.filter((each) => of(each) || each.series === null || each.series === "*"),
      preview: previewed?.anomalies.filter(of) ?? [], thresholds: previewed?.thresholds.filter(of) ?? [], lines: wanted.lines.get(series.series) ?? [] });
  }

  const isForetold = ({ series, isUpToNow }) => !wanted.isSmall && isUpToNow && series.expected?.at(-1) != null;

  /** Ask what comes after a chart's newest bucket, once for each; it is drawn when it has come, and the one before stands until then. */
  function foretell(made) {
    if (!isForetold(made) || made.askedAt === made.upTo) return;
    made.askedAt = made.upTo;
    forecasts.ask(made.series.series, (found) => {
      made.forecast = found;
      if (panels.get(made.series.series) === made) fill(made);
    });
  }

  function rangeOf(page, newest) {
    const [from, to] = [Date.parse(page.from), Date.parse(page.to)];
    if (wanted.kind === "live") return sliding(Number.isFinite(newest) ? newest : to, bucket);
    const first = Math.min(...page.series.map((each) => each.at[0] ?? Infinity));
    return wanted.kind === "span" && Number.isFinite(first) ? [Math.max(from, first), Math.max(to, newest)] : [from, to]; // a young source fills its charts
  }

  function take(page, isFirst, slide = 0) {
    bucket = page.bucket_seconds ?? bucket;
    resolution = page.resolution_seconds ?? bucket;
    const newest = Math.max(...page.series.map((each) => each.at.at(-1) ?? -Infinity));
    if (isFirst) {
      const next = rangeOf(page, newest);
      if (slide && newest === drawnUpTo && ((next[1] - range[1]) / (next[1] - next[0])) * grid.clientWidth < 1) return; // less than a pixel: nothing to draw
      drawnUpTo = newest;
      range = next;
      onRange(range, page);
    }
    const seen = new Set(incidents.map((each) => `${each.incident_id} ${each.series}`));
    incidents = isFirst ? page.incidents : [...incidents, ...page.incidents.filter((each) => !seen.has(`${each.incident_id} ${each.series}`))];
    for (const series of page.series) {
      const made = panels.get(series.series) ?? panel(series);
      made.series = series;
      made.newest = page.newest?.get(series.series) ?? null;
      made.isUpToNow = page.isUpToNow;
      made.upTo = wanted.kind === "own" ? source.last_observed_at : page.to;
      fill(made, slide);
    }
    entitle();
  }

  async function ask(isFirst, { isQuiet = false, slide = 0 } = {}) {
    asking?.abort();
    const mine = (asking = new AbortController());
    try {
      const page = await asked(source, wanted, { cursor: isFirst ? null : cursor, shown: [...panels.keys()], isAll: !cursor, isAgain: isFirst && isQuiet }, mine.signal);
      if (mine !== asking) return;
      if (isFirst && !page.isOfShown) {
        const names = new Set(page.series.map((each) => each.series));
        for (const [name, made] of panels) if (!names.has(name)) drop(name, made);
        grid.querySelectorAll(":scope > :not(.chart-panel)").forEach((each) => each.remove());
      }
      take(page, isFirst, slide);
      if (!page.isOfShown) cursor = page.next;
      if (!panels.size) grid.replaceChildren(h("p", { class: "empty" }, wanted.q || wanted.series?.length ? "No series is called like that." : "No rows in this window."));
      end.textContent = cursor ? `${plural(panels.size, "series", "series")} of ${source.series_count ?? "more"} shown; scroll for more` : "";
      if (isFirst && !isQuiet) for (const { series } of page.series) grid.append(panels.get(series).whole); // those that stood there may stand elsewhere now
      asking = null;
      if (cursor && isNear(end)) ask(false);
    } catch (error) {
      if (error.name === "AbortError" || mine !== asking) return;
      asking = null;
      if (!isQuiet) grid.replaceChildren(failure(error));
    }
  }

  function drop(name, { chart, whole }) {
    chart.dispose();
    whole.remove();
    panels.delete(name);
  }

  const isNear = (place) => place.isConnected && place.getBoundingClientRect().top < innerHeight + 400;
  const more = new IntersectionObserver(([entry]) => entry.isIntersecting && cursor && !asking && ask(false), { rootMargin: "400px" });
  more.observe(end);

  function tick() {
    if (wanted?.kind !== "live" || document.hidden) return;
    if (!asking) ask(true, { isQuiet: true, slide: isStill.matches ? 0 : TICK });
  }

  return {
    element,
    show(next) {
      const isOther = wanted && wanted.isSmall !== next.isSmall;
      wanted = next;
      grid.classList.toggle("small", next.isSmall);
      if (isOther) panels.forEach((made, name) => drop(name, made));
      if (!panels.size) grid.replaceChildren(...Array.from({ length: Math.min(source.series_count || 1, next.isSmall ? 12 : 4) }, () => h("div", { class: "panel skeleton", "aria-hidden": "true", style: { height: next.isSmall ? "170px" : "276px" } })));
      clearInterval(ticking);
      if (next.kind === "live") ticking = setInterval(tick, TICK);
      return ask(true);
    },
    refresh(window) {
      wanted = { ...wanted, ...window };
      return ask(true, { isQuiet: true });
    },
    preview(given) {
      previewed = given;
      panels.forEach((made) => fill(made));
    },
    range: () => range,
    leave() {
      asking?.abort();
      clearInterval(ticking);
      more.disconnect();
      forecasts.leave();
      panels.forEach((made, name) => drop(name, made));
    },
  };
}
