"""check_rule: a rule that keeps its promises passes, and one that breaks a promise hears which, by what, and what to do."""

import re
from datetime import timedelta
from typing import Any, Literal

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


class Twofold(Ceiling):
    def find(self, times: np.ndarray, values: np.ndarray, step: timedelta) -> list[Finding]:
        return super().find(times, values, step) * 2


class Filler(Ceiling):
    def find(self, times: np.ndarray, values: np.ndarray, step: timedelta) -> list[Finding]:
        values[np.isnan(values)] = 0
        return super().find(times, values, step)


class Mute(Ceiling):
    def find(self, times: np.ndarray, values: np.ndarray, step: timedelta) -> list[Finding]:
        return []


class Numeric(Ceiling):
    def find(self, times: np.ndarray, values: np.ndarray, step: timedelta) -> Any:
        return [Finding(np.int64(0), 1, 5)]  # pyright: ignore[reportArgumentType]


class Bare(Ceiling):
    def find(self, times: np.ndarray, values: np.ndarray, step: timedelta) -> Any:
        return [tuple(finding) for finding in super().find(times, values, step)]


class Nothing(Ceiling):
    def find(self, times: np.ndarray, values: np.ndarray, step: timedelta) -> Any:
        return None


class Minutes(Ceiling):
    def lookback(self, step: timedelta) -> Any:
        return 15


class Unfinished(BaseRule):
    type: Literal["unfinished"] = "unfinished"

    def find(self, times: np.ndarray, values: np.ndarray, step: timedelta) -> list[Finding]:
        return []


class Faulty(Ceiling):
    def find(self, times: np.ndarray, values: np.ndarray, step: timedelta) -> list[Finding]:
        raise KeyError("limits")


class Asserting(Ceiling):
    def find(self, times: np.ndarray, values: np.ndarray, step: timedelta) -> list[Finding]:
        if len(values) < 2:
            raise AssertionError("at least two rows")
        return super().find(times, values, step)


class UnitChange(BaseRule):
    """A value a thousand times the one before it; it claims to need no past."""

    type: Literal["unit_change"] = "unit_change"
    past: int = Field(default=0, description="Buckets of the past that are asked for.")

    def lookback(self, step: timedelta) -> timedelta:
        return self.past * step

    def find(self, times: np.ndarray, values: np.ndarray, step: timedelta) -> list[Finding]:
        rows = 1 + np.flatnonzero((values[:-1] > 0) & (values[1:] > 900 * values[:-1]))
        return [Finding(int(row), float("nan"), "another unit") for row in rows]


BROKEN: dict[type[BaseRule], str] = {
    Twofold: "twice. Name each row once",
    Silent: "ceiling: no description for limit. Write Field(description=…)",
    Shortsighted: "ceiling: the series 'random' has 0 violations in pieces of 1 bucket, and ",
    Prophetic: "ceiling: the series 'random' has 160 violations in pieces of 1 bucket, and 2 as a whole. Let lookback cover",
    Beyond: "ceiling: find named a row that the series 'random' does not have. Give positions from 0 on.",
    Wordless: "ceiling: a finding has no text. Say what broke the rule",
    Filler: "ceiling: find changed the values. Copy before you change.",
    Mute: "ceiling: no row in the series of this check (random, gappy, constant, all_missing, single) breaks the rule",
    Numeric: "ceiling: text of a finding is an int, not text. Say what broke the rule",
    Bare: "ceiling: find returned a tuple in its list, not a Finding. Write Finding(row, limit, text).",
    Nothing: "ceiling: find returned None, not a list. Return a list[Finding], [] when nothing breaks the rule.",
    Minutes: "ceiling: lookback returned an int, not a timedelta. Return a timedelta",
    Unfinished: "unfinished: Unfinished has no lookback. Write lookback; its parent BaseRule does not.",
    Faulty: "ceiling: find raised KeyError: 'limits'. The traceback above says where",
    Asserting: "ceiling: find raised AssertionError: at least two rows. The traceback above says where",
}


def test_a_rule_that_keeps_its_promises_passes() -> None:
    check_rule(Ceiling())


@pytest.mark.parametrize("rule", BROKEN, ids=lambda rule: rule.__name__)
def test_a_broken_promise_is_told_in_a_sentence(rule: type[BaseRule]) -> None:
    with pytest.raises(AssertionError, match=re.escape(BROKEN[rule])):
        check_rule(rule())


def test_a_rule_that_nothing_shown_breaks_was_not_tested_and_a_series_that_breaks_it_tests_it() -> None:
    with pytest.raises(AssertionError, match=r"unit_change: no row in the series of this check .* Call check_rule\(rule, values="):
        check_rule(UnitChange())
    with pytest.raises(AssertionError, match=r"unit_change: no row in `values` breaks the rule, so nothing was tested"):
        check_rule(UnitChange(past=1), values=[1.0] * 40)
    jump = [3.0] * 20 + [3000.0] * 20
    with pytest.raises(AssertionError, match=r"unit_change: the series 'values' has 0 violations in pieces of 1 bucket, and 2 as"):
        check_rule(UnitChange(), values=jump)
    check_rule(UnitChange(past=1), values=jump)


def test_a_class_is_not_a_rule() -> None:
    given: Any = Ceiling
    with pytest.raises(
        AssertionError, match=r"check_rule: Ceiling is a class. Hand over a plug-in with its settings: check_rule\(Ceiling\(…\)\)"
    ):
        check_rule(given)
