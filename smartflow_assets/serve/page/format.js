// Numbers, units, times and spans as people read them. Times are shown in the zone of their source, with its name.

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const SHORT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

export const none = "–";
export const count = (number) => (number === null || number === undefined ? none : WHOLE.format(number));
export const short = (number) => (number === null || number === undefined ? none : Math.abs(number) < 10_000 ? WHOLE.format(number) : SHORT.format(number));

/** Three to four digits that count: 0.0123, 4.56, 312, 12,450. */
export function figure(number, unit = null) {
  if (number === null || number === undefined || !Number.isFinite(number)) return none;
  const size = Math.abs(number);
  const digits = size >= 1000 || size === 0 ? 0 : size >= 100 ? 1 : size >= 1 ? 2 : Math.min(8, 2 - Math.floor(Math.log10(size)));
  const text = new Intl.NumberFormat("en", { maximumFractionDigits: digits }).format(number);
  return unit ? `${text}\u00a0${unit}` : text;
}

export function percent(share) {
  if (share === null || share === undefined) return none;
  const value = share * 100;
  return `${value === 0 ? "0" : value < 0.1 ? value.toFixed(3) : value < 10 ? value.toFixed(2) : value.toFixed(1)} %`;
}

export const plural = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;

const formats = new Map();
function formatter(zone, kind) {
  const key = `${kind} ${zone}`;
  if (!formats.has(key)) {
    const shapes = {
      moment: { year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", hourCycle: "h23" },
      exact: { year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" },
      name: { timeZoneName: "short", hour: "2-digit" },
      clock: { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" },
    };
    let made;
    try {
      made = new Intl.DateTimeFormat("en-GB", { timeZone: zone, ...shapes[kind] });
    } catch {
      made = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", ...shapes[kind] }); // a zone that this browser does not know
    }
    formats.set(key, made);
  }
  return formats.get(key);
}

export const parts = (at, zone = "UTC", kind = "exact") => Object.fromEntries(formatter(zone, kind).formatToParts(at).map((part) => [part.type, part.value]));

export const zoneName = (at, zone = "UTC") => parts(at, zone, "name").timeZoneName ?? zone;

/** `2026-02-17 09:30 CET` of an ISO text or of milliseconds. */
export function moment(at, zone = "UTC", withZone = true, withSeconds = false) {
  if (at === null || at === undefined) return none;
  const time = new Date(at);
  if (Number.isNaN(time.getTime())) return none;
  const p = parts(time, zone);
  return `${p.year}-${p.month}-${p.day} ${p.hour}:${p.minute}${withSeconds ? `:${p.second}` : ""}${withZone ? ` ${zoneName(time, zone)}` : ""}`;
}

export function clock(at, zone) {
  return `${formatter(zone, "clock").format(at)} ${zoneName(at, zone)}`;
}

/** By how many milliseconds a zone's clocks are ahead of UTC. */
export function offset(at, zone) {
  const p = parts(at, zone);
  return Date.UTC(p.year, p.month - 1, p.day, p.hour, p.minute, p.second) - Math.floor(at / 1000) * 1000;
}

export function span(seconds) {
  if (seconds === null || seconds === undefined) return none;
  for (const [unit, length] of [["d", 86_400], ["h", 3_600], ["min", 60]]) {
    if (seconds >= length) return `${Number((seconds / length).toFixed(seconds / length < 10 ? 1 : 0))} ${unit}`;
  }
  return `${Math.round(seconds)} s`;
}

export function ago(at, now = Date.now()) {
  if (!at) return "never";
  const seconds = (now - new Date(at).getTime()) / 1000;
  return seconds < 60 ? "just now" : `${span(seconds)} ago`;
}

/** Of what goes on: how long ago it began, or when, once that is longer than two days. */
export function since(at, zone, now = Date.now()) {
  return now - new Date(at).getTime() < 2 * 86_400_000 ? `began ${ago(at, now)}` : `since ${moment(at, zone)}`;
}

/** `memory_exhausted` as `memory exhausted`. */
export const words = (name) => (name ?? "").replaceAll("_", " ");
