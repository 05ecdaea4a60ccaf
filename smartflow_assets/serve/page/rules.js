// The rule editor: sliders and choices of a source's configuration, a preview of what they would have found in four weeks, and saving: first the diff
// of the YAML, then the file. What may be changed, and between which numbers, is what the server says.
import { get, lacks, part, post, who } from "./api.js";
import { open } from "./dialogs.js";
import { chip, debounced, failure, fill, h } from "./dom.js";
import { count, figure, moment, words } from "./format.js";
import { toast } from "./toasts.js";

const DETECTORS = [ // the choices that people know by name; every other detector can be tried alone
  { value: "auto", title: "Ensemble, chosen by the data (auto)" },
  { value: [{ type: "isolation_forest" }], title: "Isolation forest" },
  { value: [{ type: "prophet" }], title: "Prophet" },
  { value: [{ type: "isolation_forest" }, { type: "prophet" }], title: "Isolation forest and Prophet" },
];
const CHOICES = [["sensitivity", "Sensitivity"], ["direction", "Which way is strange"], ["ensemble.combine", "How detectors are combined"]];
const SLOW = 2_000;
const LENGTHS = [["d", 86_400], ["h", 3_600], ["min", 60], ["s", 1]];

/** What a slider in seconds is shown in: the largest unit that its steps are whole numbers of. */
function shownIn({ unit, step, value, least, largest }) {
  if (unit !== "seconds") return { unit, factor: 1 };
  const [name, factor] = LENGTHS.find(([, each]) => [step, value, least, largest].every((number) => number % each === 0)) ?? ["s", 1];
  return { unit: name, factor };
}

const clean = (number) => Number(number.toPrecision(10)); // 0.30000000000000004
const at = (values, path) => path.split(".").reduce((value, part) => value?.[part], values) ?? null;

const titled = (choice) => (typeof choice === "object" && choice !== null && "value" in choice ? choice : { value: choice, title: words(String(choice)) });
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

/** The lines of a unified diff, coloured; each line is text. */
export function diffOf(text) {
  return h("pre", { class: "diff", tabindex: "0", "aria-label": "What changes in the file" }, text.trimEnd().split("\n").map((line) => h("span", { class: /^[+-]{3}|^@/.test(line) ? "where" : line.startsWith("+") ? "add" : line.startsWith("-") ? "cut" : null }, line || " ")));
}

export function rulesPanel(source, { onPreview, onClose }) {
  const body = h("div", { class: "body" }, h("div", { class: "skeleton tall" }));
  const foot = h("div", { class: "foot" }); // stays in sight while one slides
  const element = h("section", { class: "panel rules" }, h("header", {}, h("h2", {}, "Rules and detection"), h("button", { type: "button", class: "icon push", "aria-label": "Close the rules", onclick: onClose }, "×")), body, foot);
  const fields = h("fieldset", { class: "fields", "aria-label": "Settings" });
  const changes = new Map();
  const outcome = h("div", { class: "outcome", "aria-live": "polite" });
  const save = h("button", { type: "button", class: "primary", disabled: true, onclick: () => confirmSaving() }, "Save …");
  const undo = h("button", { type: "button", disabled: true, onclick: () => load() }, "Undo");
  const working = h("p", { class: "working", role: "status", hidden: true }, h("i", { class: "spinner", "aria-hidden": "true" }), h("span", {}));
  const refusal = h("p", { class: "muted refusal", hidden: true });
  let configuration = null;
  let asking = null;
  let isTried = true; // what stands in the fields, by a preview that came or was refused
  let busy = 0;
  let keptFrom = null; // why this person may not save

  function set(path, value, was) {
    if (same(value, was)) changes.delete(path);
    else changes.set(path, value);
    tried(false);
    later();
  }

  /** Whether the counts are of the values as they stand: until then they are marked as old, and nothing can be saved. */
  function tried(isSo) {
    isTried = isSo;
    clearTimeout(busy);
    working.hidden = isSo;
    outcome.classList.toggle("is-old", !isSo && changes.size > 0);
    if (!isSo) {
      working.lastChild.textContent = `Working out … ${outcome.querySelector(".compared") ? "The counts are of the values before." : ""}`;
      busy = setTimeout(() => (working.lastChild.textContent = "Working out … The server is busy; this takes a while."), SLOW);
    }
    undo.disabled = changes.size === 0;
    save.disabled = changes.size === 0 || !isSo || Boolean(keptFrom);
  }

  foot.append(working, outcome, refusal, h("div", { class: "actions" }, undo, save));

  const later = debounced(preview, 350);

  async function preview() {
    asking?.abort();
    if (!changes.size) {
      tried(true);
      outcome.replaceChildren(fields.disabled ? "" : h("p", { class: "muted" }, "Move a slider: the charts show what it would have found in the last four weeks."));
      return onPreview(null);
    }
    const mine = (asking = new AbortController());
    if (changes.has("detectors")) outcome.replaceChildren(h("p", {}, "Detectors learn from what lies before these four weeks and judge them: that takes a while."));
    try {
      const found = await post("rules/preview", { source: source.source, changes: Object.fromEntries(changes), days: 28 }, { signal: mine.signal });
      if (mine !== asking) return;
      onPreview(found);
      outcome.replaceChildren(compared(found));
    } catch (error) {
      if (error.name === "AbortError" || mine !== asking) return;
      onPreview(null);
      outcome.replaceChildren(failure(error));
    }
    tried(true);
    return null;
  }

  function compared({ before, after, from, to, anomalies, notes = [] }) {
    const row = (title, was, is, write) => h("tr", {}, h("th", { scope: "row" }, title), h("td", { class: "number" }, write(was)), h("td", { class: "number strong" }, write(is)));
    return h("div", {},
      h("table", { class: "compared" }, h("caption", { class: "sr" }, "What would have been found"), h("thead", {}, h("tr", {}, h("th", {}, ""), h("th", { scope: "col", class: "number" }, "now"), h("th", { scope: "col", class: "number" }, "then"))),
        h("tbody", {}, row("Anomalies", before.anomaly_count, after.anomaly_count, count), row("Alerts per week", before.alerts_per_week, after.alerts_per_week, (value) => figure(value)))),
      h("p", { class: "muted" }, `${moment(from, source.timezone, false)} to ${moment(to, source.timezone)}`), notes.map((note) => h("p", { class: "muted" }, note)),
      anomalies.length ? h("details", {}, h("summary", {}, "Which they are"), h("ul", { class: "found" }, anomalies.toSorted((a, b) => (b.is_new ?? false) - (a.is_new ?? false)).slice(0, 50).map((each) => h("li", {}, chip(each.severity), h("span", {}, each.series, each.is_new ? h("strong", {}, " new ") : " ", h("span", { class: "muted" }, moment(each.started_at, source.timezone))))), anomalies.length > 50 ? h("li", {}, `and ${anomalies.length - 50} more`) : null)) : null);
  }

  function slider(given) {
    const { path, title, written = "{}" } = given;
    const { unit, factor } = shownIn(given);
    const [value, least, largest, step] = [given.value, given.least, given.largest, given.step ?? 0].map((number) => clean(number / factor));
    const id = `rule-${path.replaceAll(".", "-")}`;
    const bounds = { min: least, max: largest, step: step || "any" };
    const range = h("input", { id, type: "range", ...bounds, value });
    const number = h("input", { type: "number", min: least, max: largest, step: "any", value, "aria-label": `${title}, as a number` });
    const asWritten = (text) => (written === "{}" ? Number(text) : written.replace("{}", String(clean(Number(text) * factor))));
    const moved = (from, to) => () => {
      if (from.value === "" || !from.checkValidity()) return;
      to.value = from.value;
      set(path, asWritten(from.value), asWritten(value));
    };
    range.addEventListener("input", moved(range, number));
    number.addEventListener("input", moved(number, range));
    return h("div", { class: "field slider" }, h("label", { for: id }, title), h("div", { class: "value" }, number, unit ? h("span", { class: "muted" }, unit) : null), range);
  }

  function detectors(known, value) {
    const named = DETECTORS.filter((each) => each.value === "auto" || each.value.every(({ type }) => known.includes(type)));
    const alone = known.filter((type) => !named.some((each) => same(each.value, [{ type }]))).map((type) => ({ value: [{ type }], title: `${words(type)}, alone` }));
    return choice("detectors", "Detectors", [...named, ...alone], value);
  }

  function choice(path, title, choices, value) {
    const all = choices.map(titled);
    if (!all.some((each) => same(each.value, value))) all.unshift({ value, title: value === null || value === undefined ? "as it is by default" : `as it is (${typeof value === "object" ? "own list" : value})` });
    const field = h("select", { id: `rule-${path.replaceAll(".", "-")}`, onchange: () => set(path, all[field.selectedIndex].value, value) }, all.map((each, place) => h("option", { value: place, selected: same(each.value, value) }, each.title)));
    return h("div", { class: "field" }, h("label", { for: field.id }, title), field);
  }

  async function load() {
    later.cancel();
    asking?.abort();
    changes.clear();
    tried(true);
    try {
      const me = await who();
      keptFrom = lacks(me, "admin");
      refusal.hidden = !keptFrom;
      refusal.textContent = keptFrom ? `Saving ${keptFrom}.` : "";
      save.title = keptFrom ?? "";
      fields.disabled = Boolean(lacks(me, "operator"));
      fields.title = fields.disabled ? keptFrom : "";
      configuration = await get(`configuration/${part(source.source)}`);
    } catch (error) {
      body.replaceChildren(failure(error));
      return;
    }
    const { values, choices = {}, sliders } = configuration;
    const severities = (values.rules ?? []).flatMap((rule, place) => (choices.severities && rule.severity ? [choice(`rules.${place}.severity`, `${rule.name ?? rule.type}: severity`, choices.severities, rule.severity)] : []));
    fill(fields,
      h("p", { class: "muted mono" }, configuration.file ?? ""),
      choices.detectors?.length ? detectors(choices.detectors, values.detectors ?? null) : null,
      CHOICES.map(([path, title]) => (choices[path.split(".").at(-1)]?.length ? choice(path, title, choices[path.split(".").at(-1)], at(values, path)) : null)),
      sliders.length ? h("div", { class: "sliders" }, sliders.map(slider)) : h("p", { class: "muted" }, "This source has no rule with a number to move."),
      severities);
    body.replaceChildren(fields);
    preview();
  }

  async function confirmSaving() {
    const given = { source: source.source, changes: Object.fromEntries(changes) };
    save.disabled = true;
    try {
      const proposed = await post("configure", { ...given, write: false });
      const problems = (proposed.problems ?? []).map((problem) => h("p", { class: "error" }, typeof problem === "string" ? problem : (problem.detail ?? problem.message)));
      const write = h("button", { type: "button", class: "primary", disabled: problems.length > 0 || !proposed.diff, onclick: (event) => event.target.closest("dialog").close("yes") }, "Write the file");
      const { closed } = open(h("div", { class: "inside" }, h("h2", {}, `Save the rules of ${source.source}?`), h("p", { class: "muted" }, "The next run judges by them. Comments in the file stay."), proposed.diff ? diffOf(proposed.diff) : h("p", {}, "Nothing changes in the file."), problems,
        h("div", { class: "actions" }, h("button", { type: "button", onclick: (event) => event.target.closest("dialog").close("") }, "Cancel"), write)), { isWide: true, label: "Save the rules" });
      if ((await closed) !== "yes") return;
      const said = await post("configure", { ...given, write: true, expected_hash: proposed.hash });
      if (!said.written) throw new Error("The file was not written.");
      toast({ severity: "good", text: `${source.source}: rules saved`, note: configuration.file, isKept: true });
      await load();
    } catch (error) {
      outcome.replaceChildren(failure(error));
    } finally {
      tried(isTried);
    }
  }

  load();
  addEventListener("smartflow:login", load);
  return { element, leave: () => (removeEventListener("smartflow:login", load), clearTimeout(busy), later.cancel(), asking?.abort()) };
}
