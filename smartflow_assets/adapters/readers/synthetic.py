"""Synthetic rows: a domain that goes on for as long as the source is watched.

A row depends on its time and the seed, so nothing is remembered but what is stored: each month is an origin, its content is known
by the keys that it was made under and the time up to which it was. A run makes the months that are not complete, and of them the
warehouse takes the rows that it has not.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import duckdb
import pandas as pd
from pydantic import BeforeValidator, Field, model_validator

from smartflow_assets.adapters.readers.base import BaseReader
from smartflow_assets.adapters.sql_quoting import quoted_text
from smartflow_assets.adapters.staging.contract import ProbeContext, ReadContext, Staged, TimeColumn
from smartflow_assets.core.errors import SourceError
from smartflow_assets.core.generators import DOMAINS, BaseGenerator, Generator
from smartflow_assets.core.temporal.notation import Duration, format_duration

MOST_ROWS = 20_000_000  # of a history: what is more is a mistake in `step`
_FORM = "%Y-%m-%dT%H:%M:%SZ"


def _domain_alone(value: Any) -> Any:
    if isinstance(value, BaseGenerator):
        return value
    keys = {"type": value} if isinstance(value, str) else value
    if isinstance(keys, dict) and isinstance(named := keys.get("type"), str) and named not in DOMAINS:
        raise ValueError(f"there is no domain {named!r}; there are {', '.join(DOMAINS)}")
    return keys


class _Month(NamedTuple):
    """What one origin holds: the rows from `first` to before `last`."""

    first: datetime
    last: datetime

    @property
    def origin(self) -> str:
        return f"synthetic from {self.first:{_FORM}}"


class SyntheticReader(BaseReader, frozen=True):
    """Make the rows of a synthetic domain up to the clock of the run. `smartflow generate` makes the same rows and their labels."""

    type: Literal["synthetic"] = "synthetic"
    domain: Annotated[Generator, BeforeValidator(_domain_alone, json_schema_input_type=str | Generator)] = Field(
        description="Name of the domain, or {type: name, …} with its own keys.", examples=["iot_sensors", "{type: web_traffic, peak: 90}"]
    )
    seed: int = Field(default=0, description="Another seed gives other rows of the same kind.")
    history: Duration = Field(
        default=timedelta(days=30), le=timedelta(days=36_525), description="How much lies before the first run; later runs add to it."
    )
    anomaly_rate: float = Field(default=0.01, ge=0, le=0.3, description="Share of the rows that lie inside an anomaly, about.")
    time: Annotated[
        TimeColumn,
        BeforeValidator(
            lambda value: {"column": value} if isinstance(value, str) else value,
            json_schema_input_type=str | TimeColumn,
        ),
    ] = Field(default=TimeColumn(column="timestamp"), description="What to call the column that says when.")

    @model_validator(mode="after")
    def _is_possible(self) -> "SyntheticReader":
        if self.time.columns or self.time.format != "iso" or self.time.timezone not in (None, "UTC"):
            raise ValueError("time: the times are made and not read; give the column's name alone")
        if self.time.column.lower() in {name.lower() for name in self._columns} - {"timestamp"}:
            raise ValueError(f"time: {self.domain.type} has a column of its own called {self.time.column}")
        if self.history < self.domain.step:
            raise ValueError(f"history must be at least one step of the domain, {format_duration(self.domain.step)}")
        if self.history / self.domain.step > MOST_ROWS:
            raise ValueError(
                f"a history of {format_duration(self.history)} has more than {MOST_ROWS:,} rows at this step; "
                "make it shorter, or the step longer"
            )
        return self

    def batches(self, context: ReadContext) -> Iterator[Staged]:
        if context.now is None:
            raise SourceError("a synthetic source needs the clock of its run", source=context.source)
        self._refuse_strange_columns(context)
        made_under = self.made_under
        for month in self._months(context, context.now):
            reached = _reached(context.known, month.origin, made_under)
            if reached is not None and reached >= month.last:
                continue
            yield self._stage(month, context, f"{made_under} up to {month.last:{_FORM}}")

    def probe(self, context: ProbeContext) -> str:
        """By the clock: rows are made up to the last step that is over."""
        return f"{self.made_under} up to {self.domain.finished(context.now):{_FORM}}"

    def is_read_anew_after(self, key: str) -> bool:
        return key != "history"

    @property
    def made_under(self) -> str:
        """Sixteen characters that stand for all keys that decide what is in a row: when one of them changes, all rows are made anew."""
        keys = json.dumps(self.model_dump(mode="json", exclude={"history"}) | {"time": self.time.keys("UTC")}, sort_keys=True)
        return hashlib.sha256(keys.encode()).hexdigest()[:16]

    def _months(self, context: ReadContext, now: datetime) -> Iterator[_Month]:
        """The months since the start of the history, which is where the first known origin starts; never less than is stored."""
        now = min(now, context.until or now)
        starts = [start for start in map(_start, context.known) if start]
        stored = [at for origin in context.known if (at := _reached(context.known, origin)) is not None]
        last = max([self.domain.finished(now), *stored])
        first = min(starts, default=self.domain.finished(context.since or now - self.history))
        while first < last:
            following = (first.replace(day=1, hour=0, minute=0, second=0, microsecond=0) + timedelta(days=32)).replace(day=1)
            yield _Month(first, min(following, last))
            first = following

    def _stage(self, month: _Month, context: ReadContext, content_hash: str) -> Staged:
        frame = self.domain.stretch(month.first, month.last, self.seed, self.anomaly_rate).frame
        frame = frame.rename(columns={"timestamp": self.time.column})
        context.staging.mkdir(parents=True, exist_ok=True)
        parquet = context.staging / f"{month.first:%Y-%m}.parquet"
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.register("made", frame)
            connection.execute(f"COPY made TO {quoted_text(parquet)} (FORMAT parquet, COMPRESSION lz4_raw)")
        times = frame[self.time.column]
        span = (None, None) if frame.empty else (times.iloc[0].to_pydatetime(), times.iloc[-1].to_pydatetime())
        return Staged(month.origin, content_hash, parquet, len(frame), *span, held_from=month.first, held_to=month.last)  # whole

    @property
    def _columns(self) -> dict[str, bool]:
        """The columns of the domain, and whether they hold numbers."""
        frame = self.domain.generate(datetime(2026, 1, 1, tzinfo=UTC), 0, anomaly_rate=0).frame
        return {str(name): pd.api.types.is_numeric_dtype(type_) for name, type_ in frame.dtypes.items()}

    def _refuse_strange_columns(self, context: ReadContext) -> None:
        columns = {name.lower(): is_number for name, is_number in self._columns.items()}
        for name, field in context.wanted.declared:
            if name.lower() not in columns or (field == "metrics" and not columns[name.lower()]):
                wrong = "has no column" if name.lower() not in columns else "has no numbers in the column"
                raise SourceError(
                    f"{field}: the domain {self.domain.type} {wrong} '{name}'",
                    source=context.source,
                    remedy=f"It has {', '.join(name for name in self._columns if name != 'timestamp')}.",
                )

    def covers(self, origin: str, source: str, data: Path) -> bool:
        return _start(origin) is not None

    def describe(self) -> str:
        return f"{self.domain.type}, seed {self.seed}"


def _start(origin: str) -> datetime | None:
    """Where the rows of an origin start; None for an origin that another reader made."""
    head, _, text = origin.partition(" from ")
    return _time(text) if head == "synthetic" else None


def _reached(known: Mapping[str, str], origin: str, made_under: str | None = None) -> datetime | None:
    """Up to when the rows of an origin are stored; None when none are, or none that were made under these keys."""
    found, _, text = known.get(origin, "").partition(" up to ")
    return _time(text) if _start(origin) and made_under in (None, found) else None


def _time(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, _FORM).replace(tzinfo=UTC)
    except ValueError:
        return None
