// The anomalies of a source in the window of its charts, or all of them; the window stands above the table.
import { h } from "./dom.js";
import { moment } from "./format.js";
import { anomalyList } from "./lists.js";
import { iso } from "./window.js";

const EVER = "1900-01-01T00:00:00Z"; // without a `from` the server lists those of 90 days
const EDGE = 60_000; // milliseconds: a live window moves by less than this without the list being asked for anew

/** `windowed([from, to])`: what the charts show now. */
export function anomaliesTab(source) {
  let range = null;
  let isAll = false;
  let listed = null;
  const list = anomalyList({ source: source.source }, { isAskedLater: true });
  const says = h("span", {});
  const other = h("button", { type: "button", onclick: () => ((isAll = !isAll), list.ask(asked())) }, "All anomalies");
  const element = h("div", {}, h("p", { class: "window-note muted" }, says, other), list.element);

  function asked() {
    listed = range;
    says.textContent = isAll ? "All anomalies of this source." : `In the window of the charts: ${moment(range[0], source.timezone, false)} to ${moment(range[1], source.timezone)}.`;
    other.textContent = isAll ? "Only the window of the charts" : "All anomalies";
    return { source: source.source, ...(isAll ? { from: EVER } : { from: iso(range[0]), to: iso(range[1]) }) };
  }

  return {
    element,
    load: () => range && list.refresh(asked()),
    windowed(next) {
      range = next;
      if (!listed) list.ask(asked());
      else if (!isAll && next.some((at, place) => Math.abs(at - listed[place]) >= EDGE)) list.refresh(asked());
    },
  };
}
