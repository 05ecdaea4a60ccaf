"""The newest rows of a source against those before them: which columns moved, and whether all of them together did.

A statistic is drift when it is large enough to matter, larger than chance makes it, and, unless the rows of the column are independent
of each other, larger than its own past windows make it. Tests of all columns share one budget of false alarms (Holm 1979).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from smartflow_assets.core.drift.base import FEWEST_ROWS, BaseDriftTest, Difference, Kind, Sample
from smartflow_assets.core.drift.chosen_tests import column_tests, joint_tests
from smartflow_assets.core.drift.domain_classifier import normal_scores, related_columns
from smartflow_assets.core.drift.encoded_columns import EncodedColumns, encoded_columns
from smartflow_assets.core.drift.independence import are_independent
from smartflow_assets.core.drift.past_windows import FEWEST_WINDOWS, PastWindows
from smartflow_assets.core.drift.report import ALL_COLUMNS, DriftCheck, DriftReport, Rule
from smartflow_assets.core.drift.settings import DriftSettings
from smartflow_assets.core.drift.windows import SampledCells, Window, cells, windows
from smartflow_assets.core.text_format import number

_DRAWN = 3  # columns whose samples are kept for a picture
Pair = tuple[NDArray[np.intp], NDArray[np.intp]]
"""Positions of a sample of a reference, and of the window after it."""


@dataclass(frozen=True)
class _Asked:
    """A test of a column (or of all, `columns`), what it measured, and what its limit comes from."""

    column_name: str
    test: BaseDriftTest
    rule: Rule
    statistic: float = float("nan")
    difference: Difference | None = None
    past: PastWindows | None = None
    past_windows: int = 0
    message: str = ""

    @property
    def p_value(self) -> float:
        """NaN where there is no verdict."""
        if self.difference is None or self.rule not in ("independent rows", "past windows"):
            return float("nan")
        by_chance = self.difference.chance.p_value(self.statistic)
        return max(by_chance, self.past.p_value(self.statistic)) if self.past else by_chance

    def limit(self, p: float) -> float:
        """The statistic from which on it is drift at this level."""
        by_chance = self.difference.chance.limit(p) if self.difference else float("nan")
        return max(by_chance, self.test.at_least, self.past.limit(p) if self.past else 0.0)


def find_drift(
    rows: pd.DataFrame,
    *,
    until: datetime,
    settings: DriftSettings | None = None,
    time: str = "observed_at",
    counts: Mapping[datetime, int] | None = None,
) -> DriftReport:
    """Compare the window that ends at `until` (aware) with its reference, and learn from the windows before what is usual.

    `rows`: the column `time` (aware) and the columns to compare, in any order; for each of `windows.cells(settings, until)` all of its
    rows, or `settings.sample_rows` of them chosen by lot. `counts`: how many rows a cell really has, by its start, where a sample is
    given. Rows outside of the cells are ignored. Which rows are looked at is decided by their content, so equal rows give equal reports.
    KeyError names a column of `settings.columns` that is not there.
    """
    settings = settings or DriftSettings()
    names = settings.columns or [str(name) for name in rows.columns if name != time]
    encoded = encoded_columns(rows, names)
    times = np.asarray(pd.to_datetime(rows[time], utc=True).dt.as_unit("us").astype("int64"), np.int64)
    wanted = cells(settings, until)
    sampled = SampledCells(encoded.values, times, wanted, counts or {}, settings.sample_rows)
    now, *before = windows(settings, until)
    check = _Check(settings, encoded, sampled, now, before)
    asked = [one for at, name in enumerate(encoded.kinds) for one in check.of_column(at, name)]
    asked += check.of_all()
    checks = _verdicts(asked, settings.false_alarms)
    report = DriftReport(
        now,
        sampled.count(now.reference_from, now.current_from),
        sampled.count(now.current_from, now.current_to),
        tuple(checks),
        left_out=encoded.left_out,
    )
    return replace(report, samples={name: check.shown(name) for name, _ in report.moved[:_DRAWN]})


class _Check:
    """What the tests of one check share: the samples of its windows."""

    def __init__(
        self, settings: DriftSettings, encoded: EncodedColumns, sampled: SampledCells, now: Window, before: Sequence[Window]
    ) -> None:
        self.encoded, self.names = encoded, list(encoded.kinds)
        self.listed = None if settings.tests == "auto" else settings.tests
        self.now = self._pair(sampled, now)
        self.before = [self._pair(sampled, window) for window in before if sampled.reaches(window.reference_from)]
        history = np.unique(np.concatenate([self.now[0], *(part for pair in self.before for part in pair)]))
        self.history = history[np.argsort(sampled.times[history], kind="stable")]
        self.history_cells = sampled.cell[self.history]
        self.is_independent: dict[str, bool] = {}

    @staticmethod
    def _pair(sampled: SampledCells, window: Window) -> Pair:
        return sampled.between(window.reference_from, window.current_from), sampled.between(window.current_from, window.current_to)

    def of_column(self, at: int, name: str) -> list[_Asked]:
        """Its tests."""
        kind = self.encoded.kinds[name]
        self.is_independent[name] = are_independent(
            self.encoded.values[self.history, at], self.history_cells, is_category=kind == "category"
        )
        reference, current = (self._sample(rows, at, kind) for rows in self.now)
        return [
            self._ask(test, name, at, kind, is_independent=self.is_independent[name])
            for test in column_tests(self.listed, reference, current)
        ]

    def of_all(self) -> list[_Asked]:
        """The tests of all columns together, of those that have most to do with each other."""
        if not len(self.now[0]):
            return []
        columns = related_columns(self.encoded.values[self.now[0]])
        reference, current = (Sample(self.encoded.values[rows][:, columns]) for rows in self.now)
        is_independent = all(self.is_independent[self.names[at]] for at in columns)
        return [
            self._ask(test, ALL_COLUMNS, columns, "number", is_independent=is_independent)
            for test in joint_tests(self.listed, reference, current)
        ]

    def _ask(self, test: BaseDriftTest, name: str, at: int | list[int], kind: Kind, *, is_independent: bool) -> _Asked:
        reference, current = (self._sample(rows, at, kind) for rows in self.now)
        if not (_is_enough(test, reference) and _is_enough(test, current)):
            return _Asked(name, test, "too few rows", message="too few rows to compare")
        difference = test.compare(reference, current)
        asked = _Asked(
            name, test, "independent rows", difference.statistic, difference, message=self._words(test, name, at, reference, current)
        )
        if is_independent:
            return asked
        past: list[float] = []
        for pair in self.before:
            samples = [self._sample(rows, at, kind) for rows in pair]
            if all(_is_enough(test, sample) for sample in samples):
                past.append(test.compare(*samples).statistic)
        if len(past) < FEWEST_WINDOWS:
            return replace(asked, rule="warming up", past_windows=len(past))
        return replace(asked, rule="past windows", past=PastWindows.of(test, past), past_windows=len(past))

    def _sample(self, rows: NDArray[np.intp], at: int | list[int], kind: Kind) -> Sample:
        return Sample(self.encoded.values[rows][:, at] if isinstance(at, list) else self.encoded.values[rows, at], kind)

    def _words(self, test: BaseDriftTest, name: str, at: int | list[int], reference: Sample, current: Sample) -> str:
        """What is different, in numbers."""
        if isinstance(at, list):
            return _relation([self.names[one] for one in at], reference, current)
        if test.reads_missing:
            now, then = (100 * float(np.isnan(sample.values).mean()) for sample in (current, reference))
            return f"{number(now)} % of {name} are empty, were {number(then)} %"
        if reference.kind == "category":
            return _shares(name, self.encoded.labels[name], reference, current)
        now, then = (
            f"{number(middle)} (half of the values between {number(low)} and {number(high)})"
            for low, middle, high in (
                np.quantile(sample.known(), [0.25, 0.5, 0.75], method="inverted_cdf") for sample in (current, reference)
            )
        )
        return f"median of {name} {now}, was {then}"

    def shown(self, name: str) -> tuple[pd.Series, pd.Series]:
        """The samples of a column as they came: numbers, or texts of categories."""
        at = self.names.index(name)
        parts: list[pd.Series] = []
        for rows in self.now:
            values = self.encoded.values[rows, at]
            known = values[~np.isnan(values)]
            parts.append(pd.Series(self.encoded.labels[name][known.astype(int)] if name in self.encoded.labels else known, name=name))
        return parts[0], parts[1]


def _is_enough(test: BaseDriftTest, sample: Sample) -> bool:
    is_counted = test.reads_missing or test.is_joint
    return (len(sample.values) if is_counted else len(sample.known())) >= FEWEST_ROWS


def _verdicts(asked: Sequence[_Asked], false_alarms: float) -> list[DriftCheck]:
    """Holm's step-down over all tests that have a p-value: the smallest must pass the level divided by their number, the next by one
    less, until one does not; what comes after it is measured by the level at which that one failed."""
    p_values = np.array([one.p_value for one in asked])
    judged = [int(at) for at in np.argsort(p_values, kind="stable") if not np.isnan(p_values[at])]
    adjusted, level, largest = dict[int, float](), dict[int, float](), 0.0
    has_failed, last = False, false_alarms
    for done, at in enumerate(judged):
        left = len(judged) - done
        largest = max(largest, min(1.0, left * float(p_values[at])))
        last = last if has_failed else false_alarms / left
        has_failed = has_failed or p_values[at] > last
        adjusted[at], level[at] = largest, last
    checks: list[DriftCheck] = []
    for at, one in enumerate(asked):
        limit = one.limit(level[at]) if at in level else float("nan")
        is_drifted = at in level and adjusted[at] <= false_alarms and one.statistic >= one.test.at_least
        checks.append(
            DriftCheck(
                one.column_name,
                one.test.type,
                one.statistic,
                float(p_values[at]),
                adjusted.get(at, float("nan")),
                limit,
                one.rule,
                one.past_windows,
                is_drifted,
                _sentence(one, limit),
            )
        )
    return checks


def _sentence(one: _Asked, limit: float) -> str:
    if one.difference is None:
        return one.message
    if np.isnan(limit):
        return f"{one.message}; {one.past_windows} of {FEWEST_WINDOWS} past windows to learn from"
    return f"{one.message}; {one.test.type.replace('_', ' ')} {number(one.statistic)}, limit {number(limit)}"


def _shares(name: str, labels: NDArray[np.object_], reference: Sample, current: Sample) -> str:
    """The category whose share moved most."""
    then, now = (np.bincount(sample.known().astype(int), minlength=len(labels)) / len(sample.known()) for sample in (reference, current))
    most = int(np.argmax(np.abs(now - then)))
    return f"{number(100 * now[most])} % of {name} are {str(labels[most])[:40]!r}, were {number(100 * then[most])} %"


def _relation(names: Sequence[str], reference: Sample, current: Sample) -> str:
    """The two columns whose rank correlation moved most."""
    then, now = (np.atleast_2d(np.corrcoef(normal_scores(sample.values), rowvar=False)) for sample in (reference, current))
    one, other = max(combinations(range(len(names)), 2), key=lambda pair: abs(float(now[pair] - then[pair])))
    return f"rank correlation of {names[one]} and {names[other]} {number(float(now[one, other]))}, was {number(float(then[one, other]))}"
