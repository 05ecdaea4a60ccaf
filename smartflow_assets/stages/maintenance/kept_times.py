"""From when on the rows of a source have to stay: as long as `retention:` says, and as long as anything looks back on them.

What reads the past, and so holds it:

- a row that comes late is judged anew beside what lies before it: features, rules, the usual range of 28 days, slices of four weeks, bands
  before an incident, series that are waited for (`_context`), and similar incidents of 90 days, for which anomalies stay longer;
- a training looks back by `training.window`, and what holidays and events do is learnt from four years; a first model, categories
  or a model of records that is still waiting for enough rows gets them;
- the model that judges is rebuilt from the rows that it has learnt from;
- an incident that is open, or ended within what is kept, is judged by the rows before it;
- whether a source is late or silent is learnt from loads and rows of the last twelve weeks;
- a window that a step has still to work on.

Two answers may differ from those of a home that keeps all, since they are about all that there ever was: whether a feed that is loaded
less than once a week counts as a recording, and detection_quality, which is measured on the scores that there are.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

import pandas as pd

from smartflow_assets.adapters.aggregation import buckets
from smartflow_assets.adapters.aggregation.buckets import BucketPlan
from smartflow_assets.adapters.aggregation.encoded_columns import stored as stored_encodings
from smartflow_assets.adapters.sql_quoting import quoted, quoted_column
from smartflow_assets.adapters.warehouse.going_on import GOING_ON
from smartflow_assets.adapters.warehouse.tables import raw_table
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.config.retention import NEVER, Retention
from smartflow_assets.config.source import Source
from smartflow_assets.core import rules
from smartflow_assets.core.anomalies import past, recurrence
from smartflow_assets.core.incidents import recovery
from smartflow_assets.core.incidents.event_log import OF_SERIES
from smartflow_assets.core.preparation import cleaning, features
from smartflow_assets.core.series.arrivals import HISTORY
from smartflow_assets.core.series.lifetimes import Waiting
from smartflow_assets.core.series.series_id import series_id
from smartflow_assets.core.temporal.time_grid import TimeGrid
from smartflow_assets.stages import slices
from smartflow_assets.stages.model_ledger import learnt_from_on
from smartflow_assets.stages.training_rows import YEARS

_UPSTREAM = {  # of the steps that every source has
    "clean_series": ("raw",),
    "rule_violations": ("clean_series",),
    "anomaly_scores": ("clean_series",),
    "anomalies": ("anomaly_scores", "rule_violations", "record_scores", "profile_series"),
    "incidents": ("anomalies",),
}


@dataclass(frozen=True)
class KeptFrom:
    """From when on rows stay, by the key of `retention:` (None: all stay). `raw` is for the rows as they were read, `by_clock` for
    what is dated by the clock. `held_by`: what keeps rows longer than was asked, in words."""

    raw: datetime | None = None
    scores: datetime | None = None
    incidents: datetime | None = None
    ledgers: datetime | None = None
    looks: datetime | None = None
    quarantine: datetime | None = None
    held_by: str = ""

    def times(self) -> dict[str, datetime]:
        """The times there are, by name."""
        named = {name: getattr(self, name) for name in ("raw", "scores", "incidents", "ledgers", "looks", "quarantine")}
        return {name: at for name, at in named.items() if at is not None}

    def of_table(self, key: str) -> datetime | None:
        """From when on the rows of a table stay that is kept as `key`; the one that is kept as raw rows are holds those in quarantine."""
        return self.quarantine if key == "raw" else getattr(self, key)


class _Holder(NamedTuple):
    """What needs the rows from a time on, and how that is told."""

    since: datetime
    reason: str


def kept_from(warehouse: Warehouse, source: Source, ages: Retention, now: datetime) -> KeptFrom:
    """From when on the rows of a source, which has its bucket where rows tell one, have to stay at the clock `now`."""
    clocked = of_the_clock(ages, now)
    if not source.is_bucket_given or not warehouse.has_table(raw_table(source.name)):
        return clocked
    with warehouse.reading():
        newest = _newest_settled(warehouse, source, now)
        if newest is None or ages.raw == NEVER:
            return clocked
        context = _context(source)
        asked = newest - max(ages.raw, HISTORY, source.training.window) - context
        held = min(_holders(warehouse, source, newest, newest - ages.raw, context, now), default=None)
    grid = TimeGrid(source.time_bucket.every, source.calendar)
    raw = _floor(grid, min(asked, held.since) if held else asked)
    scores = None if ages.scores == NEVER else min(raw, _floor(grid, newest - ages.scores))
    similar = raw - recurrence.LOOKBACK
    return KeptFrom(
        raw=raw,
        scores=scores,
        incidents=None if ages.incidents == NEVER else min(similar, newest - ages.incidents),
        ledgers=clocked.ledgers,
        looks=clocked.looks,
        quarantine=clocked.quarantine,
        held_by=held.reason if held is not None and held.since < asked else "",
    )


def of_the_clock(ages: Retention, now: datetime) -> KeptFrom:
    """From when on stays what is dated by the clock."""
    ledgers, looks, quarantine = (None if age == NEVER else now - age for age in (ages.ledgers, ages.looks, ages.raw))
    return KeptFrom(ledgers=ledgers, looks=looks, quarantine=quarantine)


def of_no_source(ages: Retention, now: datetime) -> KeptFrom:
    """From when on stays what is of no source: its incidents have no rows to count back from, so they go by the clock too."""
    return replace(of_the_clock(ages, now), incidents=None if ages.incidents == NEVER else now - ages.incidents)


def series_without_rows(warehouse: Warehouse, source: Source, since: datetime) -> tuple[str, ...]:
    """The series all of whose raw rows are older. They are over, and cleaning would wait for them if their clean rows stayed."""
    plan = BucketPlan(
        time_column=source.time_column, every=source.time_bucket.every, metrics=source.metric_columns, dimensions=source.dimensions
    )
    found: list[str] = []
    for dimensions, metrics in plan.by_dimensions(buckets.metrics_of(warehouse, source.name, plan)).items():
        if dimensions:
            keys = ", ".join(f"{buckets.dimension_text(name)} AS d{k}" for k, name in enumerate(dimensions))
            gone = warehouse.read(
                f"SELECT {keys} FROM {quoted(raw_table(source.name))} GROUP BY ALL HAVING max({quoted_column(source.time_column)}) < ?",
                [since],
            )
            named = [dict(zip(dimensions, values, strict=True)) for values in gone.itertuples(index=False, name=None)]
            found += [series_id(metric.name, each) for metric in metrics for each in named]
    return tuple(found)


def _newest_settled(warehouse: Warehouse, source: Source, now: datetime) -> datetime | None:
    """The newest bucket before which every step has done its work; None where nothing was cleaned yet. Not later than the clock: one row of
    a wrong clock must not make all others old."""
    found = warehouse.read(
        "SELECT (SELECT max(observed_at) FROM clean_series WHERE source = $1) AS clean_at, "
        "(SELECT max(observed_at) FROM anomaly_scores WHERE source = $1 AND state = 'scored') AS scored_at",
        [source.name],
    ).iloc[0]
    if pd.isna(found["clean_at"]):
        return None
    upstream = {"raw": raw_table(source.name)}
    steps = dict(_UPSTREAM) | ({"record_scores": ("raw",)} if source.records else {})
    steps |= {} if source.profile == "off" else {"profile_series": ("raw",)}
    pending = [
        windows[0].from_at
        for table, tables in steps.items()
        if (windows := warehouse.pending(source.name, table, [upstream.get(name, name) for name in tables]))
    ]
    known = [at for at in (found["clean_at"], found["scored_at"], *pending) if not pd.isna(at)]
    return min([*(pd.Timestamp(at).to_pydatetime() for at in known), now])


def _context(source: Source) -> timedelta:
    """How far before a row the rows lie by which it is judged."""
    bucket, step = source.time_bucket, source.time_bucket.every
    reach = cleaning.reach(bucket)
    waiting = Waiting.of(step, reach - 1, source.retire_after)
    looking_back = max(
        features.lookback(step),
        rules.lookback(source.all_rules, step),
        past.RECORD_WINDOW,
        slices.LONGEST + max(slices.BEFORE * slices.WEEK, slices.BEFORE * step),
        recovery.lookback(step),
        waiting.most * step,
    )
    policy = source.alerts
    return looking_back + policy.resolve_after + policy.longest_patience + (cleaning.past(bucket, source.treatments) + 2 * reach) * step


def _holders(warehouse: Warehouse, source: Source, newest: datetime, asked: datetime, context: timedelta, now: datetime) -> list[_Holder]:
    """What needs rows, each with the time from which on. `asked`: from when on results are to stand."""
    holders: list[_Holder] = []
    if source.calendar.has_special_days:
        holders.append(_Holder(newest - YEARS, "what holidays and events do is learnt from four years"))
    if waiting := _waits_for(warehouse, source):
        holders.append(_Holder(newest - YEARS, f"{waiting} still waits for enough rows"))
    if (first := learnt_from_on(warehouse, source.name)) is not None:
        holders.append(_Holder(first - context, f"a current model has learnt from {first:%Y-%m-%d} on"))
    learnt = warehouse.read("SELECT arg_max(learnt_from, learnt_to) AS at FROM record_models WHERE source = ?", [source.name])["at"].iloc[0]
    if source.records and not pd.isna(learnt):
        holders.append(_Holder(learnt.to_pydatetime() - context, f"the model of records has learnt from {learnt:%Y-%m-%d} on"))
    opened = warehouse.read(
        f"SELECT min(opened_at) AS at, min(opened_at) FILTER (WHERE {GOING_ON}) AS open_at FROM incidents "
        f"WHERE source = ? AND cause IN {OF_SERIES} AND ({GOING_ON} OR greatest(resolved_at, last_seen_at) >= ?)",
        [source.name, asked],
    ).iloc[0]
    if not pd.isna(opened["at"]):
        is_open = not pd.isna(opened["open_at"]) and opened["open_at"] == opened["at"]
        reason = f"an incident is open since {opened['at']:%Y-%m-%d}" if is_open else f"an incident began on {opened['at']:%Y-%m-%d}"
        holders.append(_Holder(opened["at"].to_pydatetime() - context, reason))
    time = quoted_column(source.time_column)
    came = warehouse.read(f"SELECT min({time}) AS at FROM {quoted(raw_table(source.name))} WHERE _ingested_at > ?", [now - HISTORY])["at"]
    if not pd.isna(came.iloc[0]):
        holders.append(_Holder(came.iloc[0].to_pydatetime(), f"rows from {came.iloc[0]:%Y-%m-%d} on came within the last 12 weeks"))
    return holders


def _waits_for(warehouse: Warehouse, source: Source) -> str:
    """What has not been learnt yet and may need all rows; nothing where all is."""
    scored = warehouse.read("SELECT count(*) AS n FROM anomaly_scores WHERE source = ? AND state = 'scored'", [source.name])["n"].iloc[0]
    if not scored:
        return "the first model"
    if source.encode and not stored_encodings(warehouse, source.name):
        return "encode"
    learnt = "SELECT count(*) AS n FROM record_models WHERE source = ?"
    return "the first model of records" if source.records and not warehouse.read(learnt, [source.name])["n"].iloc[0] else ""


def _floor(grid: TimeGrid, moment: datetime) -> datetime:
    """The start of the bucket: one whose rows had gone in part would have another value when a late row comes."""
    return grid.floor(pd.Timestamp(moment)).tz_convert("UTC").to_pydatetime()
