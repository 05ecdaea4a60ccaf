// The sources as the server lists them, asked once for all views and again when the copy is new.
import { get } from "./api.js";

let items = [];
let asking = null;

async function ask() {
  items = (await get("sources")).items;
  return items;
}

/** All sources; `isFresh`: from the server, though they were asked before. */
export function sources(isFresh = false) {
  if (isFresh) asking = null;
  asking ??= ask().catch((error) => {
    asking = null;
    throw error;
  });
  return asking;
}

export const sourceOf = (name) => items.find((item) => item.source === name) ?? null;

/** The zone in which times of a source are shown; of what is of several (`*`) the one that all sources have. */
export function zoneOf(name) {
  const zones = name === "*" ? [...new Set(items.map((item) => item.timezone).filter(Boolean))] : [sourceOf(name)?.timezone];
  return (zones.length === 1 && zones[0]) || "UTC";
}
