// Tabs after the pattern of ARIA: arrows move, what is chosen is drawn when it is first asked for.
import { h } from "./dom.js";

let made = 0;

/** `entries`: `[[name, title, make() -> {element, load}]]`. `reload()` asks anew for what is shown, `current()` is what `make` gave. */
export function tabs(entries, chosen, onChoice) {
  const id = `tabs-${++made}`;
  const panel = h("div", { role: "tabpanel", id: `${id}-panel`, class: "panel" });
  let current = null;
  const choose = (name, isByHand = true) => {
    const entry = entries.find(([each]) => each === name) ?? entries[0];
    for (const button of list.children) {
      const isIt = button.dataset.name === entry[0];
      button.setAttribute("aria-selected", String(isIt));
      button.tabIndex = isIt ? 0 : -1;
    }
    panel.setAttribute("aria-labelledby", `${id}-${entry[0]}`);
    current = entry[2]();
    panel.replaceChildren(current.element);
    if (isByHand) onChoice?.(entry[0]);
  };
  const list = h("div", { role: "tablist", class: "tabs", onkeydown: (event) => {
    const place = entries.findIndex(([name]) => name === document.activeElement.dataset.name);
    const next = { ArrowRight: place + 1, ArrowLeft: place - 1, Home: 0, End: entries.length - 1 }[event.key];
    if (next === undefined || place < 0) return;
    event.preventDefault();
    const button = list.children[(next + entries.length) % entries.length];
    button.focus();
    choose(button.dataset.name);
  } }, entries.map(([name, title]) => h("button", { type: "button", role: "tab", id: `${id}-${name}`, "data-name": name, "aria-controls": `${id}-panel`, onclick: () => choose(name) }, title)));
  choose(chosen, false);
  return { element: h("section", { class: "tabbed" }, list, panel), current: () => current, reload: () => (current.refresh ?? current.load)() };
}
