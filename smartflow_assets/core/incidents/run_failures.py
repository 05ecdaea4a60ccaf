"""Incidents of the machinery itself: a step that failed, a check that blocked, a YAML that cannot be read.

Their cause is the step, the check, or `run` for what failed outside any step; they have no series. One opens at the first
failure, goes on with each failed run, and is resolved by the next success of the same step. A run is counted once, however
often it is recorded. One that a person has resolved comes back when it fails worse, or anew after a success.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from smartflow_assets.core.anomalies.grouping import anomaly_id
from smartflow_assets.core.incidents.alert_planning import Advance, AlertPlanner
from smartflow_assets.core.incidents.alert_policy import AlertPolicy
from smartflow_assets.core.incidents.event_log import (
    OF_SERIES,
    Row,
    fold,
    in_order,
    is_going_on,
    log_entry,
    next_sequence,
    over_at,
    row_dicts,
)
from smartflow_assets.core.incidents.groups import members_of
from smartflow_assets.core.incidents.incident_writer import IncidentWriter
from smartflow_assets.core.severity import RANK, Severity


@dataclass(frozen=True)
class Failure:
    """What failed (`cause`: a step, `check:<name>`, `delivery:<channel>`, `run`, or one of `watched`) and the error in a sentence.
    `title` and `next_step` are what a message says where that is not enough; `since` is when it began, where that was before it was found.
    """

    cause: str
    message: str
    severity: Severity = "critical"
    title: str = ""
    next_step: str = ""
    since: datetime | None = None


def record_run(
    history: pd.DataFrame,
    failures: Sequence[Failure],
    succeeded: Collection[str],
    *,
    sends: pd.DataFrame,
    source: str,
    policy: AlertPolicy,
    now: datetime,
    run_id: str,
    because: str = "",
) -> Advance:
    """What a run says about the machinery: `failures` open or go on, the causes in `succeeded` recover, `because` says why.

    `history` and `sends`: rows of incident_events and alert_sends of the source's incidents whose cause is not `anomaly`.
    A cause that this run has already spoken of is passed over, and a cause that both failed and succeeded has failed.
    """
    writer = IncidentWriter(history, sends, policy, now=now, run_id=run_id)
    spoken = {entry["cause"] for entry in writer.entries if entry["run_id"] == run_id}
    newest: dict[str, Row] = {}
    for incident in sorted(row_dicts(fold(history)), key=lambda incident: incident["opened_at"]):
        newest[incident["cause"]] = incident
    for failure in {failure.cause: failure for failure in reversed(failures)}.values():  # of two for one cause, the first
        if failure.cause in spoken:
            continue
        incident, moment = newest.get(failure.cause), pd.Timestamp(now)
        reason = failure.message.splitlines()[0].removeprefix(f"{source}: ") if failure.message else "no reason was given"
        title = failure.title or f"{failure.cause} failed: {reason}"
        told: Row = {"last_seen_at": moment, "title": title, "body": failure.message}
        told |= {"next_step": failure.next_step} if failure.next_step else {}
        if incident is None or (not is_going_on(incident) and moment - over_at(incident) > writer.patience(incident)):
            identity = anomaly_id(source, "", failure.cause, now)
            opened = {"source": source, "incident_id": identity, "cause": failure.cause, "series": ""}
            writer.append(opened, "opened", failure.severity, opened_at=failure.since or moment, anomaly_count=0, **told)
        else:
            is_worse = RANK[failure.severity] > RANK[incident["severity"]]
            is_back = incident["state"] == "resolved" and (is_worse or not is_going_on(incident))
            writer.append(
                incident, "reopened" if is_back else "seen", failure.severity, **told, **({"again_since": moment} if is_back else {})
            )
    failed = {failure.cause for failure in failures} | {*OF_SERIES} | spoken
    for cause, incident in newest.items():
        if cause in succeeded and cause not in failed and is_going_on(incident):
            reason, back = because or f"{cause} succeeded again", writer.again_since(incident)
            writer.append(incident, "resolved", incident["severity"], resolved_at=now, resolved_reason=reason, again_since=back)
    return writer.conclude()


def close(
    history: pd.DataFrame,
    *,
    reason: str,
    sends: pd.DataFrame,
    policy: AlertPolicy,
    now: datetime,
    run_id: str,
) -> Advance:
    """Resolve every incident that is not over, of whatever cause: the source was removed. `history` and `sends` of those."""
    announcer = AlertPlanner(sends, policy, now=now, run_id=run_id)
    log: list[Row] = []
    entries = in_order(history)
    for incident in row_dicts(fold(history)):
        if is_going_on(incident):
            payload = {"sequence": next_sequence(entries, incident["incident_id"]), "resolved_at": now, "resolved_reason": reason}
            payload |= members_of(entry for entry in entries if entry["incident_id"] == incident["incident_id"])
            log.append(log_entry(incident, "resolved", severity=incident["severity"], happened_at=now, run_id=run_id, payload=payload))
            announcer.announce(log[-1], now)
    return announcer.conclude(history, log)
