"""Lists of names in which none comes twice: a name that does is a slip, and often stands for another one that is missing."""

from typing import Annotated

from pydantic import AfterValidator, Field


def each_once(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names, when none comes twice; ValueError otherwise.

    >>> each_once(("region", "channel"))
    ('region', 'channel')
    """
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"{twice} is named twice; name it once")
    return names


ColumnNames = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], AfterValidator(each_once)]
"""Columns, each once."""
