"""How fast a value moves: `{type: rate_of_change, rises_by: 50%, within: 1h}`."""

from datetime import timedelta
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from smartflow_assets.core.rules.base import BaseRule, Finding, buckets
from smartflow_assets.core.temporal.notation import Duration
from smartflow_assets.core.text_format import lasting, number, percent


def _check_size(value: float | str) -> float | str:
    size, _ = _size(value)
    if not 0 < size < float("inf"):
        raise ValueError(f"{value!r} must be above zero; whether it rises or falls is said by the key")
    return value


def _size(value: float | str) -> tuple[float, bool]:
    """The size of a change, and whether it is a share of the earlier value: `"50%"` is (0.5, True)."""
    if not isinstance(value, str):
        return float(value), False
    try:
        return (float(value.strip()[:-1]) / 100, True) if value.strip().endswith("%") else (float(value), False)
    except ValueError:
        raise ValueError(f"{value!r} is not a size of change; write a number such as 200, or a share such as 50%") from None


ChangeSize = Annotated[float | str, AfterValidator(_check_size)]


class RateOfChange(BaseRule):
    """The value against the one `within` earlier; a change equal to the limit counts. Where one of the two is missing, or a
    share is asked of zero, nothing is said.

    >>> rule = RateOfChange(rises_by="50%")
    >>> rule.find(np.arange(3) * 60_000_000, np.array([100.0, 120, 180]), timedelta(minutes=1))
    [Finding(row=2, limit=180.0, text='180 is 60 (+50 %) above 120 of 1 min earlier; limit 50%')]
    """

    type: Literal["rate_of_change"] = "rate_of_change"
    rises_by: ChangeSize | None = Field(default=None, description="A rise of so much counts: a number, or a share such as 50%.")
    falls_by: ChangeSize | None = Field(default=None, description="A fall of so much counts: a number, or a share such as 50%.")
    within: Duration | None = Field(default=None, description="The time between the two values; default: one bucket.")

    @model_validator(mode="after")
    def _has_a_limit(self) -> Self:
        if self.rises_by is None and self.falls_by is None:
            raise ValueError("rate_of_change needs `rises_by`, `falls_by` or both")
        return self

    def lookback(self, step: timedelta) -> timedelta:
        return (self._distance(step) + 1) * step

    def _distance(self, step: timedelta) -> int:
        return buckets(self.within or step, step)

    def find(self, times: np.ndarray, values: np.ndarray, step: timedelta) -> list[Finding]:
        distance = self._distance(step)
        if len(values) <= distance:
            return []
        now, before = values[distance:], values[:-distance]
        step_us = step / timedelta(microseconds=1)
        is_near = np.abs(times[distance:] - times[:-distance] - distance * step_us) < step_us / 2  # a clock change may bend a day
        findings: list[Finding] = []
        for change, sign, word in ((self.rises_by, 1, "above"), (self.falls_by, -1, "below")):
            if change is None:
                continue
            size, is_share = _size(change)
            limit = before + sign * size * (np.abs(before) if is_share else 1)
            breaks = is_near & (sign * now >= sign * limit) & ((before != 0) if is_share else True)
            for row in np.flatnonzero(breaks):
                share = f" ({percent((now[row] - before[row]) / abs(before[row]))})" if before[row] else ""
                text = (
                    f"{number(now[row])} is {number(abs(now[row] - before[row]))}{share} {word} {number(before[row])} "
                    f"of {lasting(distance * step)} earlier; limit {change if is_share else number(size)}"
                )
                findings.append(Finding(int(row) + distance, float(limit[row]), text))
        return sorted(findings)
