"""From aggregated buckets to a regular series: which buckets exist, which are missing, what was repaired and how.

Holds the time grid of a source and the labels of every repair. Aggregating rows to buckets is SQL in adapters.buckets;
detectors never learn from or judge a value that was filled here: `repair` says which those are.
"""
from datetime import timedelta
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from smartflow_assets.core.durations import Duration

Fill = Literal["interpolate", "previous", "zero", "none"]
DAY = timedelta(days=1)


class TimeBucket(BaseModel):
    """How time is cut, how long a bucket may settle, and what stands in for buckets without rows."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    every: Duration = Field(
        default=timedelta(minutes=5),
        description="Length of a bucket. Whole days and weeks are cut in the calendar's zone, all others in UTC.")
    fill: Fill = Field(
        default="interpolate",
        description="What stands in for missing buckets: a line between the neighbours, the last value, zero, or nothing. "
        "Filled values are labelled and never judged.")
    max_gap: Duration | None = Field(default=None, description="Gaps longer than this are left missing. Default: six buckets.")
    settle: Duration | None = Field(
        default=None,
        description="How long after its end a bucket may still receive rows before it is judged. "
        "Default: one bucket, at most 10min.")

    @model_validator(mode="after")
    def _is_a_grid(self) -> Self:
        if self.every <= timedelta(0):
            raise ValueError("time_bucket.every must be longer than zero; write a length such as 5min")
        if self.every >= DAY and self.every % DAY:
            raise ValueError("time_bucket.every: more than a day must be whole days, such as 1 day or 7 days")
        return self

    @property
    def gap_limit(self) -> timedelta:
        """The longest gap that is filled."""
        return 6 * self.every if self.max_gap is None else self.max_gap

    @property
    def settle_time(self) -> timedelta:
        """The wait after the end of a bucket before it is judged."""
        return min(self.every, timedelta(minutes=10)) if self.settle is None else self.settle
