"""One asking of one database: from an address with references to rows that stream by, every failure named without a secret."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from smartflow_assets.adapters.readers.sql_values import bound_day, bound_moment
from smartflow_assets.adapters.scans.plain_text import printable
from smartflow_assets.adapters.secret_references import redact, references, resolve_address
from smartflow_assets.adapters.sql_quoting import quoted_text
from smartflow_assets.adapters.staging.contract import TimeReading
from smartflow_assets.core.errors import SourceError

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Executable

FETCHED = 5_000  # rows that are held in memory at once
PATIENCE = 30  # seconds for a database to answer a connection, or to free its lock
_DRIVERS = {"psycopg": "'smartflow[postgres]'"}
_HOW = "Write it as SQLAlchemy does, dialect://user@host/database."


@dataclass(frozen=True)
class Database:
    """`url` is the template of the YAML, `where` what errors call the database and what is asked of it."""

    url: str
    source: str
    where: str
    data: Path
    patience: float = PATIENCE

    @contextmanager
    def rows(
        self,
        table: str | None,
        query: str | None,
        time: TimeReading,
        *since: datetime | None,
    ) -> Iterator[tuple[Sequence[str], Iterator[Sequence[Any]]]]:
        """The names of the columns and an iterator over the rows, which holds a few thousand of them at a time. `since` is bound
        as `:since` when it is given, None as a time long ago."""
        from sqlalchemy import create_engine, exc
        from sqlalchemy.pool import NullPool

        url = self._address()
        backend = url.get_backend_name()
        with self._named():
            try:
                engine = create_engine(url, poolclass=NullPool, connect_args=_patience(backend, self.patience), hide_parameters=True)
            except exc.NoSuchModuleError:
                raise self._error(f"SQLAlchemy knows no database called {url.drivername}", "Correct read.url, or install it.") from None
            except ModuleNotFoundError as error:
                package = _DRIVERS.get(str(error.name), error.name)
                raise self._error(f"the driver {error.name} is not installed", f"pip install {package}") from None
            with engine.connect() as connection:
                if backend == "postgresql":
                    connection.execution_options(postgresql_readonly=True)
                    connection.exec_driver_sql(f"SET TIME ZONE {quoted_text(time.zone)}")
                bind = bound_day if table is not None and len(time.parts) > 1 else bound_moment
                bound = {"since": bind(since[0], time, backend)} if since else {}
                streaming = {"stream_results": True, "yield_per": FETCHED}
                result = connection.execute(_statement(connection, table, query, time), bound, execution_options=streaming)
                if not result.returns_rows:
                    raise self._error("read.query gives no rows", "Write a SELECT.")
                yield list(result.keys()), self._guarded(iter(result))

    def _guarded(self, rows: Iterator[Sequence[Any]]) -> Iterator[Sequence[Any]]:
        """The rows; what fails while they come is named as well."""
        while True:
            with self._named():
                row = next(rows, None)
            if row is None:
                return
            yield row

    def _address(self) -> "URL":
        from sqlalchemy import exc, make_url

        if unset := [name for name in dict.fromkeys(references(self.url)) if not os.environ.get(name)]:
            raise self._error(
                f"{' and '.join(unset)} {'is' if len(unset) == 1 else 'are'} not set in the environment",
                "Set it where SmartFlow runs, then start that process again.",
            )
        try:
            url = make_url(resolve_address(self.url, os.environ))
        except (exc.ArgumentError, ValueError):
            raise self._error("read.url is not the address of a database", _HOW) from None
        if url.drivername in ("postgresql", "postgres"):
            return url.set(drivername="postgresql+psycopg")
        if url.get_backend_name() == "sqlite":
            path = self.data / (url.database or "")
            if not path.is_file():
                raise self._error("there is no such file", "Put the database into the data folder, or correct read.url.")
            return url.set(database=f"file:{quote(str(path))}", query={**url.query, "mode": "ro", "uri": "true"})
        return url

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Turn what the database says into an error in one line."""
        from sqlalchemy import exc

        try:
            yield
        except exc.DBAPIError as error:
            lines = [line.strip() for line in str(error.orig).splitlines()]
            said = " ".join(line for line in lines if line.strip("^ ")) or type(error.orig).__name__
            is_asked_wrongly = any(word in said.lower() for word in ("no such", "syntax error"))  # SQLite tells both as operational
            is_lost = not is_asked_wrongly and (error.connection_invalidated or isinstance(error, exc.OperationalError))
            remedy = "Check read.url, the database and its password." if is_lost else "Correct read.table, read.query or read.time."
            raise self._error(f"the database says: {self._redacted(said)[:400]}", remedy) from None  # what is cut in two is not found
        except exc.SQLAlchemyError as error:
            said = self._redacted(str(error).splitlines()[0])[:400]
            raise self._error(f"the query cannot be sent: {said}", "Correct read.query.") from None

    def _redacted(self, text: str) -> str:
        return redact(text, references(self.url), os.environ)

    def _error(self, what: str, remedy: str = "") -> SourceError:
        """What went wrong, without the value of any secret, however it is written."""
        return SourceError(printable(" ".join(self._redacted(what).split())), source=self.source, where=self.where, remedy=remedy)


def _patience(backend: str, seconds: float) -> dict[str, Any]:
    """The driver's own name for a timeout, with its value; drivers that are not listed keep their default."""
    names = {"sqlite": "timeout", "postgresql": "connect_timeout", "mysql": "connect_timeout", "mariadb": "connect_timeout"}
    return {names[backend]: int(seconds)} if backend in names else {}


def _statement(connection: "Connection", table_name: str | None, query: str | None, time: TimeReading) -> "Executable":
    """The query, or a SELECT of the table from a moment on, in the order of time. A row without a time is asked for as well: it is
    quarantined, not overlooked."""
    from sqlalchemy import bindparam, column, func, literal_column, or_, select, table, text

    if query is not None:
        return text(query)
    schema, _, name = (table_name or "").rpartition(".")
    at, since = column(time.parts[0]), bindparam("since")  # of a date and a time, rows are asked for by the date
    is_text = connection.dialect.name == "sqlite" and not time.is_epoch
    when, moment = (func.julianday(at), func.julianday(since)) if is_text else (at, since)
    return (
        select(literal_column("*"))
        .select_from(table(name, schema=schema or None))
        .where(or_(when >= moment, when.is_(None)))
        .order_by(*map(column, time.parts))
    )
