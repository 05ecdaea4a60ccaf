// Which series a source's charts show, page by page: those with anomalies in the window first, the worst before the others, then by name.
import { get, part } from "./api.js";

const SIZE = 20;
const MOST = 100; // series that one question may name
const RANK = { critical: 0, warning: 1, info: 2 };

/** `{name: rank}` of the series that were strange in the window: the worst 40. */
async function strange(source, { asked, q }, signal) {
  const from = asked.from ?? new Date((Date.parse(source.last_observed_at ?? "") || Date.now()) - asked.last * (source.bucket_seconds ?? 300) * 1000).toISOString();
  const { items } = await get("anomalies", { source: source.source, from, to: asked.to, limit: 500 }, signal);
  const worst = {};
  for (const { series, severity } of items) if (!q || series.toLowerCase().includes(q.toLowerCase())) worst[series] = Math.min(worst[series] ?? 9, RANK[severity] ?? 3);
  return Object.fromEntries(Object.entries(worst).toSorted(([a, x], [b, y]) => x - y || (a < b ? -1 : 1)).slice(0, 40));
}

/** Values of the newest bucket, for a page whose points stand for several: `Map(name -> {value, at, severity})`. */
async function newest(path, page, names, signal) {
  if (!names.length || page.resolution_seconds <= page.bucket_seconds) return null;
  const last = await get(path, { last: 1, series: names, limit: names.length }, signal);
  if (Date.parse(last.to) > Date.parse(page.to)) return null;
  return new Map(last.series.filter((each) => each.value[0] !== null).map((each) => [each.series, { value: each.value[0], at: each.at[0], severity: each.severity?.[0] }]));
}

/**
 * A page as /api/data gives it, with `newest`, and `isUpToNow` where the window holds the newest bucket. `wanted`: as `chartsOf` is shown; `shown`: names that stand there, `isAll` when no page is left; `isAgain`: ask for
 * these anew, in the order in which they stand. `isOfShown` in the answer: it is of them alone, and its `next` means nothing.
 */
export async function page(source, wanted, { cursor, shown, isAll, isAgain }, signal) {
  const path = `data/${part(source.source)}`;
  const query = { ...wanted.asked, q: wanted.q, series: wanted.series, points: wanted.isSmall ? 160 : 400 };
  const isOfShown = isAgain && shown.length > 0 && (!isAll || shown.length > MOST);
  const first = isOfShown ? await get(path, { ...query, series: shown.slice(0, MOST), limit: MOST }, signal) : await get(path, { ...query, limit: isAgain ? MOST : SIZE, cursor }, signal);
  const ranks = cursor || isAgain || wanted.isByName || wanted.series?.length || (source.series_count ?? 1) < 2 ? {} : await strange(source, wanted, signal);
  const missing = Object.keys(ranks).filter((name) => !first.series.some((each) => each.series === name));
  const more = missing.length ? (await get(path, { ...query, series: missing, limit: missing.length }, signal)).series : [];
  const stood = new Set(cursor ? shown : []);
  const series = [...more, ...first.series.filter((each) => !stood.has(each.series))].toSorted((a, b) => (ranks[a.series] ?? 9) - (ranks[b.series] ?? 9) || (a.series < b.series ? -1 : 1));
  const isUpToNow = !(Date.parse(first.to) <= Date.parse(source.last_observed_at ?? ""));
  return { ...first, series, isOfShown, isUpToNow, newest: isUpToNow ? await newest(path, first, series.map((each) => each.series).slice(0, MOST), signal) : null };
}
