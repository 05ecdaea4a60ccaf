"""How the members' surprises become one: mean, max, any, or a vote of their own flags.

The result is the combined surprise (`raw_score`, rank by it); the anomaly score is 1 - 10^-(combined surprise). One cut on
it serves every series. What a member says (score, surprise, flag) is the business of `detectors` and `calibration`.
"""
from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Ensemble(BaseModel):
    """`ensemble: {combine: vote, at_least: 2, members: [zscore, iqr, seasonal]}`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    combine: Literal["mean", "vote", "any", "max"] = Field(
        "mean",
        description="mean: average surprise, weighted by how large the change is; max: the strangest member; "
        "any: at least one member's own flag; vote: at least `at_least` members' own flags",
    )
    at_least: int | None = Field(None, ge=1, description="votes needed; only with combine: vote (default: more than half)")
    members: tuple[str, ...] | None = Field(None, description="detectors that take part, by type; default: all that are listed")

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
