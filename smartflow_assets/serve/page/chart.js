// The chart of one series: canvas, tooltip, selection of a window by drag. What it shows is in `series_option`; when it is drawn, in `echarts`.
import { h, shape } from "./dom.js";
import { colours, drawnInView, library } from "./echarts.js";
import { figure, moment, offset, told } from "./format.js";
import { expectation, nearest, seriesOption, summary } from "./series_option.js";

const CLICK = 6; // pixels: less is a click, more is a drag

export class SeriesChart {
  /** `onWindow([from, to] | null)`: a stretch was dragged over, or a double click asks for all. `onIncident(id)`. `onDrawn()`: it was drawn just now. */
  constructor({ height = 220, zone = "UTC", onWindow, onIncident, onDrawn }) {
    this.element = h("div", { class: "chart", role: "img", style: { height: `${height}px` } });
    this.zone = zone;
    this.onWindow = onWindow;
    this.onIncident = onIncident;
    this.onDrawn = onDrawn;
    this.series = null;
    this.given = {};
    this.drawn = null;
    this.isInView = false;
    if (onWindow) this.#selectable();
    this.forget = drawnInView(this);
    this.resizing = new ResizeObserver(() => this.drawn?.resize());
    this.resizing.observe(this.element);
  }

  show(series, given) {
    this.series = series;
    this.given = { ...this.given, ...given };
    this.element.setAttribute("aria-label", summary(series, this.zone, this.given.forecast));
    if (this.isInView) this.#draw();
  }

  enter() {
    this.isInView = true;
    if (this.series) this.#draw();
  }

  leave() {
    this.isInView = false;
    this.drawn?.dispose();
    this.drawn = null;
  }

  dispose() {
    this.resizing.disconnect();
    this.forget();
  }

  async #draw() {
    const echarts = await library();
    if (!this.isInView || !this.element.isConnected) return;
    if (!this.drawn) {
      this.drawn = echarts.init(this.element, null, { renderer: "canvas" });
      this.drawn.on("click", (event) => this.#clicked(event));
    }
    const option = seriesOption(this.series, { ...this.given, zone: this.zone, colour: colours() });
    this.shift = offset(this.given.range[1], this.zone);
    // the text is a node and not HTML: a name of a series may be markup, and the content policy forbids style attributes
    option.tooltip = { trigger: "axis", confine: false, appendTo: document.body, className: "tip", transitionDuration: 0, borderWidth: 0, padding: 0, backgroundColor: "transparent", extraCssText: "box-shadow: none", formatter: (params) => this.#tip(params) };
    this.drawn.setOption(option, { replaceMerge: ["series"], lazyUpdate: false });
    this.onDrawn?.();
  }

  #tip(params) {
    const { series, zone } = this;
    const at = (Array.isArray(params) ? params[0] : params).axisValue - this.shift;
    const i = nearest(series.at, at);
    if (i < 0) return "";
    const row = (title, text) => h("tr", {}, h("th", { scope: "row" }, title), h("td", {}, text));
    const { forecast } = this.given;
    const ahead = forecast ? nearest(forecast.at, at) : -1;
    if (ahead >= 0 && Math.abs(forecast.at[ahead] - at) < Math.abs(series.at[i] - at)) {
      return h("div", { class: "tip-body" }, h("p", { class: "muted" }, moment(forecast.at[ahead], zone, true, this.given.seconds)), h("table", {}, row("expected", expectation(forecast, ahead, series.unit))));
    }
    const severity = series.severity?.[i];
    const usual = series.lower?.[i] != null && series.upper?.[i] != null ? `${figure(series.lower[i])} to ${figure(series.upper[i])}` : null;
    const incident = this.#incidentAt(series.at[i]);
    return h("div", { class: "tip-body" },
      h("p", { class: "muted" }, moment(series.at[i], zone, true, this.given.seconds)),
      h("table", {}, row("value", figure(series.value[i], series.unit)),
        usual ? row("usually", usual) : null,
        series.low ? row("least to largest", `${figure(series.low[i])} to ${figure(series.high[i])}`) : null,
        series.score?.[i] != null ? row("score", figure(series.score[i])) : null),
      severity ? h("p", { class: `strange ${severity}` }, shape(severity), severity) : null,
      incident ? h("p", { class: "tip-title" }, told(incident.title, incident.series)) : null);
  }

  /** The incident of a point, which stands for a stretch from its time on. */
  #incidentAt(at) {
    const end = at + (this.given.resolution ?? 1) * 1000;
    return (this.given.incidents ?? []).find((each) => end > Date.parse(each.from) && at <= Date.parse(each.to ?? "9999-01-01"));
  }

  #clicked(event) {
    const id = event.componentType === "markArea" ? event.name : this.#incidentAt((event.value?.[0] ?? 0) - this.shift)?.incident_id;
    if (id && this.given.incidents?.some((each) => each.incident_id === id)) this.onIncident?.(id);
  }

  #selectable() {
    let from = null;
    const shade = h("div", { class: "selection", hidden: true });
    const place = (event) => event.clientX - this.element.getBoundingClientRect().left;
    const time = (x) => this.drawn.convertFromPixel({ xAxisIndex: 0 }, x) - this.shift;
    this.element.addEventListener("pointerdown", (event) => {
      if (event.button === 0 && event.pointerType === "mouse" && this.drawn) from = place(event); // a finger scrolls the page
    });
    this.element.addEventListener("pointermove", (event) => {
      if (from === null || Math.abs(place(event) - from) < CLICK) return;
      if (!shade.isConnected) this.element.append(shade);
      if (shade.hidden) this.element.setPointerCapture(event.pointerId);
      shade.hidden = false;
      shade.style.left = `${Math.min(from, place(event))}px`;
      shade.style.width = `${Math.abs(place(event) - from)}px`;
    });
    this.element.addEventListener("pointerup", (event) => {
      if (from !== null && !shade.hidden && this.drawn) this.onWindow([time(from), time(place(event))].toSorted((a, b) => a - b));
      from = null;
      shade.hidden = true;
    });
    this.element.addEventListener("pointercancel", () => ((from = null), (shade.hidden = true)));
    this.element.addEventListener("dblclick", () => this.onWindow(null));
  }
}
