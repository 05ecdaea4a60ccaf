"""Anomalies of declared types and sizes, put into clean rows that have no labels, so that settings can be measured on them.

A size is a fraction of the series' 1 to 99 % range. What nobody could see (a swap that changes nothing, a flat run or zeros where the
series has such itself) is not planted. Events of the synthetic domains, which make series of their own, are in
`core.generators.anomaly_events`.
"""

from collections.abc import Sequence
from datetime import datetime
from itertools import product
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from smartflow_assets.core.series.intervals import ALARM_GAP_ROWS

PlantedType = Literal["spike", "dropout", "level", "flat", "context", "burst", "half_volume", "zero_run"]
PLANTED: dict[PlantedType, str] = {
    "spike": "one row, up or down",
    "dropout": "an interval that is lower",
    "level": "an interval that is higher",
    "flat": "an interval in which the value stands still",
    "context": "an interval with the values of half a season before",
    "burst": "an interval of noise",
    "half_volume": "an interval with half of the value",
    "zero_run": "an interval of zeros, in a series that hardly ever is at zero",
}
SIZED = ("spike", "dropout", "level", "burst")
SHORT, LONGEST_INTERVAL = 4, 60  # rows; an interval is at most a fifth of a season
INTERVALS_APART = (
    25  # lengths of the longest interval from one to the next: denser ones would be learnt as usual, and find themselves no more
)
LEAST_CHANGE = 0.1  # of the range, on average
RARE_ZEROS = 0.01  # of the rows: a series that is at zero more often has zeros of its own


def plant(
    rows: pd.DataFrame,
    since: datetime,
    until: datetime,
    *,
    period: int,
    types: Sequence[str] = get_args(PlantedType),
    sizes: Sequence[float] = (0.5, 1.0),
    seed: int = 0,
    known: pd.DataFrame | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`rows` (series, observed_at, value; NaN = missing; in order of time) with anomalies from `since` to before `until`, and their
    labels (series, started_at, ended_at, type, size), the same for the same seed.

    All types and sizes come up equally often over all series; they are about as rare as real ones, so that it takes several seeds
    to have many. period: rows of a season, 0 for none. known: labels beside which nothing is planted.
    """
    rng = np.random.default_rng(seed)
    wanted: list[tuple[str, float]] = [(kind, size) for kind, size in product(types, sizes) if kind in SIZED or size == sizes[0]]
    wanted = [wanted[int(place)] for place in rng.permutation(len(wanted))]
    longest = int(np.clip(period // 5, 3 * SHORT, LONGEST_INTERVAL))
    value = rows["value"].to_numpy(float, copy=True)
    labels: list[tuple[Any, pd.Timestamp, pd.Timestamp, str, float]] = []
    for name, places in rows.groupby("series", sort=True).indices.items():
        own, times = value[places].copy(), rows["observed_at"].iloc[places]
        inside = np.flatnonzero((times >= since).to_numpy() & (times < until).to_numpy())
        if len(inside) < 3 * longest or not np.isfinite(own).any():
            continue
        free = _free(times, None if known is None else known[known["series"] == name])
        count = max(1, len(inside) // (INTERVALS_APART * longest))
        apart = (len(inside) - longest) // count
        for start in range(inside[0] + longest // 2, inside[0] + longest // 2 + count * apart, apart):
            room = int(rng.integers(longest // 3, longest + 1))
            first = start + int(rng.integers(0, max(1, apart - 2 * longest))) if apart > 2 * longest else start
            for kind, size in wanted:
                interval = slice(first, first + (1 if kind == "spike" else room))
                new = _planted(kind, size, own, interval, period, rng) if free[interval].all() else None
                if new is not None:
                    value[places[interval]] = new
                    labels.append((name, times.iloc[first], times.iloc[interval.stop - 1], kind, size if kind in SIZED else np.nan))
                    wanted = [each for each in wanted if each != (kind, size)] + [(kind, size)]  # the others have their turn
                    break
    frame = pd.DataFrame(labels, columns=["series", "started_at", "ended_at", "type", "size"])
    return rows.assign(value=value), frame.astype({"started_at": rows["observed_at"].dtype, "ended_at": rows["observed_at"].dtype})


def _free(times: pd.Series, known: pd.DataFrame | None) -> np.ndarray:
    """Rows that lie in no known label, nor so near to one that a flag would be neither right nor wrong."""
    free = np.ones(len(times), dtype=bool)
    if known is not None and len(known):
        at = pd.DatetimeIndex(times)
        first, end = at.searchsorted(pd.DatetimeIndex(known["started_at"])), at.searchsorted(pd.DatetimeIndex(known["ended_at"]), "right")
        for a, b in zip(first, end, strict=True):
            free[max(0, a - ALARM_GAP_ROWS) : b + ALARM_GAP_ROWS] = False
    return free


def _planted(kind: str, size: float, own: np.ndarray, interval: slice, period: int, rng: np.random.Generator) -> np.ndarray | None:
    """The values of an interval with the anomaly in it; None where there is nothing to change, or nobody would see it."""
    old, seen = own[interval], own[np.isfinite(own)]
    if not np.isfinite(old).all():
        return None
    low, high = np.quantile(seen, [0.01, 0.99])
    width, length = float(high - low), len(old)
    match kind:
        case "spike":
            new = old + size * width * rng.choice([-1, 1])
        case "dropout":
            new = old - size * width
        case "level":
            new = old + size * width
        case "flat":
            new = np.full(length, old[0])
        case "context":
            new = own[interval.start - period // 2 : interval.stop - period // 2] if 1 < period <= 2 * interval.start else old
        case "burst":
            new = old + 0.5 * size * width * rng.standard_normal(length)
        case "zero_run":
            return np.zeros(length) if seen.min() >= 0 and (seen == 0).mean() < RARE_ZEROS and (old > 0).all() else None
        case _:
            new = old / 2
    if seen.min() >= 0:
        new = np.maximum(new, 0.0)
    if (seen == np.round(seen)).all():
        new = np.round(new)
    if kind == "flat":
        return new if _longest_still(own) < length / 2 else None
    return new if np.isfinite(new).all() and np.abs(new - old).mean() >= max(LEAST_CHANGE * width, 1e-12) else None


def _longest_still(values: np.ndarray) -> int:
    """Rows in the longest run of one value."""
    change = np.flatnonzero(np.diff(values) != 0)
    return int(np.diff(np.concatenate([[-1], change, [len(values) - 1]])).max())
