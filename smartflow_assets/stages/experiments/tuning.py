"""Tuning: how settings do on the past of a source, with the later part of it kept out of the search.

The rows are read and cleaned once; a trial trains and judges in memory, as detection does it, with training at several moments.
What is right is said by labels where both parts have some, else by anomalies that are planted: few at a time, in several copies
of the rows, and false alerts are counted on the rows as they are. Rules count too, as users get the flags of both.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from statistics import fmean

import numpy as np
import pandas as pd

from smartflow_assets.config.search_space import put
from smartflow_assets.config.settings import Settings
from smartflow_assets.config.source import Source
from smartflow_assets.config.variant import changed
from smartflow_assets.core import rules
from smartflow_assets.core.detection import MetricGroup, fitted_models, minimum_rows
from smartflow_assets.core.detection.ensemble import Ensemble
from smartflow_assets.core.detectors import DETECTORS
from smartflow_assets.core.detectors.base import BaseDetector
from smartflow_assets.core.errors import SmartflowError, SourceError
from smartflow_assets.core.evaluation.anomaly_injection import plant
from smartflow_assets.core.evaluation.metrics import Quality, quality
from smartflow_assets.core.evaluation.settings_search import Parameter, Point, Trial, TrialFigures, propose
from smartflow_assets.core.evaluation.walk_forward import TrialData, first_training, trainings, walk_forward
from smartflow_assets.core.series import facts
from smartflow_assets.core.series.facts import SeriesFacts
from smartflow_assets.core.series.intervals import ALARM_GAP_ROWS
from smartflow_assets.stages.experiments.trial_data import SourceTrialData
from smartflow_assets.stages.metric_groups import groups_of

SEARCHED = 0.7  # of the time; what comes later is not seen by the search
LEAST_LABELS = 3  # labelled intervals in each part, to do without planted ones
ENOUGH = 20  # planted anomalies in each part
COPIES, COPIED_ROWS = (4, 12), 100_000  # of the rows, with some planted ones each: at most so many, the more the shorter they are
EVENT_ROWS = 1000  # of a series, in which one event is supposed where there are no labels: about what the examples and public corpora have
LEAST_JUDGED = 100  # rows of the longest series in each part
TRAININGS = 12  # at most, of both parts together, for detectors that learn; others follow the rows by themselves
FEW_TRAININGS = 4
FORM = 1  # raised whenever the same trial would be measured otherwise


@dataclass(frozen=True)
class LabelledData:
    """Rows to judge, as they are or with anomalies planted into them; what is strange in them (series, started_at, ended_at); and
    the (series, observed_at) at which a rule is broken, which is flagged whatever is tried."""

    trial_data: TrialData
    labels: pd.DataFrame
    broken: pd.MultiIndex

    @classmethod
    def of(cls, trial_data: TrialData, labels: pd.DataFrame, source: Source) -> "LabelledData":
        """With the rules of a source put to them."""
        broken = rules.evaluate(source.all_rules, trial_data.rows, step=trial_data.step)
        return cls(trial_data, labels, pd.MultiIndex.from_frame(broken[["series", "observed_at"]]))


@dataclass(frozen=True)
class TuningData:
    """What settings are tried on: the rows as they are, and with planted anomalies where there are too few labels; and the moments from
    which the search judges, up to which it does, and up to which the part that is kept out goes."""

    clean: LabelledData
    since: datetime
    split: datetime
    until: datetime
    source: Source
    metrics: tuple[str, ...]
    planted: tuple[LabelledData, ...] = ()

    def try_out(self, settings: Settings, point: Point) -> Trial:
        """How a point does on the part that is searched; what cannot be is a trial with an error."""
        try:
            return Trial(point, self.measure(self.varied(settings, point), is_held_out=False))
        except (SmartflowError, ValueError) as error:
            return Trial(point, None, str(error))

    def search(self, settings: Settings, space: Sequence[Parameter], known: Sequence[Trial], count: int, seed: int) -> Iterator[Trial]:
        """The trials that follow those that are known, up to `count` in all; fewer where the space has no more points."""
        tried = list(known)
        while len(tried) < count and (point := propose(space, tried, seed)) is not None:
            tried.append(self.try_out(settings, point))
            yield tried[-1]

    def varied(self, settings: Settings, point: Point) -> Source:
        """The source with a point of its search space."""
        return changed(self.source, settings, lambda values: put(values, self.source, point), asked="a trial") if point else self.source

    def counts(self) -> tuple[int, int]:
        """Events in the part that is searched and in the one that is kept out."""
        labels = pd.concat([each.labels for each in self.planted]) if self.planted else self.clean.labels
        early = labels["started_at"].between(self.since, self.split, inclusive="left")
        return int(early.sum()), int(labels["started_at"].between(self.split, self.until, inclusive="left").sum())

    def measure(self, source: Source, *, is_held_out: bool) -> TrialFigures:
        """The figures of settings on the part that is searched, or on the later one.

        With planted anomalies: false alerts are those of the rows as they are, but for what is neutral; precision and F1 are as
        if there were an event in each `EVENT_ROWS` rows, of which as many are found as of those that were planted.
        """
        groups = groups_of(source, self.metrics)
        found = self._quality(self.clean, groups, is_held_out)
        if not self.planted:
            events = found.events
            return TrialFigures(events.precision, events.recall, events.f1, found.pr_auc, events.false_alerts, found.false_alerts_per_day)
        parts = [self._quality(labelled, groups, is_held_out) for labelled in self.planted]
        hits, misses = sum(part.events.hits for part in parts), sum(part.events.misses for part in parts)
        areas = [part.pr_auc for part in parts if part.pr_auc is not None]
        recall, false_alerts = hits / max(hits + misses, 1), found.events.false_alerts
        right = recall * (found.days * timedelta(days=1) / self.clean.trial_data.step / EVENT_ROWS)
        precision = right / (right + false_alerts) if hits else 0.0
        f1 = 2 * precision * recall / (precision + recall) if hits else 0.0
        return TrialFigures(precision, recall, f1, fmean(areas) if areas else None, false_alerts, found.false_alerts_per_day)

    def _quality(self, labelled: LabelledData, groups: Sequence[MetricGroup], is_held_out: bool) -> Quality:
        """How well the rows that are not neutral are judged. The part that is kept out is reached through the other one, as live: what
        was flagged there is not learnt from."""
        is_learning = any(type(each).fit is not BaseDetector.fit for group in groups for each in group.settings.active())
        every = max(self.source.training.every, (self.until - self.since) / (TRAININGS if is_learning else FEW_TRAININGS))
        moments, since, until = trainings(self.since, self.split, every, TRAININGS), self.since, self.split
        if is_held_out:
            moments, since, until = [*moments, *trainings(self.split, self.until, every, TRAININGS)], self.split, self.until
        scores = walk_forward(labelled.trial_data, groups, moments, until)
        scores = scores[scores["observed_at"] >= since]
        is_broken = pd.MultiIndex.from_frame(scores[["series", "observed_at"]]).isin(labelled.broken)
        judged = scores.assign(is_anomaly=scores["is_anomaly"] | is_broken)
        labels = labelled.labels[(labelled.labels["ended_at"] >= since) & (labelled.labels["started_at"] < until)]
        if self.planted:
            labels = labels if labelled is not self.clean else labels[:0]  # the few that are known are neutral
            judged = judged[~near(judged, self._neutral, ALARM_GAP_ROWS * labelled.trial_data.step) | near(judged, labels, timedelta(0))]
        return quality(judged, labels, step=labelled.trial_data.step)

    @cached_property
    def _neutral(self) -> pd.DataFrame:
        """Intervals of the rows as they are that may well be strange, so that nobody is to blame for flagging them: those that are
        labelled, that break a rule, or that the default detectors flag. Without it each real anomaly would be a false alert to
        everybody, and some more of them would hardly count."""
        usual = {"detectors": "auto", "ensemble": Ensemble(), "threshold": None, "sensitivity": "medium"}
        groups = [replace(group, settings=group.settings.model_copy(update=usual)) for group in groups_of(self.source, self.metrics)]
        every = (self.until - self.since) / FEW_TRAININGS
        scores = walk_forward(self.clean.trial_data, groups, trainings(self.since, self.until, every, FEW_TRAININGS), self.until)
        flagged = scores.loc[scores["is_anomaly"], ["series", "observed_at"]]
        rows = pd.concat([flagged, self.clean.broken.to_frame(index=False)], ignore_index=True)
        intervals = rows.assign(started_at=rows["observed_at"], ended_at=rows["observed_at"]).drop(columns="observed_at")
        return pd.concat([self.clean.labels, intervals], ignore_index=True)

    def key(self, space: Sequence[Parameter], seed: int) -> str:
        """What the trials of a search depend on: settings, rows, labels, space and seed; 16 hexadecimal digits."""
        rows = self.clean.trial_data.rows[["series", "observed_at", "value"]]
        said = [
            FORM,
            fitted_models.FORM,
            seed,
            self.source.fingerprint,
            self.source.model_dump(mode="json", exclude={"alerts", "description", "owner", "tags", "read", "schedule"}),
            [[each.key, each.values, each.present] for each in space],
            f"{self.since} {self.split} {self.until}",
            [
                int(pd.util.hash_pandas_object(frame, index=False).to_numpy().sum(dtype=np.uint64))
                for frame in (rows, self.clean.labels, *(each.labels for each in self.planted))
            ],
        ]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def tuning_data(
    found: SourceTrialData, space: Sequence[Parameter], *, types: Sequence[str], sizes: Sequence[float], seed: int
) -> TuningData:
    """Divide the rows of a source, and plant anomalies into both parts where they have too few labels.

    SourceError when the history is too short for all that the space may try.
    """
    trial_data, source = found.trial_data, found.run.source
    first, until = trial_data.rows["observed_at"].min(), trial_data.rows["observed_at"].max() + trial_data.step
    split = (first + (until - first) * SEARCHED // trial_data.step * trial_data.step).to_pydatetime()
    early = trial_data.rows[trial_data.rows["observed_at"] < split]
    since = first_training(early, trial_data.step, _least(source, found.metrics, space, trial_data.step))
    parts = [(since, split), (split, until.to_pydatetime())]
    judged = [int((end - start) / trial_data.step) for start, end in parts]
    if min(judged) < LEAST_JUDGED:
        short = max((LEAST_JUDGED - rows) / share for rows, share in zip(judged, (SEARCHED, 1 - SEARCHED), strict=True))
        raise SourceError(
            f"the history is too short to tune on: about {int(short) + 1:,} more buckets are needed",
            source=source.name,
            remedy="Tune when there is more, or fewer detectors with --parameters.",
        )
    known = _known(found)
    made = TuningData(LabelledData.of(trial_data, known, source), since, parts[1][0], parts[1][1], source, found.metrics)
    if min(made.counts()) >= LEAST_LABELS:
        return made
    planted: list[LabelledData] = []
    most = int(np.clip(COPIED_ROWS // len(trial_data.rows), *COPIES))
    while len(planted) < most and (not planted or min(replace(made, planted=tuple(planted)).counts()) < ENOUGH):
        rows, labels = _planted(made.clean, parts, types, sizes, seed * COPIES[1] + len(planted))
        planted.append(LabelledData.of(replace(trial_data, rows=rows), labels, source))
    made = replace(made, planted=tuple(planted))
    if min(made.counts()) < LEAST_LABELS:
        raise SourceError(
            "the history is too short, or has too many holes, to plant anomalies into it",
            source=source.name,
            remedy="Label known anomalies with `labels:`, or tune when there is more.",
        )
    return made


def _planted(
    labelled: LabelledData, parts: Sequence[tuple[datetime, datetime]], types: Sequence[str], sizes: Sequence[float], seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows with some anomalies in each part, and which."""
    trial_data, labels = labelled.trial_data, list[pd.DataFrame]()
    value, period = trial_data.rows["value"], facts.season(trial_data.step)
    for part, (start, end) in enumerate(parts):
        own_seed = len(parts) * seed + part
        rows, found = plant(trial_data.rows, start, end, period=period, types=types, sizes=sizes, seed=own_seed, known=labelled.labels)
        value = value.where((rows["observed_at"] < start) | (rows["observed_at"] >= end), rows["value"])
        labels.append(found)
    return trial_data.rows.assign(value=value), pd.concat(labels, ignore_index=True)


def near(rows: pd.DataFrame, intervals: pd.DataFrame, reach: timedelta) -> np.ndarray:
    """Which rows (series, observed_at) lie in an interval (series, started_at, ended_at) of their series, or as near to one as `reach`."""
    found, of_series = np.zeros(len(rows), dtype=bool), {str(name): own for name, own in intervals.groupby("series")}
    for name, places in rows.groupby("series").indices.items():
        if str(name) in of_series:
            times = pd.DatetimeIndex(rows["observed_at"].iloc[places])
            order = np.argsort(times)
            starts, ends = (pd.DatetimeIndex(of_series[str(name)][key]) for key in ("started_at", "ended_at"))
            first, last = times[order].searchsorted(starts - reach, "left"), times[order].searchsorted(ends + reach, "right")
            inside = np.zeros(len(times) + 1, dtype=int)
            np.add.at(inside, first, 1)
            np.add.at(inside, last, -1)
            found[places[order]] = np.cumsum(inside)[:-1] > 0
    return found


def _known(found: SourceTrialData) -> pd.DataFrame:
    if found.labels is not None:
        return found.labels[["series", "started_at", "ended_at"]]
    empty = pd.DataFrame({"series": [], "started_at": [], "ended_at": []})
    return empty.astype({"series": object, "started_at": "datetime64[us, UTC]", "ended_at": "datetime64[us, UTC]"})


def _least(source: Source, metrics: Sequence[str], space: Sequence[Parameter], step: timedelta) -> int:
    """Rows that the most demanding of the settings asks for, with those detectors that may come."""
    added = [each.key.removeprefix("detectors.") for each in space if each.name == "detectors" and each.present is False]
    listed = [minimum_rows(group.settings, step) for group in groups_of(source, metrics)]
    season = SeriesFacts(period=facts.season(step))
    return max([*listed, *(DETECTORS[kind].model_validate({"type": kind}).minimum_rows(season) for kind in added)])
