// Tables of the server's lists: columns that are described once, more rows on demand, one answer for "nothing here".
import { get } from "./api.js";
import { failure, h } from "./dom.js";

/** `columns`: `[{title, cell(item) -> text or node, kind?: "number"|"tight"|"wide"}]`; `rowClass(item)`: a severity colours the row's edge. */
export function table(columns, items, { caption, rowClass } = {}) {
  const body = h("tbody");
  const add = (more) => body.append(...more.map((item) => h("tr", { class: rowClass?.(item) ?? null }, columns.map((column) => h("td", { class: column.kind, "data-title": column.title }, column.cell(item) ?? "–")))));
  add(items);
  const element = h("div", { class: "table", tabindex: "0", role: "region", "aria-label": caption }, // scrollable, so it must be reachable by key
    h("table", {}, h("caption", { class: "sr" }, caption), h("thead", {}, h("tr", {}, columns.map((column) => h("th", { scope: "col", class: column.kind }, column.title)))), body));
  return { element, add };
}

/**
 * A list of the API with a button for more. `element` stands at once; `load()` asks anew. `refresh()` does so where nobody is reading further down or
 * has opened a row: else it says that there is something newer. `ask(query)`, `refresh(query)`: with another query.
 */
export function listing({ path, query = {}, columns, caption, rowClass, empty, size = 50, onCount, isAskedLater = false }) {
  const element = h("div", { class: `listing ${path}` }, h("div", { class: "skeleton tall", "aria-hidden": "true" }));
  let asked = 0;
  let isLonger = false;
  async function load() {
    const mine = ++asked;
    isLonger = false;
    element.setAttribute("aria-busy", "true");
    try {
      const page = await get(path, { ...query, limit: size });
      if (mine !== asked) return;
      onCount?.(page.items.length, Boolean(page.next));
      element.replaceChildren(page.items.length ? shown(page) : h("p", { class: "empty" }, empty));
    } catch (error) {
      if (mine === asked) element.replaceChildren(failure(error));
    } finally {
      if (mine === asked) element.removeAttribute("aria-busy");
    }
  }
  function shown(page) {
    const { element: whole, add } = table(columns, page.items, { caption, rowClass });
    if (!page.next) return whole;
    let cursor = page.next;
    const button = h("button", { type: "button", onclick: async () => {
      button.disabled = true;
      try {
        const next = await get(path, { ...query, limit: size, cursor });
        add(next.items);
        isLonger = true;
        cursor = next.next;
        if (!cursor) button.parentElement.remove();
      } catch (error) {
        button.parentElement.replaceChildren(failure(error));
      }
      button.disabled = false;
    } }, "Show more");
    return h("div", {}, whole, h("div", { class: "more" }, button));
  }
  function refresh(other = query) {
    query = other;
    if (!isLonger && !element.querySelector("details[open]") && !element.contains(document.activeElement)) return load();
    if (!element.querySelector(".newer")) element.prepend(h("p", { class: "newer" }, "There is something newer. ", h("button", { type: "button", onclick: load }, "Show")));
    return null;
  }
  function ask(other) {
    query = other;
    return load();
  }
  if (!isAskedLater) load();
  return { element, load, refresh, ask };
}
