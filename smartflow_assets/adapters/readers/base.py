"""What every reader is: a frozen model of where the rows are, and one verb, `batches`.

A reader hands over staged Parquet files, one for each origin whose content is not known yet, and never a frame of rows: ten
million of them pass in bounded memory. adapters.ingest decides what is stored and what counts as known; adapters.staging turns
text into typed columns.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from smartflow_assets.adapters.scans import Delimited, JsonRecords
from smartflow_assets.adapters.staging.contract import ProbeContext, ReadContext, Staged, TimeColumn
from smartflow_assets.core.declared import Declared


def _column_alone(value: Any) -> Any:
    return {"column": value} if isinstance(value, str) else value


class BaseReader(Declared, ABC, frozen=True):
    """Keys that every reader has."""

    type: str
    time: Annotated[TimeColumn, BeforeValidator(_column_alone, json_schema_input_type=str | TimeColumn)] = Field(
        description="The column that says when: its name, or {column, format, timezone}; {columns: [date, time], …} for two of them."
    )

    key: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        default=(),
        examples=[["order_id"]],
        description="Columns that make a row the same row: the last one that comes takes the place of the one before it, at whatever time "
        "and in whatever file that stands. A row without a value in one of them has no key. Default: rows are the same when all "
        "their values are.",
    )

    @abstractmethod
    def batches(self, context: ReadContext) -> Iterator[Staged]:
        """Stage each origin whose content is not known, one after the other. SourceError when one cannot be read."""

    def probe(self, context: ProbeContext) -> str | None:
        """What the origin looks like from outside: a text that differs once a run would find other rows there, without any secret.

        The schedule asks for it in its own process and many sources at once, so it must be cheap, leave no trace and be safe in a thread.
        None: that cannot be said cheaply, so each run reads. Whatever it raises is a reason to run as well.
        """
        return None

    def describe(self) -> str:
        """Where the rows come from, for messages."""
        return self.type

    def is_read_anew_after(self, key: str) -> bool:
        """Is what is known already read once more when this key of `read` changes? What a change of `time` does is told elsewhere."""
        return False

    def covers(self, origin: str, source: str, data: Path) -> bool:
        """Are the rows of this origin still of what is read? Those of another file or server, which the YAML named before, give way
        where the times overlap."""
        return True


class EncodedText(BaseReader, frozen=True):
    """Keys of readers of text."""

    encoding: str = Field(default="utf-8", description="Encoding of the text: utf-8, latin-1, cp1252, utf-16, …")

    @model_validator(mode="after")
    def _encoding_exists(self) -> Self:
        try:
            "".encode(self.encoding)
        except LookupError:
            raise ValueError(f"{self.encoding!r} is not an encoding; write one such as utf-8, latin-1 or cp1252") from None
        return self


class DelimitedText(EncodedText, frozen=True):
    """Keys of readers of delimited text."""

    delimiter: str | None = Field(default=None, min_length=1, max_length=1, description="Default: found in the header line.")
    decimal: Literal[".", ","] = Field(
        default=".", description="The sign before the decimals; where it is a comma, points may group thousands."
    )

    @property
    def delimited(self) -> Delimited:
        """How the text is laid out."""
        return Delimited(self.delimiter, self.decimal, self.encoding)


class JsonText(EncodedText, frozen=True):
    """Keys of readers of JSON: a list of objects, or one object in each line. Nested objects become columns called `a.b`, lists are
    kept as JSON text."""

    records: Annotated[str, Field(pattern=r"^[^.]+(\.[^.]+)*$")] | None = Field(
        default=None,
        examples=["data.items"],
        description="Where in the JSON the list of records lies: the keys on the way to it. Default: the JSON is the list itself.",
    )

    @property
    def json_records(self) -> JsonRecords:
        """How the JSON is laid out."""
        return JsonRecords(self.records, self.encoding)
