"""What special days do to each series, as it was learnt: found again for the rows that are scored.

How it is learnt is in `effect_learning`. The days themselves are kept too, so that scores are a function of the stored model and of
the rows, whatever the library of holidays says in a later version.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from smartflow_assets.core.model_parts import ModelParts
from smartflow_assets.core.series.baseline import SpecialRows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from smartflow_assets.core.series.facts import SeriesFacts

TOLERANCE = 1.5
"""Standard deviations around a learnt effect that are nothing to speak of: 1.5 to 3 hardly differ in benchmarks/holiday_effects.py, and
1.5 finds the most outages on holidays."""
LARGEST_SHARE = 0.5
"""Of what a day leaves of the expectation: the most that is tolerated below, so that an outage is found on any day."""
LEAST_SHARE = 0.02
"""Of the mean of a day: an hour in which less is usual is not divided by."""
DAY_US = 86_400_000_000


@dataclass(frozen=True)
class CalendarEffects:
    """Learnt effects of special days.

    names: the series, in the order of the first axis. starts, ends: of each special day, UTC in microseconds. kinds, weekdays: of each
    special day. roles: of each kind. mean, spread: series x kinds x blocks of the day, the effect and its uncertainty; as a share of
    what is expected of the weekday that the day resembles where is_relative, else in scaled units. resembles: series x roles, that
    weekday, -1 for its own. profile: series x weekdays x blocks, what is usual; it turns one weekday into another.
    """

    names: tuple[str, ...]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    kinds: NDArray[np.int64]
    weekdays: NDArray[np.int64]
    roles: NDArray[np.int64]
    is_relative: NDArray[np.bool_]
    resembles: NDArray[np.int64]
    profile: NDArray[np.float32]
    mean: NDArray[np.float32]
    spread: NDArray[np.float32]

    def of_rows(self, facts: SeriesFacts, times: NDArray[np.datetime64] | None) -> SpecialRows | None:
        """What special days do to rows of a series at these times (UTC; NaT in a row that nobody gave); None where none does."""
        place = self._places.get(facts.name)
        if place is None or times is None or not len(self.starts):
            return None
        at = times.astype("datetime64[us]").astype(np.int64)
        day = np.searchsorted(self.starts, at, side="right") - 1
        rows = np.flatnonzero(~np.isnat(times) & (day >= 0) & (at < self.ends[day]))
        if not len(rows):
            return None
        day = day[rows]
        block = block_of(at[rows] - self.starts[day], self.mean.shape[2])
        kind, weekday = self.kinds[day], self.weekdays[day]
        like = self.resembles[place, self.roles[kind]]
        like = np.where(like < 0, weekday, like)
        mean, spread = (part[place, kind, block].astype(np.float64) for part in (self.mean, self.spread))
        profile = self.profile[place].astype(np.float64)
        own, other = profile[weekday, block], profile[like, block]
        effects = np.zeros((3, len(times)))
        if not self.is_relative[place]:
            room = TOLERANCE * spread
            effects[:, rows] = other - own + mean, room, room
            return SpecialRows(effects, float("nan"))
        least = max(LEAST_SHARE * float(profile.mean()), np.finfo(float).tiny)
        turned = np.where(like == weekday, 1.0, np.maximum(other, least) / np.maximum(own, least))
        share = np.maximum(turned * (1 + mean), 0.0)
        room = TOLERANCE * spread * turned
        effects[:, rows] = share - 1, np.minimum(room, LARGEST_SHARE * share), room
        return SpecialRows(effects, float(facts.scaler.transform(np.zeros(1))[0]))

    def parts(self) -> ModelParts:
        """Plain values and arrays; see `from_parts`."""
        return ModelParts({"names": list(self.names)}, {name: getattr(self, name) for name in ARRAYS})

    @classmethod
    def from_parts(cls, parts: ModelParts) -> CalendarEffects:
        """The effects that `parts()` took apart."""
        arrays: dict[str, Any] = dict(parts.arrays)
        return cls(tuple(parts.parameters["names"]), **arrays)

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.names)}


ARRAYS = ("starts", "ends", "kinds", "weekdays", "roles", "is_relative", "resembles", "profile", "mean", "spread")


def block_of(since_midnight: NDArray[np.int64], blocks: int) -> NDArray[np.int64]:
    """Which of the blocks of a day each row lies in, by the microseconds since its midnight; a 25th hour belongs to the last."""
    return np.minimum(since_midnight * blocks // DAY_US, blocks - 1)
