"""`check_rule`: what every rule must do, whatever it forbids.

A rule that finds nothing in the rows it is shown keeps every promise for want of a verdict, so an author whose rule forbids
something rare brings a series that breaks it (`RuleCase.values`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import cycle
from numbers import Real
from operator import index, itemgetter

import numpy as np
import pandas as pd

from smartflow_assets.core.rules import evaluate
from smartflow_assets.core.rules.base import BaseRule, Finding, microseconds
from smartflow_assets.testing.promises import broken, check_instance, check_settings, counted, kind_of, promised, run_all

STEP = timedelta(minutes=5)
MICROSECOND = timedelta(microseconds=1)
METRICS = ("cpu", "memory")
"""The metrics of the source that rules are put to, unless a rule names others."""


@dataclass(frozen=True)
class RuleCase:
    """A rule, and a series with some rows that break it: one value every five minutes, NaN for a bucket without one.

    None will do where random whole numbers from 0 to 9, some of them missing, or a constant series break the rule.
    """

    rule: BaseRule
    values: Sequence[float] | np.ndarray | None = None

    @property
    def series(self) -> dict[str, np.ndarray]:
        """All that the rule is shown, by what messages call it."""
        own = {} if self.values is None else {"values": np.asarray(self.values, float)}
        return own | _series()


def check_rule(rule: BaseRule, *, values: Sequence[float] | np.ndarray | None = None) -> None:
    """Run every check of `RULE_CHECKS`; AssertionError says which promise is broken, by which rows, and what to do.

    values: a series with some rows that break the rule, one value every five minutes, NaN for a bucket without one. Needed
    where neither random whole numbers from 0 to 9, some of them missing, nor a constant series break it.
    """
    check_instance(rule, BaseRule, "check_rule")
    run_all(RULE_CHECKS, RuleCase(rule, values), rule, rule.name)


def rule_rows(rule: BaseRule, values: Sequence[float] | np.ndarray) -> pd.DataFrame:
    """Clean rows of a source, five minutes apart: `values` for each metric that the rule names; NaN is a missing bucket."""
    values = np.asarray(values, float)
    parts = [
        pd.DataFrame(
            {
                "series": metric,
                "metric": metric,
                "dimensions": [{} for _ in values],
                "observed_at": pd.date_range("2026-01-05", periods=len(values), freq=STEP, tz="UTC").as_unit("us"),
                "value": np.roll(values, 3 * number),
                "repair": np.where(np.isnan(np.roll(values, 3 * number)), "missing", "none"),
            }
        )
        for number, metric in enumerate(rule.metrics or METRICS)
    ]
    return pd.concat(parts, ignore_index=True)


def evaluated_in_pieces(rule: BaseRule, rows: pd.DataFrame, step: timedelta, buckets: Sequence[int]) -> pd.DataFrame:
    """The violations of rows that come in pieces of so many buckets each, over and over, with `lookback` before each piece; the
    rows of a piece lie in any order."""
    parts, at, end, number = [], rows["observed_at"].min(), rows["observed_at"].max() + step, 0
    while at < end:
        until = at + buckets[number % len(buckets)] * step
        seen = rows[(rows["observed_at"] >= at - rule.lookback(step)) & (rows["observed_at"] < until)]
        parts.append(evaluate([rule], seen.sample(frac=1, random_state=0), step=step, since=at))
        at, number = until, number + 1
    return pd.concat(parts).sort_values(["series", "observed_at"], ignore_index=True)


def check_rule_settings(case: RuleCase) -> None:
    """Its settings are a frozen model with a literal type that refuses unknown keys, describes each key and survives JSON."""
    check_settings(case.rule)


def check_lookback_is_a_duration(case: RuleCase) -> None:
    """lookback returns a timedelta that is not below 0."""
    lookback: object = case.rule.lookback(STEP)
    remedy = "Return a timedelta, such as 3 * step or self.lasting"
    if not isinstance(lookback, timedelta):
        broken(case.rule.name, f"lookback returned {kind_of(lookback)}, not a timedelta", remedy)
    promised(lookback >= timedelta(0), case.rule.name, f"lookback is {lookback}, below 0", remedy)


def check_findings_name_rows(case: RuleCase) -> None:
    """find names rows of the series that it was given, says why in words, and leaves the series as it is."""
    rule = case.rule
    if type(rule).find is BaseRule.find and _looks_across(rule):
        return  # it looks across metrics: evaluate says all
    for given, values in case.series.items():
        times, before = np.arange(len(values)) * (STEP // MICROSECOND), values.copy()
        found: object = rule.find(times, values, STEP)
        if not isinstance(found, list):
            broken(rule.name, f"find returned {kind_of(found)}, not a list", "Return a list[Finding], [] when nothing breaks the rule")
        for finding in found:
            _check_finding(rule.name, finding, given, len(values))
        rows = [finding.row for finding in found]
        twice = next((row for row in rows if rows.count(row) > 1), None)
        promised(twice is None, rule.name, f"find named row {twice} of {given} twice", "Name each row once; a violation has one text")
        promised(np.array_equal(values, before, equal_nan=True), rule.name, "find changed the values", "Copy before you change")


def check_it_fires(case: RuleCase) -> None:
    """Some of the rows that it is shown break the rule: without a verdict the other checks say nothing."""
    remedy = (
        "Call check_rule(rule, values=[…]) with a series in which some rows break it: one value every five minutes, NaN where none came"
    )
    shown = ["values"] if case.values is not None else list(case.series)
    count = sum(len(evaluate([case.rule], rule_rows(case.rule, case.series[name]), step=STEP)) for name in shown)
    where = "in `values`" if case.values is not None else f"in the series of this check ({', '.join(shown)})"
    promised(count, case.rule.name, f"no row {where} breaks the rule, so nothing was tested", remedy)


def check_lookback_is_enough(case: RuleCase) -> None:
    """The verdict on a row needs nothing but the rows of its `lookback`: none later, none earlier, in any cut."""
    rule = case.rule
    for given, values in case.series.items():
        rows = rule_rows(rule, values)
        whole = _verdicts(rule, rows, (len(values),))
        for buckets in ((1,), (7,), (12, 3)):
            pieces = _verdicts(rule, rows, buckets)
            sizes = " and ".join(counted(size, "bucket") for size in buckets)
            what = f"the series {given!r} has {counted(len(pieces), 'violation')} in pieces of {sizes}, and {len(whole)} as a whole"
            if len(pieces) == len(whole):
                what += "; the rows or the texts differ"
            promised(pieces == whole, rule.name, what, "Let lookback cover all that a verdict depends on, and look at no later row")


RULE_CHECKS: tuple[Callable[[RuleCase], None], ...] = (
    check_rule_settings,
    check_lookback_is_a_duration,
    check_findings_name_rows,
    check_lookback_is_enough,
    check_it_fires,
)
"""Every promise of a rule, one function each."""


def _verdicts(rule: BaseRule, rows: pd.DataFrame, buckets: Sequence[int]) -> list[tuple[object, ...]]:
    """Series, time, rule and words of each violation in pieces of so many buckets. A rule that looks at each series by itself is put
    to arrays, which is what BaseRule.evaluate does and takes no frames: a hundred pieces are a matter of milliseconds."""
    if _looks_across(rule):
        found = evaluated_in_pieces(rule, rows, STEP, buckets)
        return list(found[["series", "observed_at", "rule", "message"]].itertuples(index=False, name=None))
    return [
        (series, *verdict, rule.name)
        for series, group in rows.groupby("series")
        for verdict in _found_in_pieces(rule, microseconds(group["observed_at"]), group["value"].to_numpy(float), buckets)
    ]


def _found_in_pieces(rule: BaseRule, times: np.ndarray, values: np.ndarray, buckets: Sequence[int]) -> list[tuple[int, str]]:
    """The time and the text of what `find` names in rows that come in pieces of so many buckets each, over and over, with `lookback`
    before each piece."""
    parts: list[tuple[int, str]] = []
    at, sizes = 0, cycle(buckets)
    while at < len(times):
        since, until = times[at], at + next(sizes)
        first = np.searchsorted(times, since - rule.lookback(STEP) // MICROSECOND)
        piece = times[first:until]
        found = [(int(piece[finding.row]), finding.text) for finding in rule.find(piece, values[first:until], STEP)]
        parts += sorted((verdict for verdict in found if verdict[0] >= since), key=itemgetter(0))
        at = until
    return parts


def _looks_across(rule: BaseRule) -> bool:
    """Whether it has an `evaluate` of its own, which sees all metrics at once."""
    return type(rule).evaluate is not BaseRule.evaluate


def _check_finding(who: str, finding: object, given: str, count: int) -> None:
    if not isinstance(finding, Finding):
        broken(who, f"find returned {kind_of(finding)} in its list, not a Finding", "Write Finding(row, limit, text)")
    row, limit, text = (finding.row, finding.limit, finding.text)
    try:
        is_inside = 0 <= index(row) < count
    except TypeError:
        broken(who, f"row of a finding is {kind_of(row)}, not a whole number", "Give the position of the row: Finding(int(row), …)")
    promised(is_inside, who, f"find named a row that the series {given!r} does not have", "Give positions from 0 on")
    if not isinstance(limit, Real):
        broken(who, f"limit of a finding is {kind_of(limit)}, not a number", "Give the number that was broken, or NaN if there is none")
    promised(text or not isinstance(text, str), who, "a finding has no text", 'Say what broke the rule: "0 is below 1"')
    promised(isinstance(text, str), who, f"text of a finding is {kind_of(text)}, not text", 'Say what broke the rule: "0 is below 1"')


def _series() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    whole = random.integers(0, 10, 80).astype(float)
    return {
        "random": whole,
        "gappy": np.where(random.random(80) < 0.3, np.nan, whole),
        "constant": np.full(80, 5.0),
        "all_missing": np.full(80, np.nan),
        "single": whole[:1],
    }
