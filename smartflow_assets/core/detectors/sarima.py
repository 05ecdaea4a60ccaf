"""Error of a seasonal ARIMA model's forecast (Box and Jenkins, 1970). ModelParts by statsmodels, scored without."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from smartflow_assets.core.detectors.base import BaseDetector, History, Result, band_result
from smartflow_assets.core.detectors.baseline_history import baseline_history
from smartflow_assets.core.detectors.optional_libraries import library
from smartflow_assets.core.model_parts import ModelParts
from smartflow_assets.core.series.blocks import Rows, State
from smartflow_assets.core.series.facts import SeriesFacts

if TYPE_CHECKING:
    from numpy.typing import NDArray

LONGEST_SEASON = 48
"""Rows. A model has about a state for each row of a season and its difference another; a fit takes 0.3 s at 24 rows, 3 s at 48."""
TRAINING_ROWS, LEAST_ROWS, LEAST_SEASONS = 1000, 40, 3
ITERATIONS = 30
FINEST = 1e-3  # of the usual spread of the series: without any noise in training, rounding would be strange

Lags = Annotated[int, Field(ge=0, le=5)]
Few = Annotated[int, Field(ge=0, le=2)]
Once = Annotated[int, Field(ge=0, le=1)]


class Sarima(BaseDetector, frozen=True):
    """Residual from the one-step forecast of a SARIMA model over its own standard deviation, by a Kalman filter. For short seasons.

    Fitted for each series at training, on its last 1,000 rows with outliers put on the edge of the band. A season is modelled up
    to 48 rows; a longer one, or one that is not there three times, is not: the median of the same time in earlier seasons is taken
    off first, and the rest is an ARIMA model of `order`. A series that cannot be fitted, does not move or is shorter than 40 rows
    scores 0. Missing rows widen the band. Training needs the extra `forecast` (statsmodels) and seconds for each series.

    >>> from smartflow_assets.core.series import baseline
    >>> noise = np.random.default_rng(0).normal(size=401)
    >>> values = np.convolve(noise, [1.0, 0.8])[:401]
    >>> detector, facts = Sarima(order=(0, 0, 1)), SeriesFacts("load")
    >>> fitted = detector.fit(History({"load": values[:400]}))
    >>> rows, _ = baseline.score(baseline.start(facts), facts, np.append(values[:400], 9.0))
    >>> result = detector.score(fitted, detector.start(fitted, facts), rows)
    >>> bool(result.raw_score[399] < 2 < 6 < result.raw_score[400])
    True
    """

    type: Literal["sarima"] = "sarima"
    anomalies: ClassVar[tuple[str, ...]] = ("contextual", "point")
    order: tuple[Lags, Few, Lags] = Field(
        default=(1, 0, 1), description="rows that it regresses on, times that it takes differences, errors that it remembers"
    )
    seasonal_order: tuple[Few, Once, Few] = Field(default=(0, 1, 1), description="the same in steps of a season; [0, 0, 0] for none")
    sigmas: float = Field(default=4.0, gt=0, description="own band and flag: so many standard deviations of the forecast's error")

    def minimum_rows(self, facts: SeriesFacts) -> int:
        return max(2 * LEAST_ROWS, 6 * facts.period if facts.period <= LONGEST_SEASON else 2 * facts.period)

    def fit(self, history: History) -> ModelParts:
        numbers: dict[str, int] = {}
        arrays: dict[str, NDArray[np.float64]] = {}
        without_season: list[str] = []
        for name in history.values:
            look = baseline_history(history, name)
            if look is None:
                continue
            is_short = 1 < look.period <= LONGEST_SEASON and len(look.values) >= LEAST_SEASONS * look.period
            rows = np.where(look.is_missing, np.nan, look.tamed if is_short or not look.period else look.tamed - look.forecasts[3])
            found = self._fit(rows[-max(TRAINING_ROWS, LEAST_SEASONS * look.period * is_short) :], look.period if is_short else 0)
            if found is None:
                continue
            numbers[name] = len(numbers)
            arrays |= {f"{numbers[name]}/{key}": value for key, value in found.items()}
            if look.period and not is_short:
                without_season.append(name)
        return ModelParts({"series": numbers, "without_season": without_season}, arrays)

    def start(self, fitted: ModelParts, facts: SeriesFacts) -> State:
        if facts.name not in fitted.parameters.get("series", {}):
            return {}
        number = fitted.parameters["series"][facts.name]
        model = {key: fitted.arrays[f"{number}/{key}"] for key in ("transition", "design", "noise", "mean", "covariance")}
        into, columns = np.nonzero(model["transition"])
        states = len(model["mean"])
        return {
            "begins": np.searchsorted(into, np.arange(states + 1)),
            "columns": columns,
            "weights": model["transition"][into, columns],
            "design": model["design"],
            "noise": model["noise"],
            "is_season_taken_off": facts.name in fitted.parameters["without_season"],
            "mean": model["mean"].copy(),
            "covariance": model["covariance"].copy(),
            "gain": np.zeros(states + 1),
            "rested": np.zeros(1, np.int64),
        }

    def score(self, fitted: ModelParts, state: State, rows: Rows) -> Result:
        from smartflow_assets.core.kernels import kalman

        if not state:
            return Result(np.zeros(rows.count), np.zeros(rows.count, np.bool_))
        season = rows.forecasts[3] if state["is_season_taken_off"] else np.zeros(rows.count)
        left, deviation, s = np.empty(rows.count), np.empty(rows.count), state
        kalman.walk(
            rows.values - season, rows.is_missing, s["begins"], s["columns"], s["weights"], s["design"], s["noise"], self.sigmas,
            s["mean"], s["covariance"], s["gain"], s["rested"], left, deviation,
        )  # fmt: skip
        expected, band = season + left, self.sigmas * deviation
        return band_result(np.abs(rows.values - expected) / deviation, self.sigmas, expected, expected - band, expected + band)

    def _fit(self, rows: NDArray[np.float64], season: int) -> dict[str, NDArray[np.float64]] | None:
        """The matrices of the fitted model and its state before the first row; None where it cannot be fitted."""
        known = rows[np.isfinite(rows)]
        if len(known) < max(LEAST_ROWS, len(rows) / 2) or known.std() < FINEST:
            return None
        seasonal = (*self.seasonal_order, season) if season else (0, 0, 0, 0)
        model_of: Any = library("statsmodels.tsa.statespace.sarimax", detector=self.type, extra="forecast").SARIMAX
        from threadpoolctl import threadpool_limits  # scikit-learn brings it  # pyright: ignore[reportMissingTypeStubs]

        with warnings.catch_warnings(), threadpool_limits(1):  # for matrices as small as these threads are a loss
            warnings.simplefilter("ignore")  # it may end before it has converged: the iterations are the limit
            try:  # of the differences, and without the variance, which follows from the rest: six times as fast
                differences = model_of(rows, order=self.order, seasonal_order=seasonal, simple_differencing=True, concentrate_scale=True)
                params = np.asarray(differences.fit(disp=0, maxiter=ITERATIONS, return_params=True))
                params = np.append(params, max(float(differences.filter(params).scale), FINEST**2))
                if not np.isfinite(params).all():
                    return None
                return matrices(model_of(rows[: LEAST_SEASONS * season + LEAST_ROWS], order=self.order, seasonal_order=seasonal), params)
            except (np.linalg.LinAlgError, ValueError, IndexError):
                return None


def matrices(model: Any, params: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """What a model of statsmodels is with these parameters (states x states, states), and its state before the first row."""
    filtered = model.filter(params).filter_results
    found = {
        "transition": filtered.transition[..., 0],
        "design": filtered.design[0, :, 0],
        "noise": filtered.selection[..., 0] @ filtered.state_cov[..., 0] @ filtered.selection[..., 0].T,
        "mean": filtered.predicted_state[:, 0],
        "covariance": filtered.predicted_state_cov[..., 0],
    }
    return {name: np.ascontiguousarray(array) for name, array in found.items()}
