"""Rows in: one or many for a source that reads an inbox; and what became of them."""

import math
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Header, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from smartflow_assets.adapters.readers import InboxReader
from smartflow_assets.adapters.scans.json_records import KeyPath
from smartflow_assets.adapters.staging.contract import TimeReading
from smartflow_assets.adapters.staging.readable_times import odd_times
from smartflow_assets.config.source import Source
from smartflow_assets.core.errors import SourceError
from smartflow_assets.serve.access.caller import Caller, operates, reads, service_of
from smartflow_assets.serve.answers import as_json
from smartflow_assets.serve.api.asked import known_source
from smartflow_assets.serve.problem import Problem, responses
from smartflow_assets.serve.queries.submitted import fate, stored_columns, was_read_since
from smartflow_assets.serve.service import Service
from smartflow_assets.serve.submissions import remarks
from smartflow_assets.serve.submissions.columns import columns_of
from smartflow_assets.serve.submissions.ledger import KeyTakenError, Submission, file_name

router = APIRouter(tags=["rows"])
MOST_ROWS = 5_000
_MOST_FIELDS = 500
_USUAL = timedelta(seconds=20)
_ROW = {"at": "2026-03-01T09:35:00Z", "temperature": 21.4, "humidity": 48}


class Submitted(BaseModel):
    """Rows of a source, as its feed has them: the time, dimensions and metrics by the names of their columns."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"source": "greenhouse", "rows": [_ROW]}]})
    source: str = Field(pattern="^[a-z][a-z0-9_]{0,47}$", description="The source; its `read` has the type inbox.")
    rows: list[dict[str, Any]] | None = Field(default=None, min_length=1, max_length=MOST_ROWS, description="Many rows.")
    row: dict[str, Any] | None = Field(default=None, description="One row, in place of `rows`.")


class Accepted(BaseModel):
    """What was accepted, and where to ask what became of it."""

    submission_id: str = Field(examples=["5f0c2b7e9d1a4c33"])
    source: str
    row_count: int
    status_url: str = Field(examples=["/api/submissions/5f0c2b7e9d1a4c33"])
    notes: list[str] = Field(description="What is odd about the rows, which are taken all the same.", examples=[[]])


@router.post("/api/submit", status_code=202, response_model=Accepted, responses=responses(404, 405, 409, 413))
def submit(
    request: Request,
    caller: Annotated[Caller, Depends(operates)],
    submitted: Annotated[Submitted, Body()],
    idempotency_key: Annotated[
        str | None, Header(max_length=200, description="Names this submission: with the same key and rows it is taken once.")
    ] = None,
) -> Response:
    """Take rows: they are on the disk when this answers, and judged within seconds; `status_url` says what became of them, and the stream
    what was found. Rows that cannot be read at all are refused here, all others go the way of every feed: checks, quarantine, detection."""
    service = service_of(request)
    name, catalogue = submitted.source, service.catalogue()
    known_source(catalogue, name)
    source = catalogue.source(name)
    if not isinstance(source.read, InboxReader):
        raise Problem(
            409,
            f"it reads {source.read.type}: {source.read.describe()}",
            source=name,
            remedy="Rows are taken for sources whose read has the type inbox; docs/serve.md has one to copy.",
        )
    now = service.now()
    if not source.read.covers(f"inbox/{name}/{file_name(now, 1)}", name, service.settings.data):
        raise Problem(
            409,
            f"what is sent is filed as {file_name(now, 1)}, which its read.pattern {source.read.pattern!r} leaves out",
            source=name,
            remedy="Leave read.pattern out, or let it take api-*.jsonl.",
        )
    if (submitted.rows is None) == (submitted.row is None):
        raise Problem(422, "give `rows` or `row`", field="rows")
    rows = submitted.rows if submitted.rows is not None else [submitted.row or {}]
    for place, row in enumerate(rows):
        _check(row, f"rows.{place}" if submitted.rows is not None else "row", source)
    reading = source.read.time.reading(source.calendar.timezone)
    times = times_of(rows, reading)
    odd = odd_times(times, reading, now + remarks.CLOCKS_DIFFER)
    if odd.unreadable:
        raise _no_time(times, odd.unreadable, submitted.rows is not None, reading, source)
    columns = _columns(rows, submitted.rows is not None, name)
    key = f"{caller.token.token_id if caller.token else ''} {idempotency_key}" if idempotency_key else None
    try:
        stored = () if service.submissions.has_all(name, now, columns) else _stored_columns(service, name)
        taken = service.submissions.add(name, rows, key, caller.name, now, str(caller.role or ""), columns, stored)
    except KeyTakenError as error:
        raise Problem(409, error.what, source=name, remedy=error.remedy) from None
    service.has_submissions.set()
    told = {
        "submission_id": taken.submission_id,
        "source": name,
        "row_count": taken.row_count,
        "status_url": f"{service.access.root_path}/api/submissions/{taken.submission_id}",
        "notes": [*remarks.of_columns(rows, source), *remarks.of_times(times, odd.ahead)],
    }
    return Response(as_json(told), 202, {"Location": told["status_url"]}, media_type="application/json")


@router.get("/api/submissions/{submission_id}", responses=responses(404, 405))
def submission(
    request: Request,
    caller: Annotated[Caller, Depends(reads)],
    submission_id: Annotated[str, Path(pattern="^[0-9a-f]{16}$", examples=["5f0c2b7e9d1a4c33"])],
) -> Response:
    """What became of rows that were sent: waiting, running, done or failed (`note`: why it takes so long); of how many the time is stored
    now, which could not be read (counted from 0), what was flagged at their times. Kept for 30 days."""
    service = service_of(request)
    found = service.submissions.find(submission_id)
    if found is None:
        raise Problem(404, f"there is no submission {submission_id}", remedy="They are kept for 30 days.")
    told: dict[str, Any] = {
        "submission_id": found.submission_id,
        "source": found.source,
        "state": found.state,
        "row_count": found.row_count,
        "received_at": found.received_at,
        "ended_at": found.ended_at,
        "by": found.by_whom,
        "run_id": found.run_id,
        "error": found.error,
        "note": _note(found, service.now()),
    }
    if found.state in ("done", "failed") and service.published.generation:
        told |= _fate(service, found)
        if found.state == "failed" and told.get("stored_count") == found.row_count and not _is_left_alone(service, found):
            told["state"] = "done"  # a later run has taken them
    return Response(as_json(told), media_type="application/json")


def _note(found: Submission, now: datetime) -> str | None:
    """Why nothing has become of it yet, where that takes longer than a run usually does."""
    if found.state not in ("waiting", "running") or now - datetime.fromisoformat(found.received_at) < _USUAL:
        return None
    return "Its run has not ended: it takes long, or waits for another one or for who holds the warehouse, whom `smartflow doctor` names."


def _fate(service: Any, found: Submission) -> dict[str, Any]:
    source = service.catalogue().sources.get(found.source)
    if source is None or found.file is None or found.first_row is None:
        return {}
    origin = f"inbox/{found.source}/{found.file}"
    reading = source.read.time.reading(source.calendar.timezone)
    times = times_of(service.submissions.rows_of(found.submission_id), reading)
    with service.published.snapshot() as snapshot:
        return fate(snapshot, found.source, reading, origin, found.first_row, times)


def _is_left_alone(service: Service, found: Submission) -> bool:
    """Has no run taken its file since one left it alone? What is stored for its times then are other rows."""
    if found.file is None or found.file not in (found.error or ""):
        return False
    with service.published.snapshot() as snapshot:
        return not was_read_since(snapshot, found.source, f"inbox/{found.source}/{found.file}", found.ended_at or "")


def _check(row: dict[str, Any], field: str, source: Source) -> None:
    """Problem 422 for a row that no reader could make anything of."""
    if not row or len(row) > _MOST_FIELDS:
        raise Problem(422, f"{field}: a row has 1 to {_MOST_FIELDS} fields", field=field, source=source.name)
    for part in source.read.time.parts:
        if row.get(part) in (None, ""):
            raise _refused(f"{field}.{part}", "the time is missing", "Write it as 2026-03-01T09:35:00Z.", source)
    for column in source.wanted.numbers or ():
        value = row.get(column)
        if isinstance(value, str) and not _is_number(value):
            raise _refused(f"{field}.{column}", f"{value[:40]!r} is no number", "Send a number of JSON: 55.1.", source)
        if isinstance(value, bool | list | dict):
            raise _refused(f"{field}.{column}", "it is no number", "Send a number of JSON: 55.1.", source)


def _columns(rows: list[dict[str, Any]], is_of_many: bool, source: str) -> Collection[KeyPath]:
    """The columns that rows become. Problem 422 for rows that cannot stand in one file."""
    try:
        return columns_of(rows, source)
    except SourceError as error:
        field = (f"rows.{error.where}" if error.where.isdigit() else "rows") if is_of_many else "row"
        raise Problem(422, f"{field}: {error.what}", field=field, source=source, remedy=error.remedy) from None


def _stored_columns(service: Service, source: str) -> Collection[str]:
    if not service.published.generation:
        return ()
    with service.published.snapshot() as snapshot:
        return stored_columns(snapshot, source)


def _no_time(times: list[str], bad: list[int], is_of_many: bool, reading: TimeReading, source: Source) -> Problem:
    """The answer for the first text that is no time."""
    where = f"rows.{bad[0]}" if is_of_many else "row"
    text, more = times[bad[0]][:40], f" ({len(bad)} rows in all)" if len(bad) > 1 else ""
    return _refused(
        f"{where}.{reading.parts[0]}", f"{text!r} is no time{more}", f"The source reads {' or '.join(reading.formats)}.", source
    )


def times_of(rows: list[dict[str, Any]], reading: TimeReading) -> list[str]:
    """The time of each row as a text, as a file would have it."""
    return [" ".join(str(row.get(part, "")) for part in reading.parts) for row in rows]


def _is_number(text: str) -> bool:
    try:
        return text.strip() == "" or math.isfinite(float(text))
    except ValueError:
        return False


def _refused(field: str, what: str, remedy: str, source: Source) -> Problem:
    return Problem(422, f"{field[:150]}: {what}", field=field[:150], source=source.name, remedy=remedy)
