"""The events that are put into calm series: their types, lengths and sizes, and where they may lie.

Labels are what a person would circle on the plot. Sizes are fractions of the calm series' 1 to 99 % range, so that an event
of size 1 is as large as the series' usual day.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

EventType = Literal["spike", "dropout", "level_shift", "flat", "burst", "surge"]
LENGTHS: dict[EventType, tuple[int, int]] = {  # rows, both ends included
    "spike": (1, 2),
    "dropout": (3, 12),
    "level_shift": (24, 60),
    "flat": (12, 36),
    "burst": (8, 24),
    "surge": (5, 12),
}
KINDS = tuple(LENGTHS)
ROWS_APART = 60  # rows between two events of one series: nobody could tell closer ones from one
SMALLEST = 0.35  # of the range: what ends up smaller (a dropout at night) nobody would circle, so it is drawn elsewhere
QUIET_SHARE = 1 / 3  # first share of a piece, which is learnt from; it holds one event per series, as real history does


@dataclass(frozen=True)
class Bounds:
    """Between what values a series lives, how it idles when its process is gone, and how it is rounded. `reach` is what an
    event of size 1 changes, as a share of the level; by default the series' own range, which a walk has not."""

    idle: float = 0.0
    ceiling: float = np.inf
    decimals: int = 0
    floor: float = 0.0
    reach: float | None = None

    def applied(self, values: np.ndarray) -> np.ndarray:
        """The values within the bounds, rounded."""
        return np.round(np.clip(values, self.floor, self.ceiling), self.decimals)

    def width(self, values: np.ndarray) -> float:
        """What an event of size 1 changes."""
        if self.reach is not None and len(values):
            return self.reach * float(np.median(values)) or 1.0
        low, high = np.quantile(values, [0.01, 0.99]) if len(values) else (0.0, 0.0)
        return float(high - low) or 1.0


@dataclass(frozen=True)
class Event:
    """One labelled event: rows `first` to `last` (included) of `series`."""

    series: str
    type: str
    first: int
    last: int


def inject(
    name: str,
    values: np.ndarray,
    bounds: Bounds,
    own: list[Event],
    budget: float,
    rng: np.random.Generator,
    *,
    is_endless: bool,
) -> list[Event]:
    """Draw events into `values` until `budget` rows are inside one, beside those of its `own`; all types come up equally often.

    A block of an endless run has no quiet start, and its budget may be less than one event: then chance decides.
    """
    calm, width = values.copy(), bounds.width(values)
    quiet, rows = round(QUIET_SHARE * len(values)), len(values)
    left = budget - sum(event.last - event.first + 1 for event in own)
    placed = list(own)
    kinds: list[EventType] = []
    while left > 0:
        kinds = kinds or [KINDS[k] for k in rng.permutation(len(KINDS))]
        kind = kinds.pop()
        length = int(rng.integers(LENGTHS[kind][0], LENGTHS[kind][1] + 1))
        size = rng.uniform(0.55, 0.8) if rng.random() < 0.3 else rng.uniform(1.0, 1.6)
        if is_endless and rng.random() * length > left:
            break
        is_first = len(placed) == len(own)
        for _ in range(100):
            low, high = (quiet // 2, quiet) if is_first else (quiet, rows - ROWS_APART // 2)
            if is_endless:
                low, high = ROWS_APART // 2, rows - ROWS_APART // 2
            if high - low <= length + ROWS_APART:
                return placed[len(own) :]
            first = int(rng.integers(low, high - length))
            last = first + length - 1
            new = _shape(kind, calm[first : last + 1], size * width, bounds, rng)
            is_free = all(first > other.last + ROWS_APART or last < other.first - ROWS_APART for other in placed)
            if is_free and _is_visible(kind, calm[first : last + 1], bounds.applied(new), width):
                values[first : last + 1] = new
                placed.append(Event(name, kind, first, last))
                break
        left -= length
    return placed[len(own) :]


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
        return bool((change > 0).mean() > 0.5)  # where nothing moves, nobody sees a sensor that is stuck
    return bool((np.median(change) if kind in ("dropout", "level_shift") else change.max()) >= SMALLEST)


def labels_of(rows: Iterable[tuple[str, pd.Timestamp, pd.Timestamp, str, float]]) -> pd.DataFrame:
    """Labels as a frame, from series, started_at, ended_at, type and size of each."""
    labels = pd.DataFrame(list(rows), columns=["series", "started_at", "ended_at", "type", "size"])
    times_of = {"started_at": "datetime64[us, UTC]", "ended_at": "datetime64[us, UTC]"}
    return labels.astype({"series": str, "type": str, "size": float, **times_of})
