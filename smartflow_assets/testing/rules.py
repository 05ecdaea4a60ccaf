"""`check_rule`: what every rule must do, whatever it forbids."""

from collections.abc import Callable, Sequence
from datetime import timedelta

import numpy as np
import pandas as pd

from smartflow_assets.core.rules import evaluate
from smartflow_assets.core.rules.base import BaseRule
from smartflow_assets.testing.promises import check_settings, promised, run_all

STEP = timedelta(minutes=5)
METRICS = ("cpu", "memory")
"""The metrics of the source that rules are put to, unless a rule names others."""


def check_rule(rule: BaseRule) -> None:
    """Run every check of `RULE_CHECKS`; AssertionError says which promise is broken, by which rows, and what to do."""
    run_all(RULE_CHECKS, rule, rule.name)


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


def check_lookback_is_enough(rule: BaseRule) -> None:
    """The verdict on a row needs nothing but the rows of its `lookback`: none later, none earlier, in any cut."""
    for given, values in _series().items():
        rows = rule_rows(rule, values)
        whole = evaluate([rule], rows, step=STEP)
        for buckets in ((1,), (7,), (12, 3)):
            pieces = evaluated_in_pieces(rule, rows, STEP, buckets)
            keys = ["series", "observed_at", "rule", "message"]
            is_same = pieces[keys].to_dict("records") == whole[keys].to_dict("records")
            what = f"the series {given!r} in pieces of {buckets} buckets broke it {len(pieces)} times, in one piece {len(whole)} times"
            promised(is_same, rule.name, what, "Let lookback cover all that a verdict depends on, and look at no later row")


def check_findings_name_rows(rule: BaseRule) -> None:
    """find names rows of the series that it was given, says why in words, and leaves the series as it is."""
    if type(rule).find is BaseRule.find:
        return  # it looks across metrics: evaluate says all
    for given, values in _series().items():
        times, before = np.arange(len(values)) * int(STEP / timedelta(microseconds=1)), values.copy()
        found = rule.find(times, values, STEP)
        is_inside = all(0 <= finding.row < len(values) for finding in found)
        promised(is_inside, rule.name, f"find named a row that the series {given!r} does not have", "Give positions from 0 on")
        promised(all(finding.text for finding in found), rule.name, "a finding has no text", 'Say what broke the rule: "0 is below 1"')
        promised(np.array_equal(values, before, equal_nan=True), rule.name, "find changed the values", "Copy before you change")


RULE_CHECKS: tuple[Callable[[BaseRule], None], ...] = (check_settings, check_findings_name_rows, check_lookback_is_enough)
"""Every promise of a rule, one function each."""


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
