"""Comparison: what detectors say of the same rows, each as if it were the only one listed.

Each learns once, from the first third of the rows, and judges the rest in memory, as detection does it. How alike two of them
are is `core.evaluation.detector_agreement`'s business, how it is drawn that of `core.reports`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.settings import Settings
from smartflow_assets.config.source import Source
from smartflow_assets.core.detection import DetectionSettings, MetricGroup, minimum_rows
from smartflow_assets.core.detection.ensemble import Ensemble
from smartflow_assets.core.detectors import DETECTORS, GUARDS
from smartflow_assets.core.errors import SourceError
from smartflow_assets.core.evaluation.detector_agreement import DetectorResult, own_flags
from smartflow_assets.core.evaluation.metrics import quality
from smartflow_assets.core.evaluation.walk_forward import TrialData, first_training, walk_forward
from smartflow_assets.core.series.facts import typical_step
from smartflow_assets.core.temporal.calendar import Calendar
from smartflow_assets.stages.experiments.trial_data import source_trial_data

AUTO = "auto"  # the default ensemble, beside the detectors' own names
WHOLE_FILE = timedelta(days=3650)  # a file has no training window


@dataclass(frozen=True)
class ComparisonSubject:
    """What detectors are compared on: clean rows, the settings that hold for all of them, known anomalies, and units by metric."""

    name: str
    trial_data: TrialData
    groups: Sequence[MetricGroup]
    labels: pd.DataFrame | None
    units: dict[str, str]

    @property
    def series(self) -> list[str]:
        """Names of the series, in the order in which they first have a row."""
        return [str(name) for name in self.trial_data.rows["series"].unique()]

    def with_detector(self, name: str) -> list[MetricGroup]:
        """The groups with one detector alone (with the parameters that the source gives it), or with auto."""

        def settings(given: DetectionSettings) -> DetectionSettings:
            listed = () if given.detectors == AUTO else given.detectors
            alone = next((one for one in listed if one.type == name), None)
            if alone is None and name != AUTO:
                alone = DETECTORS[name].model_validate({"type": name})
            return given.model_copy(update={"detectors": (alone,) if alone else AUTO, "ensemble": Ensemble()})

        return [replace(group, settings=settings(group.settings)) for group in self.groups]


def source_subject(source: Source, settings: Settings, folder: Path, catalogue: Catalogue, now: datetime) -> ComparisonSubject:
    """The rows of a source with its own labels, cleaned in `folder`, which the caller throws away."""
    found = source_trial_data(source, settings, settings.with_state_in(folder), catalogue, now)
    return ComparisonSubject(source.name, found.trial_data, found.groups, found.labels, found.run.source.units)


def file_subject(name: str, series: Mapping[str, pd.DataFrame], labels: pd.DataFrame | None) -> ComparisonSubject:
    """The columns of a file by name, each as rows of series, observed_at, value: each is a metric and a series of its own."""
    step = typical_step(next(iter(series.values()))["observed_at"].dt.tz_localize(None).to_numpy())
    rows = pd.concat([own.assign(metric=metric) for metric, own in series.items()], ignore_index=True)
    rows = rows.sort_values(["observed_at", "series"], ignore_index=True)
    return ComparisonSubject(
        name, TrialData(rows, step, WHOLE_FILE, Calendar()), [MetricGroup.of_all(DetectionSettings(), series)], labels, {}
    )


def lonely_detector(subject: ComparisonSubject, names: Sequence[str]) -> str | None:
    """The first of these detectors that compares metrics with each other, where there is only one metric."""
    if subject.trial_data.rows["metric"].nunique() > 1:
        return None
    return next((name for name in names if name != AUTO and DETECTORS[name].is_joint), None)


def judged_from(subject: ComparisonSubject, names: Sequence[str]) -> datetime:
    """The first row that is judged: after a third of the rows, and after as many as the most demanding of the detectors needs.

    SourceError when no row is left to be judged.
    """
    trial_data = subject.trial_data
    least = max(minimum_rows(group.settings, trial_data.step) for name in names for group in subject.with_detector(name))
    since = first_training(trial_data.rows, trial_data.step, least)
    if since >= _end(trial_data):
        count = trial_data.rows.groupby("series").size().max()
        raise SourceError(
            f"{count:,} rows are too few: {', '.join(names)} learn from {least:,} and judge what follows",
            source=subject.name,
            remedy="Take other detectors, or a longer history.",
        )
    return since


def scored_rows(subject: ComparisonSubject, names: Sequence[str], since: datetime) -> int:
    """How many rows `compare` scores, for a progress bar: those of each detector, and those of the guards."""
    return int((subject.trial_data.rows["observed_at"] >= since).sum()) * (len(names) + 1)


def compare(
    subject: ComparisonSubject,
    names: Sequence[str],
    since: datetime,
    *,
    report: Callable[[int, str], None] = lambda rows, name: None,
) -> tuple[list[DetectorResult], np.ndarray]:
    """What each detector says of the rows from `since` on, and which of them are flagged whatever is listed (True, in the order of
    the results' rows; none where such a guard is compared itself). report: told how many rows have been scored, and by whom."""
    trial_data = subject.trial_data

    def scored(name: str, detector: str) -> pd.DataFrame:
        groups, until = subject.with_detector(detector), _end(trial_data)
        scores = walk_forward(trial_data, groups, [since], until, report=lambda rows: report(rows, name))
        return scores.sort_values(["observed_at", "series"], ignore_index=True)

    verdicts = {name: scored(name, name) for name in names}
    guarded = scored("guards", GUARDS[0].type)["is_anomaly"].to_numpy(dtype=bool)
    if any(name != AUTO and DETECTORS[name].is_guard and not DETECTORS[name].is_joint for name in names):
        guarded = np.zeros_like(guarded)
    labels, step = subject.labels, trial_data.step
    measured = {} if labels is None else {name: quality(each, labels, step=step) for name, each in verdicts.items()}
    return [DetectorResult(name, each, measured.get(name)) for name, each in verdicts.items()], guarded


def most_flagged(subject: ComparisonSubject, results: Sequence[DetectorResult], guarded: np.ndarray) -> list[str]:
    """All series, those first in which most rows are flagged by any detector."""
    is_flagged = sum(own_flags(result, guarded).astype(int) for result in results) > 0
    counts = results[0].scores["series"][is_flagged].value_counts()
    return list(dict.fromkeys([*map(str, counts.index), *subject.series]))


def _end(trial_data: TrialData) -> datetime:
    return trial_data.rows["observed_at"].max() + trial_data.step
