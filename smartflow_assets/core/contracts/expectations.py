"""One expectation as everybody here knows it, and the verdict on it.

An expectation is a type of Great Expectations with its arguments, and what Great Expectations has no word for: for which rows
it holds (`scope`), and whether values may be shown.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from smartflow_assets.core.severity import Severity

Scope = Literal["load", "source", "bucket", "day"]
Engine = Literal["duckdb", "great_expectations"]

MASK = "***"
MOST_EXAMPLES = 3


@dataclass(frozen=True)
class Expectation:
    """A promise: `type` by the name of Great Expectations, `arguments` as it takes them, `columns` those that it looks at.

    Two promises have no words there and are an `unexpected_rows_expectation` with arguments of their own: {condition: text of
    core.preparation.row_condition}, and {column, source, source_column} for a value that is in a column of another source.
    `scope` says which rows are taken together: a load, all rows of the source, or each bucket or day by itself. `is_diverting`: the rows
    that break it are kept aside one by one, and the rest of their load goes on.
    """

    type: str
    columns: tuple[str, ...] = ()
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])
    severity: Severity = "warning"
    scope: Scope = "load"
    is_sensitive: bool = False
    is_diverting: bool = False

    @property
    def mostly(self) -> float:
        """The share of values, 0 to 1, that must be as expected."""
        share = self.arguments.get("mostly")
        return 1.0 if share is None else float(share)


@dataclass(frozen=True)
class Verdict:
    """What was found of an expectation.

    `element_count` is the number of values, rows or buckets that were looked at (values that are missing are not, but by `not null`),
    `unexpected_count` and `unexpected_percent` (0 to 100) say how many of them are not as expected; all three are None for an expectation
    of one figure, such as a mean, which is in `observed`. `examples` are at most three of the unexpected values, as text, masked where the
    column is sensitive. `error` says why the expectation could not be asked: then it is a broken check, `is_passed` is false, and
    nothing is known of the data. `sentence` is what people read.
    """

    expectation: Expectation
    is_passed: bool
    element_count: int | None
    unexpected_count: int | None
    unexpected_percent: float | None
    observed: Mapping[str, Any]
    examples: tuple[str, ...]
    engine: Engine
    error: str
    sentence: str
