// What is expected after the newest bucket: asked for once a chart is drawn, one chart after the other, and again once there is a newer bucket.
import { get, part } from "./api.js";

const ROOM = 0.25; // of the window: so much is added to it at most

/** Where a chart that shows `range` ends, with what of a forecast is drawn behind it. */
export function endWith(forecast, [from, to]) {
  const last = forecast?.at.at(-1) ?? to;
  return Math.min(Math.max(last, to), to + (to - from) * ROOM);
}

/** What of a forecast lies behind the newest row that is drawn, up to `until`; null where nothing does. */
export function beyond(forecast, newest, until) {
  const places = forecast?.at.flatMap((at, i) => (at > newest && at <= until ? [i] : [])) ?? [];
  return places.length ? Object.fromEntries(["at", "expected", "lower", "upper"].map((name) => [name, places.map((i) => forecast[name][i])])) : null;
}

/** Asks for the forecasts of a source's series, one after the other, so that what somebody waits for goes between. */
export function forecastsOf(source) {
  const leaving = new AbortController();
  const waiting = new Map();
  let isAsking = false;

  async function work() {
    isAsking = true;
    for (const [series, take] of waiting) {
      waiting.delete(series);
      const found = await get(`forecast/${part(source)}`, { series }, leaving.signal).catch(() => null); // the server went away: the chart is whole without
      if (leaving.signal.aborted) return;
      if (found?.at.length) take(found);
    }
    isAsking = false;
  }

  return {
    ask(series, take) {
      waiting.set(series, take);
      if (!isAsking) work();
    },
    leave: () => leaving.abort(),
  };
}
