// A small line of a source's newest values for the overview: SVG, a few hundred bytes, so that the first paint does not wait for the charting library.
import { get, part } from "./api.js";
import { amount, h } from "./dom.js";
import { figure } from "./format.js";

const NS = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT] = [260, 44];

function line(x, values, y) {
  let text = "";
  let isDown = false;
  values.forEach((value, i) => {
    if (value === null) isDown = false;
    else {
      text += `${isDown ? "L" : "M"}${x(i).toFixed(1)} ${y(value).toFixed(1)}${isDown ? "" : "h0"}`; // a point without neighbours is a dot
      isDown = true;
    }
  });
  return text;
}

function draw(series) {
  const svg = document.createElementNS(NS, "svg");
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("class", "spark");
  svg.setAttribute("role", "img");
  const known = [...series.value, ...(series.lower ?? []), ...(series.upper ?? [])].filter((value) => value !== null && value !== undefined);
  const last = series.value.findLast((value) => value !== null);
  svg.setAttribute("aria-label", `${series.series}, newest ${figure(last, series.unit)}`);
  if (!known.length) return svg;
  const [least, most] = [Math.min(...known), Math.max(...known)];
  const x = (i) => 2 + (i / Math.max(1, series.at.length - 1)) * (WIDTH - 4);
  const y = (value) => HEIGHT - 4 - ((value - least) / (most - least || 1)) * (HEIGHT - 8);
  const add = (name, attributes) => {
    const element = document.createElementNS(NS, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    svg.append(element);
  };
  const band = series.at.flatMap((_, i) => (series.lower?.[i] != null && series.upper?.[i] != null ? [i] : []));
  if (band.length > 1) {
    const upper = band.map((i) => `${x(i).toFixed(1)} ${y(series.upper[i]).toFixed(1)}`);
    const lower = band.toReversed().map((i) => `${x(i).toFixed(1)} ${y(series.lower[i]).toFixed(1)}`);
    add("path", { class: "spark-band", d: `M${[...upper, ...lower].join("L")}Z` });
  }
  add("path", { class: "spark-line", d: line(x, series.value, y), "vector-effect": "non-scaling-stroke" });
  series.severity?.forEach((severity, i) => severity && series.value[i] !== null && add("path", { class: `spark-mark ${severity}`, d: `M${x(i).toFixed(1)} ${y(series.value[i]).toFixed(1)}h0`, "vector-effect": "non-scaling-stroke" }));
  return svg;
}

const waiting = new Map();
const drawn = new Map(); // by source: what a card shows until its newer line has come
const observer = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting || !waiting.has(target)) continue;
    const { source, isOpen } = waiting.get(target);
    waiting.delete(target);
    observer.unobserve(target);
    fillWith(target, source, isOpen).catch(() => target.replaceChildren()); // its card says what is wrong with the source
  }
}, { rootMargin: "100px" });

async function fillWith(target, source, isOpen) {
  const worst = isOpen ? (await get("incidents", { source, limit: 1 })).items[0]?.series : null;
  const ask = (series) => get(`data/${part(source)}`, { series, limit: 1, points: 288, last: 288 });
  let [series] = (await ask(worst)).series;
  if (!series && worst) [series] = (await ask(null)).series; // an incident of something that is no series of values
  if (!series) return;
  const last = series.value.findLast((value) => value !== null);
  drawn.set(source, [h("p", { class: "spark-name muted" }, h("span", { title: series.series }, series.series), amount(last, series.unit)), draw(series)]);
  target.replaceChildren(...drawn.get(source));
}

/** Fills an element with a line of a source once it comes into view: of its first series, or of the one with the worst incident. */
export function spark(element, source, isOpen) {
  element.replaceChildren(...(drawn.get(source) ?? []));
  waiting.set(element, { source, isOpen });
  observer.observe(element);
}
