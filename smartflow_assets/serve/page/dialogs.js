// Dialogs: login, keys, a question with a few fields. Native ones, so Escape closes them and the focus goes back to where it was.
import { refused, send, setToken, token } from "./api.js";
import { failure, h } from "./dom.js";
import { remember, remembered } from "./storage.js";

/** Shows a dialog; resolves with its value once it is closed ("" where it was given up). */
export function open(content, { isWide = false, label } = {}) {
  const dialog = h("dialog", { class: isWide ? "wide" : null, "aria-label": label }, content);
  document.body.append(dialog);
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close("")); // beside it
  dialog.showModal();
  const closed = new Promise((resolve) => dialog.addEventListener("close", () => (dialog.remove(), resolve(dialog.returnValue))));
  return { dialog, closed };
}

const cancel = () => h("button", { type: "button", onclick: (event) => event.target.closest("dialog").close("") }, "Cancel");

/** Asks for a few fields: `[{name, label, kind?: "text"|"area"|"choice", choices?: [{value, title}], value?, isRequired?}]`. An object, or null. */
export async function ask({ title, text, fields = [], verb, note }) {
  const inputs = fields.map(({ name, label, kind = "text", choices, value = "", isRequired, placeholder }, place) => {
    const id = `ask-${name}`;
    const given = { id, name, required: isRequired, placeholder, autofocus: place === 0 };
    const input = kind === "choice" ? h("select", given, choices.map((each) => h("option", { value: each.value }, each.title))) : kind === "area" ? h("textarea", { ...given, rows: 3 }) : h("input", { ...given, type: "text" });
    if (kind !== "choice") input.value = value;
    return h("div", { class: "field" }, h("label", { for: id }, label), input);
  });
  const form = h("form", { method: "dialog", onsubmit: () => (form.closest("dialog").returnValue = "yes") },
    h("h2", {}, title), text ? h("p", { class: "muted" }, text) : null, inputs, note,
    h("div", { class: "actions" }, cancel(), h("button", { class: "primary", value: "yes" }, verb)));
  const { closed } = open(form, { label: title });
  return (await closed) === "yes" ? Object.fromEntries(new FormData(form)) : null;
}

let asking = null;

/** Asks for a token and tries it. True where there is a good one now. Whoever asks while it is open waits for the same answer. */
export function login(reason = null) {
  asking ??= askToken(reason).finally(() => (asking = null));
  return asking;
}

async function askToken(reason) {
  const field = h("input", { id: "login-token", type: "password", autocomplete: "off", spellcheck: "false", required: true, placeholder: "sf_…", autofocus: true });
  const keep = h("input", { type: "checkbox", checked: remembered("remember", false) });
  const wrong = h("div");
  const form = h("form", { onsubmit: async (event) => {
    event.preventDefault();
    const before = token();
    setToken(field.value.trim(), keep.checked);
    try {
      const answer = await send("me"); // not by `get`, which would ask for a login
      if (!answer.ok) throw await refused(answer);
      remember("remember", keep.checked);
      form.closest("dialog").close("yes");
    } catch (error) {
      setToken(before);
      wrong.replaceChildren(failure(error));
      field.select();
    }
  } },
  h("h2", {}, "Log in"), reason ? h("p", { class: "muted" }, reason) : null,
  h("div", { class: "field" }, h("label", { for: "login-token" }, "Token"), field),
  h("label", { class: "check" }, keep, "Remember me in this browser"),
  h("p", { class: "muted" }, "An admin makes tokens: ", h("code", { class: "mono" }, "smartflow serve token create")),
  wrong, h("div", { class: "actions" }, cancel(), h("button", { class: "primary" }, "Log in")));
  const { closed } = open(form, { label: "Log in" });
  const isIn = (await closed) === "yes";
  if (isIn) dispatchEvent(new Event("smartflow:login"));
  return isIn;
}

export const KEYS = [["g o", "Overview"], ["g a", "Anomalies"], ["g i", "Incidents"], ["g d", "Deliveries"], ["g c", "Checks"], ["/", "Search"], ["e", "Rules of this source"], ["l", "Live or not"], ["+  −", "Zoom in, zoom out"], ["[  ]", "Earlier, later"],
  ["v", "Saved views"], ["t", "Light or dark"], ["m", "Sound on or off"], ["?", "This list"], ["Esc", "Close"]];

export function keys() {
  const used = h("input", { type: "checkbox", checked: remembered("keys", true), onchange: () => remember("keys", used.checked) });
  open(h("div", { class: "inside" }, h("h2", {}, "Keys"), h("dl", { class: "keys" }, KEYS.map(([key, text]) => [h("dt", {}, key.split(" ").filter(Boolean).map((each) => [h("kbd", {}, each), " "])), h("dd", {}, text)])),
    h("label", { class: "check" }, used, "Use single keys"), h("div", { class: "actions" }, h("button", { type: "button", class: "primary", autofocus: true, onclick: (event) => event.target.closest("dialog").close() }, "Close"))), { label: "Keys" });
}
