"""Incidents of what is watched beside our own runs: opened, ended and told in one commit, once however often a tick reads of it.

They are of no source (`*`), and `config.home` says who is told. What was seen comes from `defs`, which knows Dagster.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

import pandas as pd

from smartflow_assets.adapters.message_stories import of_incidents
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.adapters.warehouse.writes import Write
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.core.incidents.run_failures import Failure, record_run
from smartflow_assets.core.incidents.watched import OF_NO_SOURCE, Matter, matter_of
from smartflow_assets.stages.alerting import writes_of


def open_matters(warehouse: Warehouse) -> dict[str, Matter]:
    """The watched matters that have an incident which is not over, by cause."""
    rows = warehouse.read("SELECT DISTINCT cause FROM incidents WHERE source = ? AND state <> 'resolved'", [OF_NO_SOURCE])
    return {cause: matter for cause in map(str, rows["cause"]) if (matter := matter_of(cause)) is not None}


def recorded_up_to(warehouse: Warehouse, feed: str) -> int:
    """The number of the newest record of a feed of events that an incident tells of; -1 where none does."""
    rows = warehouse.read(
        "SELECT max(CAST(split_part(run_id, ' ', 3) AS BIGINT)) AS number FROM incident_events WHERE source = ? AND starts_with(run_id, ?)",
        [OF_NO_SOURCE, f"watch {feed} "],
    )["number"]
    return -1 if pd.isna(rows.iloc[0]) else int(rows.iloc[0])


def record(
    warehouse: Warehouse, catalogue: Catalogue, failures: Sequence[Failure], ended: Mapping[str, str], *, now: datetime, run_id: str
) -> bool:
    """What was seen: `failures` open or go on, the causes in `ended` are over, each for its reason; a cause in both failed and is over
    again. -> whether anything was written. A `run_id` speaks once of a cause.
    """
    policy = catalogue.alert_policy(OF_NO_SOURCE)
    with warehouse.reading():
        causes = sorted({*(failure.cause for failure in failures), *ended})
        history = warehouse.read("SELECT * FROM incident_events WHERE source = ? AND list_contains(?, cause)", [OF_NO_SOURCE, causes])
        sends = of_incidents(warehouse, "alert_sends", history["incident_id"].unique())
    reasons: dict[str, set[str]] = {}
    for cause, reason in ended.items():
        reasons.setdefault(reason, set()).add(cause)
    writes, steps = list[Write](), [(failures, frozenset[str](), "", run_id)]
    steps += [((), causes_over, reason, f"{run_id} over") for reason, causes_over in reasons.items()]
    for failed, over, because, name in steps:
        step = record_run(history, failed, over, sends=sends, source=OF_NO_SOURCE, policy=policy, now=now, run_id=name, because=because)
        if not step.events.empty:
            writes += writes_of(step)
            history, sends = _joined(history, step.events), _joined(sends, step.sends)
    if writes:
        warehouse.commit(run_id, writes)
    return bool(writes)


def _joined(stored: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    return new if stored.empty else stored if new.empty else pd.concat([stored, new], ignore_index=True)
