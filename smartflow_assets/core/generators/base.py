"""What every synthetic domain shares: seeded noise, labelled events, and a twin in which nothing happened.

A domain (its own file) says how its calm series behave and between which bounds they live; the events that are put into
them are drawn here. Labels are what a person would circle on the plot. Sizes are fractions of the calm series' 1 to 99 %
range, so that an event of size 1 is as large as the series' usual day.
"""
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from smartflow_assets.core.durations import Duration

EventType = Literal["spike", "dropout", "level_shift", "flat", "burst", "surge"]
LENGTHS: dict[EventType, tuple[int, int]] = {  # rows, both ends included
    "spike": (1, 2), "dropout": (3, 12), "level_shift": (24, 60), "flat": (12, 36), "burst": (8, 24), "surge": (5, 12),
}
KINDS = tuple(LENGTHS)
APART = 60  # rows between two events of one series: nobody could tell closer ones from one
SMALLEST = 0.35  # of the range: what ends up smaller (a dropout at night) nobody would circle, so it is drawn elsewhere
QUIET = 1 / 3  # first share of the rows, which is learnt from; it holds one event per series, as real history does


@dataclass(frozen=True)
class Bounds:
    """Between what values a series lives, how it idles when its process is gone, and how it is rounded."""

    idle: float = 0.0
    ceiling: float = np.inf
    decimals: int = 0


@dataclass(frozen=True)
class Event:
    """One labelled event: rows `first` to `last` (included) of `series`."""

    series: str
    type: EventType
    first: int
    last: int


@dataclass(frozen=True)
class Generated:
    """`frame` and `twin` hold `timestamp` (UTC) and one column per series; they differ only inside the events of `labels`
    (series, started_at, ended_at, type, size; `ended_at` is the start of the last row, size the largest change over
    the range)."""

    frame: pd.DataFrame
    labels: pd.DataFrame
    twin: pd.DataFrame


class BaseGenerator(BaseModel):
    """A domain: `calm` series within `bounds`, and `generate`, which puts events into them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: Duration = Field(default=timedelta(minutes=5), description="Time between two rows.")

    @property
    def bounds(self) -> Mapping[str, Bounds]:
        """The series of this domain."""
        raise NotImplementedError

    def calm(self, times: pd.DatetimeIndex, seed: int) -> dict[str, np.ndarray]:
        """One array of floats per series, as long as `times`, in which nothing happens."""
        raise NotImplementedError

    def planned(self, times: pd.DatetimeIndex, values: dict[str, np.ndarray]) -> list[Event]:
        """Events at times given by the parameters; written into `values`, which still hold the calm series."""
        return []

    def generate(self, start: datetime, rows: int, seed: int = 0, anomaly_rate: float = 0.01) -> Generated:
        """`rows` rows from `start` (aware), the same for the same arguments.

        `anomaly_rate` is the share of rows of each series that lie inside an event, about; 0 leaves the planned ones.
        """
        times = pd.date_range(pd.Timestamp(start).tz_convert("UTC"), periods=rows, freq=self.step, unit="us")
        calm = {name: self._bounded(name, values) for name, values in self.calm(times, seed).items()}
        changed = {name: values.copy() for name, values in calm.items()}
        events = self.planned(times, changed)
        for k, name in enumerate(self.bounds):
            own = [event for event in events if event.series == name]
            rng = np.random.default_rng([seed, 1000 + k])
            events += self._inject(name, changed[name], own, round(anomaly_rate * rows), rng)
        changed = {name: self._bounded(name, values) for name, values in changed.items()}
        return Generated(_frame(times, changed), _labels(times, events, calm, changed), _frame(times, calm))

    def _bounded(self, name: str, values: np.ndarray) -> np.ndarray:
        bounds = self.bounds[name]
        return np.round(np.clip(values, 0, bounds.ceiling), bounds.decimals)

    def _inject(self, name: str, values: np.ndarray, own: list[Event], budget: int, rng: np.random.Generator) -> list[Event]:
        """Draw events into `values` until `budget` rows are inside one; all types come up equally often."""
        calm, width = values.copy(), _width(values)
        quiet, rows = round(QUIET * len(values)), len(values)
        left = budget - sum(event.last - event.first + 1 for event in own)
        placed = list(own)
        kinds: list[EventType] = []
        while left > 0:
            kinds = kinds or [KINDS[k] for k in rng.permutation(len(KINDS))]
            kind = kinds.pop()
            length = int(rng.integers(LENGTHS[kind][0], LENGTHS[kind][1] + 1))
            size = rng.uniform(0.55, 0.8) if rng.random() < 0.3 else rng.uniform(1.0, 1.6)
            is_first = len(placed) == len(own)
            for _ in range(100):
                low, high = (quiet // 2, quiet) if is_first else (quiet, rows - APART // 2)
                if high - low <= length + APART:
                    return placed[len(own):]
                first = int(rng.integers(low, high - length))
                last = first + length - 1
                new = _shape(kind, calm[first:last + 1], size * width, self.bounds[name], rng)
                is_free = all(first > other.last + APART or last < other.first - APART for other in placed)
                if is_free and _is_visible(kind, calm[first:last + 1], self._bounded(name, new), width):
                    values[first:last + 1] = new
                    placed.append(Event(name, kind, first, last))
                    break
            left -= length
        return placed[len(own):]


def _shape(kind: EventType, calm: np.ndarray, amount: float, bounds: Bounds, rng: np.random.Generator) -> np.ndarray:
    rows = len(calm)
    match kind:
        case "spike":
            return calm + amount
        case "dropout":
            return np.maximum(calm - amount, bounds.idle * rng.uniform(0.8, 1.2, rows))
        case "level_shift":
            return np.maximum(calm + amount * rng.choice([-1, 1]), bounds.idle * rng.uniform(0.8, 1.2, rows))
        case "flat":
            return np.full(rows, calm[0])
        case "burst":
            return np.maximum(calm + 0.6 * amount * rng.standard_normal(rows), bounds.idle)
        case "surge":
            rise = int(rng.integers(1, 3))
            away = np.arange(rows) - rise
            return calm + amount * np.where(away < 0, 0.6, np.exp(-away / (rows / 3)))


def _is_visible(kind: EventType, calm: np.ndarray, new: np.ndarray, width: float) -> bool:
    change = np.abs(new - calm) / width
    if kind == "flat":
        return True
    return bool((np.median(change) if kind in ("dropout", "level_shift") else change.max()) >= SMALLEST)


def _width(values: np.ndarray) -> float:
    low, high = np.quantile(values, [0.01, 0.99]) if len(values) else (0.0, 0.0)
    return float(high - low) or 1.0


def _frame(times: pd.DatetimeIndex, values: Mapping[str, np.ndarray]) -> pd.DataFrame:
    return pd.DataFrame({"timestamp": times, **values})


def _labels(
    times: pd.DatetimeIndex, events: Iterable[Event], calm: Mapping[str, np.ndarray], changed: Mapping[str, np.ndarray],
) -> pd.DataFrame:
    rows = []
    for event in sorted(events, key=lambda event: (event.first, event.series)):
        inside = slice(event.first, event.last + 1)
        change = np.abs(changed[event.series][inside] - calm[event.series][inside]).max() / _width(calm[event.series])
        rows.append((event.series, times[event.first], times[event.last], event.type, round(float(change), 2)))
    labels = pd.DataFrame(rows, columns=["series", "started_at", "ended_at", "type", "size"])
    times_of = {"started_at": "datetime64[us, UTC]", "ended_at": "datetime64[us, UTC]"}
    return labels.astype({"series": str, "type": str, "size": float, **times_of})


def noise(rows: int, rng: np.random.Generator, memory: float) -> np.ndarray:
    """Noise of mean 0 and standard deviation 1 whose rows remember the last one by `memory` (0 to below 1).

    An AR(1) process; the exponential average computes its recursion in C.
    """
    shocks = pd.Series(rng.standard_normal(rows))
    smooth = shocks.ewm(alpha=1 - memory, adjust=False).mean().to_numpy()
    return smooth * np.sqrt((1 + memory) / (1 - memory))
