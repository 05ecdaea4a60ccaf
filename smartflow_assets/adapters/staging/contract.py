"""The contract between readers and staging: what is wanted of the rows, who asks, and what was staged.

It lies below both, so that staging knows no reader.
"""

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from os.path import normpath
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from smartflow_assets.adapters.warehouse.writes import MissingRows
from smartflow_assets.core.temporal.time_zone import TimeZone

BadRows = Literal["quarantine", "drop", "keep"]
_DIRECTIVES = frozenset("aAbBcdDfgGhHIjmMnpSuUVwWxXyYzZ%")


def is_format(text: str) -> str:
    """The text, when it is a format of times; ValueError otherwise."""
    if text in ("iso", "unix", "unix_ms"):
        return text
    directives = re.findall("%-?(.?)", text)
    if not directives or not _DIRECTIVES.issuperset(directives):
        raise ValueError(f"{text!r} is not a time format; write one such as %d/%m/%Y %H:%M, or iso, unix or unix_ms")
    return text


class TimeColumn(BaseModel):
    """The column that says when, and how to read it. `time: ts` is short for `time: {column: ts}`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    column: str = Field(min_length=1, description="Name of the column in the data.")
    format: Annotated[str, AfterValidator(is_format)] = Field(
        default="iso",
        examples=["iso", "%d/%m/%Y %H:%M", "unix"],
        description="iso (2026-03-01 09:35, with or without an offset), unix (seconds), unix_ms, or a pattern of strptime.",
    )
    timezone: TimeZone = Field(
        default="UTC", description="IANA zone of times that name no offset themselves.", examples=["UTC", "Europe/Berlin"]
    )


class TimedReader(Protocol):
    """All that staging asks of a reader: which column says when."""

    @property
    def time(self) -> TimeColumn:
        """The column, its format and its zone."""
        ...


@dataclass(frozen=True)
class Wanted:
    """What a source needs of its rows.

    `numbers` must be readable as numbers, None means every column that is mostly numbers; `texts` (dimensions) and `categories`
    (encoded columns) stay text; `on_bad_rows` says what becomes of a row whose number cannot be read. A row without a readable
    time is never taken.
    """

    numbers: tuple[str, ...] | None = None
    texts: tuple[str, ...] = ()
    on_bad_rows: BadRows = "quarantine"
    categories: tuple[str, ...] = ()

    @property
    def reading(self) -> dict[str, Any]:
        """What makes it worth reading known rows again: all but the categories, which are text in any type."""
        return {"numbers": self.numbers, "texts": self.texts, "on_bad_rows": self.on_bad_rows}

    @property
    def declared(self) -> tuple[tuple[str, str], ...]:
        """The columns that a source names, each with the key of its YAML that does."""
        named = (("metrics", self.numbers or ()), ("dimensions", self.texts), ("encode", self.categories))
        return tuple((name, key) for key, names in named for name in names)


@dataclass(frozen=True)
class ReadContext:
    """What a reader is given: who asks, where things lie, which contents are known (origin to hash), what to take."""

    source: str
    data: Path
    staging: Path
    wanted: Wanted = Wanted()
    known: Mapping[str, str] = field(default_factory=dict)
    since: datetime | None = None
    until: datetime | None = None
    now: datetime | None = None  # the clock of the run
    reached: datetime | None = None  # up to here a server was read to the end


@dataclass(frozen=True)
class Staged:
    """One origin on its way into the warehouse.

    `parquet` holds the readable rows: the columns as read, typed, and `_row`, the number of the row among the readable
    lines. `rejected` is a Parquet file of the bad rows (row_number, record as JSON text, reason) when they are to be kept.
    `on_missing_rows` says what becomes of stored rows of the origin that are older than all of these.
    """

    origin: str
    content_hash: str
    parquet: Path
    row_count: int
    first_at: datetime | None
    last_at: datetime | None
    bad_count: int = 0
    rejected: Path | None = None
    notes: tuple[str, ...] = ()
    on_missing_rows: MissingRows = "keep_older"


def origin_of(path: Path, data: Path) -> str:
    """The name of a file in tables: relative to the data folder if it lies below it, so that a home can be moved, and without
    `..`, so that a file has one name. Bytes that are not UTF-8 are escaped."""
    path = Path(normpath(path))
    with contextlib.suppress(ValueError):
        path = path.relative_to(normpath(data))
    return path.as_posix().encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
