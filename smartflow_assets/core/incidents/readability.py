"""The incident of a source too many of whose rows cannot be read: one for the whole source, whichever files they are in.

It opens when a file has more of them than its YAML allows, is told again of what changes, and is over when none has. A file that is
so bad that nothing of it is taken fails its run: that is an incident of the step, in `run_failures`.
"""

from datetime import datetime

import pandas as pd

from smartflow_assets.core.anomalies.grouping import anomaly_id
from smartflow_assets.core.incidents.alert_planning import Advance
from smartflow_assets.core.incidents.alert_policy import AlertPolicy
from smartflow_assets.core.incidents.event_log import READABILITY, Row, fold, is_going_on, over_at, row_dicts
from smartflow_assets.core.incidents.incident_writer import IncidentWriter
from smartflow_assets.core.severity import Severity

SEVERITY: Severity = "warning"


def watch(
    history: pd.DataFrame,
    *,
    finding: str,
    calm: str,
    sends: pd.DataFrame,
    source: str,
    policy: AlertPolicy,
    now: datetime,
    run_id: str,
) -> Advance:
    """Bring the incident up to what is held now.

    `history` and `sends`: rows of incident_events and alert_sends of the source's readability incidents. `finding` says in a sentence
    which share of the rows cannot be read and why, empty when it is none worth an incident; `calm` why an incident is then over.
    """
    writer, moment = IncidentWriter(history, sends, policy, now=now, run_id=run_id), pd.Timestamp(now)
    newest = max(row_dicts(fold(history)), key=lambda incident: incident["opened_at"], default=None)
    is_open = newest is not None and is_going_on(newest)

    told: Row = {"last_seen_at": moment, "title": finding, "body": finding}
    if not finding:
        if newest is not None and is_open:
            back = writer.again_since(newest)
            writer.append(newest, "resolved", SEVERITY, resolved_at=now, resolved_reason=calm, again_since=back)
    elif newest is not None and is_open:
        if newest["body"] != finding:
            writer.append(newest, "seen", SEVERITY, **told)
    elif newest is not None and moment - over_at(newest) <= writer.patience(newest):
        writer.append(newest, "reopened", SEVERITY, again_since=moment, **told)
    else:
        identity = anomaly_id(source, "", READABILITY, now)
        incident: Row = {"source": source, "incident_id": identity, "cause": READABILITY, "series": ""}
        writer.append(incident, "opened", SEVERITY, opened_at=moment, anomaly_count=0, **told)
    return writer.conclude()
