"""Which model judges which records: learnt at moments that the data give, so that runs that split the time otherwise learn the same.

The first is learnt from the first rows (a week, at least 36 buckets, 1,000 rows and what `encode` learns from), which are then
not judged. The next comes when the history is twice as long, and later once in each `training.window`; a training on demand
or by `training.every` adds one more at the newest judged row. A record is judged by the newest model whose rows end before it.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd

from smartflow_assets.adapters.aggregation import encoded_columns
from smartflow_assets.adapters.aggregation.buckets import require_raw_columns
from smartflow_assets.adapters.model_store import ModelStore
from smartflow_assets.adapters.sql_quoting import quoted_column
from smartflow_assets.adapters.warehouse.blocked_loads import accepted_rows
from smartflow_assets.adapters.warehouse.retention import KEPT_RECORD_MODELS as KEPT_MODELS
from smartflow_assets.adapters.warehouse.writes import Append
from smartflow_assets.core.errors import ModelError, SourceError
from smartflow_assets.core.model_parts import ModelParts
from smartflow_assets.core.preparation.category_encoding import LearntEncoding
from smartflow_assets.core.records import LEAST_ROWS, Records
from smartflow_assets.core.records.model import RecordModel, learn_records
from smartflow_assets.core.series.learning_policy import is_new_normal
from smartflow_assets.core.temporal.time_grid import TimeGrid
from smartflow_assets.stages.encoding import LEAST_BUCKETS, LEAST_TIME, encoded_records
from smartflow_assets.stages.model_ledger import UNUSABLE
from smartflow_assets.stages.run import SourceRun

TRAINING_ROWS = 50_000
"""Rows of a training; where a window has more, about so many of them, chosen by their hashes."""


@dataclass(frozen=True)
class StoredRecordModel:
    """A model and the rows that it has learnt from."""

    model_id: str
    learnt_from: pd.Timestamp
    learnt_to: pd.Timestamp
    row_count: int
    model: RecordModel


class RecordModels:
    """The models of a source's records, as they stand under its configuration and as they come to be."""

    def __init__(self, run: SourceRun, settings: Records) -> None:
        self._run, self._settings = run, settings
        self._grid = TimeGrid(run.source.time_bucket.every, run.source.calendar)
        self._numeric, self._encodings = _chosen(run, settings)
        self._fingerprint = _fingerprint(run, settings, self._numeric, self._encodings)
        self._loaded: dict[str, StoredRecordModel] = {}
        self.learnt: list[StoredRecordModel] = []
        """Those of this run."""
        self.unusable = ""
        """Why a stored model was learnt anew, if one was."""

    def first_end(self) -> pd.Timestamp | None:
        """The end of the rows that the first model learns from, which are never judged; None as long as there are too few."""
        known = self._rows()
        if len(known):
            return known["first_to"].min()
        enough = encoded_columns.time_of_row(self._run.warehouse, self._run.name, self._run.source.time_column, LEAST_ROWS)
        if enough is None:
            return None
        first = self._grid.floor(self._first_row())
        return max(self._grid.floor(first + max(LEAST_TIME, LEAST_BUCKETS * self._grid.every)), self._grid.step(enough, 1))

    def next_end(self) -> pd.Timestamp | None:
        """The end of the rows that the next model learns from."""
        mine = self._mine()
        if mine.empty:
            return self.first_end()
        newest = mine.iloc[-1]
        return self._grid.floor(newest["learnt_to"] + (newest["learnt_to"] - newest["learnt_from"]))

    @property
    def is_empty(self) -> bool:
        """Whether there is no model under this configuration."""
        return self._mine().empty

    def ends(self) -> list[pd.Timestamp]:
        """Where the rows of each standing model end, the next one's included: from there on another model judges."""
        ends = [*self._mine()["learnt_to"].tail(KEPT_MODELS), self.next_end()]
        return [end for end in ends if end is not None]

    def at(self, moment: datetime) -> StoredRecordModel | None:
        """The model that judges records from this moment on: the newest whose rows end before, or the oldest that is kept."""
        mine = self._mine().tail(KEPT_MODELS)
        before = mine[mine["learnt_to"] <= moment]
        return None if mine.empty else self._load(before.iloc[-1] if len(before) else mine.iloc[0])

    def learn(self, end: datetime) -> StoredRecordModel | None:
        """Learn from the training window before `end` and keep it; None when it holds too few rows."""
        run = self._run
        since = self._grid.floor(self._first_row())
        if len(known := self._rows()):  # the first learns from all there is, however short the window
            since = max(since, self._grid.floor(pd.Timestamp(end) - run.source.training.window))
        fitted = self._fit(since, end)
        if fitted is None:
            return None
        model, row_count = fitted
        model_id = hashlib.sha256(f"{run.name}|records|{end}|{run.now}|{run.run_id}".encode()).hexdigest()[:16]
        detectors = "+".join(detector.type for detector in self._settings.detectors)
        artefact = run.models.save(_folder(run.name), detectors, model_id, model.parts())
        stored = StoredRecordModel(model_id, since, pd.Timestamp(end), row_count, model)
        row = {
            "source": run.name,
            "model_id": model_id,
            "detector": detectors,
            "column_names": model.columns.names,
            "learnt_from": since,
            "learnt_to": end,
            "first_to": known["first_to"].min() if len(known) else end,
            "row_count": row_count,
            "learnt_at": run.now,
            "rows_per_day": model.rows_per_day,
            "fingerprint": self._fingerprint,
            "run_id": run.run_id,
            **artefact.columns,
        }
        run.warehouse.commit(run.run_id, [Append("record_models", pd.DataFrame([row]))])
        run.models.prune(_folder(run.name), keep=KEPT_MODELS, current=set(self._mine().tail(KEPT_MODELS)["model_id"]))
        self._loaded[model_id] = stored
        self.learnt.append(stored)
        return stored

    def _fit(self, since: datetime, end: datetime) -> tuple[RecordModel, int] | None:
        run, time = self._run, quoted_column(self._run.source.time_column)
        count = int(
            run.warehouse.read(f"SELECT count(*) AS n FROM {accepted_rows(run.name)} WHERE {time} >= ? AND {time} < ?", [since, end])[
                "n"
            ].iloc[0]
        )
        frames = list(encoded_records(run, since, end, one_of=max(1, -(-count // TRAINING_ROWS))))
        if not frames:
            return None
        rows = pd.concat(frames, ignore_index=True)
        flagged = run.warehouse.read(
            "SELECT _origin, _row FROM record_anomalies WHERE source = ? AND observed_at >= ? AND observed_at < ?", [run.name, since, end]
        )
        is_flagged = pd.MultiIndex.from_frame(rows[["_origin", "_row"]]).isin(pd.MultiIndex.from_frame(flagged))
        usual = rows if is_new_normal(is_flagged) else rows[~is_flagged]
        if len(usual) < min(LEAST_ROWS, TRAINING_ROWS) // 2:
            return None
        days = (pd.Timestamp(end) - pd.Timestamp(since)).total_seconds() / 86_400
        model = learn_records(
            usual.reset_index(drop=True), self._numeric, self._encodings, self._settings.detectors, rows_per_day=count / days
        )
        return model, len(usual)

    def _load(self, row: "pd.Series[Any]") -> StoredRecordModel | None:
        model_id = str(row["model_id"])
        if model_id not in self._loaded:
            try:
                model = self._run.models.restore({str(name): value for name, value in row.items()}, _usable)
            except ModelError as error:
                self._run.warn(f"{error} It is learnt anew.")
                self.unusable = f"{UNUSABLE}: {error.what}"
                return self.learn(row["learnt_to"])
            self._loaded[model_id] = StoredRecordModel(model_id, row["learnt_from"], row["learnt_to"], int(row["row_count"]), model)
        return self._loaded[model_id]

    def _mine(self) -> pd.DataFrame:
        """Models under this configuration, in the order of their rows; of two that end together the newer."""
        rows = self._rows()
        return rows[rows["fingerprint"] == self._fingerprint].drop_duplicates("learnt_to", keep="last")

    def _rows(self) -> pd.DataFrame:
        return self._run.warehouse.read(
            "SELECT * FROM record_models WHERE source = ? ORDER BY learnt_to, learnt_at, model_id", [self._run.name]
        )

    def _first_row(self) -> pd.Timestamp:
        time = quoted_column(self._run.source.time_column)
        return self._run.warehouse.read(f"SELECT min({time}) AS at FROM {accepted_rows(self._run.name)}")["at"].iloc[0]


def _usable(parts: ModelParts) -> RecordModel:
    model = RecordModel.from_parts(parts)
    model.check()
    return model


def remove_models(models: ModelStore, source: str) -> None:
    """Delete the files of all models of a source's records."""
    models.remove(_folder(source))


def _folder(source: str) -> str:
    """Where the files lie, beside those of the source's series, which are pruned by themselves; no source has a dot in its name."""
    return f"{source}.records"


def _chosen(run: SourceRun, settings: Records) -> tuple[list[str], list[LearntEncoding]]:
    """The numeric columns and the learnt encodings that records are judged by. SourceError naming a column that is neither."""
    learnt = encoded_columns.stored(run.warehouse, run.name)
    numeric = encoded_columns.numeric_columns(run.warehouse, run.name, run.source.time_column, learnt)
    if not settings.columns:
        if not numeric and not run.source.encode:
            raise SourceError(
                "records: there is no numeric column and none in encode",
                source=run.name,
                where=run.source.where("records"),
                remedy="Name columns of categories in `encode`, such as {merchant: frequency}.",
            )
        return numeric, list(learnt)
    where = run.source.where("records", "columns")
    require_raw_columns(encoded_columns.column_types(run.warehouse, run.name), settings.columns, run.name, where)
    for column in settings.columns:
        if column not in numeric and column not in run.source.encode:
            raise SourceError(
                f"records: column '{column}' holds no numbers",
                source=run.name,
                where=where,
                remedy=f"Name it in `encode`, such as {{{column}: frequency}}, or take it out of records.columns.",
            )
    return [name for name in numeric if name in settings.columns], [each for each in learnt if each.column in settings.columns]


def _fingerprint(run: SourceRun, settings: Records, numeric: list[str], encodings: list[LearntEncoding]) -> str:
    """What a model depends on: its columns, their encodings and its detectors."""
    text = json.dumps(
        [
            run.source.time_column,
            numeric,
            [[each.column, each.encoding, *each.codes] for each in encodings],
            [detector.model_dump(mode="json") for detector in settings.detectors],
        ]
    )
    return hashlib.sha256(text.encode()).hexdigest()[:16]
