"""Incidents: which there are, all that is known of one, and what people decide about it."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

import pandas as pd
from fastapi import APIRouter, Body, Depends, Query, Request, Response
from fastapi import Path as InPath
from pydantic import BaseModel, ConfigDict, Field

from smartflow_assets.adapters.warehouse.published_copy import Snapshot
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.core.feedback import Verdict
from smartflow_assets.core.incidents.content import Line
from smartflow_assets.core.incidents.event_log import Row
from smartflow_assets.core.incidents.watched import OF_NO_SOURCE
from smartflow_assets.core.json_value import json_value
from smartflow_assets.serve.access.audit import audited
from smartflow_assets.serve.access.caller import Caller, operates, reads, service_of
from smartflow_assets.serve.answers import as_json
from smartflow_assets.serve.api.answered import answered
from smartflow_assets.serve.api.asked import Cursor, Limit, Severities, Sources, cursor, known_sources, moment, owned, severities
from smartflow_assets.serve.problem import Problem, responses
from smartflow_assets.serve.queries import lists
from smartflow_assets.serve.service import Service
from smartflow_assets.stages.incident_pages import incident_facts
from smartflow_assets.stages.incident_views import LEAST_SIGNS, beginning_with

router = APIRouter(tags=["incidents"])
State = Literal["going_on", "open", "acknowledged", "snoozed", "resolved", "all"]
IncidentId = Annotated[
    str,
    InPath(description="Id of an incident, or its beginning.", pattern=f"^[0-9a-f]{{{LEAST_SIGNS},16}}$", examples=["3f2a90c1"]),
]
Action = Literal["ack", "resolve", "snooze", "wake", "comment", "feedback"]
PATIENCE = timedelta(seconds=20)
"""So long a decision waits for a run of the source that is under way."""


class Decision(BaseModel):
    """What is decided; which fields are needed is said by the address."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"note": "the proxy again; on it"}, {"for": "2h"}]})
    note: str = Field(default="", max_length=2000, description="Why; stands in its timeline. The text of a comment.")
    length: str | None = Field(default=None, alias="for", max_length=20, description="snooze: for how long; feedback: how long it acts.")
    until: str | None = Field(default=None, max_length=40, description="snooze: until when, in place of `for`.")
    verdict: Verdict | None = Field(default=None, description="feedback: was it right?")
    recurs: str | None = Field(default=None, max_length=60, description="feedback `expected`: when the like comes, as mon 09:00-11:00.")


@router.get("/api/incidents", responses=responses(404, 405))
def incidents(
    request: Request,
    caller: Annotated[Caller, Depends(reads)],
    state: Annotated[State, Query(description="going_on: not resolved.")] = "going_on",
    source: Sources = None,
    severity: Severities = None,
    owner: Annotated[str | None, Query(max_length=100, description="A part of who answers for the source.")] = None,
    tag: Annotated[str | None, Query(max_length=100, description="A tag of the source: key, or key=value.")] = None,
    q: Annotated[str | None, Query(max_length=200, description="A part of its title, series, source, cause or id.")] = None,
    limit: Limit = 100,
    cursor_: Annotated[Cursor, Query(alias="cursor")] = None,
) -> Response:
    """Incidents that people are told of, the worst first and then the newest; what is told with another one is counted with it."""
    service = service_of(request)
    wanted, after = owned(service.catalogue(), known_sources(service, source), owner, tag), cursor(cursor_, int, datetime, str)
    chosen = severities(severity)

    def build(snapshot: Snapshot) -> dict[str, Any]:
        items, more = lists.incidents(snapshot, state=state, sources=wanted, severity=chosen, text=q, limit=limit, after=after)
        return {"items": items, "next": more}

    return answered(request, service, build)


@router.get("/api/incidents/{incident_id}", responses=responses(404, 405, 409))
def incident(request: Request, caller: Annotated[Caller, Depends(reads)], incident_id: IncidentId) -> Response:
    """All that is known of an incident: what a message says of it, its timeline, messages, members, what changed before it, what may be
    done now. Times in words are in the zone of its source."""
    service = service_of(request)
    with service.published.snapshot() as snapshot:
        return Response(as_json(_known(service, snapshot, incident_id)), media_type="application/json")


@router.post("/api/incidents/{incident_id}/{action}", responses=responses(404, 405, 409, 413))
def decide(
    request: Request,
    caller: Annotated[Caller, Depends(operates)],
    incident_id: IncidentId,
    action: Action,
    decision: Annotated[Decision, Body()],
) -> Response:
    """Decide about an incident, as `smartflow incidents` and `smartflow feedback` do: written under the lock of its source, told by the
    same rules. Answers with what became of it and the incident as it stands then."""
    service = service_of(request)
    with service.published.snapshot() as snapshot:
        found = _found(snapshot, incident_id)
    given = decision.model_dump(by_alias=True, exclude_defaults=True)
    with audited(request, caller, action, source=found["source"], target=found["incident_id"], after=given):
        said = written(service, found, action, decision, caller.name)
    with service.published.snapshot() as snapshot:
        told = _known(service, snapshot, found["incident_id"])
    return Response(as_json(told | {"said": said}), media_type="application/json")


def written(service: Service, found: Row, action: Action, decision: Decision, by_whom: str) -> list[str]:
    """Write a decision down and publish it -> what became of it, in words. Problem 422 for what lacks something, 409 for what cannot be."""
    from smartflow_assets.stages.decisions import decide as decided
    from smartflow_assets.stages.decisions import end_of_data
    from smartflow_assets.stages.scheduling.appearance import BY_PEOPLE

    now, catalogue, name = service.now(), service.catalogue(), found["incident_id"]
    if action == "feedback":
        said = _judged(service, catalogue, found, decision, by_whom, now)
    else:
        if action == "comment" and not decision.note.strip():
            raise Problem(422, "note: the comment is empty", field="note")
        until = _until(decision, now) if action == "snooze" else now
        at = end_of_data(service.warehouse, catalogue, name, now) if action == "resolve" else now
        done = decided(
            service.warehouse,
            catalogue,
            found["source"],
            [name],
            lambda decisions: {
                "ack": lambda: decisions.acknowledge(name, decision.note.strip()),
                "resolve": lambda: decisions.resolve(name, at, decision.note.strip()),
                "snooze": lambda: decisions.snooze(name, until, decision.note.strip()),
                "wake": lambda: decisions.wake(name),
                "comment": lambda: decisions.comment(name, decision.note.strip()),
            }[action](),
            by_whom=by_whom,
            now=now,
            patience=PATIENCE,
        )
        said = [each.text for each in done.said]
    service.warehouse.publish(BY_PEOPLE, is_forced=True)
    return said


def _judged(service: Service, catalogue: Catalogue, found: Row, decision: Decision, by_whom: str, now: datetime) -> list[str]:
    from smartflow_assets.core.temporal.recurring_time import RecurringTime
    from smartflow_assets.stages.feedback import Word, give

    if decision.verdict is None:
        raise Problem(422, "verdict: it is missing", field="verdict", remedy="There are true_positive, false_positive and expected.")
    try:
        recurs = RecurringTime.parse(decision.recurs) if decision.recurs else None
    except ValueError as error:
        raise Problem(422, f"recurs: {error}", field="recurs") from None
    length = _length(decision.length) if decision.length else None
    if length is not None and decision.verdict == "true_positive":
        raise Problem(422, "for: true_positive holds for good", field="for", remedy="Leave it out.")
    word = Word(found["incident_id"], decision.verdict, decision.note.strip(), recurs, length)
    return [each.text for each in give(service.warehouse, catalogue, [word], by_whom=by_whom, now=now, patience=PATIENCE).said]


def _length(text: str) -> timedelta:
    from smartflow_assets.core.temporal.notation import parse_duration

    try:
        length = parse_duration(text)
    except (ValueError, OverflowError):
        length = timedelta(0)
    if not timedelta(0) < length <= timedelta(days=3660):
        raise Problem(422, f"for: {text!r} is no length of time to come", field="for", remedy="Write it as 30min, 2h or 3 days.")
    return length


def _until(decision: Decision, now: datetime) -> datetime:
    if bool(decision.length) == bool(decision.until):
        raise Problem(422, "until: say for how long, by `for` or by `until`", field="until")
    until = now + _length(decision.length) if decision.length else moment(decision.until, "until")
    if until is None or until <= now:
        raise Problem(422, f"until: {decision.until} is past", field="until", remedy="`wake` ends a snooze.")
    return until


def _found(snapshot: Snapshot, start: str) -> Row:
    rows = beginning_with(snapshot, start)
    if not rows:
        raise Problem(404, f"there is no incident {start}", remedy="GET /api/incidents?state=all lists them.")
    if len(rows) > 1:
        raise Problem(409, f"{len(rows)} incidents begin with {start}", remedy="Give more of its id.")
    return rows[0]


def _known(service: Service, snapshot: Snapshot, start: str) -> dict[str, Any]:
    row = _found(snapshot, start)
    facts = incident_facts(snapshot, service.catalogue(), row, service.now(), service.environment, is_drawn=False)
    deliveries = ("at", "event", "channel", "status", "attempt", "error")
    return {
        "incident": json_value(row, write_time=lambda at: pd.Timestamp(at).to_pydatetime()),
        "headline": facts.content.headline,
        "kicker": facts.content.kicker,
        "lines": [{"label": line.label, "texts": list(line.texts)} for line in facts.content.lines if not _leads_here(line)],
        "state": facts.state,
        "timezone": facts.content.timezone,
        "timeline": [dict(zip(("at", "event", "by", "severity", "said"), each, strict=True)) for each in facts.timeline],
        "deliveries": [dict(zip(deliveries, each, strict=True)) for each in facts.deliveries],
        "untold": facts.untold if not facts.deliveries else "",
        "comments": [dict(zip(("at", "by", "said"), each, strict=True)) for each in facts.comments],
        "members": [
            dict(zip(("source", "series", "severity", "state", "title")[-len(each) :], map(str, each), strict=True))
            for each in facts.members
        ],
        "members_called": facts.members_called if facts.members else "",
        "reasons": [{"of": of, "said": said} for of, said in facts.reasons],
        "changes": [{"at": at, "said": said} for at, said in facts.changes],
        "links": [{"title": link.text, "address": link.address} for link in facts.links],
        "steps": list(facts.steps),
        "sql": facts.sql,
        "actions": _actions(row),
    }


def _leads_here(line: Line) -> bool:
    """Whether a line only says how to come to what is shown."""
    return line.label == "Next" and all("smartflow incidents show" in text for text in line.texts)


def _actions(row: Row) -> list[Action]:
    """What may be decided as it stands."""
    if row["state"] == "resolved":
        return ["comment", "feedback"] if row["source"] != OF_NO_SOURCE or row["cause"] == "group" else ["comment"]
    asked: list[Action] = ["wake"] if row["snoozed_until"] is not None else ["snooze"]
    return [*(["ack"] if row["state"] == "open" else []), "resolve", *asked, "comment", "feedback"]  # pyright: ignore[reportReturnType]
