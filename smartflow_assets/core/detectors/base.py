"""What every detector is: a frozen pydantic model with a literal `type` and the verbs fit, start, score.

fit(history) looks at the rows that may be learnt from and returns what is stored (`ModelParts`); start(fitted) returns the
empty state; score(fitted, state, rows) returns a result for each row and moves the state on behind them. The state is a dict of
arrays, bounded, changed in place, and the same however the rows are split into blocks. Calibration to a surprise and the
combination of detectors are left to `detection.calibration` and `detection.ensemble`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from smartflow_assets.core.declared import Declared
from smartflow_assets.core.model_parts import ModelParts
from smartflow_assets.core.series.blocks import Rows, State
from smartflow_assets.core.series.facts import SeriesFacts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from smartflow_assets.core.temporal.calendar import Calendar


@dataclass
class Result:
    """What a detector says of each row of a block, in scaled units.

    raw_score >= 0, higher is stranger. `flag` is the detector's own verdict (its vote), None to vote by surprise.
    expected, lower, upper are its own idea of normal, None when it has none; a guard's `lower` is where a band ends that would
    hold zero (NaN: it may). contributions: of a detector that has columns,
    count x columns, the share of each column in the raw score; all 0 where they are not known.
    """

    raw_score: NDArray[np.float64]
    flag: NDArray[np.bool_] | None = None
    expected: NDArray[np.float64] | None = None
    lower: NDArray[np.float64] | None = None
    upper: NDArray[np.float64] | None = None
    contributions: NDArray[np.float64] | None = None


def band_result(
    raw_score: NDArray[np.float64],
    limit: float,
    expected: NDArray[np.float64],
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
) -> Result:
    """A result whose own flag is raw_score > limit; a row that cannot be judged yet (NaN, infinite band) scores 0."""
    known = np.isfinite(raw_score) & np.isfinite(lower) & np.isfinite(upper)
    raw_score = np.where(known, raw_score, 0.0)
    band = [np.where(known, part, np.nan) for part in (expected, lower, upper)]
    return Result(raw_score, raw_score > limit, *band)


def window_width(facts: SeriesFacts) -> int:
    """Rows in a window whose shape is judged: a season of 16 to 100 rows, else 32."""
    return min(max(facts.period if 0 < facts.period <= 100 else 32, 16), 100)


@dataclass(frozen=True)
class History:
    """The rows that may be learnt from, of every series of a source: scaled values, times (UTC) and, where asked for, features."""

    values: dict[str, NDArray[np.float64]]
    features: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    feature_names: tuple[str, ...] = ()
    times: dict[str, NDArray[np.datetime64]] = field(default_factory=dict)
    calendar: Calendar | None = None


class BaseDetector(Declared, frozen=True):
    """Parent of all detectors; a subclass adds `type: Literal[...]`, its parameters and `score`."""

    type: str
    anomalies: ClassVar[tuple[str, ...]] = ()
    """The kinds it claims to find: point, contextual, collective, multivariate."""
    is_guard: ClassVar[bool] = False
    """A guard's own flag makes a row anomalous whatever the ensemble says; it is not averaged."""
    has_direction: ClassVar[bool] = False
    """Of a guard: what it finds goes one way, so a series' `direction` and `ignore_small_changes` may let it pass."""
    needs_features: ClassVar[bool] = False
    reads_ranges: ClassVar[bool] = True
    """Whether it looks at `Rows.ranges`. Where none does and the members' flags decide, they are not made, which saves half the time."""
    is_joint: ClassVar[bool] = False
    """It judges all metrics of a source at a time, whose residuals are among its features: a guard that is calibrated. It flags a
    surprise above its `surprise`, in the series that its Result flags as the one that stands out; ModelParts.parameters has `columns`."""

    def columns(self, fitted: ModelParts, feature_names: tuple[str, ...]) -> tuple[str, ...]:
        """The columns that its contributions speak of; `feature_names`: all that it was shown."""
        return ()

    def minimum_rows(self, facts: SeriesFacts) -> int:
        """Rows needed before its word counts."""
        return 30

    def unsuited(self, facts: SeriesFacts) -> str:
        """Why it can say nothing of such a series and has no part in the average; empty when it can."""
        return ""

    def fit(self, history: History) -> ModelParts:
        """Learn from history; most detectors learn while they score and store nothing."""
        return ModelParts()

    def start(self, fitted: ModelParts, facts: SeriesFacts) -> State:
        """The state before the first row."""
        raise NotImplementedError

    def score(self, fitted: ModelParts, state: State, rows: Rows) -> Result:
        """Results of the rows; the state is changed in place, so that it stands behind them."""
        raise NotImplementedError
