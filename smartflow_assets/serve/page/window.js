// Which stretch of time a source's charts show, as its address says: live, a span up to the newest row, or from and to. Pure.

const [HOUR, DAY] = [3_600_000, 86_400_000];
const SPANS = [
  [60_000, [["5 min", 5 * 60_000], ["1 h", HOUR], ["6 h", 6 * HOUR], ["24 h", DAY]], 1],
  [HOUR, [["6 h", 6 * HOUR], ["24 h", DAY], ["7 d", 7 * DAY], ["30 d", 30 * DAY]], 2],
  [DAY, [["24 h", DAY], ["7 d", 7 * DAY], ["30 d", 30 * DAY], ["90 d", 90 * DAY]], 2],
  [Infinity, [["30 d", 30 * DAY], ["90 d", 90 * DAY], ["1 y", 365 * DAY], ["3 y", 1_095 * DAY]], 2],
];

/** Lengths that make sense for buckets of so many seconds: `[[title, milliseconds]]`, and which is the first. */
export function spansFor(bucketSeconds) {
  const [, spans, first] = SPANS.find(([below]) => (bucketSeconds ?? 300) * 1000 < below);
  return { spans, first: spans[first][0] };
}

/** What of the address is the window, and what to ask the server for. `end`: milliseconds of the newest row. */
export function windowOf(query, source) {
  const { spans, first } = spansFor(source.bucket_seconds);
  if (query.get("live")) return { kind: "live", asked: { last: 60 } };
  const [from, to] = [Number(query.get("from")), Number(query.get("to"))];
  if (from && to > from) return { kind: "own", asked: { from: iso(from), to: iso(to) } };
  const title = spans.some(([each]) => each === query.get("span")) ? query.get("span") : first;
  const length = spans.find(([each]) => each === title)[1];
  const end = Date.parse(source.last_observed_at ?? "") || Date.now();
  return { kind: "span", title, asked: { from: iso(end - length), to: null } };
}

export const iso = (at) => new Date(at).toISOString();

/** The window nearer or further (`factor`), or earlier and later by a part of itself. */
export function moved([from, to], { factor = 1, by = 0 }) {
  const length = to - from;
  const middle = from + length / 2 + by * length;
  return [Math.round(middle - (length * factor) / 2), Math.round(middle + (length * factor) / 2)];
}

/** In live mode: the newest 60 buckets up to now, or up to the newest row of a feed that has stopped. */
export function sliding(newest, bucketSeconds, now = Date.now()) {
  const bucket = bucketSeconds * 1000;
  const edge = now > newest && now - newest < 3 * bucket + 10_000 ? now : newest;
  return [edge - 60 * bucket, edge];
}
