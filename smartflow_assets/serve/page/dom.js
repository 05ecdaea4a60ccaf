// Makes elements. All text of the page goes through here and becomes text nodes: nothing that comes from data is ever read as HTML.
import { figure, whole } from "./format.js";

/** `h("a", {href, class, onclick, …}, "text", node, …)`. Null children are left out. Styles go through CSSOM, which the content policy allows. */
export function h(tag, given = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, each] of Object.entries(value)) element.style.setProperty(key, each);
    else if (name === "value" || name === "checked" || name === "selected") element[name] = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...nodes(children));
  return element;
}

const nodes = (children) => children.flat(4).filter((child) => child !== null && child !== undefined && child !== false).map((child) => (child instanceof Node ? child : String(child)));

/** Puts children in the place of what an element held; null ones are left out (`replaceChildren` would write "null"). */
export function fill(element, ...children) {
  element.replaceChildren(...nodes(children));
}

const SHAPES = {
  critical: "M5 0l5 5-5 5-5-5z", // a diamond
  warning: "M5 .5l5 9H0z", // a triangle
  info: "M5 1a4 4 0 1 0 .001 0z", // a circle
  good: "M3.800 9L.4 5.500 1.800 4l2 2.100L8.400 1.300l1.400 1.400z", // a tick
};

/** The shape of a severity; charts draw the same ones, so that colour is never the only sign. */
export function shape(severity) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 10 10");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", SHAPES[severity] ?? SHAPES.info);
  svg.append(path);
  return svg;
}

const WORDS = ["critical", "warning", "info", "good", "sent", "failed", "planned", "claimed", "retry", "open", "acknowledged", "resolved", "passed", "broken", "success"];

export function chip(word, text = word) {
  const known = WORDS.includes(word);
  return h("span", { class: known ? `chip ${word}` : "chip" }, word in SHAPES ? shape(word) : null, text ?? "–");
}

/** A number in about four digits; all of them where one points at it. */
export const amount = (number, unit = null) => h("span", { title: whole(number, unit) || null }, figure(number, unit));

/** A name that breaks, where it must, between its parts: of `Umsatz{filiale=Köln}` after the brace and the sign. */
export const name = (text) => h("span", { class: "broken" }, (text ?? "").split(/(?<=[{,=_.|/])/).flatMap((piece, place) => (place ? [h("wbr"), piece] : [piece])));

/** A link to elsewhere, where its address is one of the web; else its text alone (`javascript:` and the like). */
export function outward(address, text, given = {}) {
  if (!/^https?:\/\//i.test(address ?? "")) return h("span", given, text);
  return h("a", { href: address, target: "_blank", rel: "noopener noreferrer", ...given }, text);
}

/** What went wrong, and what to do. */
export function failure(error) {
  return h("div", { class: "error", role: "alert" }, h("p", {}, error.detail ?? error.message), error.remedy ? h("p", {}, error.remedy) : null);
}

export function skeleton(height) {
  return h("div", { class: "panel skeleton", "aria-hidden": "true", style: { height: `${height}px` } });
}

/** Calls after a pause in the calls; `.cancel()` forgets the last one. */
export function debounced(call, milliseconds) {
  let timer = 0;
  const later = (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => call(...given), milliseconds);
  };
  later.cancel = () => clearTimeout(timer);
  return later;
}
