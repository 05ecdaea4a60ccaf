"""Categories as numbers: `encode: {channel: one_hot, tier: ordinal, merchant: frequency}`.

What a category becomes is learnt once, from how often each occurs in the first rows of a source, and does not change after
that: a row has the same numbers whatever comes later and however often it is read. An empty cell, null and NaN are one
category, the empty text. Counting the rows and applying what was learnt is SQL in adapters.aggregation.encoded_columns.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from smartflow_assets.core.errors import SourceError

Encoding = Literal["one_hot", "ordinal", "frequency"]

MOST_ONE_HOT_COLUMNS = 20
"""One-hot columns of the most frequent categories; all others, also those that were never seen, share `other`."""
MOST_CATEGORIES = 10_000
"""Categories that ordinal and frequency tell apart: the most frequent; the others count as never seen."""
OTHER, EMPTY = "other", "empty"
UNSEEN: Mapping[Encoding, float] = {"ordinal": -1.0, "frequency": 0.0, "one_hot": 0.0}
"""What a category becomes that was not learnt."""
FEW_ROWS = 100  # with fewer, a column of ids looks like one of categories


@dataclass(frozen=True)
class Counted:
    """How often the categories of a column occur: the most frequent first, `distinct` in all, `fractions` of them decimal numbers."""

    counts: Mapping[str, int]
    rows: int
    distinct: int
    fractions: int = 0


@dataclass(frozen=True)
class LearntEncoding:
    """What each category of a column becomes. `codes`: the number by category, in the order of one-hot columns or of positions."""

    column: str
    encoding: Encoding
    codes: Mapping[str, float]
    shares: Mapping[str, float]

    @property
    def names(self) -> tuple[str, ...]:
        """The encoded columns: `merchant__frequency`, `tier__ordinal`, or `channel__web` … `channel__other`."""
        if self.encoding != "one_hot":
            return (f"{self.column}__{self.encoding}",)
        return (*(self.column_of(category) for category in self.codes), f"{self.column}__{OTHER}")

    def column_of(self, category: str) -> str:
        """The encoded column in which a learnt category has its number."""
        return f"{self.column}__{self.encoding if self.encoding != 'one_hot' else category or EMPTY}"

    def category_of(self, suffix: str) -> str:
        """The category of a one-hot column, from what stands behind `__`; learnt or not."""
        return "" if suffix == EMPTY and EMPTY not in self.codes else suffix


def learn_encoding(column: str, encoding: Encoding, counted: Counted) -> tuple[LearntEncoding, str]:
    """What the categories of a column become, and a note where not all of them could be told apart.

    one_hot: a column for each of the 20 most frequent, 1 or 0. ordinal: positions from 0 in the order of the alphabet, or of
    the numbers where all are numbers. frequency: share of the rows. SourceError when the column holds no categories: nothing,
    measured numbers, or ids that name rows.
    """
    if not counted.rows:
        raise SourceError(f"encode: there is no row from which the categories of {column} could be learnt")
    if counted.counts.get("", 0) == counted.rows:
        raise SourceError(
            f"encode: column '{column}' is empty in all of the first {counted.rows} rows", remedy="Mend the feed, or take it out of encode."
        )
    if counted.fractions > counted.distinct / 2:
        raise SourceError(
            f"encode: column '{column}' holds measured numbers such as {next(iter(counted.counts))}, not categories",
            remedy="Take it out of encode, and name it in metrics.",
        )
    if counted.rows >= FEW_ROWS and counted.distinct > counted.rows / 2:
        raise SourceError(
            f"encode: column '{column}' has {counted.distinct} different values in {counted.rows} rows: it names rows, "
            "it has no categories",
            remedy="Take it out of encode; distinct_count in metrics counts its values.",
        )
    kept = list(counted.counts)
    if encoding == "one_hot":
        kept = [category for category in kept if category != OTHER and not (category == "" and EMPTY in kept)][:MOST_ONE_HOT_COLUMNS]
    kept = kept[:MOST_CATEGORIES]
    shares = {category: counted.counts[category] / counted.rows for category in kept}
    codes = {
        "one_hot": dict.fromkeys(kept, 1.0),
        "ordinal": {category: float(place) for place, category in enumerate(sorted(kept, key=_order(kept)))},
        "frequency": shares,
    }[encoding]
    left_over = counted.distinct - len(kept) - (encoding == "one_hot" and OTHER in counted.counts)
    become = f"share {column}__{OTHER}" if encoding == "one_hot" else f"are {UNSEEN[encoding]:g}"
    note = f"encode: {column} has {counted.distinct} categories; the {len(kept)} most frequent are told apart, the others {become}"
    return LearntEncoding(column, encoding, codes, shares), note if left_over > 0 else ""


def _order(categories: list[str]) -> Callable[[str], tuple[Any, ...]]:
    """The empty text first, then numbers by size where all are numbers, else by the alphabet."""

    def number(text: str) -> float:
        try:
            return float(text)
        except ValueError:
            return float("nan")

    if all(number(text) == number(text) for text in categories if text):
        return lambda text: (text != "", number(text) if text else 0.0, text)
    return lambda text: (text != "", text)
