"""A CSV, JSON or Parquet file as an argument of a command: which columns it is read by, and what was not as it should be.

A guess is said, what is left out is said, and what is wrong is named by option. Reading is adapters.files.table_file.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from smartflow_assets.commands import terminal
from smartflow_assets.core.errors import SourceError
from smartflow_assets.core.nearest_name import did_you_mean

if TYPE_CHECKING:
    from smartflow_assets.adapters.files.table_file import FileColumn, Prepared, TableFile


@dataclass(frozen=True)
class Columns:
    """What the file is read by."""

    time: "FileColumn"
    time_format: str
    values: tuple[str, ...]
    by: tuple[str, ...] = ()


@contextmanager
def named_by_user() -> Iterator[None]:
    """What is wrong inside is wrong on the command line."""
    try:
        yield
    except SourceError as error:
        raise terminal.UsageError(error.what, where=error.where, remedy=error.remedy) from error


def columns_of(table: "TableFile", time: str | None, values: list[str], time_format: str, by: Sequence[str] = ()) -> Columns:
    """The columns named, or guessed; a guess is said."""
    with named_by_user():
        moment = table.column(time) if time else None
        chosen = [table.column(name) for name in dict.fromkeys(values)]
        groups = [table.column(name) for name in dict.fromkeys(by)]
    moment = moment or table.guess_time()
    if not chosen:
        chosen = [column for column in table.guess_values(moment) if column not in groups]
        if not chosen:
            remedy = next((found for column in table.columns if column != moment and (found := _of_comma(column.example))), "")
            raise SourceError("no column holds numbers", where=str(table.path), remedy=remedy or "Name one with --value.")
    for column in chosen:
        if column.kind != "number":
            raise SourceError(
                f"column {column.name!r} holds text, such as {column.example!r}; a series needs numbers",
                where=str(table.path),
                remedy=_of_comma(column.example) or "Name another column with --value.",
            )
    if not time or not values:
        left_out = [column.name for column in table.columns if column.name != moment.name and column not in (*chosen, *groups)]
        form = f" (read as {time_format or moment.time_format})" if (time_format or moment.time_format) not in ("iso", "") else ""
        terminal.say(
            f"time: {moment.name}{form}; values: {', '.join(column.name for column in chosen)}"
            + (f"; left out: {', '.join(left_out)}" if left_out and not values else "")
        )
    if moment.is_time_ambiguous and not time_format:
        terminal.note(
            f"{moment.name} can be read as day first or month first; it is read as {moment.time_format}. --time-format says otherwise."
        )
    return Columns(moment, time_format, tuple(column.name for column in chosen), tuple(column.name for column in groups))


def _of_comma(example: str) -> str:
    """The remedy where a text is a number with a decimal comma.

    >>> _of_comma("1.298,7"), _of_comma("north")
    ('1.298,7 is a number with --decimal ,', '')
    """
    return (
        f"{example} is a number with --decimal ," if re.fullmatch(r"\s*[-+]?([0-9]{1,3}([.][0-9]{3})+|[0-9]+),[0-9]+\s*", example) else ""
    )


def tell(file: Path, prepared: "Prepared", by: Sequence[str] = ()) -> None:
    """What was not as it should be, a line each. `by`: columns that may tell several series apart, where rows share a time."""
    from smartflow_assets.adapters.scans import ending

    count = terminal.count
    if prepared.broken_count:
        line = "record that is no object" if ending(file) == "json" else "line without the columns of the header"
        lines = "records that are no objects" if ending(file) == "json" else "lines without the columns of the header"
        terminal.note(f"{file}: left out {count(prepared.broken_count, line, lines)}, such as {prepared.first_broken}")
    if prepared.dropped_count:
        terminal.note(
            f"{file}: left out {count(prepared.dropped_count, 'row')} whose time cannot be read, such as {prepared.first_dropped!r}"
        )
    for name, (number, example) in prepared.unreadable.items():
        terminal.note(f"{file}: {count(number, 'value')} of {name} cannot be read as a number, such as {example!r}; they count as missing")
    if prepared.is_reordered:
        terminal.note(f"{file}: the times are out of order; the rows are sorted by time")
    if prepared.repeated_count:
        of = f"{prepared.repeated_count:,} of {count(prepared.row_count, 'row')}"
        series = f", --by {by[0]} makes a series of each {by[0]}" if by else ", --by COLUMN a series of each of its values"
        verb = "shares its time with a later one and is" if prepared.repeated_count == 1 else "share their time with a later one and are"
        terminal.note(f"{file}: {of} {verb} left out; --aggregate sum (or mean, count, …) makes one value of them{series}")


def detector_names(text: str) -> list[str]:
    """The detectors of `--detectors a,b`, each once; UsageError with the nearest one for a name that there is not."""
    from smartflow_assets.core.detectors import DETECTORS

    chosen = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    for name in chosen:
        if name != "auto" and name not in DETECTORS:
            remedy = did_you_mean(name, ["auto", *DETECTORS], f"There are auto, {', '.join(DETECTORS)}.")
            raise terminal.UsageError(f"there is no detector {name!r}", remedy=remedy)
    return chosen
