"""Remediation: what `remediate:` says is done about what is wrong, each once, in the ledger before and after.

It comes after the incidents, and once more when a run is closed, for those that only then are known: checks that are red, stages that
failed. What is due is decided in `core.remediation`; here are the hands, and the rows of the table `remediations`. A row is written as
planned before anything is done, so that a run which dies in between is seen by the next, which does it once more and says so.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import numpy as np
import pandas as pd

from smartflow_assets.adapters.aggregation import buckets
from smartflow_assets.adapters.sql_quoting import quoted, quoted_column
from smartflow_assets.adapters.warehouse.blocked_loads import accepted_rows
from smartflow_assets.adapters.warehouse.going_on import GOING_ON
from smartflow_assets.adapters.warehouse.tables import raw_table
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.adapters.warehouse.writes import DecideLoad, LookAgain, Rewrite, Write
from smartflow_assets.core.errors import SourceError, is_interrupt
from smartflow_assets.core.incidents.event_log import Row, row_dicts
from smartflow_assets.core.incidents.run_failures import Failure
from smartflow_assets.core.json_value import json_value
from smartflow_assets.core.nearest_name import did_you_mean
from smartflow_assets.core.preparation.cleaning import Remedied
from smartflow_assets.core.remediation.base import BaseAction, Done
from smartflow_assets.core.remediation.due import Due, Past, due, remediation_id
from smartflow_assets.core.remediation.gaps import unusual_gaps
from smartflow_assets.core.remediation.matter import OWN, Matter, kinds_of
from smartflow_assets.core.series.arrivals import HISTORY
from smartflow_assets.core.series.series_id import metric_and_dimensions
from smartflow_assets.core.text_format import lasting
from smartflow_assets.stages import ingestion, preparation
from smartflow_assets.stages.alerting import record_failures, writes_of
from smartflow_assets.stages.contracts import loads_now, row_count
from smartflow_assets.stages.run import SourceRun
from smartflow_assets.stages.scheduling.interventions import interventions
from smartflow_assets.stages.scheduling.training_requests import open_requests, request_training

BY_REMEDY = "remedy"
"""Who decides of a load that a remedy blocks."""
MOST_REPAIRED = 50_000
"""Buckets of a gap that a remedy stands in for: they are cleaned together."""
_BEGINNING = datetime(1, 1, 2, tzinfo=UTC)
_PAST = "SELECT remediation_id, action, status, attempt, happened_at FROM remediations WHERE source = ? AND by_whom IS NULL"
_WRONG = """
SELECT incident_id, cause, series, severity, title, opened_at, last_seen_at FROM incidents
WHERE source = $1 AND group_id IS NULL AND (state <> 'suppressed' OR snoozed_until IS NOT NULL) AND (
    (state <> 'resolved' AND recovered_at IS NULL)
    OR incident_id IN (SELECT incident_id FROM remediations WHERE source = $1 AND status = 'planned')
    OR (last_seen_at >= $2 AND incident_id IN (
        SELECT incident_id FROM incident_events WHERE source = $1 AND event IN ('opened', 'reopened')
        AND run_id NOT IN (SELECT run_id FROM run_log WHERE source = $1 AND status = 'success'))))
ORDER BY opened_at, incident_id
"""
_STRETCHES = """
WITH cells AS (SELECT series, observed_at, value IS NULL AS is_empty,
                      count(value) OVER (PARTITION BY series ORDER BY observed_at) AS place,
                      count(value) OVER (PARTITION BY series) AS last_place
               FROM clean_series WHERE source = $1 AND ($2 = '' OR series = $2))
SELECT series, min(observed_at) AS since, max(observed_at) AS until, count(*) AS n FROM cells
WHERE is_empty AND place > 0 AND place < last_place GROUP BY series, place HAVING max(observed_at) >= $3 AND min(observed_at) < $4
"""
_FAILED = f"""
SELECT own.cause AS own, failed.remediation_id, failed.reason, failed.cause, coalesce(about.state <> 'resolved', FALSE) AS is_open
FROM (SELECT * FROM incidents WHERE {GOING_ON}) AS own
LEFT JOIN remediations AS failed ON failed.source = own.source AND own.cause = $2 || failed.action AND failed.status = 'failed'
    AND failed.by_whom IS NULL AND failed.happened_at >= own.opened_at
LEFT JOIN incidents AS about ON about.incident_id = failed.incident_id
WHERE own.source = $1 AND starts_with(own.cause, $2)
ORDER BY failed.happened_at, failed.remediation_id
"""


@dataclass(frozen=True)
class Remediated:
    """What was done: rows of `remediations` that were written, by status, and the sentences for people."""

    rows: Sequence[Row] = ()

    def count(self, status: str) -> int:
        """How many ended so."""
        return sum(row["status"] == status for row in self.rows)

    @property
    def told(self) -> list[str]:
        """A sentence for each; one that several have in common once."""
        words = {"skipped": "was skipped", "dry": "was not done, a dry run"}
        said = (
            f"{row['action']} {words.get(row['status'], row['status'])}: {row['error'] if row['status'] == 'failed' else row['message']}"
            for row in self.rows
        )
        return list(dict.fromkeys(said))


def remediations(run: SourceRun) -> Remediated:
    """Do what is due about what is wrong with the source now, and end the incidents of remedies that failed and have no purpose any more.
    Nothing is done in a dry run, nor in one of a window of time."""
    if run.is_dry or run.since is not None or run.until is not None:
        return Remediated()
    with run.warehouse.reading():
        matters = list(_matters(run)) if run.source.remediate else []
        found = _due(run, matters) if matters else []
    rows = [_attended(run, each) for each in found]
    _end_failures(run, matters)  # after the attempts: a run speaks of a cause once, and a new failure goes before
    return Remediated(rows)


def due_now(run: SourceRun) -> list[Due]:
    """What would be done now."""
    return _due(run, _matters(run))


def _due(run: SourceRun, matters: Iterable[Matter]) -> list[Due]:
    known = [Past(**row) for row in row_dicts(run.warehouse.read(_PAST, [run.name]))]
    return due(run.source.remediate, matters, known, run.now)


def _end_failures(run: SourceRun, matters: Iterable[Matter]) -> None:
    """Resolve the incident of each remedy that failed where all that it was for is over, or where the YAML does not list it any more: it
    is not tried again, so nothing else would."""
    rows = row_dicts(run.warehouse.read(_FAILED, [run.name, OWN]))
    if not rows:
        return
    labels, gaps = {remedy.do.label for remedy in run.source.remediate}, [matter for matter in matters if matter.cause == "gap"]
    for cause in dict.fromkeys(row["own"] for row in rows):
        label = cause.removeprefix(OWN)
        tried = [row for row in rows if row["own"] == cause]
        open_gaps = {remediation_id(gap, label) for gap in gaps}
        if label not in labels:
            reason = f"{label} is no longer in `remediate`"
        elif any(row["is_open"] or row["remediation_id"] in open_gaps for row in tried):
            continue
        else:
            reasons = dict.fromkeys(row["reason"] for row in tried if row["reason"])
            reason = ": ".join(filter(None, ["what it was for is over", "; ".join(reasons)]))
        step = record_failures(
            run.warehouse, run.name, [], frozenset({cause}), policy=run.source.alert_policy, now=run.now, run_id=run.run_id, because=reason
        )
        if len(step.events):
            run.warehouse.commit(run.run_id, writes_of(step))


def by_hand(run: SourceRun, action: BaseAction, matter: Matter, by_whom: str) -> Row:
    """Do what a person asks for; no limit holds for it. -> the row of `remediations`."""
    return _attended(run, Due(remediation_id(matter, action.label), matter, action, "planned"), by_whom)


def undo(warehouse: Warehouse, row: Mapping[str, Any], *, by_whom: str, now: datetime, run_id: str) -> None:
    """Take back what a remedy lets stand: a pause, a repair of a gap, a run that was asked for."""
    writes: list[Write] = [_written({**row, "undone_at": now, "undone_by": by_whom})]
    if isinstance(row["repair"], str):
        writes.append(LookAgain(row["source"], row["from_at"], row["to_at"]))
    warehouse.commit(run_id, writes)


def undoable(warehouse: Warehouse, source: str, now: datetime) -> list[Row]:
    """The rows of `remediations` that still hold, the newest first."""
    return row_dicts(
        warehouse.read(
            "SELECT * FROM remediations WHERE source = ? AND status = 'done' AND undone_at IS NULL "
            "AND (repair IS NOT NULL OR is_pause AND coalesce(until_at > ?, TRUE)) ORDER BY happened_at DESC, remediation_id",
            [source, now],
        )
    )


def _matters(run: SourceRun) -> Iterator[Matter]:
    """What is wrong: the incidents that people are told of and that are open, or have begun and ended since the last good run; and gaps
    where an entry is for them."""
    wanted = {remedy.when.cause for remedy in run.source.remediate}
    rules = _rules(run) if "rule" in wanted else {}
    for row in row_dicts(run.warehouse.read(_WRONG, [run.name, run.now - run.source.alerts.max_age])):
        yield Matter(
            run.name,
            row["incident_id"],
            kinds_of(row["cause"], rules.get(row["incident_id"], ())),
            row["title"] or row["cause"],
            row["severity"],
            row["opened_at"],
            row["last_seen_at"],
            row["series"] or "",
            metric_and_dimensions(row["series"])[0] if row["series"] else "",
            row["incident_id"],
            row["cause"],
        )
    if "gap" in wanted:
        yield from _gaps(run)


def _rules(run: SourceRun) -> dict[str, list[str]]:
    """The rules that the anomalies of each open incident break."""
    rows = run.warehouse.read(
        """
        SELECT event.incident_id AS incident_id, list(DISTINCT rule) AS rules
        FROM (SELECT incident_id, unnest(anomaly_ids) AS anomaly_id FROM incident_events WHERE source = ? AND cause = 'anomaly') AS event
        JOIN (SELECT anomaly_id, unnest(rules) AS rule FROM anomalies WHERE source = ?) AS broken USING (anomaly_id) GROUP BY ALL
        """,
        [run.name, run.name],
    )
    return {str(name): list(rules) for name, rules in zip(rows["incident_id"], rows["rules"], strict=True)}


def _gaps(run: SourceRun) -> Iterator[Matter]:
    if not run.source.is_bucket_given or not run.warehouse.has_table(raw_table(run.name)):
        return
    plan, time = preparation.bucket_plan(run), quoted_column(run.source.time_column)
    newest = run.warehouse.read(f"SELECT max({time}) AS at FROM {accepted_rows(run.name)} WHERE {time} <= ?", [run.now])["at"].iloc[0]
    if pd.isna(newest):
        return
    bucket = run.source.time_bucket
    filled = buckets.filled(run.warehouse, run.name, plan, newest - HISTORY, newest)
    for gap in unusual_gaps(filled, plan.grid, bucket.gap_limit // bucket.every):
        since, until = (start.to_pydatetime() for start in plan.grid.start(np.array([gap.since, gap.until])))
        local = [run.source.calendar.local([pd.Timestamp(at)])[0] for at in (since, until)]
        title = f"no rows from {local[0]:%a %d %b %H:%M} to {local[1]:%a %d %b %H:%M %Z}, {lasting(until - since)}"
        yield Matter(run.name, f"gap {since.isoformat()}", kinds_of("gap"), title, "warning", since, until, cause="gap")


def _attended(run: SourceRun, wish: Due, by_whom: str | None = None) -> Row:
    """Do it, or say why not. -> the row as it stands then."""
    row = _row(run, wish, by_whom)
    if wish.status != "planned":
        run.warehouse.commit(run.run_id, [_written(row)])
        return row
    run.warehouse.commit(run.run_id, [_written(row)])
    hands = SourceHands(run, row)
    cause = f"{OWN}{wish.action.label}"
    try:
        done = wish.action.carry_out(wish.matter, hands)
    except BaseException as error:  # of another package, perhaps: nothing else stops for it
        if is_interrupt(error):
            raise
        said = " ".join(str(error).split()).removeprefix(f"{run.name}: ") or type(error).__name__
        row |= {"status": "failed", "message": f"{wish.action.label} failed", "error": said}
        failed = Failure(cause, said, "warning", f"{wish.action.label}, a remedy, failed: {said}", _next_step(run, wish))
        failures, succeeded = [] if by_whom else [failed], []  # a person hears it at once
    else:
        texts = {name: json.dumps(json_value(each), ensure_ascii=False) for name, each in (("before", done.before), ("after", done.after))}
        said = f"{done.said} ({wish.why})" if wish.why else done.said
        row |= {**texts, "status": "done" if done.is_done else "skipped", "message": said}
        failures, succeeded = [], [cause] if done.is_done else []
    row["happened_at"] = run.now
    step = record_failures(
        run.warehouse,
        run.name,
        failures,
        frozenset(succeeded),
        policy=run.source.alert_policy,
        now=run.now,
        run_id=run.run_id,
        because=f"{wish.action.label} was done",
    )
    run.warehouse.commit(run.run_id, [_written(row), *hands.replaced, *(writes_of(step) if len(step.events) else [])])
    return row


def _next_step(run: SourceRun, wish: Due) -> str:
    return f"Mend what the error names, then: smartflow remediate {run.name} {wish.action.type}"


def _row(run: SourceRun, wish: Due, by_whom: str | None) -> Row:
    """A row of `remediations`; of one that a run died in, what it had come to."""
    before = row_dicts(run.warehouse.read("SELECT * FROM remediations WHERE remediation_id = ?", [wish.remediation_id]))
    matter = wish.matter
    return {
        **(before[0] if before else {}),
        "source": run.name,
        "remediation_id": wish.remediation_id,
        "incident_id": matter.incident_id or None,
        "cause": matter.cause or None,
        "reason": matter.title,
        "action": wish.action.label,
        "status": wish.status,
        "attempt": wish.attempt,
        "message": wish.why or f"it is about to {wish.action.describe()}",
        "error": wish.why if wish.status == "failed" else None,
        "by_whom": by_whom,
        "happened_at": run.now,
        "run_id": run.run_id,
    }


def _written(row: Mapping[str, Any]) -> Rewrite:
    return Rewrite("remediations", (row["remediation_id"],), pd.DataFrame([row]))


@dataclass
class SourceHands:
    """`core.remediation.base.Hands` for the source of a run. What is to hold from now on goes into the row of the remedy; `replaced` are
    the rows of others that then hold no longer."""

    run: SourceRun
    row: Row
    replaced: list[Write] = field(default_factory=list[Write])
    _quiet: SourceRun = field(init=False)

    def __post_init__(self) -> None:
        self._quiet = replace(self.run, report=lambda stage: None)

    @property
    def source(self) -> str:
        return self.run.name

    @property
    def now(self) -> datetime:
        return self.run.now

    def ask_for_training(self, reason: str) -> Done:
        model = "SELECT max(trained_at) AS at FROM trained_models WHERE source = ? AND status = 'current'"
        if waiting := open_requests(self.run.warehouse, self.source):
            return Done(f"a training was asked for already, at {waiting[-1].requested_at:%Y-%m-%d %H:%M} UTC", is_done=False)
        trained_at = self.run.warehouse.read(model, [self.source])["at"].iloc[0]
        request = request_training(self.source, reason, warehouse=self.run.warehouse, now=self.now, run_id=self.run.run_id)
        return Done(
            f"a training was asked for at {request.requested_at:%Y-%m-%d %H:%M} UTC",
            {"model_trained_at": trained_at},
            {"request_id": request.request_id, "requested_at": request.requested_at},
        )

    def read_anew(self, since: datetime | None) -> Done:
        before = ingestion.stored_rows(self.run.warehouse, self.source)
        read = ingestion.raw_records(replace(self._quiet, reads_anew_from=since or _BEGINNING))
        after = ingestion.stored_rows(self.run.warehouse, self.source)
        span = f"from {since:%Y-%m-%d %H:%M} UTC on" if since else "as a whole"
        said = f"its origin was read anew {span}: {read.new_rows:,} rows are new, {read.removed_count:,} went"
        if read.new_rows or read.removed_count:
            self.row["run_of"], said = self.source, f"{said}; a run that works on them was asked for"
        return Done(said, {"rows": before}, {"rows": after, "new_rows": read.new_rows, "removed_rows": read.removed_count})

    def repair(self, how: Remedied, matter: Matter) -> Done:
        run, grid = self.run, preparation.bucket_plan(self.run).grid
        asked = dict[str, datetime]()
        if pd.isna(self.row.get("from_at")):
            found = run.warehouse.read(_STRETCHES, [self.source, matter.series, matter.since or _BEGINNING, matter.until or run.now])
            if found.empty:
                return Done("no bucket without a value lies between some that have one", is_done=False)
            since, until = found["since"].min().to_pydatetime(), grid.step(found["until"].max(), 1).to_pydatetime()
            if (count := len(grid.numbers(since, until))) > MOST_REPAIRED:
                raise SourceError(
                    f"the gaps have {count:,} buckets, and a remedy stands in for gaps of {MOST_REPAIRED:,} at most",
                    source=self.source,
                    remedy="Name some of them by a time: smartflow remediate … --since … --until …",
                )
            if self.row["by_whom"] and (matter.since or matter.until):  # the part that was named, as the neighbours of the whole gap say
                numbers = grid.numbers(max(since, matter.since or since), min(until, matter.until or until))
                if not len(numbers):
                    return Done("no bucket without a value begins in this time", is_done=False)
                first, end = (at.to_pydatetime() for at in grid.start(np.array([numbers[0], numbers[-1] + 1])))
                asked = {"asked_from": first, "asked_to": end}
                self.row["before"] = json.dumps(json_value(asked))
            self.row |= {"repair": how, "series": matter.series or None, "from_at": since, "to_at": until}
        seen = (self.row["from_at"], self.row["to_at"])
        window = (asked["asked_from"], asked["asked_to"]) if asked else seen
        before = self._empty(*window, matter.series)
        run.warehouse.commit(run.run_id, [_written(self.row), LookAgain(self.source, *seen)])
        preparation.clean_series(self._quiet)
        after = self._empty(*window, matter.series)
        words = "a line between their neighbours" if how == "interpolated" else "the last value before them"
        said = f"{before - after:,} values from {window[0]:%Y-%m-%d %H:%M} to {window[1]:%Y-%m-%d %H:%M} UTC were missing, and are {words}"
        return Done(said, {"missing_values": before, **asked}, {"missing_values": after, "repaired_values": before - after})

    def _empty(self, since: datetime, until: datetime, series: str) -> int:
        sql = "SELECT count(*) AS n FROM clean_series WHERE source = ? AND observed_at >= ? AND observed_at < ? AND value IS NULL"
        bound: list[Any] = [self.source, since, until]
        if series:
            sql, bound = f"{sql} AND series = ?", [*bound, series]
        return int(self.run.warehouse.read(sql, bound)["n"].iloc[0])

    def block_load(self, matter: Matter, reason: str) -> Done:
        run, time = self.run, quoted_column(self.run.source.time_column)
        if not run.warehouse.has_table(raw_table(self.source)):
            return Done("there are no rows yet", is_done=False)
        until = matter.until or run.now + timedelta(microseconds=1)
        loads = run.warehouse.read(
            f"SELECT _run_id AS load_id, count(*) AS n FROM {quoted(raw_table(self.source))} WHERE {time} >= ? AND {time} < ? "
            "GROUP BY _run_id ORDER BY max(_ingested_at) DESC, _run_id DESC LIMIT 1",
            [matter.since or _BEGINNING, until],
        )
        if loads.empty:
            return Done("no row of the time is stored", is_done=False)
        load_id = str(loads["load_id"].iloc[0])
        decided = {load.load_id: load for load in loads_now(run.warehouse, self.source)}
        if (load := decided.get(load_id)) is not None and load.state != "mended" and load.by_whom != BY_REMEDY:
            return Done(f"load {load_id} is {load.state} already, {load.reason}", is_done=False)
        count = row_count(run, load_id)
        decision = DecideLoad(self.source, load_id, "blocked", reason, run.source.time_column, run.now, BY_REMEDY)
        run.warehouse.commit(run.run_id, [decision])
        self.row["run_of"] = self.source
        release = f"smartflow quarantine {self.source} --release --load {load_id}"
        said = f"the {count:,} rows of load {load_id} go no further; `{release}` lets them through"
        return Done(said, {"blocked_rows": 0}, {"blocked_rows": count, "load_id": load_id})

    def pause(self, lasting: timedelta | None) -> Done:
        until, by_whom = None if lasting is None else self.now + lasting, self.row["by_whom"]
        standing = [row for row in undoable(self.run.warehouse, self.source, self.now) if row["is_pause"] is True]
        ends = [None if pd.isna(row["until_at"]) else row["until_at"] for row in standing]
        before = {"is_paused": bool(standing)}
        if by_whom:  # what a person says last is what holds
            self.replaced += [_written({**row, "undone_at": self.now, "undone_by": by_whom}) for row in standing]
        elif any(end is None or (until is not None and end >= until) for end in ends):
            latest = None if None in ends else max(end for end in ends if end is not None)
            return Done(f"its schedule is stopped already, {self._held(latest)}", before, is_done=False)
        said = f"its schedule is stopped {self._held(until)}"
        if by_whom and standing:
            said += ", in the place of " + ("the pause that stood" if len(standing) == 1 else f"the {len(standing)} pauses that stood")
        self.row |= {"is_pause": True, "until_at": until}
        return Done(said, before, {"is_paused": True, "until": until})

    def _held(self, until: datetime | None) -> str:
        return f"until {until:%Y-%m-%d %H:%M} UTC" if until else f"until `smartflow remediate {self.source} --undo pause`"

    def ask_for_run(self, source: str) -> Done:
        if source not in self.run.catalogue.names:
            remedy = did_you_mean(source, self.run.catalogue.names, f"The sources are {', '.join(self.run.catalogue.names)}.")
            raise SourceError(f"there is no source {source} to be run", source=self.source, remedy=remedy)
        if source in interventions(self.run.warehouse, self.now).asked:
            return Done(f"a run of {source} was asked for already, and has not begun", is_done=False)
        last = "SELECT max(started_at) AS at FROM run_log WHERE source = ? AND job = 'monitor_source'"
        last_run_at = self.run.warehouse.read(last, [source])["at"].iloc[0]
        self.row["run_of"] = source
        return Done(f"a run of {source} was asked for", {"last_run_at": last_run_at}, {"run_of": source, "asked_at": self.now})


def known_series(run: SourceRun) -> list[str]:
    """The series that the source has, sorted."""
    return list(run.warehouse.read("SELECT DISTINCT series FROM clean_series WHERE source = ? ORDER BY series", [run.name])["series"])


def wish_of(run: SourceRun, reason: str, since: datetime | None, until: datetime | None, series: str = "") -> Matter:
    """What a person wants done, as actions see it."""
    whole = f"by hand {run.now.isoformat()}"
    return Matter(
        run.name, whole, frozenset(), reason, "info", since, until, series, cast(str, metric_and_dimensions(series)[0]) if series else ""
    )
