"""Why a record is strange, in one line: what is odd of its columns, the strangest first, then their shares.

amount 18,200 (usually 500 to 2,400 with this category), account never seen before; shares 71 %, 29 %
"""

from collections.abc import Mapping, Sequence

import pandas as pd

from smartflow_assets.core.records.columns import RecordColumns
from smartflow_assets.core.text_format import number

MOST_COLUMNS, SMALLEST_SHARE, MOST_NAMED = 4, 0.05, 3


def explain_records(
    columns: RecordColumns,
    frame: pd.DataFrame,
    as_read: Sequence[Mapping[str, object]],
    contributions: Sequence[Mapping[str, float]],
) -> list[str]:
    """One line for each record of a frame of numbers.

    `as_read`: their values as they were read; `contributions`: each column's share in the surprise, largest first.
    """
    seen = {category.name: columns.share(frame, category) for category in columns.categories}
    usual = columns.usual(frame)
    conditions = columns.conditions
    given = f" with this {_and(conditions)}" if 0 < len(conditions) <= MOST_NAMED else " with such categories" if conditions else ""
    missing = {each.name: each.missing for each in columns.numbers}
    lines = list[str]()
    for at, shares in enumerate(contributions):
        said, weights = list[str](), list[str]()
        for name, share in list(shares.items())[:MOST_COLUMNS]:
            column = name.removesuffix("__ordinal")
            value = as_read[at].get(column)
            if share < SMALLEST_SHARE:
                continue
            if name in seen:
                text = f"{column} {_shown(value)} {_seen(float(seen[name][at]))}"
            elif (read := _number(value)) is None:
                text = f"{column} {_shown(value)} (a number in {100 * (1 - missing[name]):.3g} % of records)"
            else:
                low, high = (float(ends[at]) for ends in usual[name])
                alone = "by itself " if low <= read <= high else ""
                text = f"{column} {number(read)} ({alone}usually {number(low)} to {number(high)}{given})"
            said.append(text)
            weights.append(f"{100 * share:.0f} %")
        shown = f"; shares {', '.join(weights)}" if len(said) > 1 else ""
        lines.append(", ".join(said) + shown if said else "its columns are usual one by one, and strange together")
    return lines


def _seen(share: float) -> str:
    return f"seen in {100 * share:.2g} % of records" if share > 0 else "never seen before"


def _and(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _number(value: object) -> float | None:
    try:
        found = float(value)  # pyright: ignore[reportArgumentType]
    except (TypeError, ValueError):
        return None
    return found if found == found else None


def _shown(value: object) -> str:
    text = "empty" if value is None or value != value or value == "" else str(value)
    return text if len(text) <= 40 else f"{text[:39]}…"
