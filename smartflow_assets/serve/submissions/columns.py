"""The columns that rows become, looked at before they are taken.

The rows of a day stand in one file, whoever sent them: one that no reader can make columns of would keep out the rows of all.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from smartflow_assets.adapters.scans.base import MOST_COLUMNS
from smartflow_assets.adapters.scans.json_records import KeyPath, leaves
from smartflow_assets.adapters.scans.plain_text import TextFile, checked_names
from smartflow_assets.core.errors import SourceError

MOST = MOST_COLUMNS * 7 // 10
"""So many columns a source may have by what is sent: 200 rows of nearly all that a reader takes need more memory than it has (measured)."""


def columns_of(rows: Sequence[Mapping[str, Any]], source: str) -> Collection[KeyPath]:
    """The paths of all columns that rows may become. SourceError where a file that holds them could not be read; the place of the row
    that is to blame is its `where`."""
    found = dict[KeyPath, int]()  # to the first row that has it
    for place, row in enumerate(rows):
        for path in leaves(row):
            found.setdefault(path, place)
    _check_count(len(found), source)
    try:
        _check_names(list(found), source)
    except SourceError:
        _blame(found, source)
    return found.keys()


def _blame(found: Mapping[KeyPath, int], source: str) -> None:
    """Check row by row, until one fails."""
    for place in dict.fromkeys(found.values()):
        _check_names([path for path, first in found.items() if first <= place], source, str(place))


def _check_names(paths: Sequence[KeyPath], source: str, where: str = "") -> None:
    checked_names([".".join(path) for path in paths], TextFile(source, Path(), Path(), where))


def check_beside(columns: Collection[KeyPath], others: Collection[KeyPath], stored: Collection[str], source: str) -> None:
    """SourceError where columns cannot stand in one file with those of other rows, or bring the source more than it may have."""
    names = {_folded(path): path for path in others}
    are_new = any(name not in names and name not in stored for name in map(_folded, columns))
    for path in columns:
        other = names.setdefault(_folded(path), path)
        if other != path:
            raise SourceError(
                f"the column '{'.'.join(path)[:64]}' would occur twice: other rows of today have '{'.'.join(other)[:64]}'",
                source=source,
                remedy="Send it as they do; case does not count, and a.b is also the key b of an object a.",
            )
    _check_count(len({*names, *stored} if are_new else names), source)


def _check_count(count: int, source: str) -> None:
    if count > MOST:
        raise SourceError(
            f"the source would have {count:,} different columns, and may have {MOST:,}",
            source=source,
            remedy="Keys that are ids make no columns: send them as values, with a row for each.",
        )


def _folded(path: KeyPath) -> str:
    """The name of a column, as names are compared."""
    return ".".join(path).strip().lower()
