// Saved views: a name for an address of the page, which holds filters, window and lines. With a token the server keeps them, else this browser.
import { get, part, put, remove, token } from "./api.js";
import { open } from "./dialogs.js";
import { failure, h } from "./dom.js";
import { remember, remembered } from "./storage.js";

const here = {
  list: async () => remembered("views", []),
  save: async (name, hash) => remember("views", [...remembered("views", []).filter((view) => view.name !== name), { name, hash }]),
  drop: async (name) => remember("views", remembered("views", []).filter((view) => view.name !== name)),
};
const there = {
  list: async () => (await get("views")).items.map(({ name, value }) => ({ name, hash: value.hash })),
  save: (name, hash) => put(`views/${part(name)}`, { hash }),
  drop: (name) => remove(`views/${part(name)}`),
};

export function views() {
  const kept = token() ? there : here;
  const list = h("ul", { class: "views" });
  const name = h("input", { id: "view-name", type: "text", required: true, maxlength: "80", pattern: "[^\\/]+", title: "A name without a slash", autofocus: true });
  async function draw() {
    try {
      const all = await kept.list();
      list.replaceChildren(...(all.length ? all.map((view) => h("li", {}, h("a", { href: /^#\//.test(view.hash ?? "") ? view.hash : "#/", onclick: () => list.closest("dialog").close() }, view.name), h("button", { type: "button", class: "icon", "aria-label": `Delete ${view.name}`, onclick: async () => (await kept.drop(view.name), draw()) }, "×"))) : [h("li", { class: "muted" }, "None yet.")]));
    } catch (error) {
      list.replaceChildren(h("li", {}, failure(error)));
    }
  }
  open(h("form", { onsubmit: async (event) => {
    event.preventDefault();
    try {
      await kept.save(name.value.trim(), location.hash || "#/");
      name.value = "";
      draw();
    } catch (error) {
      list.replaceChildren(h("li", {}, failure(error)));
    }
  } }, h("h2", {}, "Saved views"), h("p", { class: "muted" }, token() ? "Filters, window and lines of this page, kept for your token." : "Filters, window and lines of this page, kept in this browser."), list,
  h("div", { class: "field" }, h("label", { for: "view-name" }, "Save what is shown as"), h("div", { class: "toolbar" }, name, h("button", { class: "primary" }, "Save"))),
  h("div", { class: "actions" }, h("button", { type: "button", onclick: (event) => event.target.closest("dialog").close() }, "Close"))), { label: "Saved views" });
  draw();
}
