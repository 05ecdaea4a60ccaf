// What a series looks like, as an option of ECharts: band, range, expected line, values, forecast, marks by severity, incidents, thresholds. Pure.
//
// The time axis of ECharts knows UTC alone, so all times are shifted by the zone's offset at the end of the window, and labels shift back: ticks
// lie at the zone's midnights, or an hour beside them where the clocks change inside the window.
import { figure, moment, offset, parts, scale } from "./format.js";

const SYMBOLS = { critical: "diamond", warning: "triangle", info: "circle" };
const SIZES = { critical: 11, warning: 10, info: 8 };
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

const DAY = 86_400_000;

/** What stands at a place of the shifted axis. One that stands for a day is called so, also where a change of the clocks puts it an hour beside. */
function tick(shifted, shift, zone, length) {
  const p = length > 2 * DAY && shifted % DAY === 0 ? parts(shifted, "UTC") : parts(shifted - shift, zone);
  const day = `${Number(p.day)} ${MONTHS[p.month - 1]}`;
  if (length > 300 * DAY) return p.day === "01" && p.month === "01" ? p.year : MONTHS[p.month - 1] + (length > 700 * DAY ? ` ${p.year.slice(2)}` : "");
  if (p.hour === "00" && p.minute === "00" && p.second === "00") return day;
  return length < 600_000 ? `${p.hour}:${p.minute}:${p.second}` : `${p.hour}:${p.minute}`;
}

const silent = { type: "line", silent: true, symbol: "none", z: 1, lineStyle: { opacity: 0 }, emphasis: { disabled: true }, stackStrategy: "all", tooltip: { show: false } };

function area(stack, x, low, high, colour, name) {
  const height = low.map((each, i) => (each === null || high[i] === null || each === undefined ? null : high[i] - each));
  return [
    { ...silent, id: `${name} base`, stack, data: x.map((at, i) => item(at, low[i])) },
    { ...silent, id: name, stack, data: x.map((at, i) => item(at, height[i])), areaStyle: { color: colour, opacity: 1 } },
  ];
}

const item = (at, value) => ({ name: String(at), value: [at, value ?? null] }); // by its name a point is known again when the window slides

/**
 * series: as /api/data gives it. range: [from, to] in ms. incidents, preview (`[{started_at, ended_at, severity}]`), thresholds (`[{rule, value}]`), lines
 * (numbers of the reader's own): of this series alone. forecast: `{at, expected, lower, upper}` behind its rows, until: where the chart then ends. isSmall: a
 * small multiple. slide: milliseconds of the movement in live mode.
 */
export function seriesOption(series, { zone = "UTC", range, incidents = [], preview = [], thresholds = [], lines = [], forecast = null, until = range[1], isSmall = false, slide = 0, colour }) {
  const shift = offset(range[1], zone);
  const x = series.at.map((at) => at + shift);
  const length = until - range[0];
  const band = series.lower && series.upper ? area("band", x, series.lower, series.upper, colour("band"), "band") : [];
  const spread = series.low && series.high ? area("range", x, series.low, series.high, colour("range"), "range") : [];
  const ahead = forecast?.at.map((at) => at + shift) ?? [];
  const foretold = forecast ? area("forecast band", ahead, forecast.lower, forecast.upper, colour("forecast"), "forecast band") : [];
  const marks = Object.keys(SYMBOLS).map((severity) => ({
    type: "scatter", id: severity, z: 5, symbol: SYMBOLS[severity], symbolSize: isSmall ? SIZES[severity] - 3 : SIZES[severity], cursor: "pointer",
    itemStyle: { color: colour(`mark-${severity}`), borderColor: colour("surface"), borderWidth: 1, opacity: 1 },
    data: x.flatMap((at, i) => (series.severity?.[i] === severity && series.value[i] !== null ? [item(at, series.value[i])] : [])),
  }));
  const ring = (isNew, point) => ({ ...point, itemStyle: { opacity: isNew === false ? 0.45 : 1, borderWidth: isNew === false ? 1.2 : 2.4 } }); // what is found already stays in the background
  const previewed = preview.flatMap(({ started_at: from, ended_at: to, is_new: isNew }) => {
    const [start, end] = [Date.parse(from), Date.parse(to ?? from)];
    const inside = series.at.flatMap((at, i) => (at >= start && at <= end && series.value[i] !== null ? [ring(isNew, item(at + shift, series.value[i]))] : []));
    if (inside.length) return inside;
    const near = nearest(series.at, start); // a coarser point stands for it
    return near < 0 || Math.abs(series.at[near] - start) > length / 50 ? [] : [ring(isNew, item(series.at[near] + shift, series.value[near]))];
  });
  const limits = [...thresholds.map(({ rule, value }) => ({ yAxis: value, name: rule })), ...lines.map((value) => ({ yAxis: value, name: "own line" }))];
  const values = series.value;
  const extremes = [...values, ...(forecast?.expected ?? []), ...(series.lower ?? []), ...(series.upper ?? []), ...(series.low ?? []), ...(series.high ?? []), ...limits.map((limit) => limit.yAxis)].filter((value) => value !== null && value !== undefined);
  const [lowest, highest] = [Math.min(...extremes), Math.max(...extremes)];
  const room = (highest - lowest) / 2; // a wide range must not flatten what came
  const least = Math.min(lowest, Math.max(lowest - room, ...(forecast?.lower.length ? [Math.min(...forecast.lower)] : [lowest])));
  const most = Math.max(highest, Math.min(highest + room, ...(forecast?.upper.length ? [Math.max(...forecast.upper)] : [highest])));
  const alone = values.flatMap((value, i) => (value !== null && (values[i - 1] ?? null) === null && (values[i + 1] ?? null) === null ? [item(x[i], value)] : [])); // no line leads to it
  const tidy = extremes.length ? scale(least, most, isSmall ? 2 : 4) : figure;
  const longest = Math.max(0, ...[least, most, (least + most) / 2].filter(Number.isFinite).map((value) => tidy(value).length));
  const margin = (most - least || Math.abs(most) || 1) * 0.06;
  return {
    useUTC: true, animation: slide > 0, animationDuration: 0, animationDurationUpdate: slide, animationEasingUpdate: "linear",
    textStyle: { fontFamily: getComputedStyle(document.body).fontFamily },
    grid: { left: Math.max(isSmall ? 42 : 54, 14 + 6.4 * longest), right: 14, top: 10, bottom: 24 },
    xAxis: { type: "time", min: range[0] + shift, max: until + shift, axisLine: { lineStyle: { color: colour("edge") } }, axisTick: { show: false }, splitLine: { show: false }, splitNumber: isSmall ? 3 : 7,
      axisLabel: { color: colour("muted"), fontSize: 11, hideOverlap: true, formatter: (at) => tick(at, shift, zone, length) },
      axisPointer: { show: true, type: "line", snap: false, lineStyle: { color: colour("edge-strong"), type: "solid" }, label: { show: false } } },
    yAxis: { type: "value", min: extremes.length ? floor(least - margin, least) : null, max: extremes.length ? most + margin : null, splitNumber: isSmall ? 2 : 4, axisLine: { show: false }, axisTick: { show: false },
      splitLine: { lineStyle: { color: colour("grid") } }, axisLabel: { color: colour("muted"), fontSize: 11, formatter: tidy, showMinLabel: false, showMaxLabel: false, hideOverlap: true } },
    series: [
      ...band, ...foretold, ...spread,
      { type: "line", id: "forecast", silent: true, symbol: "none", z: 3, lineStyle: { color: colour("line"), width: 1.4, type: [6, 4] }, data: ahead.map((at, i) => item(at, forecast.expected[i])) },
      { type: "line", id: "expected", silent: true, symbol: "none", z: 2, lineStyle: { color: colour("expected"), width: 1.2, type: [4, 3] }, data: x.map((at, i) => item(at, series.expected?.[i])) },
      { type: "line", id: "value", symbol: "none", z: 3, lineStyle: { color: colour("line"), width: isSmall ? 1.2 : 1.5 }, itemStyle: { color: colour("line") }, emphasis: { disabled: true }, data: x.map((at, i) => item(at, values[i])),
        markArea: { silent: false, z: 0, itemStyle: { color: colour("shade") }, cursor: "pointer", data: incidents.map((each) => [{ name: each.incident_id, xAxis: Date.parse(each.from) + shift, label: { show: false } }, { xAxis: Math.max(Date.parse(each.to ?? range[1]), Date.parse(each.from) + length / 400) + shift }]) },
        markLine: { silent: true, symbol: "none", animation: false, lineStyle: { color: colour("mark-preview"), type: "dashed", width: 1.4 }, label: { show: !isSmall, position: "insideEndTop", color: colour("text"), fontSize: 11, formatter: ({ name, value }) => `${name} ${figure(value)}` }, data: limits } },
      { type: "scatter", id: "alone", z: 3, silent: true, symbol: "circle", symbolSize: isSmall ? 4 : 5, itemStyle: { color: colour("line") }, data: alone },
      ...marks,
      { type: "scatter", id: "preview", z: 6, silent: true, symbol: "circle", symbolSize: 15, itemStyle: { color: "transparent", borderColor: colour("mark-preview"), borderWidth: 2 }, data: previewed },
    ],
  };
}

const floor = (value, least) => (least >= 0 && value < 0 ? 0 : value); // what is never negative is drawn from zero

/** The index of the time that lies nearest; -1 of none. */
export function nearest(times, at) {
  let [low, high] = [0, times.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (times[middle] < at) low = middle;
    else high = middle;
  }
  if (high < 0) return -1;
  return Math.abs(times[high] - at) < Math.abs(times[low] - at) ? high : low;
}

/** `123 (90 to 150)`: what is expected of a bucket to come. */
export const expectation = ({ expected, lower, upper }, i, unit = null) => `${figure(expected[i], unit)} (${figure(lower[i])} to ${figure(upper[i])})`;

/** A sentence on a series for those who do not see it. */
export function summary(series, zone, forecast = null) {
  const last = series.value.findLastIndex((value) => value !== null);
  const strange = (series.severity ?? []).filter(Boolean).length;
  if (last < 0) return `${series.series}: no values in this window`;
  const usual = series.lower?.[last] != null ? `, usually ${figure(series.lower[last])} to ${figure(series.upper?.[last])}` : "";
  const next = forecast ? `; expected next ${expectation(forecast, 0)}, at ${moment(forecast.at.at(-1), zone)} ${expectation(forecast, forecast.at.length - 1)}` : "";
  return `${series.series}: ${figure(series.value[last], series.unit)} at ${moment(series.at[last], zone)}${usual}; ${strange} strange points in this window${next}`;
}
