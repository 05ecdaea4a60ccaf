"""Tuning: how settings do on the past of a source, with the later part of it kept out of the search.

The rows are read and cleaned once; a trial trains and judges in memory, as detection does it, with training at several moments.
What is right is said by labels where both parts have some, else by anomalies that are planted. Rules count too, as users get
the flags of both.
"""
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property

import numpy as np
import pandas as pd

from smartflow_assets.config.search_space import put
from smartflow_assets.config.settings import Settings
from smartflow_assets.config.source import Source
from smartflow_assets.config.variant import changed
from smartflow_assets.core import facts, fitted_models, rules
from smartflow_assets.core.detection import minimum_rows
from smartflow_assets.core.detectors import DETECTORS
from smartflow_assets.core.detectors.base import BaseDetector, SeriesFacts
from smartflow_assets.core.errors import SmartflowError, SourceError
from smartflow_assets.core.evaluation import quality
from smartflow_assets.core.planting import plant
from smartflow_assets.core.search import Figures, Parameter, Point, Trial
from smartflow_assets.core.walk_forward import Ground, first_training, trainings, walk_forward
from smartflow_assets.stages.ground import SourceGround, judges_of

SEARCHED = 0.7  # of the time; what comes later is not seen by the search
LEAST_LABELS = 3  # labelled spells in each part, to do without planted ones
LEAST_JUDGED = 100  # rows of the longest series in each part
TRAININGS = 12  # at most, of both parts together, for detectors that learn; others follow the rows by themselves
FEW_TRAININGS = 4
FORM = 1  # raised whenever the same trial would be measured otherwise


@dataclass(frozen=True)
class Bench:
    """Where settings are tried: rows (with anomalies planted into them, or as they are), labels (series, started_at, ended_at),
    and the moments from which the search judges, up to which it does, and up to which the part that is kept out goes."""

    ground: Ground
    labels: pd.DataFrame
    is_planted: bool
    since: datetime
    split: datetime
    until: datetime
    source: Source
    metrics: tuple[str, ...]

    def try_out(self, settings: Settings, point: Point) -> Trial:
        """How a point does on the part that is searched; what cannot be is a trial with an error."""
        try:
            return Trial(point, self.measure(self.varied(settings, point), is_held_out=False))
        except (SmartflowError, ValueError) as error:
            return Trial(point, None, str(error))

    def varied(self, settings: Settings, point: Point) -> Source:
        """The source with a point of its search space."""
        return changed(self.source, settings, lambda values: put(values, self.source, point), asked="a trial") if point else self.source

    def measure(self, source: Source, *, is_held_out: bool) -> Figures:
        """The figures of settings on the part that is searched, or on the later one."""
        since, until = (self.split, self.until) if is_held_out else (self.since, self.split)
        judges = judges_of(source, self.metrics)
        is_learning = any(type(each).fit is not BaseDetector.fit for judge in judges for each in judge.settings.active())
        every = max(source.training.every, (self.until - self.since) / (TRAININGS if is_learning else FEW_TRAININGS))
        scores = walk_forward(self.ground, judges, trainings(since, until, every, TRAININGS), until)
        is_broken = pd.MultiIndex.from_frame(scores[["series", "observed_at"]]).isin(self._violations)
        judged = scores.assign(is_anomaly=scores["is_anomaly"] | is_broken)
        labels = self.labels[(self.labels["ended_at"] >= since) & (self.labels["started_at"] < until)]
        found = quality(judged, labels, step=self.ground.step)
        return Figures(found.events.precision, found.events.recall, found.events.f1, found.pr_auc, found.events.false_alerts,
                       found.false_alerts_per_day)

    @cached_property
    def _violations(self) -> pd.MultiIndex:
        """Where rules are broken; they do not depend on what is tried."""
        broken = rules.evaluate(self.source.all_rules, self.ground.rows, step=self.ground.step)
        return pd.MultiIndex.from_frame(broken[["series", "observed_at"]])

    def key(self, space: Sequence[Parameter], seed: int) -> str:
        """What the trials of a search depend on: settings, rows, labels, space and seed; 16 hexadecimal digits."""
        rows = self.ground.rows[["series", "observed_at", "value"]]
        said = [
            FORM, fitted_models.FORM, seed, self.source.fingerprint,
            self.source.model_dump(mode="json", exclude={"alerts", "description", "owner", "tags", "read", "schedule"}),
            [[each.key, each.values, each.present] for each in space], f"{self.since} {self.split} {self.until}",
            [int(pd.util.hash_pandas_object(frame, index=False).to_numpy().sum(dtype=np.uint64)) for frame in (rows, self.labels)],
        ]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def bench(found: SourceGround, space: Sequence[Parameter], *, types: Sequence[str], sizes: Sequence[float], seed: int) -> Bench:
    """Divide the rows of a source, and plant anomalies into both parts where they have too few labels.

    SourceError when the history is too short for all that the space may try.
    """
    ground, source = found.ground, found.run.source
    first, until = ground.rows["observed_at"].min(), ground.rows["observed_at"].max() + ground.step
    split = (first + (until - first) * SEARCHED // ground.step * ground.step).to_pydatetime()
    early = ground.rows[ground.rows["observed_at"] < split]
    since = first_training(early, ground.step, _least(source, found.metrics, space, ground.step))
    parts = [(since, split), (split, until.to_pydatetime())]
    judged = [int((end - start) / ground.step) for start, end in parts]
    if min(judged) < LEAST_JUDGED:
        short = max((LEAST_JUDGED - rows) / share for rows, share in zip(judged, (SEARCHED, 1 - SEARCHED), strict=True))
        raise SourceError(f"the history is too short to tune on: about {int(short) + 1:,} more buckets are needed", source=source.name,
                          remedy="Tune when there is more, or fewer detectors with --parameters.")
    known = _known(found)
    made = Bench(ground, known, False, since, parts[1][0], parts[1][1], source, found.metrics)
    if min(int(known["started_at"].between(start, end, inclusive="left").sum()) for start, end in parts) >= LEAST_LABELS:
        return made
    value, labels = ground.rows["value"], [known]
    for part, (start, end) in enumerate(parts):
        rows, planted = plant(
            ground.rows, start, end, period=facts.season(ground.step), types=types, sizes=sizes, seed=2 * seed + part, known=known)
        value = value.where((rows["observed_at"] < start) | (rows["observed_at"] >= end), rows["value"])
        if len(planted) < LEAST_LABELS:
            raise SourceError("the history is too short, or has too many holes, to plant anomalies into it", source=source.name,
                              remedy="Label known anomalies with `labels:`, or tune when there is more.")
        labels.append(planted[known.columns])
    planted_ground = replace(ground, rows=ground.rows.assign(value=value))
    return replace(made, ground=planted_ground, labels=pd.concat(labels, ignore_index=True), is_planted=True)


def _known(found: SourceGround) -> pd.DataFrame:
    if found.labels is not None:
        return found.labels[["series", "started_at", "ended_at"]]
    empty = pd.DataFrame({"series": [], "started_at": [], "ended_at": []})
    return empty.astype({"series": object, "started_at": "datetime64[us, UTC]", "ended_at": "datetime64[us, UTC]"})


def _least(source: Source, metrics: Sequence[str], space: Sequence[Parameter], step: timedelta) -> int:
    """Rows that the most demanding of the settings asks for, with those detectors that may come."""
    added = [each.key.removeprefix("detectors.") for each in space if each.name == "detectors" and each.present is False]
    listed = [minimum_rows(judge.settings, step) for judge in judges_of(source, metrics)]
    season = SeriesFacts(period=facts.season(step))
    return max([*listed, *(DETECTORS[kind].model_validate({"type": kind}).minimum_rows(season) for kind in added)])
