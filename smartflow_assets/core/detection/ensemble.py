"""How the members' surprises become one: mean, max, any, or a vote of their own flags.

The result is the combined surprise (`raw_score`, rank by it); the anomaly score is 1 - 10^-(combined surprise). One threshold
on it serves every series. What a member says (score, surprise, flag) is the business of `detectors` and `calibration`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field, model_validator

from smartflow_assets.core.declared import Declared
from smartflow_assets.core.series.baseline import Normal
from smartflow_assets.core.series.blocks import Rows, State

if TYPE_CHECKING:
    from numpy.typing import NDArray

CAP = 12.0
"""Largest surprise of one member in a combination, so that no member alone decides."""
QUIETNESS, NOISE_SHARE, PERSISTENCE = 0.25, 0.35, 0.3
"""Power of how quiet the series is, share of its noise in that, weight of the newest row in the exponential mean. Without the first,
noisy series alarm and quiet ones hide: event F1 on NAB, AIOPS and WSD falls from .451, .818, .860 to .408, .752, .833."""
MEAN_THRESHOLD, SINGLE_MEMBER, MAX_THRESHOLD = 2.0, 1.6, 3.5
"""In surprise: threshold of a mean of many members, what a single member needs on top (shared by their number), threshold of a
maximum. With eight members the threshold is 2.2."""
SENSITIVITY = {"low": 1.25, "medium": 1.0, "high": 0.83}
"""Times the threshold, in surprise."""


class Ensemble(Declared):
    """`ensemble: {combine: vote, at_least: 2, members: [zscore, iqr, seasonal]}`."""

    combine: Literal["mean", "vote", "any", "max"] = Field(
        default="mean",
        description="mean: average surprise, weighted by how quiet the series is; max: the strangest member, weighted likewise; "
        "any: at least one member's own flag; vote: at least `at_least` members' own flags",
    )
    at_least: int | None = Field(default=None, ge=1, description="votes needed with combine: vote; default: more than half")
    members: tuple[str, ...] | None = Field(default=None, description="detectors that take part, by type; default: all listed")

    @model_validator(mode="after")
    def _check(self) -> Ensemble:
        if self.at_least is not None and self.combine != "vote":
            raise ValueError("at_least belongs to combine: vote")
        if self.members is not None and not self.members:
            raise ValueError("members is empty; leave it out to take all detectors")
        if self.members is not None and self.at_least is not None and self.at_least > len(self.members):
            raise ValueError(f"at_least is {self.at_least} but there are only {len(self.members)} members")
        return self

    def votes_needed(self, members: int) -> int:
        """Own flags that make a row anomalous, of `members` members.

        >>> Ensemble(combine="vote").votes_needed(5), Ensemble(combine="any").votes_needed(5)
        (3, 1)
        """
        if self.combine == "any":
            return 1
        return min(members, self.at_least) if self.at_least else members // 2 + 1

    def surprise_threshold(self, members: int, sensitivity: Literal["low", "medium", "high"]) -> float:
        """The combined surprise from which a row is anomalous: the same for every series.

        The mean of few members is noisier than that of many, and a maximum is larger than a mean, so both need a higher
        threshold. With vote and any the members' own flags decide, and sensitivity has no part in it.
        """
        if self.by_flags:
            return MEAN_THRESHOLD + SINGLE_MEMBER / members
        base = MAX_THRESHOLD if self.combine == "max" else MEAN_THRESHOLD + SINGLE_MEMBER / members
        return base * SENSITIVITY[sensitivity]

    @property
    def by_flags(self) -> bool:
        """Whether the members' own flags decide, and not their surprise."""
        return self.combine in ("vote", "any")

    def start(self) -> State:
        """The state of the combination before the first row."""
        return {"mean": np.zeros(1)}

    def combine_rows(
        self,
        state: State,
        surprises: NDArray[np.float64],
        flags: NDArray[np.bool_],
        surprise_threshold: float,
        rows: Rows,
        normal: Normal,
    ) -> NDArray[np.float64]:
        """Combined surprise of each row; `surprises` and `flags` are members x rows.

        mean and max: the same change is stranger in a quiet series than in a noisy one, and what stays, stays strange. vote: the
        surprise that enough members reach, where a member that flags counts at least
        `surprise_threshold`, and one that does not, less.
        """
        from smartflow_assets.core.kernels import combine

        count = rows.count
        if self.by_flags:
            votes = np.where(flags, np.maximum(surprises, surprise_threshold), np.minimum(surprises, 0.999 * surprise_threshold))
            needed = self.votes_needed(len(surprises))
            combined = np.sort(votes, axis=0)[len(surprises) - needed]
            return np.where(rows.is_missing, 0.0, combined)
        weight, average, out = np.empty((3, count))
        combine.quietness(normal.usual, normal.noise, NOISE_SHARE, rows.ranges, count, QUIETNESS, weight)
        if self.combine == "mean":
            combine.average(surprises, count, CAP, average)
        else:
            average = np.minimum(surprises.max(axis=0), CAP)
        combine.persist(average * weight, rows.is_missing, count, state["mean"], PERSISTENCE, out)
        return out
