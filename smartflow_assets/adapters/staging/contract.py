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
from typing import Annotated, Any, Protocol, Self

from pydantic import AfterValidator, Field, model_validator

from smartflow_assets.adapters.staging.bad_rows import BadRows
from smartflow_assets.adapters.warehouse.writes import MissingRows
from smartflow_assets.core.declared import Declared
from smartflow_assets.core.temporal.time_zone import TimeZone

UTC_NAMES = ("UTC", "Etc/UTC", "GMT")
_DIRECTIVES = frozenset("aAbBcdDfgGhHIjmMnpSuUVwWxXyYzZ%")


def is_format(text: str) -> str:
    """The text, when it is a format of times; ValueError otherwise."""
    if text in ("iso", "unix", "unix_ms"):
        return text
    codes = re.findall("%-?(.?)", text)
    if strange := next((code for code in codes if code not in _DIRECTIVES), None):
        raise ValueError(f"{text!r} is not a time format, for %{strange} is no code of strptime; write one such as %d/%m/%Y %H:%M")
    if not codes or "" in codes:
        raise ValueError(f"{text!r} is not a time format; write one such as %d/%m/%Y %H:%M, or iso, unix or unix_ms")
    return text


def are_formats(formats: str | tuple[str, ...]) -> str | tuple[str, ...]:
    """The formats, when each is one of times; ValueError otherwise."""
    if not formats:
        raise ValueError("names no format; write one such as %d/%m/%Y %H:%M, or iso, unix or unix_ms")
    for text in (formats,) if isinstance(formats, str) else formats:
        is_format(text)
    return formats


class TimeColumn(Declared):
    """The column that says when, or the two, and how to read it. `time: ts` is short for `time: {column: ts}`."""

    column: str = Field(default="", description="Name of the column in the data. Either this or `columns` is required.")
    columns: tuple[Annotated[str, Field(min_length=1)], ...] | None = Field(
        default=None,
        min_length=2,
        max_length=2,
        examples=[["date", "time"]],
        description="Two columns instead, the date and the time of day: they are read as one text with a blank between them, and become "
        "one column that is called date_time, after both.",
    )
    format: Annotated[str | tuple[str, ...], AfterValidator(are_formats)] = Field(
        default="iso",
        examples=["iso", "%d/%m/%Y %H:%M", "unix", ["iso", "%d.%m.%Y %H:%M"]],
        description="iso (2026-03-01 09:35, with or without an offset, or the date alone), unix (seconds), unix_ms, or a pattern of "
        "strptime. Of a list each value is read by the first that fits.",
    )
    timezone: TimeZone | None = Field(
        default=None,
        description="IANA zone of times that name no offset themselves. Default: that of the calendar.",
        examples=["UTC", "Europe/Berlin"],
    )

    @model_validator(mode="before")
    @classmethod
    def _named_after_both(cls, given: Any) -> Any:
        columns = given.get("columns") if isinstance(given, dict) else None
        if isinstance(columns, list | tuple) and columns and all(isinstance(name, str) for name in columns) and "column" not in given:
            return {**given, "column": "_".join(columns)}
        return given

    @model_validator(mode="after")
    def _names_its_columns(self) -> Self:
        if self.columns is not None and self.column != "_".join(self.columns):
            raise ValueError("both column and columns are given; keep column for one column, columns for a date and a time")
        if not self.column:
            raise ValueError("names no column; write column, or columns: [date, time]")
        if self.columns is not None and self.columns[0].lower() == self.columns[1].lower():
            raise ValueError(f"columns names {self.columns[0]} twice; a time in one column is column: {self.columns[0]}")
        if self.columns is not None and {"unix", "unix_ms"} & set(self.formats):
            raise ValueError("a number of seconds stands in one column; write column instead of columns, or another format")
        return self

    @property
    def parts(self) -> tuple[str, ...]:
        """The columns of the data that say when: one, or the date and the time."""
        return self.columns or (self.column,)

    @property
    def formats(self) -> tuple[str, ...]:
        """The formats in the order in which they are tried."""
        return (self.format,) if isinstance(self.format, str) else self.format

    def reading(self, calendar_zone: str) -> "TimeReading":
        """How times are read in a source whose calendar has this zone."""
        default = "UTC" if calendar_zone in UTC_NAMES else calendar_zone
        return TimeReading(self.column, self.parts, self.formats, self.timezone or default, is_assumed=self.timezone is None)

    def keys(self, zone: str | None) -> dict[str, Any]:
        """What stands for it in a hash, with a zone or without one."""
        columns = {"columns": list(self.columns)} if self.columns else {}
        return {"column": self.column, "format": self.format, "timezone": zone} | columns


@dataclass(frozen=True)
class TimeReading:
    """How times are read: `column` is what the time is called once it is read, `parts` are the columns that it is read from, `zone` is
    that of values which name none; `is_assumed` when it is the calendar's and nobody has said so."""

    column: str
    parts: tuple[str, ...]
    formats: tuple[str, ...]
    zone: str
    is_assumed: bool = False

    @property
    def is_epoch(self) -> bool:
        """Are all times numbers, which are moments in any zone?"""
        return set(self.formats) <= {"unix", "unix_ms"}


class TimedReader(Protocol):
    """All that staging asks of a reader: which column says when."""

    @property
    def time(self) -> TimeColumn:
        """The column, its formats and its zone."""
        ...


@dataclass(frozen=True)
class Wanted:
    """What a source needs of its rows.

    `numbers` must be readable as numbers, None means every column that is mostly numbers; `texts` (dimensions) and `categories`
    (encoded columns) stay text; `on_bad_rows` says what becomes of a row whose number cannot be read. A row without a readable
    time is never taken. What cannot be read is kept without the values of the columns that are `sensitive`.
    """

    numbers: tuple[str, ...] | None = None
    texts: tuple[str, ...] = ()
    on_bad_rows: BadRows = "quarantine"
    categories: tuple[str, ...] = ()
    sensitive: tuple[str, ...] = ()

    @property
    def reading(self) -> dict[str, Any]:
        """What makes it worth reading known rows again: all but the categories, which are text in any type."""
        return {"numbers": self.numbers, "texts": self.texts, "on_bad_rows": self.on_bad_rows}

    @property
    def kept_as_text(self) -> tuple[str, ...]:
        """The columns that stay text whatever they hold."""
        return self.texts + self.categories

    @property
    def declared(self) -> tuple[tuple[str, str], ...]:
        """The columns that a source names, each with the key of its YAML that does."""
        named = (("metrics", self.numbers or ()), ("dimensions", self.texts), ("encode", self.categories))
        return tuple((name, key) for key, names in named for name in names)


@dataclass(frozen=True)
class SetAside:
    """A file that lies where people drop files and cannot be used: its name as an origin, and why."""

    origin: str
    reason: str

    def __str__(self) -> str:
        return f"{self.origin} is set aside: {self.reason}"


@dataclass(frozen=True)
class ReadContext:
    """What a reader is given: who asks, where things lie, which contents are known (origin to hash), what to take.

    `set_aside` takes the files that a reader leaves where they are, so that one that is no feed keeps no other out. `timezone` is the
    zone of the source's calendar: that of times which name none, unless read.time.timezone says otherwise.
    """

    source: str
    data: Path
    staging: Path
    wanted: Wanted = Wanted()
    known: Mapping[str, str] = field(default_factory=dict)
    since: datetime | None = None
    until: datetime | None = None
    now: datetime | None = None  # the clock of the run
    reached: datetime | None = None  # up to here a server was read to the end
    timezone: str = "UTC"
    zone_before: str | None = None  # in which zone the rows of a server were read so far, where that is another one
    set_aside: list[SetAside] = field(default_factory=list)


@dataclass(frozen=True)
class ProbeContext:
    """What a reader is given when it is asked what its origin looks like from outside, before a run or in the place of one.

    `since` is from when on a run would ask a server for rows, None for all; `timezone` the zone of the source's calendar. An answer
    that takes longer than `patience` seconds is not waited for: a run reads the origin then.
    """

    source: str
    data: Path
    now: datetime
    since: datetime | None = None
    timezone: str = "UTC"
    patience: float = 5.0


@dataclass(frozen=True)
class Staged:
    """One origin on its way into the warehouse.

    `parquet` holds the readable rows: the columns as read, typed, and `_row`, the number of the row among the readable
    lines. `rejected` is a Parquet file of the bad rows (row_number, record as JSON text, reason) when they are to be kept.
    `on_missing_rows` says what becomes of stored rows of the origin that are not among these. `is_same_content`: it was read before, by
    other settings or for another reason. `zone` is that of its times
    which name none; None when all do. `zone_before` is the zone in which they were read the last time, where that is another one, and
    `held_from` to `held_to` are the times of its rows as they were read then.
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
    on_missing_rows: MissingRows = "keep"
    is_same_content: bool = False
    zone: str | None = None
    zone_before: str | None = None
    held_from: datetime | None = None
    held_to: datetime | None = None


def origin_of(path: Path, data: Path) -> str:
    """The name of a file in tables: relative to the data folder if it lies below it, so that a home can be moved, and without
    `..`, so that a file has one name. Bytes that are not UTF-8 are escaped."""
    path = Path(normpath(path))
    with contextlib.suppress(ValueError):
        path = path.relative_to(normpath(data))
    return path.as_posix().encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
