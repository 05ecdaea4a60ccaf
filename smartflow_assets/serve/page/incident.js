// The page of an incident: what happened, its chart, who was told, its timeline, and what a person may do about it now.
import { get, lacks, part, post, who } from "./api.js";
import { SeriesChart } from "./chart.js";
import { ask } from "./dialogs.js";
import { amount, chip, failure, fill, h, name as broken, outward } from "./dom.js";
import { lasted, moment, told, words } from "./format.js";
import { runLink, serverNow, stateOf } from "./lists.js";
import { link } from "./router.js";
import { sourceOf, sources } from "./sources.js";
import { table } from "./table.js";
import { deciding, failed, toast } from "./toasts.js";

const NOTE = { name: "note", label: "Note (stands in its timeline)", kind: "area" };
const VERDICTS = [{ value: "true_positive", title: "It was right" }, { value: "false_positive", title: "A false alarm" }, { value: "expected", title: "Right, but expected: nobody need hear of the like" }];
const SNOOZES = [["1h", "1 hour"], ["4h", "4 hours"], ["1d", "1 day"], ["3d", "3 days"], ["7d", "1 week"]].map(([value, title]) => ({ value, title }));
const DO = {
  ack: { title: "Acknowledge", text: "You take it on. Others hear only if it gets worse, and when it is over.", fields: [NOTE], isFirst: true },
  resolve: { title: "Resolve", text: "It is over for people. Whoever was told of it hears so.", fields: [NOTE] },
  snooze: { title: "Snooze", text: "Nobody hears of it until then, unless it is over.", fields: [{ name: "for", label: "For", kind: "choice", choices: SNOOZES }, NOTE] },
  wake: { title: "Wake", text: "The snooze ends now.", fields: [] },
  comment: { title: "Comment", fields: [{ ...NOTE, label: "Comment", isRequired: true }] },
  feedback: { title: "Feedback", text: "Was it right? The next training learns from it.", fields: [{ name: "verdict", label: "Verdict", kind: "choice", choices: VERDICTS }, NOTE] },
};

function chartPanel(incident, source) {
  const place = h("div", { class: "incident-charts" });
  const element = h("section", { "aria-label": "Charts" }, h("h2", { class: "sr" }, "Charts"), place);
  const charts = [];
  async function load(members) {
    const names = [...new Set([incident.series, ...members.map((each) => each.series)].filter((name) => name && name !== "*"))].slice(0, 6);
    if (!names.length || !source) return;
    const from = Date.parse(incident.opened_at);
    const to = Date.parse(incident.recovered_at ?? incident.resolved_at ?? incident.last_seen_at ?? incident.opened_at);
    const bucket = (source.bucket_seconds ?? 300) * 1000;
    const around = Math.max((to - from) * 1.5, bucket * 60);
    const range = [from - around, to + around];
    const page = await get(`data/${part(source.source)}`, { series: names, from: new Date(range[0]).toISOString(), to: new Date(range[1]).toISOString(), points: 400, limit: names.length });
    const newest = Math.max(...page.series.map((each) => each.at.at(-1) ?? 0));
    if (newest) range[1] = Math.min(range[1], Math.max(to, newest) + 4 * bucket); // what goes on ends at the right
    for (const series of page.series) {
      const chart = new SeriesChart({ height: names.length > 1 ? 170 : 240, zone: source.timezone, onIncident: (id) => (location.hash = link(["incident", id])) });
      charts.push(chart);
      place.append(h("article", { class: "panel chart-panel" }, h("header", {}, h("h3", {}, h("a", { href: link(["source", source.source], { series: series.series, from: Math.round(range[0]), to: Math.round(range[1]) }) }, series.series)), h("span", { class: "muted push" }, series.unit ?? "")), chart.element));
      chart.show(series, { range, resolution: page.resolution_seconds, seconds: source.bucket_seconds < 60, incidents: page.incidents.filter((each) => each.series === series.series || each.incident_id === incident.incident_id) });
    }
  }
  return { element, load, leave: () => charts.forEach((chart) => chart.dispose()) };
}

function section(title, ...content) {
  return h("section", { class: "panel" }, h("header", {}, h("h2", {}, title)), content);
}

const when = (at, zone) => (/^\d{4}-\d\d-\d\dT/.test(at ?? "") ? moment(at, zone) : (at ?? "–")); // some times come in words already

const ELSEWHERE = ["incident", "source", "details", "owner", "state", "lasted", "lasting"]; // of the lines of a message: what this page says in another place

/** Title and content of each fact: how it stands now, then the lines that a message about it has. */
function factsOf({ incident, lines = [] }, zone, owner) {
  const own = [["State", chip(stateOf(incident), stateOf(incident))], incident.source === "*" ? null : ["Source", h("a", { href: link(["source", incident.source]) }, incident.source)], incident.series ? ["Series", broken(incident.series)] : null, [incident.state === "resolved" ? "Lasted" : "How long", lasted(incident, serverNow())],
    incident.acknowledged_by ? ["Taken on by", incident.acknowledged_by] : null, incident.snoozed_until ? ["Snoozed until", moment(incident.snoozed_until, zone)] : null, owner ? ["Owner", owner] : null].filter(Boolean);
  return [...own, ...lines.filter(({ label }) => !ELSEWHERE.includes(label.toLowerCase()) && !own.some(([title]) => title === label)).map(({ label, texts }) => [label, told(texts.join(", "), incident.series)])];
}

/** What is said of an incident, for a server that says more than this page knows: objects become rows of their own columns. */
function rows(items, caption, zone) {
  const names = [...new Set(items.flatMap(Object.keys))].filter((name) => !["incident_id", "source", "run_id", "idempotency_key", "is_newest", "fingerprint", "sent_with", "is_possible_repeat"].includes(name)).filter((name) => items.some((each) => each[name] !== null && each[name] !== "" && typeof each[name] !== "object")).slice(0, 8);
  const cell = (name) => (item) => (item[name] === null || item[name] === undefined || item[name] === "" ? null : /_at$|^at$/.test(name) ? when(item[name], zone) : ["status", "severity", "state"].includes(name) ? chip(item[name]) : typeof item[name] === "number" ? amount(item[name]) : name === "series" ? broken(item[name]) : told(String(item[name]), item.series));
  return table(names.map((name) => ({ title: words(name), cell: cell(name), kind: /_at$|^at$/.test(name) ? "tight" : name === "series" ? "name" : null })), items, { caption }).element;
}

export async function incidentPage({ path: [, id] }) {
  await sources().catch(() => []);
  const whole = h("div", {});
  let charts = null;
  let of = null;
  let me = null;
  let turn = 0; // an answer that was asked for before a decision says nothing of it

  async function act(verb, page) {
    const kind = DO[verb];
    const fields = kind.fields.map((field) => (field.name === "verdict" && page.verdicts?.length ? { ...field, choices: page.verdicts } : field));
    const said = await ask({ title: kind.title, text: kind.text, fields, verb: kind.title });
    if (!said) return;
    const button = whole.querySelector(`[data-verb=${verb}]`);
    whole.querySelectorAll("[data-verb]").forEach((each) => (each.disabled = true));
    button?.replaceChildren(`${kind.title} …`); // it waits for a run of the source that is under way
    deciding(page.incident.incident_id, () => me.name);
    try {
      const answer = await post(`incidents/${part(page.incident.incident_id)}/${verb}`, Object.fromEntries(Object.entries(said).filter(([, value]) => value !== "")));
      toast({ severity: "good", text: answer.said?.join("; ") || `${kind.title}: done`, note: told(page.headline, page.incident.series) });
      turn += 1;
      me = await who();
      draw(answer);
    } catch (error) {
      failed(error);
      draw(page);
    }
  }

  function draw(page) {
    const { incident } = page;
    of = incident.source;
    const source = sourceOf(incident.source);
    const zone = source?.timezone ?? "UTC";
    charts?.leave();
    charts = chartPanel(incident, source);
    const actions = (page.actions ?? []).filter((verb) => verb in DO);
    const body = incident.body ?? "";
    const [title, headline] = [incident.title, page.headline].map((each) => told(each, incident.series));
    const isOfOne = incident.series && incident.series !== "*" && !` ${title}`.includes(` ${incident.series}`); // else the title says of what it is
    const heading = isOfOne && headline.startsWith(`${incident.series} `) ? headline.slice(incident.series.length + 1) : title;
    const text = body.startsWith(incident.title) ? body.slice(incident.title.length).replace(/^[.\s]+/, "") : body;
    fill(whole,
      h("div", { class: `incident-head ${incident.severity}` }, h("p", { class: "toolbar" }, chip(incident.severity), h("span", { class: "muted" }, words(incident.cause)), h("span", { class: "muted mono push" }, incident.incident_id)), h("h1", {}, isOfOne ? h("span", { class: "of" }, broken(incident.series), " ") : null, heading), [heading, title].some((each) => each.toLowerCase() === headline.toLowerCase()) || headline.endsWith(heading) ? null : h("p", { class: "headline" }, headline), text ? h("p", { class: "said" }, told(text, incident.series)) : null,
        h("div", { class: "toolbar" }, actions.map((verb) => h("button", { type: "button", class: DO[verb].isFirst ? "primary" : null, "data-verb": verb, disabled: Boolean(lacks(me, "operator")), title: lacks(me, "operator"), onclick: () => act(verb, page) }, DO[verb].title)), h("span", { class: "links push" }, (page.links ?? []).map(({ title, address }) => outward(address, title))))),
      charts.element,
      h("div", { class: "two" },
        h("div", { class: "stack" }, section("Timeline", page.timeline?.length ? h("ol", { class: "timeline" }, page.timeline.map((each) => h("li", { class: each.severity ?? "" }, h("time", { class: "muted", datetime: each.at }, when(each.at, zone)), h("div", {}, h("strong", {}, words(each.event)), each.by ? h("span", { class: "muted" }, ` by ${each.by}`) : null, each.said ? h("p", {}, told(each.said, incident.series)) : null)))) : h("p", { class: "empty" }, "Nothing yet.")),
          section("Who was told", page.deliveries?.length ? rows(page.deliveries.map(({ at, channel, event, status, attempt, error }) => ({ at, channel, event, status, attempt, error })), "Who was told", zone) : h("p", { class: "empty" }, page.untold || "Nobody was told."))),
        h("div", { class: "stack" }, section("Facts", h("dl", { class: "facts tall-facts" }, factsOf(page, zone, incident.owner ?? source?.owner).map(([title, said]) => h("div", {}, h("dt", {}, title), h("dd", {}, said))))),
          page.members?.length ? section(page.members_called || "What belongs to it", rows(page.members, "What belongs to it", zone)) : null,
          page.reasons?.length ? section("Why it counts as strange", h("dl", { class: "facts tall-facts" }, page.reasons.map(({ of, said: reason }) => h("div", {}, h("dt", {}, of), h("dd", {}, told(reason)))))) : null,
          page.changes?.length ? section("What changed before it", rows(page.changes, "What changed before it", zone)) : null,
          page.feedback?.length ? section("Feedback", rows(page.feedback, "Feedback", zone)) : null)),
      page.sql ? h("details", { class: "panel sql" }, h("summary", {}, "SQL that shows its data"), h("div", { class: "body" }, h("pre", { class: "mono", tabindex: "0" }, page.sql), h("button", { type: "button", onclick: () => navigator.clipboard?.writeText(page.sql).then(() => toast({ severity: "good", text: "Copied" })) }, "Copy"), " ", runLink(incident))) : null);
    charts.load(page.members ?? []).catch((error) => charts.element.append(failure(error)));
  }

  const load = async () => {
    const mine = ++turn;
    try {
      const page = await get(`incidents/${part(id)}`);
      me = await who();
      if (mine === turn) draw(page);
    } catch (error) {
      if (mine === turn) whole.replaceChildren(failure(error));
    }
  };
  await load();
  const isMeant = (name, data) => (name === "published" ? !data.sources || !of || of === "*" || data.sources.includes(of) : name === "incident" && data.incident_id?.startsWith(id));
  return { element: whole, onEvent: (name, data) => isMeant(name, data) && !document.querySelector("dialog[open]") && load(), leave: () => charts?.leave() };
}
