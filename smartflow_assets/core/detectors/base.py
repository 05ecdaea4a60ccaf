"""What every detector is: a frozen pydantic model with a literal `type` and the verbs fit, start, score.

fit(history) looks at the rows that may be learnt from and returns what is stored (`Fitted`); start(fitted) returns the
empty state; score(fitted, state, rows) walks the rows once and returns results and the state that continues after them.
The state is a dict of arrays, bounded, changed in place, and the same however the rows were cut. Calibration to a
surprise and the combination of detectors are the business of `calibration` and `ensemble`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import BaseModel, ConfigDict

from smartflow_assets.core.scaling import Scaler

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from smartflow_assets.core.calendar import Calendar

State = dict[str, Any]


@dataclass(frozen=True)
class SeriesFacts:
    """What is known of a series before any row is scored.

    name: the series. period: rows in a season (a day, or a week for slow series; 0 = no season). scaler: detectors see
    scaled values, so that nothing depends on the unit of measurement. is_never_negative: nothing that was learnt from lies below
    zero, so nothing below zero is expected.
    """

    name: str = ""
    period: int = 0
    scaler: Scaler = field(default_factory=Scaler)
    is_never_negative: bool = False


@dataclass(frozen=True)
class Rows:
    """A block of rows of one series on its grid of time, in scaled units; nothing in it is NaN.

    `padded[offset : offset + count]` are the block's values, before them `baseline.HISTORY` older rows (the first value
    repeated where there are none); `tamed` is the same with outliers put on the edge of twice the band. `first` is the row
    number of the block's first row. `forecasts` is 6 x count: last row, median of 5, median of 288, median of the same time
    of up to 7 seasons, that + current level, 7 seasons ago + current level. `expected` is a mixture of the slow ones,
    `residual` what is left of the value by the mixture of all, `seasonal_deviation` the size of the three-row mean of what
    is left of the season. `ranges` is 6 x count: the quantiles .002, .005, .05, .95, .995, .998 of the 8,000 rows before.
    `is_missing` marks rows whose value was imputed by `expected`. `features` is count x k, or None. `times`: when, in UTC (NaT in a
    row that nobody gave), or None where the caller does not know.
    """

    padded: NDArray[np.float64]
    tamed: NDArray[np.float64]
    offset: int
    count: int
    first: int
    forecasts: NDArray[np.float64]
    expected: NDArray[np.float64]
    residual: NDArray[np.float64]
    seasonal_deviation: NDArray[np.float64]
    ranges: NDArray[np.float64]
    is_missing: NDArray[np.bool_]
    features: NDArray[np.float64] | None = None
    times: NDArray[np.datetime64] | None = None

    @property
    def values(self) -> NDArray[np.float64]:
        """The block's own values, scaled units."""
        return self.padded[self.offset : self.offset + self.count]


@dataclass
class Result:
    """What a detector says of each row of a block, in scaled units.

    raw_score >= 0, higher is stranger. `flag` is the detector's own verdict (its vote), None to vote by surprise.
    expected, lower, upper are its own idea of normal, None when it has none. contributions: of a detector that has columns,
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


@dataclass(frozen=True)
class Fitted:
    """What training leaves behind: JSON-able parameters, arrays and scikit-learn estimators. Never changed."""

    parameters: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    estimators: dict[str, Any] = field(default_factory=dict)


class BaseDetector(BaseModel, frozen=True):
    """Parent of all detectors; a subclass adds `type: Literal[...]`, its parameters and `score`."""

    model_config = ConfigDict(extra="forbid")

    type: str
    anomalies: ClassVar[tuple[str, ...]] = ()
    """The kinds it claims to find: point, contextual, collective, multivariate."""
    is_guard: ClassVar[bool] = False
    """A guard's own flag makes a row anomalous whatever the ensemble says; it is not averaged."""
    needs_features: ClassVar[bool] = False
    is_joint: ClassVar[bool] = False
    """It judges all metrics of a source at a time, whose residuals are among its features: a guard that is calibrated. It flags a
    surprise above its `surprise`, in the series that its Result flags as the one that stands out; Fitted.parameters has `columns`."""

    def columns(self, fitted: Fitted, feature_names: tuple[str, ...]) -> tuple[str, ...]:
        """The columns that its contributions speak of; `feature_names`: all that it was shown."""
        return ()

    def minimum_rows(self, facts: SeriesFacts) -> int:
        """Rows needed before its word counts."""
        return 30

    def unsuited(self, facts: SeriesFacts) -> str:
        """Why it can say nothing of such a series and has no part in the average; empty when it can."""
        return ""

    def fit(self, history: History) -> Fitted:
        """Learn from history; most detectors learn while they score and store nothing."""
        return Fitted()

    def start(self, fitted: Fitted, facts: SeriesFacts) -> State:
        """The state before the first row."""
        raise NotImplementedError

    def score(self, fitted: Fitted, state: State, rows: Rows) -> tuple[Result, State]:
        """Results of the rows and the state after them; the state is changed in place."""
        raise NotImplementedError
