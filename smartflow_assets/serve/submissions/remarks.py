"""What is odd about rows that can be taken all the same: columns that go by another name, times ahead of the clock."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from smartflow_assets.config.source import Source
from smartflow_assets.core.nearest_name import nearest_name

CLOCKS_DIFFER = timedelta(minutes=5)
"""Who sends may be so far ahead without being told."""


def of_columns(rows: Sequence[Mapping[str, Any]], source: Source) -> list[str]:
    """A sentence for each column that the metrics read and rows lack, where they have another of nearly its name or none that is read."""
    numbers, texts = source.wanted.numbers or (), source.wanted.texts
    read, found = {*source.read.time.parts, *source.wanted.kept_as_text, *numbers}, Counter[str]()
    for names, count in Counter(tuple(row) for row in rows).items():
        for column in (*numbers, *texts):
            if column in names:
                continue
            if near := nearest_name(column, [name for name in names if name not in read]):
                found[f"without {column}, which the source reads; {near[:60]!r} is stored, and nothing reads it"] += count
            elif column in numbers and not {*numbers} & {*names}:
                found[f"without {column}, which the source reads"] += count
    return [f"{count} row{'s' if count > 1 else ''} {said}" for said, count in found.items()]


def of_times(times: Sequence[str], ahead: Sequence[int]) -> list[str]:
    """A sentence where rows, at these places, lie ahead of the clock: until it is there, they say nothing of how fresh the source is."""
    if not ahead:
        return []
    rows = f"{len(ahead)} rows lie" if len(ahead) > 1 else "1 row lies"
    return [f"{rows} ahead of the clock ({times[ahead[0]][:40]}): stored, and judged once the clock is there"]
