"""Links in messages: a page without a login that says which incident it is and what its buttons do. Only a button acts, since scanners of
mail follow every link; and only one, once."""

from html import escape
from typing import Annotated, Literal
from urllib.parse import parse_qs

from fastapi import APIRouter, Path, Request, Response
from fastapi.concurrency import run_in_threadpool

from smartflow_assets.adapters.files.link_key import link_key
from smartflow_assets.core.errors import SmartflowError
from smartflow_assets.core.incidents.event_log import Row
from smartflow_assets.core.incidents.signed_link import SignedLink, read
from smartflow_assets.serve.access.audit import audited
from smartflow_assets.serve.access.caller import service_of
from smartflow_assets.serve.api.incidents import Action, Decision, written
from smartflow_assets.serve.service import Service
from smartflow_assets.stages.incident_views import beginning_with

router = APIRouter(tags=["links"], include_in_schema=False)
Act = Literal["ack", "snooze", "false_positive"]
_BUTTONS: dict[Act, tuple[str, str]] = {
    "ack": ("Acknowledge", "everybody sees that somebody is on it; told are a worse severity and the end"),
    "snooze": ("Snooze for four hours", "nobody hears of it until then, but for its end"),
    "false_positive": ("It is none", "it is resolved, and the like is flagged less; `smartflow feedback undo` takes it back"),
}
_DECISIONS: dict[str, tuple[Action, dict[str, str]]] = {
    "ack": ("ack", {}),
    "snooze": ("snooze", {"for": "4h"}),
    "false_positive": ("feedback", {"verdict": "false_positive"}),
}
_BY = "a link in a message"
Signed = Annotated[str, Path(max_length=100)]


@router.get("/a/{signed}")
def shown(request: Request, signed: Signed) -> Response:
    """What the buttons will do."""
    service = service_of(request)
    link, incident, refusal = _meant(service, signed)
    if link is None or incident is None:
        return _page(service, "This link leads nowhere", f"<p>{escape(refusal)}</p>", 410)
    acts: list[Act] = ["ack", "snooze", "false_positive"] if incident["state"] == "open" else ["snooze", "false_positive"]
    if incident["cause"] not in ("anomaly", "volume", "profile", "group"):
        acts.remove("false_positive")
    buttons = "".join(
        f'<p><button name="act" value="{act}">{escape(_BUTTONS[act][0])}</button> <span>{escape(_BUTTONS[act][1])}</span></p>'
        for act in acts
    )
    note = '<p><label>Why, for the others: <input name="note" maxlength="500"></label></p>'
    until = f"{link.expires_at:%Y-%m-%d %H:%M} UTC"
    ends = f'<p class="small">Nothing has happened yet. One button acts, once; this link ends on {until}. Who has it may press.</p>'
    return _page(service, _title(incident), f'<form method="post">{note}{buttons}</form>{ends}', 200)


@router.post("/a/{signed}")
async def acted(request: Request, signed: Signed) -> Response:
    """Do what a button said, and say what became of it."""
    service, given = service_of(request), parse_qs((await request.body()).decode("utf-8", "replace"))
    act, note = given.get("act", [""])[0], given.get("note", [""])[0][:500]
    return await run_in_threadpool(_done, request, service, signed, act, note)


def _done(request: Request, service: Service, signed: str, act: str, note: str) -> Response:
    link, incident, refusal = _meant(service, signed)
    if link is None or incident is None:
        return _page(service, "This link leads nowhere", f"<p>{escape(refusal)}</p>", 410)
    if service.access.is_reading_only:
        return _page(service, "Nothing was done", "<p>This server only reads.</p>", 403)
    if act not in _BUTTONS:
        return _page(service, "Nothing was done", "<p>Go back, and press one of the buttons.</p>", 422)
    if not service.events.use_link(link.nonce, service.now().isoformat(), f"{act} {link.incident_id}"):
        return _page(service, "This link leads nowhere", "<p>It was used already.</p>", 410)
    try:
        action, given = _DECISIONS[act]
        decision = Decision.model_validate({"note": note} | given)
        with audited(request, _BY, action, source=incident["source"], target=incident["incident_id"], after={"note": note} | given):
            said = written(service, incident, action, decision, _BY)
    except SmartflowError as error:
        service.events.forget_link(link.nonce)
        return _page(service, "Nothing was done", f"<p>{escape(str(error))}</p>", 409)
    except BaseException:
        service.events.forget_link(link.nonce)
        raise
    return _page(service, _title(incident), f"<p>It is {escape(', '.join(said) or 'done')}.</p>", 200)


def _meant(service: Service, signed: str) -> tuple[SignedLink | None, Row | None, str]:
    """The link and its incident; else why it leads nowhere."""
    link = read(link_key(service.settings.link_key), signed, service.now())
    if link is None:
        return None, None, "It is none of ours, or older than a week."
    if service.events.is_link_used(link.nonce):
        return None, None, "It was used already."
    with service.published.snapshot() as snapshot:
        rows = beginning_with(snapshot, link.incident_id)
    if not rows:
        return None, None, "The incident is not there any more."
    if rows[0]["state"] == "resolved":
        return None, None, f"{_title(rows[0])}: it is over."
    return link, rows[0], ""


def _title(incident: Row) -> str:
    of = incident["source"] if incident["source"] != "*" else "several sources"
    return f"{incident['severity']}: {of}, {incident['title']}"


def _page(service: Service, title: str, body: str, status: int) -> Response:
    root = escape(service.access.root_path)
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f'<meta name="robots" content="noindex"><title>{escape(title)}</title><link rel="stylesheet" href="{root}/act.css"></head>'
        f'<body><main><h1>{escape(title)}</h1>{body}<p class="small"><a href="{root}/">SmartFlow</a></p></main></body></html>'
    )
    return Response(page, status, media_type="text/html; charset=utf-8")
