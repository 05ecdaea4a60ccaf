"""Records: how strange each row of a source is by itself, for sources whose YAML says `records:`.

What raw rows were added, changed or taken away is judged again, bucket by bucket, once the bucket is closed; the verdict on a
record is a function of the record and of the model at its time. Only strange records are kept, each as it was read, and a count
for each bucket, which `anomalies` takes as a series: strange records of a bucket are one anomaly, and open one incident.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from smartflow_assets.adapters.aggregation import encoded_columns
from smartflow_assets.adapters.warehouse.tables import raw_table
from smartflow_assets.adapters.warehouse.writes import Replace
from smartflow_assets.core.detection.verdicts import severity_of
from smartflow_assets.core.records import Records, surprise_threshold_for
from smartflow_assets.core.records.buckets import of_bucket
from smartflow_assets.core.records.explanation import explain_records
from smartflow_assets.core.reports import series_plot
from smartflow_assets.core.series.series_id import RECORDS_METRIC
from smartflow_assets.core.series.surprise import to_anomaly_score
from smartflow_assets.core.temporal.time_grid import TimeGrid
from smartflow_assets.stages.encoding import encoded_records
from smartflow_assets.stages.preparation import closed_end
from smartflow_assets.stages.record_models import RecordModels, StoredRecordModel
from smartflow_assets.stages.run import SourceRun
from smartflow_assets.stages.windows import Window, batches, leave_pending, merged, pending_windows, split, table_rows

SHOWN = 10
TABLES = ("record_scores", "record_anomalies")


@dataclass(frozen=True)
class JudgedRecords:
    """What `record_anomalies` did; `strangest` are the ten strangest records of this run."""

    judged_count: int
    anomalous_count: int
    strangest: pd.DataFrame
    summary: str
    table_rows: int

    @property
    def anomaly_rate(self) -> float | None:
        """Share of the judged records that are anomalous."""
        return self.anomalous_count / self.judged_count if self.judged_count else None


def record_anomalies(run: SourceRun) -> JudgedRecords:
    """Judge the records of all buckets whose raw rows have changed; learn the models that are due on the way."""
    run.report("record_anomalies")
    settings = run.source.records
    if settings is None:
        with run.warehouse.reading():
            _forget(run)
            return _nothing(run, "single records are not judged: `records:` in the YAML asks for it")
    if not run.warehouse.has_table(raw_table(run.name)) or not run.source.is_bucket_given:
        return _nothing(run, "there are no rows yet")
    if not _has_categories(run):
        return _nothing(run, "the categories of encode are not learnt yet")
    models, end = RecordModels(run, settings), closed_end(run)
    first = models.first_end()
    if first is None or first > end:
        return _nothing(run, "too little history: a week and 1,000 rows are needed")
    scoring = _RecordScoring(run, settings, models, end)
    scoring.go(first)
    learnt = "".join(f"; learnt from {each.row_count:,} rows up to {each.learnt_to:%Y-%m-%d %H:%M}" for each in models.learnt)
    learnt += f" ({models.unusable})" if models.unusable else ""
    return JudgedRecords(
        scoring.judged_count,
        scoring.anomalous_count,
        scoring.strangest,
        f"{scoring.judged_count:,} records judged, {scoring.anomalous_count:,} strange" + learnt,
        table_rows(run, "record_anomalies"),
    )


def learn_records_anew(run: SourceRun) -> str:
    """A training on demand: a model of the newest judged rows, for what comes after them. What was done, in words."""
    if run.source.records is None or not run.is_retraining or (judged_to := _judged_to(run)) is None:
        return ""
    learnt = RecordModels(run, run.source.records).learn(judged_to)
    return f"; records: learnt from {learnt.row_count:,} rows" if learnt else "; records: too few rows"


class _RecordScoring:
    """One run's scoring of records, window by window in the order of time."""

    def __init__(self, run: SourceRun, settings: Records, models: RecordModels, end: datetime) -> None:
        self._run, self._settings, self._models, self._end = run, settings, models, end
        self._grid = TimeGrid(run.source.time_bucket.every, run.source.calendar)
        self._time_column = run.source.time_column
        self.judged_count = self.anomalous_count = 0
        self.strangest = pd.DataFrame()

    def go(self, first: datetime) -> None:
        """Judge what is pending and closed; rows before `first` are those that the first model has learnt from."""
        run, pending = self._run, pending_windows(self._run, TABLES[0], [raw_table(self._run.name)])
        whole = merged((self._grid.floor(start), self._grid.step(_last(until), 1)) for start, until in pending)
        due, later = split(whole, self._end)
        if not due:
            return
        if self._models.is_empty and (judged_to := _judged_to(run)) is not None:
            self._models.learn(judged_to)  # the configuration has changed: what was judged stands, and is learnt from
        for batch, rest in self._batches(due):
            model = None if batch[0][0] < first else self._models.at(batch[0][0])
            found = [(window, *(_empty() if model is None else self._judge(window, model))) for window in batch]
            writes: list[Any] = [*leave_pending(run, TABLES[0], [*rest, *later])]
            for window, scores, anomalies in found:
                writes.append(Replace(TABLES[0], run.name, scores, *window, is_empty_allowed=True))
                writes.append(Replace(TABLES[1], run.name, anomalies, *window, is_empty_allowed=True))
                self.judged_count += int(scores["record_count"].sum())
                self.anomalous_count += len(anomalies)
                self.strangest = pd.concat([self.strangest, anomalies], ignore_index=True)
            if len(self.strangest):
                self.strangest = self.strangest.nlargest(SHOWN, "raw_score")
            run.warehouse.commit(run.run_id, writes)

    def _batches(self, due: list[Window]) -> Iterator[tuple[list[Window], list[Window]]]:
        """Like `batches`, and split where another model begins to judge."""
        while due:
            start = due[0][0]
            self._learn_until(start)
            change = min((end for end in self._models.ends() if end > start), default=None)
            now, after = split(due, change) if change is not None else (due, [])
            for batch, rest in batches(self._run, now):
                yield batch, [*rest, *after]
            due = after

    def _learn_until(self, moment: datetime) -> None:
        """Learn the models whose rows end at or before a moment, in their order."""
        while (end := self._models.next_end()) is not None and end <= moment:
            if self._models.learn(end) is None:
                return

    def _judge(self, window: Window, stored: StoredRecordModel) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Rows of record_scores and of record_anomalies of one window."""
        model = stored.model
        surprise_threshold = surprise_threshold_for(model.rows_per_day, self._settings.false_alerts)
        buckets, strange = [], []
        for frame in encoded_records(self._run, *window):
            surprise = model.surprise(frame)
            bucket = self._grid.start(self._grid.number(frame["happened_at"]))
            buckets.append(pd.DataFrame({"observed_at": bucket, "surprise": surprise, "is_strange": surprise >= surprise_threshold}))
            if (is_strange := surprise >= surprise_threshold).any():
                strange.append(
                    self._explained(frame[is_strange].reset_index(drop=True), surprise[is_strange], stored, surprise_threshold, window)
                )
        if not buckets:
            return _empty()
        anomalies = pd.concat(strange, ignore_index=True) if strange else _empty()[1]
        return self._scores(pd.concat(buckets, ignore_index=True), anomalies, stored, surprise_threshold), anomalies

    def _explained(
        self, frame: pd.DataFrame, surprise: np.ndarray, stored: StoredRecordModel, surprise_threshold: float, window: Window
    ) -> pd.DataFrame:
        model, score_threshold = stored.model, to_anomaly_score(surprise_threshold)
        parts = model.contributions(frame)
        read = encoded_columns.rows_as_read(self._run.warehouse, self._run.name, self._time_column, *window, frame)
        by_key = {(row.pop("_origin"), row.pop("_row")): row for row in read.to_dict("records")}
        as_read = [
            {str(name): value for name, value in by_key.get(key, {}).items()} for key in zip(frame["_origin"], frame["_row"], strict=True)
        ]
        shares = [
            {str(name): float(share) for name, share in row.sort_values(ascending=False, kind="stable").items() if share > 0}
            for _, row in parts.iterrows()
        ]
        return pd.DataFrame(
            {
                "source": self._run.name,
                "observed_at": frame["happened_at"],
                "_origin": frame["_origin"],
                "_row": frame["_row"],
                "raw_score": surprise,
                "anomaly_score": to_anomaly_score(surprise),
                "threshold": score_threshold,
                "severity": [severity_of(each, score_threshold) for each in surprise],
                "contributions": [{name.removesuffix("__ordinal"): share for name, share in own.items()} for own in shares],
                "explanation": explain_records(model.columns, frame, as_read, shares),
                "record": as_read,
                "model_id": stored.model_id,
                "run_id": self._run.run_id,
            }
        )

    def _scores(self, rows: pd.DataFrame, anomalies: pd.DataFrame, stored: StoredRecordModel, surprise_threshold: float) -> pd.DataFrame:
        """One row for each bucket that has records."""
        counted = (
            rows.groupby("observed_at")
            .agg(record_count=("surprise", "size"), anomalous_count=("is_strange", "sum"), raw_score=("surprise", "max"))
            .reset_index()
        )
        counted = counted.assign(
            source=self._run.name,
            threshold=to_anomaly_score(surprise_threshold),
            anomaly_score=to_anomaly_score(counted["raw_score"].to_numpy(float)),
            model_id=stored.model_id,
            severity=None,
            contributions=None,
            explanation=None,
        )
        if anomalies.empty:
            return counted
        bucket = self._grid.start(self._grid.number(anomalies["observed_at"]))
        by_bucket = dict(list(anomalies.groupby(bucket)))
        said = [of_bucket(by_bucket.get(at)) for at in counted["observed_at"]]
        for name in ("severity", "contributions", "explanation"):
            values = np.full(len(counted), None, dtype=object)
            for at, facts in enumerate(said):
                values[at] = facts.get(name)
            counted[name] = values
        return counted


def bucket_verdicts(run: SourceRun, since: datetime, until: datetime) -> pd.DataFrame:
    """The buckets of [since, until) in which records were judged, as rows of anomaly_scores of the series `records`, whose value is
    how many are strange; with `contributions` by column and `explanation`. A bucket without strange ones has no score: of a hundred
    thousand usual records the strangest is always near the threshold, and its bucket is calm all the same."""
    rows = run.warehouse.read(
        "SELECT * EXCLUDE (source) FROM record_scores WHERE source = ? AND observed_at >= ? AND observed_at < ?", [run.name, since, until]
    )
    nothing = dict.fromkeys(("expected", "lower", "upper"), np.nan)
    dimensions = np.full(len(rows), None, dtype=object)
    dimensions[:] = [{}] * len(rows)
    is_strange = rows["anomalous_count"] > 0
    scores = {name: rows[name].where(is_strange) for name in ("raw_score", "anomaly_score")}
    return rows.assign(
        series=RECORDS_METRIC,
        metric=RECORDS_METRIC,
        dimensions=dimensions,
        value=rows["anomalous_count"].astype(float),
        **nothing,
        **scores,
        is_anomaly=is_strange,
        state="scored",
    )


def _judged_to(run: SourceRun) -> datetime | None:
    """The end of the newest bucket whose records were judged."""
    newest = run.warehouse.read("SELECT max(observed_at) AS at FROM record_scores WHERE source = ?", [run.name])["at"].iloc[0]
    return None if pd.isna(newest) else TimeGrid(run.source.time_bucket.every, run.source.calendar).step(newest, 1)


def _has_categories(run: SourceRun) -> bool:
    return {each.column: each.encoding for each in encoded_columns.stored(run.warehouse, run.name)} == run.source.encode


def _forget(run: SourceRun) -> None:
    """What was found while `records:` stood in the YAML goes, so that its incidents end."""
    extent = run.warehouse.read(
        "SELECT min(observed_at) AS first, max(observed_at) AS last FROM record_scores WHERE source = ?", [run.name]
    )
    if not pd.isna(extent["first"].iloc[0]):
        window = extent["first"].iloc[0], extent["last"].iloc[0] + run.source.time_bucket.every
        run.warehouse.commit(run.run_id, [Replace(name, run.name, pd.DataFrame(), *window, is_empty_allowed=True) for name in TABLES])


def _nothing(run: SourceRun, why: str) -> JudgedRecords:
    return JudgedRecords(0, 0, pd.DataFrame(), why, table_rows(run, "record_anomalies"))


def _empty() -> tuple[pd.DataFrame, pd.DataFrame]:
    return pd.DataFrame({"record_count": []}), pd.DataFrame({"raw_score": []})


def _last(until: datetime) -> datetime:
    """The last moment of a window whose end is not included."""
    return pd.Timestamp(until) - pd.Timedelta(1, "us")


def record_picture(run: SourceRun) -> bytes | None:
    """How many records were strange, bucket by bucket, in the last days."""
    newest = _judged_to(run)
    if newest is None:
        return None
    shown = bucket_verdicts(run, newest - 200 * run.source.time_bucket.every, newest)
    return series_plot.series_plot(
        shown.assign(severity=shown["severity"].fillna("info")),
        shown[shown["is_anomaly"]],
        title=f"{run.name}: strange records",
        timezone=run.source.calendar.timezone,
    )
