"""check_rule: a rule that keeps its promises passes, and one that breaks a promise hears which, by what, and what to do."""

import re
from datetime import timedelta
from typing import Literal

import numpy as np
import pytest
from pydantic import Field

from smartflow_assets.api import BaseRule, Finding, buckets, run_lengths
from smartflow_assets.testing import check_rule


class Ceiling(BaseRule):
    """Nothing may be above a limit for a quarter of an hour; each broken rule below changes one thing."""

    type: Literal["ceiling"] = "ceiling"
    limit: float = Field(default=4.0, description="The highest value that is allowed.")

    def lookback(self, step: timedelta) -> timedelta:
        return timedelta(minutes=15)

    def find(self, times: np.ndarray, values: np.ndarray, step: timedelta) -> list[Finding]:
        needed = buckets(timedelta(minutes=15), step)
        rows = np.flatnonzero(run_lengths(values > self.limit, times, step) >= needed)
        return [Finding(int(row), self.limit, f"{values[row]:g} is above {self.limit:g}") for row in rows]


class Silent(Ceiling):
    limit: float = 4.0


class Shortsighted(Ceiling):
    def lookback(self, step: timedelta) -> timedelta:
        return timedelta(0)


class Prophetic(Ceiling):
    def find(self, times: np.ndarray, values: np.ndarray, step: timedelta) -> list[Finding]:
        return [Finding(len(values) - 1, self.limit, "the last row")] if len(values) else []


class Beyond(Ceiling):
    def find(self, times: np.ndarray, values: np.ndarray, step: timedelta) -> list[Finding]:
        return [Finding(len(values), self.limit, "the row after the last one")]


class Wordless(Ceiling):
    def find(self, times: np.ndarray, values: np.ndarray, step: timedelta) -> list[Finding]:
        return [finding._replace(text="") for finding in super().find(times, values, step)]


class Filler(Ceiling):
    def find(self, times: np.ndarray, values: np.ndarray, step: timedelta) -> list[Finding]:
        values[np.isnan(values)] = 0
        return super().find(times, values, step)


BROKEN: dict[type[Ceiling], str] = {
    Silent: "ceiling: no description for limit. Write Field(description=…)",
    Shortsighted: "ceiling: the series 'random' in pieces of (1,) buckets broke it 0 times, in one piece ",
    Prophetic: "ceiling: the series 'random' in pieces of (1,) buckets broke it 160 times, in one piece 2 times. Let lookback cover",
    Beyond: "ceiling: find named a row that the series 'random' does not have. Give positions from 0 on.",
    Wordless: "ceiling: a finding has no text. Say what broke the rule",
    Filler: "ceiling: find changed the values. Copy before you change.",
}


def test_a_rule_that_keeps_its_promises_passes() -> None:
    check_rule(Ceiling())


@pytest.mark.parametrize("rule", BROKEN, ids=lambda rule: rule.__name__)
def test_a_broken_promise_is_told_in_a_sentence(rule: type[Ceiling]) -> None:
    with pytest.raises(AssertionError, match=re.escape(BROKEN[rule])):
        check_rule(rule())
