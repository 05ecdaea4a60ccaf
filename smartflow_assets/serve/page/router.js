// Addresses of the page: `#/source/cpu?last=7d`. What a person sees stands in the address, so that a link shows another the same.

/** `{path: ["source", "cpu"], query: Map}` of a hash. */
export function read(hash = location.hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split("?");
  const names = path.split("/").filter(Boolean).map((name) => {
    try {
      return decodeURIComponent(name);
    } catch {
      return name; // a stray % in a link that somebody shortened
    }
  });
  return { path: names, query: new URLSearchParams(query) };
}

export function link(path, query = {}) {
  const text = path.map(encodeURIComponent).join("/");
  const asked = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const each of Array.isArray(value) ? value : [value]) if (each !== null && each !== undefined && each !== "") asked.append(name, each);
  }
  const shown = asked.toString();
  return `#/${text}${shown ? `?${shown}` : ""}`;
}

export const go = (path, query) => (location.hash = link(path, query));

/** Changes the query alone, without a step in the history where it `isQuiet` (typing in a search). Null removes a name. */
export function change(changes, { isQuiet = false } = {}) {
  const { path, query } = read();
  for (const [name, value] of Object.entries(changes)) {
    query.delete(name);
    for (const each of Array.isArray(value) ? value : [value]) if (each !== null && each !== undefined && each !== "") query.append(name, each);
  }
  const asked = {};
  for (const name of new Set(query.keys())) asked[name] = query.getAll(name);
  const target = link(path, asked);
  if (isQuiet) history.replaceState(null, "", target);
  else if (target !== location.hash) location.hash = target;
}
