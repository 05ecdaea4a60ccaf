"""Business rules, which override the models: the union below is the registry.

Being listed here, or offered by an installed package under the entry point group `smartflow.rules`, lets a YAML name a
rule, documents it in the JSON schema and puts it into the conformance tests. `evaluate` puts the rules of a source to its
clean rows; what rows of a rule and of a detector have in common becomes one anomaly in `core.anomalies.grouping`.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import pandas as pd
from pydantic import AfterValidator

from smartflow_assets.core.extensions import registry_on_demand
from smartflow_assets.core.rules.base import VIOLATION_COLUMNS, BaseRule, no_violations
from smartflow_assets.core.rules.expression import Expression
from smartflow_assets.core.rules.flatline import FlatlineRule
from smartflow_assets.core.rules.missing import MissingRule
from smartflow_assets.core.rules.rate_of_change import RateOfChange
from smartflow_assets.core.rules.ratio_to_median import RatioToMedian
from smartflow_assets.core.rules.threshold import Threshold

__all__ = [
    "RULES",
    "VIOLATION_COLUMNS",
    "BaseRule",
    "Expression",
    "FlatlineRule",
    "MissingRule",
    "RateOfChange",
    "RatioToMedian",
    "Rule",
    "Rules",
    "Threshold",
    "evaluate",
    "lookback",
]

BUILT_IN: tuple[type[BaseRule], ...] = (
    Threshold,
    RatioToMedian,
    RateOfChange,
    FlatlineRule,
    MissingRule,
    Expression,
)


def _check_names(rules: tuple[BaseRule, ...]) -> tuple[BaseRule, ...]:
    """Two rules on one metric must not share a name: violations, anomalies and messages tell rules apart by it."""
    seen: dict[str, list[BaseRule]] = {}
    for rule in rules:
        for other in seen.setdefault(rule.name, []):
            if rule.metric is None or other.metric is None or rule.metric == other.metric:
                raise ValueError(f"two rules are called {rule.name!r}; give one of them a `name` of its own")
        seen[rule.name].append(rule)
    return rules


if TYPE_CHECKING:
    RULES: dict[str, type[BaseRule]]
    """Every rule by its type; a built-in one cannot be replaced by a plug-in."""
    Rule = BaseRule
    Rules = Annotated[tuple[Rule, ...], AfterValidator(_check_names)]
    """The rules of a source or metric: what a YAML's `rules:` holds."""
else:
    __getattr__ = registry_on_demand(
        __name__,
        ("RULES", "Rule"),
        "smartflow.rules",
        BaseRule,
        BUILT_IN,
        Rules=lambda rule: Annotated[tuple[rule, ...], AfterValidator(_check_names)],
    )


def lookback(rules: Sequence[BaseRule], step: timedelta) -> timedelta:
    """How far before the first wanted row `evaluate` must see for exact verdicts."""
    return max((rule.lookback(step) for rule in rules), default=timedelta(0))


def evaluate(
    rules: Sequence[BaseRule],
    rows: pd.DataFrame,
    *,
    step: timedelta,
    since: datetime | None = None,
) -> pd.DataFrame:
    """What breaks which rule: rows of the table rule_violations without its source, by series, time and rule.

    `rows`: series, metric, dimensions, observed_at, value, repair of ONE source with at least `lookback` before `since`; only
    violations from `since` on come back. Rows whose value was filled in, or is missing, count as not observed. A series gets
    one violation per rule and bucket. Results do not depend on how the rows were split, nor on their order.
    """
    if not rules or rows.empty:
        return no_violations()
    seen = rows[["series", "metric", "dimensions", "observed_at"]].assign(
        value=rows["value"].astype(float).mask(rows["repair"].isin(["filled", "missing", "interpolated", "carried"]))
    )
    seen = seen.sort_values(["series", "observed_at"], ignore_index=True)
    found = [frame for rule in rules if len(frame := rule.evaluate(seen, step))]
    if not found:
        return no_violations()
    violations = pd.concat(found, ignore_index=True)
    if since is not None:
        violations = violations[violations["observed_at"] >= since]
    return violations.sort_values(["series", "observed_at", "rule"], ignore_index=True)[VIOLATION_COLUMNS]
