"""Requests for a training: somebody, or a stage, wants a source to be learnt anew, and says why.

A request is a row that stays open until a training has answered it, so none is lost while no daemon runs. A sensor starts
`train_source` for it; any other training of the source (by schedule, by hand) answers it as well.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd

from smartflow_assets.adapters.warehouse.vocabularies import RequestState
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.adapters.warehouse.writes import Append
from smartflow_assets.core.errors import SourceError


@dataclass(frozen=True)
class TrainingRequest:
    """One request. `baseline_from`: what lies before is no longer learnt from, neither now nor later; None leaves that as it is."""

    source: str
    request_id: str
    requested_at: datetime
    reason: str
    requested_by: str
    baseline_from: datetime | None


def request_training(
    source: str,
    reason: str,
    *,
    warehouse: Warehouse,
    now: datetime,
    requested_by: str = "",
    baseline_from: datetime | None = None,
    run_id: str | None = None,
) -> TrainingRequest:
    """Ask for a training of `source`. One that is open with the same reason and baseline is not asked for twice: it is returned.

    SourceError when there is no reason: it will stand beside the model.
    """
    reason = " ".join(reason.split())
    if not reason:
        raise SourceError("a training is asked for without a reason", source=source, remedy="Say why, in a few words.")
    for request in open_requests(warehouse, source):
        if (request.reason, request.baseline_from) == (reason, baseline_from):
            return request
    text = f"{source}|{reason}|{baseline_from}|{now.isoformat()}|{requested_by}"
    request = TrainingRequest(source, hashlib.sha256(text.encode()).hexdigest()[:16], now, reason, requested_by, baseline_from)
    warehouse.commit(run_id or "request", [_row(request, "open", now, run_id)])
    return request


def open_requests(warehouse: Warehouse, source: str | None = None) -> list[TrainingRequest]:
    """What no training has answered yet, of one source or of all, oldest first."""
    rows = warehouse.read(
        "SELECT source, request_id, happened_at, reason, requested_by, baseline_from FROM training_requests WHERE state = 'open' "
        "AND request_id NOT IN (SELECT request_id FROM training_requests WHERE state = 'answered') AND (source = ? OR ?) "
        "ORDER BY happened_at, request_id",
        [source or "", source is None],
    )
    return [
        TrainingRequest(
            source=str(row["source"]),
            request_id=str(row["request_id"]),
            requested_at=row["happened_at"].to_pydatetime(),
            reason=str(row["reason"]),
            requested_by=row["requested_by"] if isinstance(row["requested_by"], str) else "",
            baseline_from=None if pd.isna(row["baseline_from"]) else row["baseline_from"].to_pydatetime(),
        )
        for row in rows.to_dict("records")
    ]


def answered(requests: Iterable[TrainingRequest], now: datetime, run_id: str) -> list[Append]:
    """The writes that close requests."""
    return [_row(request, "answered", max(now, request.requested_at + timedelta(microseconds=1)), run_id) for request in requests]


def baseline_of(requests: Sequence[TrainingRequest]) -> datetime | None:
    """The baseline that the newest of these requests brings; None when none does."""
    return next((request.baseline_from for request in reversed(requests) if request.baseline_from is not None), None)


def _row(request: TrainingRequest, state: RequestState, happened_at: datetime, run_id: str | None) -> Append:
    return Append(
        "training_requests",
        pd.DataFrame(
            [
                {
                    "source": request.source,
                    "request_id": request.request_id,
                    "state": state,
                    "happened_at": happened_at,
                    "reason": request.reason,
                    "requested_by": request.requested_by or None,
                    "baseline_from": request.baseline_from,
                    "run_id": run_id,
                }
            ]
        ),
    )
