"""Rows of a database: a table, or what a query gives, streamed in chunks through SQLAlchemy; whatever it has a dialect for.

SmartFlow only reads: PostgreSQL is told so, and a SQLite file is opened read-only. SQLite and PostgreSQL are tested.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from smartflow_assets.adapters.readers.feed import FeedReader, Page
from smartflow_assets.adapters.readers.sql_database import Database
from smartflow_assets.adapters.readers.sql_values import as_line
from smartflow_assets.adapters.scans import JsonRecords
from smartflow_assets.adapters.scans.plain_text import TextFile, checked_names, column_positions
from smartflow_assets.adapters.secret_references import REFERENCE
from smartflow_assets.adapters.staging.contract import ProbeContext, ReadContext

_PROBED_ROWS = 5_000


def _has_no_password(url: str) -> str:
    if REFERENCE.match(url) and "@" not in url:  # the whole address is the secret
        return url
    if "://" not in url:
        raise ValueError("this is not the address of a database; write dialect://user:${PASSWORD}@host/database, or ${NAME}")
    login = url.partition("://")[2].rpartition("@")[0]
    password = login.partition(":")[2]
    if (password and not REFERENCE.fullmatch(password)) or re.search(r"[?&](password|passwd|pwd)=(?!\$\{)", url, re.IGNORECASE):
        raise ValueError("a secret is never written in a file; write the password in the address as ${NAME}")
    return url


class SqlReader(FeedReader, frozen=True):
    """Read a table or a query. A table is read from the newest time on; a query as well, when it says `:since`."""

    asking: ClassVar = frozenset({"url", "table", "query"})

    type: Literal["sql"] = "sql"
    url: Annotated[str, AfterValidator(_has_no_password)] = Field(
        description="Address as SQLAlchemy writes it; ${NAME} for what is secret. A SQLite file is relative to the data folder.",
        examples=["postgresql://shop:${SHOP_PASSWORD}@db.example.com/shop", "sqlite:///shop.sqlite"],
    )
    table: str | None = Field(
        default=None, min_length=1, description="Table or view, with its schema before a dot.", examples=["shop.orders"]
    )
    query: str | None = Field(
        default=None,
        min_length=1,
        examples=["SELECT ordered_at, total FROM orders WHERE ordered_at >= :since"],
        description="A SELECT instead of a table; :since is the time from which on rows are asked for.",
    )
    probe_query: str | None = Field(
        default=None,
        min_length=1,
        examples=["SELECT max(updated_at), count(*) FROM orders"],
        description="A SELECT whose answer changes when rows come or are corrected: the schedule asks it to see whether a run is worth it. "
        "Default: the rows that a run would ask for are compared, where it need not ask for all.",
    )
    chunk: int = Field(default=100_000, ge=1, description="How many rows are stored in one commit.")

    @model_validator(mode="after")
    def _keys_fit(self) -> Self:
        if (self.table is None) == (self.query is None):
            raise ValueError("read.sql needs either table or query")
        if self.time.formats not in (("iso",), ("unix",), ("unix_ms",)):
            raise ValueError("a database cannot compare times that are written so; turn the column into a time in read.query")
        return self

    @property
    def feed(self) -> str:
        scheme, separator, rest = self.url.partition("?")[0].partition("://")
        return f"{scheme}{separator}{rest.rpartition('@')[2]}: {self.table or 'query'}"

    @property
    def is_incremental(self) -> bool:
        return self.table is not None or ":since" in (self.query or "")

    @property
    def gives_all(self) -> bool:
        return True

    def asked_from(self, context: ReadContext) -> datetime | None:
        return super().asked_from(context) if self.is_incremental else None

    def probe(self, context: ProbeContext) -> str | None:
        """By the answer to `probe_query`, else by the rows since the last time."""
        if self.probe_query is None:
            return self.model_copy(update={"chunk": _PROBED_ROWS}).signature_of_pages(context) if self.is_incremental else None
        database = Database(self.url, context.source, f"{self.feed}, read.probe_query", context.data, context.patience)
        with database.rows(None, self.probe_query, self.time.reading(context.timezone)) as (names, rows):
            found = list(islice(rows, _PROBED_ROWS))
        told = "\n".join([repr(list(names)), *(as_line({str(place): value for place, value in enumerate(row)}) for row in found)])
        return hashlib.sha256(told.encode()).hexdigest()[:32]

    def pages(self, context: ReadContext) -> Iterator[Page]:
        context.staging.mkdir(parents=True, exist_ok=True)
        database = Database(self.url, context.source, self.feed, context.data)
        since = (self.asked_from(context),) if self.is_incremental else ()
        with database.rows(self.table, self.query, self.time.reading(context.timezone), *since) as (names, rows):
            file = TextFile(context.source, context.staging, context.staging, self.feed)
            wanted = [*((part, "read.time") for part in self.time.parts), *context.wanted.declared]
            positions = column_positions(wanted, checked_names(names, file), file)
            at = [positions[part] for part in self.time.parts]
            for number, chunk in enumerate(self._chunks(names, rows, at, context.staging), start=1):
                yield Page(chunk, JsonRecords(), f"{self.feed}, chunk {number}")

    def _chunks(self, names: Sequence[str], rows: Iterator[Sequence[Any]], at: Sequence[int], folder: Path) -> Iterator[Path]:
        """Files of about `chunk` rows. Rows of one time stay together, so that equal rows are never taken for repeated ones."""
        row = next(rows, None)
        while row is not None:
            path, count, last = folder / "chunk.jsonl", 0, []
            with path.open("w", encoding="utf-8", newline="") as lines:
                while row is not None and (count < self.chunk or [row[place] for place in at] == last):
                    lines.write(as_line(dict(zip(names, row, strict=True))) + "\n")
                    last, count, row = [row[place] for place in at], count + 1, next(rows, None)
            yield path
