"""Distance from the forecast that Prophet made at the last training (Taylor and Letham, 2018)."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from smartflow_assets.core.detectors.base import BaseDetector, History, Result, band_result
from smartflow_assets.core.model_parts import ModelParts
from smartflow_assets.core.series.blocks import Rows, State
from smartflow_assets.core.series.facts import SeriesFacts
from smartflow_assets.core.temporal.calendar import Calendar

if TYPE_CHECKING:
    from numpy.typing import NDArray

TRAINING_ROWS, LEAST_ROWS = 5000, 30
LEAST_NOISE = 1e-3  # of the usual spread of the series: a training without any noise must not make every rounding strange
AHEAD = pd.Timedelta(days=366)  # so long the holidays of a stored model reach


class Prophet(BaseDetector, frozen=True):
    """Residual from Prophet's forecast over the noise that it found: a line that may bend, daily, weekly and yearly seasons.

    Fitted for each series at training, on every n-th row where there are more than 5,000, in local time and with the
    public holidays of the source's calendar as one effect. Nothing is refitted while it scores. A series that Prophet cannot
    fit, or that is shorter than 30 rows, scores 0. For few series: a fit takes seconds.

    >>> hours = np.datetime64("2026-01-05", "us") + np.arange(400) * np.timedelta64(1, "h")
    >>> daily = np.sin(np.arange(400) * 2 * np.pi / 24) + 0.1 * np.random.default_rng(0).normal(size=400)
    >>> detector = Prophet()
    >>> fitted = detector.fit(History({"load": daily[:300]}, times={"load": hours[:300]}))
    >>> expected = detector.forecast(detector.start(fitted, SeriesFacts("load")), hours[300:])
    >>> bool(np.abs(expected - daily[300:]).max() < 0.5)
    True
    """

    type: Literal["prophet"] = "prophet"
    anomalies: ClassVar[tuple[str, ...]] = ("contextual", "point")
    changepoint_prior_scale: float = Field(default=0.05, gt=0, le=10, description="how freely the line may bend; higher follows more")
    growth: Literal["linear", "flat"] = Field(
        default="linear", description="linear: the line goes on as it last rose; flat: it does not rise"
    )
    sigmas: float = Field(default=4.0, gt=0, description="own band and flag: so many times the noise that the fit left")

    def minimum_rows(self, facts: SeriesFacts) -> int:
        return max(2 * facts.period, 2 * LEAST_ROWS)

    def fit(self, history: History) -> ModelParts:
        calendar = history.calendar or Calendar()
        models = {}
        for name, values in history.values.items():
            known = np.isfinite(values)
            if name not in history.times or known.sum() < LEAST_ROWS:
                continue
            rows = pd.DataFrame({"ds": _local(history.times[name][known], calendar), "y": values[known]})
            model = self._fit(rows[:: -(-len(rows) // TRAINING_ROWS)], calendar)
            if model is not None:
                models[name] = model
        return ModelParts({"calendar": calendar.model_dump(), "series": models})

    def start(self, fitted: ModelParts, facts: SeriesFacts) -> State:
        if facts.name not in fitted.parameters.get("series", {}):
            return {}
        stored = json.loads(fitted.parameters["series"][facts.name])
        params = {name: np.ravel(np.asarray(value, dtype=float)) for name, value in stored["params"].items()}
        names, seasons = stored["seasonalities"]
        turns = [(i + 1) / seasons[name]["period"] for name in names for i in range(seasons[name]["fourier_order"])]
        weights = params["beta"][: 2 * len(turns)].reshape(-1, 2)
        return {
            "calendar": fitted.parameters["calendar"],
            "start": float(stored["start"]),
            "span": float(stored["t_scale"]),
            "slope": float(params["k"][0]),
            "level": float(params["m"][0]),
            "changes": params["delta"] if stored["growth"] == "linear" else np.zeros(0),
            "change_at": np.asarray(stored["changepoints_t"], dtype=float),
            "frequency": np.array(turns, dtype=float),
            "sine": np.ascontiguousarray(weights[:, 0]),
            "cosine": np.ascontiguousarray(weights[:, 1]),
            "holiday": float(params["beta"][2 * len(turns)]) if stored["holidays"] else 0.0,
            "scale": float(stored["y_scale"]),
            "noise": max(float(params["sigma_obs"][0]) * float(stored["y_scale"]), LEAST_NOISE),
        }

    def score(self, fitted: ModelParts, state: State, rows: Rows) -> Result:
        if not state or rows.times is None:
            return Result(np.zeros(rows.count), np.zeros(rows.count, np.bool_))
        expected, noise = self.forecast(state, rows.times), state["noise"]
        raw = np.abs(rows.values - expected) / noise
        return band_result(raw, self.sigmas, expected, expected - self.sigmas * noise, expected + self.sigmas * noise)

    def forecast(self, state: State, times: NDArray[np.datetime64]) -> NDArray[np.float64]:
        """Expected scaled value at each time (UTC), past or future; NaN where the time is not known."""
        from smartflow_assets.core.kernels import prophet as kernel

        calendar, known = Calendar.model_validate(state["calendar"]), ~np.isnat(times)
        seconds, is_holiday = np.full(len(times), np.nan), np.zeros(len(times))
        seconds[known] = _local(times[known], calendar).astype("datetime64[us]").astype(np.int64) / 1e6
        if state["holiday"]:
            is_holiday[known] = calendar.is_holiday(pd.DatetimeIndex(times[known]).tz_localize("UTC"))
        expected = np.empty(len(times))
        kernel.predict(
            seconds, is_holiday, state["start"], state["span"], state["slope"], state["level"], state["changes"], state["change_at"],
            state["frequency"], state["sine"], state["cosine"], state["holiday"], state["scale"], expected,
        )  # fmt: skip
        return expected

    def _fit(self, rows: pd.DataFrame, calendar: Calendar) -> str | None:
        """The fitted model as Prophet's own JSON, without its history; None where it cannot be fitted."""
        with _silent():
            from prophet import Prophet as Model
            from prophet.serialize import model_to_json

            model = Model(
                growth=self.growth, changepoint_prior_scale=self.changepoint_prior_scale, uncertainty_samples=0,
                holidays=_holidays(rows["ds"], calendar),
            )  # fmt: skip
            try:
                model.fit(rows, seed=0)
            except (RuntimeError, ValueError):
                return None
        if model.growth == "flat":
            model.params["k"] = np.zeros_like(model.params["k"])
        if model.history is not None and model.history_dates is not None:  # forecasts need neither them nor the fitted trend
            model.history, model.history_dates = model.history.iloc[-2:], model.history_dates.iloc[-2:]
        model.params.pop("trend", None)
        model.fit_kwargs = {}
        return model_to_json(model)


def _local(times: NDArray[np.datetime64], calendar: Calendar) -> NDArray[np.datetime64]:
    """Times of the calendar's zone without their offset, as Prophet wants them."""
    if calendar.timezone == "UTC":
        return times
    return calendar.local(pd.DatetimeIndex(times).tz_localize("UTC")).tz_localize(None).to_numpy()


def _holidays(local: pd.Series, calendar: Calendar) -> pd.DataFrame | None:
    """The public holidays from the first row to a year after the last, as one effect; None where no row lies on one."""
    if calendar.holidays is None:
        return None
    days = pd.date_range(local.min().normalize(), local.max().normalize() + AHEAD, freq="D")
    found = days[calendar.is_holiday((days + pd.Timedelta(hours=12)).tz_localize(calendar.timezone))]
    return pd.DataFrame({"ds": found, "holiday": "holiday"}) if local.dt.normalize().isin(found).any() else None


@contextmanager
def _silent() -> Generator[None]:
    """Prophet and cmdstanpy tell each fit at level INFO, the missing of a plot library as an error, and warn of their own code."""
    loggers = [logging.getLogger(name) for name in ("cmdstanpy", "prophet", "prophet.plot", "prophet.models")]
    before = [logger.disabled for logger in loggers]
    for logger in loggers:
        logger.disabled = True  # their levels they set themselves, at each use
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, was_disabled in zip(loggers, before, strict=True):
            logger.disabled = was_disabled
