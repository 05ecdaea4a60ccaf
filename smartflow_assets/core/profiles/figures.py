"""The figures of a profile: their names, and which of them are judged.

A figure is a metric of its own, `row_count` or `null_share(amount)`, with one series; shares of categories have one for each category,
`category_share(kind){kind=card}`. What a metric of the source measures anyway is kept and drawn, and not judged a second time. Rows are:
what is expected of a metric follows a level within hours, that of a profile within days.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, get_args

Kind = Literal["row_count", "delay", "null_share", "distinct_count", "mean", "spread", "min", "max", "category_share"]
KINDS: tuple[Kind, ...] = get_args(Kind)
JUDGED: tuple[Kind, ...] = ("row_count", "null_share", "category_share", "mean", "spread")
"""What is judged by its past. The others are there to look at: extremes and counts of different values are noise by nature, and how late
rows are is the business of freshness."""
_OF_VALUES = ("mean", "spread", "min", "max")
SHARES = ("null_share", "category_share")
BESIDE: Mapping[Kind, tuple[Kind, ...]] = {"mean": ("min", "max", "null_share")}
"""Figures of the same column that are looked at to judge one."""


class Figure(NamedTuple):
    """A figure and the column that it is of; empty for the rows themselves."""

    kind: Kind
    column: str = ""

    def __str__(self) -> str:
        """The metric that it is.

        >>> str(Figure("row_count")), str(Figure("null_share", "amount"))
        ('row_count', 'null_share(amount)')
        """
        return f"{self.kind}({self.column})" if self.column else self.kind

    @classmethod
    def of(cls, metric: str) -> "Figure":
        """The figure that a metric is.

        >>> Figure.of("null_share(rate (%))")
        Figure(kind='null_share', column='rate (%)')
        """
        kind, _, column = metric.partition("(")
        return cls(next(each for each in KINDS if each == kind), column.removesuffix(")"))


@dataclass(frozen=True)
class Measured:
    """What the metrics of a source say already: of which `columns` they measure the values (None: of all with numbers), of which they tell
    the `categories` apart, and how they are called."""

    columns: frozenset[str] | None = None
    categories: frozenset[str] = frozenset()
    metrics: Collection[str] = field(default_factory=frozenset[str])

    def is_judged(self, metric: str) -> bool:
        """Whether a figure is judged beside the metrics.

        >>> measured = Measured(frozenset({"amount"}))
        >>> [measured.is_judged(name) for name in ("row_count", "mean(amount)", "mean(fee)", "null_share(amount)", "max(fee)")]
        [True, False, True, True, False]
        """
        figure = Figure.of(metric)
        if figure.kind not in JUDGED or metric in self.metrics:
            return False
        if figure.kind == "category_share":
            return figure.column not in self.categories
        return figure.kind not in _OF_VALUES or (self.columns is not None and figure.column not in self.columns)
