// Numbers, units, times and spans as people read them. Times are shown in the zone of their source, with its name.

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const EXACT = new Intl.NumberFormat("en", { maximumSignificantDigits: 15 });
const SIZES = [[1e12, "T"], [1e9, "G"], [1e6, "M"]]; // from a million on, as in 4.324T
const [LEAST, MOST] = [1e-3, 1e15]; // outside of these as in 3.0e-9

export const none = "–";
const isNone = (number) => number === null || number === undefined || !Number.isFinite(number);
const withUnit = (text, unit) => (unit ? `${text}\u00a0${unit}` : text);
const digits = (most, least = 0) => new Intl.NumberFormat("en", { maximumFractionDigits: most, minimumFractionDigits: least });
export const count = (number) => (isNone(number) ? none : WHOLE.format(number));
export const short = (number) => (isNone(number) ? none : Math.abs(number) < 10_000 ? WHOLE.format(number) : Math.abs(number) < 999_950 ? `${digits(1).format(number / 1000)}k` : figure(number));

/** About four digits that count: 0.0123, 4.56, 312.5, 12,450; 4.324T from a million on, 3.0e-9 of what is tiny. */
export function figure(number, unit = null) {
  if (isNone(number)) return none;
  const size = Math.abs(number);
  if (size !== 0 && (size < LEAST || size >= MOST)) return withUnit(number.toExponential(2).replace("0e", "e").replace("e+", "e"), unit);
  const [factor, letter] = SIZES.find(([from]) => size >= from * 0.9999995) ?? [1, ""];
  const places = factor > 1 ? Math.max(0, 3 - Math.floor(Math.log10(size / factor))) : size >= 1000 || size === 0 ? 0 : size >= 100 ? 1 : size >= 1 ? 2 : 2 - Math.floor(Math.log10(size));
  return withUnit(digits(places).format(number / factor) + letter, unit);
}

/** The whole number, for who asks for it: 4,324,129,892,662. */
export const whole = (number, unit = null) => (isNone(number) ? "" : withUnit(EXACT.format(number), unit));

/** Writes what stands at an axis from `least` to `most`: all in one size, with as many digits as tell its ticks apart. */
export function scale(least, most, steps = 5) {
  const size = Math.max(Math.abs(least), Math.abs(most));
  const isPower = size !== 0 && (size < LEAST || size >= MOST);
  const power = isPower ? Math.floor(Math.log10(size)) : 0;
  const [factor, letter] = isPower ? [10 ** power, `e${power}`] : (SIZES.find(([from]) => size >= from) ?? [1, ""]);
  const places = Math.min(9, Math.max(0, 1 - Math.floor(Math.log10((most - least || size || 1) / steps / factor))));
  const written = digits(isPower ? Math.max(1, places) : places, isPower ? 1 : 0);
  return (number) => (number === 0 || Math.abs(number / factor) < 10 ** -places / 2 ? "0" : written.format(number / factor) + letter);
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

/** How long it lasted, of what is over; of what goes on, for how long it is open. */
export function lasted({ state, opened_at: from, recovered_at: recovered, resolved_at: resolved, last_seen_at: seen }, now = Date.now()) {
  const until = (at) => span((new Date(at).getTime() - new Date(from).getTime()) / 1000);
  return state === "resolved" ? until(recovered ?? resolved ?? seen ?? from) : `open for ${until(now)}`;
}

const LONG = /(?<![\w.,-])-?(?:\d+(?:\.\d+)?e[+-]\d+|\d{1,3}(?:,\d{3}){2,}(?:\.\d+)?)(?![\w.,]*\d)/g;

/** What the server says of a series: its name in its own case (a sentence begins with a capital, a name does not), numbers as everywhere on the page. */
export function told(text, series) {
  const said = (text ?? "").replace(LONG, (number) => figure(Number(number.replaceAll(",", ""))));
  return series && said.toLowerCase().startsWith(series.toLowerCase()) ? series + said.slice(series.length) : said;
}

/** `memory_exhausted` as `memory exhausted`. */
export const words = (name) => (name ?? "").replaceAll("_", " ");
