"""Quality: how well a source's labelled anomalies were found by what it flagged, for sources that have labels, and what share of the
incidents that people have judged was right.

Measured once for each content of the labels, when new scores lie in a labelled interval, and else once for each day of new
scores: a source that runs each five minutes is not measured each five minutes. Series are read in batches, so that memory is
bounded however long the history is. What people say is counted when they have said more, whatever the clock.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pandas as pd

from smartflow_assets.adapters.files.labels import read_labels
from smartflow_assets.adapters.warehouse.writes import Append, MarkProcessed, Write
from smartflow_assets.core.evaluation.metrics import LATE_ROWS, Quality, quality
from smartflow_assets.core.incidents.event_log import row_dicts
from smartflow_assets.core.reports.quality_plot import quality_plot
from smartflow_assets.stages.feedback_effects import MEASURED, Counted, counted
from smartflow_assets.stages.run import SourceRun
from smartflow_assets.stages.windows import BATCH_ROWS, Window, pending_windows, table_rows

ALL = "*"
RESTED = timedelta(days=1)  # so much of new scores, none of them labelled, is measured together
VERDICTS = """
SELECT score.series AS series, score.observed_at AS observed_at, score.raw_score AS raw_score,
       coalesce(score.is_anomaly, FALSE) OR broken.observed_at IS NOT NULL AS is_anomaly
FROM anomaly_scores AS score
LEFT JOIN (SELECT DISTINCT series, observed_at FROM rule_violations WHERE source = ?) AS broken USING (series, observed_at)
WHERE score.source = ? AND score.state <> 'warming_up' AND list_contains(?, score.series) AND score.observed_at >= ?
"""
EVER = datetime(1, 1, 2, tzinfo=UTC)


@dataclass(frozen=True)
class Measured:
    """What `detection_quality` did; `quality` is None when there was nothing to measure, and `summary` says why. `draw` makes the
    picture of its curves; `feedback` is what people have said, as it stands."""

    quality: Quality | None
    summary: str
    table_rows: int
    draw: Callable[[], bytes | None] = lambda: None
    feedback: Counted | None = None


def detection_quality(run: SourceRun) -> Measured:
    """Measure the source against its labels, where these or its scores have changed, and by what people say, where they have said more."""
    run.report("detection_quality")
    said = _count_feedback(run)
    found = _by_labels(run)
    return replace(found, feedback=said, table_rows=table_rows(run, "detection_quality")) if said else found


def _count_feedback(run: SourceRun) -> Counted | None:
    """What people have said, written down where that is news."""
    with run.warehouse.reading():
        found = counted(run)
        before = row_dicts(
            run.warehouse.read(
                "SELECT to_at, true_positives, false_positives, measured_at FROM detection_quality "
                "WHERE source = ? AND evidence = 'feedback' ORDER BY measured_at DESC LIMIT 1",
                [run.name],
            )
        )
    standing = (found.to_at, found.true_positives, found.false_positives) if found else (None, 0, 0)
    known = tuple(before[0][name] for name in ("to_at", "true_positives", "false_positives")) if before else (None, 0, 0)
    if standing == known:
        return found
    measured_at = max([pd.Timestamp(run.now), *(row["measured_at"] + timedelta(microseconds=1) for row in before)])
    row = {"source": run.name, "series": ALL, "evidence": "feedback", "measured_at": measured_at, "run_id": run.run_id}
    row |= {"to_at": standing[0], "true_positives": standing[1], "false_positives": standing[2]}
    row |= {"from_at": found.to_at - MEASURED, "precision": found.precision} if found else {}
    run.warehouse.commit(run.run_id, [Append("detection_quality", pd.DataFrame([row]))])
    return found


def _by_labels(run: SourceRun) -> Measured:
    if run.source.labels is None:
        return Measured(None, "no labels, so nothing is measured: `labels:` in the YAML names a file of known anomalies", 0)
    labels = known_labels(run)
    labels_hash = hashlib.sha256(labels.to_csv(index=False).encode()).hexdigest()[:16]
    with run.warehouse.reading():
        pending = pending_windows(run, "detection_quality", ["anomaly_scores", "rule_violations"])
        measured_hash, measured_at = _last(run)
    if labels_hash == measured_hash and not _is_due(pending, labels, run.source.time_bucket.every):
        return Measured(None, "neither the labels nor the scores of a day have changed", table_rows(run, "detection_quality"))
    found, draw = measured(run, labels)
    if not found.series:
        return Measured(None, "no bucket has been judged yet", table_rows(run, "detection_quality"))
    _warn_of_strangers(run, labels)
    now = pd.Timestamp(run.now) if measured_at is None else max(pd.Timestamp(run.now), measured_at + timedelta(microseconds=1))
    writes: list[Write] = [Append("detection_quality", _rows(run, found).assign(measured_at=now, labels_hash=labels_hash))]
    if pending:
        writes.append(MarkProcessed("detection_quality", run.name, pending[0][0], pending[-1][1]))
    run.warehouse.commit(run.run_id, writes)
    events = found.events
    summary = (
        f"{events.hits} of {found.label_count} labelled intervals found, {events.false_alerts} false alerts in {found.days:.0f} series-days"
    )
    return Measured(found, summary, table_rows(run, "detection_quality"), draw)


def known_labels(run: SourceRun) -> pd.DataFrame:
    """series, started_at and ended_at of what is known to be anomalous. SourceError when the file cannot be used."""
    return read_labels(run.settings.data / str(run.source.labels), run.name).sort_values(["series", "started_at"], ignore_index=True)


def _judged_series(run: SourceRun) -> pd.DataFrame:
    """series and row_count of what has been judged."""
    return run.warehouse.read(
        "SELECT series, count(*) AS row_count FROM anomaly_scores WHERE source = ? AND state <> 'warming_up' "
        "GROUP BY series ORDER BY series",
        [run.name],
    )


def measured(run: SourceRun, labels: pd.DataFrame, since: datetime = EVER) -> tuple[Quality, Callable[[], bytes | None]]:
    """The figures of all series, and what draws the curves of the first batch that has labelled ones; of the rows from `since` on."""
    parts, shown, step = [], pd.DataFrame(), run.source.time_bucket.every
    for names in _batches(_judged_series(run)):
        rows = run.warehouse.read(VERDICTS, [run.name, run.name, names, since])
        parts += quality(rows, labels, step=step).series
        if shown.empty and rows["series"].isin(labels["series"]).any():
            shown = rows
    title = f"{run.name}: how scores rank the labelled buckets"
    return Quality(tuple(parts)), lambda: None if shown.empty else quality_plot(shown, labels, title=title)


def _batches(series: pd.DataFrame) -> Iterable[list[str]]:
    """Names of series whose rows fit into memory together."""
    number = (series["row_count"].cumsum() - 1) // BATCH_ROWS
    return (list(names) for _, names in series.groupby(number)["series"])


def _is_due(pending: Sequence[Window], labels: pd.DataFrame, step: timedelta) -> bool:
    """Whether what was scored since is worth a measure."""
    if sum((end - start for start, end in pending), timedelta(0)) >= RESTED:
        return True
    return any(((labels["started_at"] < end) & (labels["ended_at"] + (1 + LATE_ROWS) * step > start)).any() for start, end in pending)


def _last(run: SourceRun) -> tuple[str | None, pd.Timestamp | None]:
    """Which labels were measured last, and when; a replay has an earlier clock, and its measure is the newest all the same."""
    rows = run.warehouse.read(
        "SELECT labels_hash, measured_at FROM detection_quality WHERE source = ? AND evidence = 'labels' ORDER BY measured_at DESC LIMIT 1",
        [run.name],
    )
    return (None, None) if rows.empty else (str(rows["labels_hash"].iloc[0]), pd.Timestamp(rows["measured_at"].iloc[0]))


def _warn_of_strangers(run: SourceRun, labels: pd.DataFrame) -> None:
    """A label of a series that there is not is most likely misspelt."""
    known = run.warehouse.read("SELECT DISTINCT series FROM clean_series WHERE source = ?", [run.name])["series"]
    if strangers := sorted(set(labels["series"]) - set(known)):
        more = f" and {len(strangers) - 3} more" if len(strangers) > 3 else ""
        run.warn(
            f"{run.source.labels} labels {', '.join(strangers[:3])}{more}, which this source does not have; "
            '`smartflow sql "SELECT DISTINCT series FROM clean_series"` lists what it has'
        )


def _rows(run: SourceRun, found: Quality) -> pd.DataFrame:
    """Rows of the table: one for all series together, and one for each that has labels."""
    labelled = [Quality((each,)) for each in found.series if each.events.hits + each.events.misses]
    return pd.DataFrame(
        [
            {"source": run.name, "series": name, "evidence": "labels", "run_id": run.run_id} | figures(part)
            for name, part in [(ALL, found), *((part.series[0].series, part) for part in labelled)]
        ]
    )


def figures(found: Quality) -> dict[str, float | int | datetime | None]:
    """The measures by the names of their columns."""
    return {
        "from_at": min(each.from_at for each in found.series),
        "to_at": max(each.to_at for each in found.series),
        "precision": found.events.precision,
        "recall": found.events.recall,
        "f1": found.events.f1,
        "point_precision": found.points.precision,
        "point_recall": found.points.recall,
        "point_f1": found.points.f1,
        "roc_auc": found.roc_auc,
        "pr_auc": found.pr_auc,
        "delay_seconds": found.delay_seconds,
        "false_alerts_per_day": found.false_alerts_per_day,
        "label_count": found.label_count,
    }
