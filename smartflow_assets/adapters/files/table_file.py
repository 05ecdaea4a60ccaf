"""CSV, JSON and Parquet files of any size as time series: which columns there are, and their rows in order of time.

For `smartflow detect`, which has no source and no warehouse. DuckDB reads the file once, within bounded memory, into a typed
and sorted Parquet file in a scratch folder; a column then comes out of that alone. Sources that are watched have readers, and
what is written is result_file's.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import duckdb
import numpy as np

from smartflow_assets.adapters.files.result_file import errors_of, scratch_connection
from smartflow_assets.adapters.scans import JsonRecords, ending
from smartflow_assets.adapters.scans.delimited import with_point
from smartflow_assets.adapters.scans.plain_text import TextFile, as_plain_text, likely_delimiter, undecodable_line
from smartflow_assets.adapters.sql_quoting import quoted_column, quoted_text
from smartflow_assets.core.errors import SourceError
from smartflow_assets.core.nearest_name import did_you_mean
from smartflow_assets.core.series.series_id import series_id

if TYPE_CHECKING:
    import pandas as pd

SAMPLE_ROWS = 20_000
MOST_BROKEN_LINES = 100_000
MOST_SERIES, MOST_GUESSED_SERIES = 10_000, 100
AGGREGATES = {  # how rows of one time become one value, in SQL
    "mean": "avg({})",
    "sum": "sum({})",
    "count": "count({})",
    "min": "min({})",
    "max": "max({})",
    "median": "median({})",
    "last": "last({})",
}
READABLE_SHARE = 0.9  # a column of which fewer values can be read as a number is text
TIME_NAMES = (
    "time",
    "timestamp",
    "ts",
    "datetime",
    "date_time",
    "date",
    "observed_at",
    "created_at",
    "event_time",
    "day",
    "hour",
    "epoch",
    "ds",
)
TIME_FORMATS = (  # beside ISO 8601, which is tried first
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d %H:%M",
    "%Y/%m/%d",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y",
    "%m/%d/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M",
    "%m/%d/%Y %I:%M:%S %p",
    "%m/%d/%Y %I:%M %p",
    "%m/%d/%Y",
    "%d/%m/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%d/%m/%Y",
    "%Y%m%d%H%M%S",
    "%Y%m%d %H%M%S",
    "%d %b %Y %H:%M:%S",
    "%d %b %Y",
    "%a, %d %b %Y %H:%M:%S GMT",
)
_EPOCHS = {"s": 1_000_000, "ms": 1_000, "us": 1, "ns": 0.001}  # microseconds in a unit


@dataclass(frozen=True)
class FileColumn:
    """A column by what its values can be read as. `time_format` is `iso`, a strptime format, an epoch's unit, or empty."""

    name: str
    kind: Literal["number", "text"]
    example: str = ""
    time_format: str = ""
    is_time_ambiguous: bool = False


@dataclass(frozen=True)
class Prepared:
    """The rows of a file with a readable time, in order of time, and what was wrong with the others."""

    row_count: int
    dropped_count: int  # time missing or unreadable
    first_dropped: str
    broken_count: int  # lines that do not have the columns of the header line, records of JSON that are no objects
    first_broken: str
    is_reordered: bool
    repeated_count: int  # rows whose time a later row of the same series has as well
    series: tuple[str, ...] = ()  # each value column, or one series of it for each combination of values of the columns `by`
    joined_count: int = 0  # rows that were aggregated with others of their time
    unreadable: Mapping[str, tuple[int, str]] = field(default_factory=dict)  # by value column: how many are no number, and one of them


class TableFile:
    """One CSV, JSON (both also .gz) or Parquet file; made by `open_table`. `records` is where in the JSON the list of rows lies, `encoding`
    and `decimal` (a point or a comma) are those of a CSV."""

    def __init__(
        self,
        path: Path,
        scratch: Path,
        connection: duckdb.DuckDBPyConnection,
        records: str | None = None,
        encoding: str = "utf-8",
        decimal: str = ".",
    ) -> None:
        self.path, self._scratch, self._db = path, scratch, connection
        self._encoding, self._decimal = encoding, decimal
        self._series: dict[str, tuple[int, tuple[str, ...]]] = {}
        self._broken = "SELECT NULL, '', 0"
        self._source = {"parquet": self._parquet_source, "json": partial(self._json_source, records), "csv": self._csv_source}[
            ending(path)
        ]()
        self._types = {str(row[0]): str(row[1]) for row in self._rows(f"DESCRIBE SELECT * FROM {self._source}")}
        self._sample = self._rows(f"SELECT {', '.join(self._text(name) for name in self._types)} FROM {self._source} LIMIT {SAMPLE_ROWS}")
        if not self._sample:
            raise SourceError(f"{path} holds a header and no row" if self._types else f"{path} is empty")
        self.columns = tuple(self._column(name, [row[place] for row in self._sample]) for place, name in enumerate(self._types))

    def column(self, name: str) -> FileColumn:
        """A column by name; SourceError with the nearest one when there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        remedy = did_you_mean(name, self._types, f"Its columns are {', '.join(self._types)}.")
        raise SourceError(f"there is no column {name!r}", where=str(self.path), remedy=remedy)

    def guess_time(self) -> FileColumn:
        """The column that is the time: by name first, then the first that can be read as a time. SourceError when there is none."""
        times = [column for column in self.columns if column.time_format]
        ranked = sorted(
            times,
            key=lambda column: TIME_NAMES.index(column.name.lower()) if column.name.lower() in TIME_NAMES else len(TIME_NAMES),
        )
        ranked = [column for column in ranked if column.time_format not in _EPOCHS or column.name.lower() in TIME_NAMES]
        if not ranked:
            raise SourceError(
                "no column looks like a time",
                where=str(self.path),
                remedy=f"Name it with --time. The columns are {', '.join(self._types)}.",
            )
        return ranked[0]

    def guess_values(self, time: FileColumn) -> list[FileColumn]:
        """Every column of numbers but the time, and but those that by their name are ids or labels."""
        return [
            column
            for column in self.columns
            if column.kind == "number"
            and column.name != time.name
            and column.name.lower() not in {"", "id", "row", "label", "is_anomaly", "anomaly", "unnamed: 0"}
        ]

    def guess_by(self, time: FileColumn, values: Sequence[str]) -> list[str]:
        """Columns that may tell several series apart: of texts, or of few numbers, that come again and again."""
        names = [column.name for column in self.columns if column.name != time.name and column.name not in values]
        places = {name: place for place, name in enumerate(self._types)}
        counts = {name: len({row[places[name]] for row in self._sample}) for name in names}
        return [name for name in names if 1 < counts[name] <= min(MOST_GUESSED_SERIES, len(self._sample) // 2)]

    def prepare(
        self, time: FileColumn, values: Sequence[str], time_format: str = "", *, by: Sequence[str] = (), aggregate: str = ""
    ) -> Prepared:
        """Read the file once into typed rows in order of time. SourceError when no row has a readable time.

        `by`: columns whose every combination of values makes series of its own. `aggregate`: how rows of one series with the same time
        become one value (`AGGREGATES`); without it the last of them stands.
        """
        form = time_format or time.time_format or "iso"
        moment = self._time_sql(time.name, form)
        numbers = [f"{self._number_sql(name)} AS v{place}" for place, name in enumerate(values)]
        unread = [
            f"CASE WHEN trim({self._text(name)}) <> '' AND v{place} IS NULL THEN {self._text(name)} END AS b{place}"
            for place, name in enumerate(values)
        ]
        rows = f"read_parquet({quoted_text(self._rows_file)})"
        lost_time = f"CASE WHEN t IS NULL THEN coalesce({self._text(time.name)}, 'nothing') END AS lost"
        groups = [f"coalesce({self._text(name)}, '') AS g{place}" for place, name in enumerate(by)]
        columns = ", ".join([f"{moment} AS t", *groups, *numbers, *unread, lost_time])
        self._run(f"COPY (SELECT {columns} FROM {self._source}) TO {quoted_text(self._rows_file)} (FORMAT parquet)")
        broken = [row for row in self._rows(self._broken) if row[2]]
        counts = ", ".join(f"count(b{place}), any_value(b{place})" for place in range(len(values)))
        kept, lost, first_lost, *unreadable = self._rows(f"SELECT count(t), count(lost), any_value(lost), {counts} FROM {rows}")[0]
        if not kept:
            raise SourceError(
                f"no value of column {time.name!r} can be read as a time, such as {first_lost!r}",
                where=str(self.path),
                remedy="Name the column with --time, or say how it is written with --time-format '%d/%m/%Y %H:%M'.",
            )
        times = self._db.execute(f"SELECT epoch_us(t) AS t FROM {rows} WHERE t IS NOT NULL").fetchnumpy()["t"]
        is_reordered = bool((np.diff(times) < 0).any())
        if is_reordered:
            self._rewrite("SELECT * FROM {rows} ORDER BY t")
            times = np.sort(times)
        keys = ", ".join(["t", *(f"g{place}" for place in range(len(by)))])
        repeated = int((np.diff(times) == 0).sum())
        if by and repeated:
            ((repeated,),) = self._rows(
                f"SELECT coalesce(sum(n - 1), 0) FROM (SELECT count(*) AS n FROM {rows} WHERE t IS NOT NULL GROUP BY {keys})"
            )
        self._name_series(values, by)
        joined = int(repeated) if aggregate else 0
        if joined:
            made = ", ".join(f"{AGGREGATES[aggregate].format(f'v{place}')} AS v{place}" for place in range(len(values)))
            self._rewrite(f"SELECT {keys}, {made} FROM {{rows}} WHERE t IS NOT NULL GROUP BY {keys} ORDER BY t")
        pairs = zip(values, unreadable[::2], unreadable[1::2], strict=True)
        return Prepared(
            row_count=kept - joined,
            series=tuple(self._series),
            joined_count=joined,
            dropped_count=lost,
            first_dropped=str(first_lost or ""),
            broken_count=broken[0][2] if broken else 0,
            first_broken=f"line {broken[0][0]}: {broken[0][1]}" if broken else "",
            is_reordered=is_reordered,
            repeated_count=0 if joined else int(repeated),
            unreadable={name: (count, str(example)) for name, count, example in pairs if count},
        )

    def _name_series(self, values: Sequence[str], by: Sequence[str]) -> None:
        """What each series is called; SourceError when the columns `by` make more than anybody can look at."""
        groups: list[tuple[str, ...]] = [()]
        if by:
            chosen = ", ".join(f"g{place}" for place in range(len(by)))
            groups = self._rows(
                f"SELECT DISTINCT {chosen} FROM read_parquet({quoted_text(self._rows_file)}) WHERE t IS NOT NULL ORDER BY {chosen} "
                f"LIMIT {MOST_SERIES + 1}"
            )
        if len(groups) > MOST_SERIES:
            raise SourceError(
                f"{', '.join(by)} makes more than {MOST_SERIES:,} series",
                where=str(self.path),
                remedy="Name a column with --by that names groups, not single things.",
            )
        self._series = {
            series_id(name, dict(zip(by, group, strict=True))) if by else name: (place, group)
            for place, name in enumerate(values)
            for group in groups
        }

    def _rewrite(self, select: str) -> None:
        """Put other rows into the file of rows; `{rows}` in the statement are those that are there."""
        before = self._rows_file.rename(self._rows_file.with_suffix(".before"))
        statement = select.format(rows=f"read_parquet({quoted_text(before)})")
        self._run(f"COPY ({statement}) TO {quoted_text(self._rows_file)} (FORMAT parquet)")
        before.unlink()

    def series(self, name: str) -> "pd.DataFrame":
        """A prepared series as series, observed_at, value (NaN = missing). Of rows with the same time the last one stands. KeyError for
        one that the file has not."""
        import pandas as pd

        place, group = self._series[name]
        own = "".join(f" AND g{number} = ?" for number in range(len(group)))
        found = self._db.execute(
            f"SELECT epoch_us(t) AS t, coalesce(v{place}, 'nan'::DOUBLE) AS v "
            f"FROM read_parquet({quoted_text(self._rows_file)}) WHERE t IS NOT NULL{own}",
            list(group),
        ).fetchnumpy()
        times, numbers = np.asarray(found["t"]), np.asarray(found["v"])
        is_last = np.append(times[1:] != times[:-1], True)
        if not is_last.all():
            times, numbers = times[is_last], numbers[is_last]
        label = pd.Categorical.from_codes(np.zeros(len(times), np.int8), categories=pd.Index([name], dtype=object))
        observed_at = pd.DatetimeIndex(times.view("datetime64[us]")).tz_localize("UTC")
        return pd.DataFrame({"series": label, "observed_at": observed_at, "value": numbers}, copy=False)

    @property
    def _rows_file(self) -> Path:
        return self._scratch / f"{self.path.name}.rows.parquet"

    def _parquet_source(self) -> str:
        return f"read_parquet({quoted_text(self.path)})"

    def _json_source(self, records: str | None) -> str:
        """The records as texts, nested objects as columns a.b, as sources read them."""
        try:
            scan = JsonRecords(records=records).open(self._db, [TextFile("", self.path, self._scratch)], ())
        except SourceError as error:
            what, remedy = (text.replace("read.records", "--records") for text in (error.what, error.remedy))
            raise SourceError(what, where=error.where or str(self.path), remedy=remedy) from error
        self._broken = f"SELECT min(place), arg_min(reason, place), count(*) FROM ({scan.broken})"
        names = ", ".join(f"c{place} AS {quoted_column(name)}" for place, name in enumerate(scan.names))
        return f"(SELECT {names} FROM {scan.relation})"

    def _csv_source(self) -> str:
        """DuckDB's own sniffer takes a file with one odd line for a file of one column: the dialect is that of the header line."""
        try:
            text = as_plain_text(TextFile("", self.path, self._scratch), encoding=self._encoding)
        except SourceError as error:
            what, remedy = (text.replace("read.encoding", "--encoding") for text in (error.what, error.remedy))
            raise SourceError(what, where=error.where or str(self.path), remedy=remedy) from error
        if line := undecodable_line(text):
            raise SourceError(
                "the text is not utf-8", where=f"{self.path}, line {line}", remedy="Say what it is, such as --encoding cp1252."
            )
        with text.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            skipped, line = 0, file.readline()
            while line and (not line.strip() or line.startswith("#")):
                skipped, line = skipped + 1, file.readline()
        if not line:
            raise SourceError(f"{self.path} holds no header line")
        sign = likely_delimiter(line)
        names: list[str] = []
        for place, cell in enumerate(next(csv.reader([line], delimiter=sign)), start=1):
            name = cell.strip() or f"column{place}"
            names.append(name if name not in names else f"{name}_{place}")
        columns = ", ".join(f"{quoted_text(name)}: 'VARCHAR'" for name in names)
        scan = "FROM reject_errors WHERE scan_id = (SELECT max(scan_id) FROM reject_scans)"
        self._broken = f"SELECT min(line), arg_min(csv_line, line), count(DISTINCT line) {scan}"
        return (
            f"read_csv({quoted_text(text)}, auto_detect = false, columns = {{{columns}}}, delim = {quoted_text(sign)}, quote = '\"', "
            f"escape = '\"', header = true, skip = {skipped}, store_rejects = true, rejects_limit = {MOST_BROKEN_LINES})"
        )

    def _column(self, name: str, texts: list[str | None]) -> FileColumn:
        present = [text for text in texts if text is not None and text.strip()]
        if self._types[name].startswith(("TIMESTAMP", "DATE")):
            return FileColumn(name, "text", time_format="iso")
        if self._types[name] == "BOOLEAN" or not present:
            return FileColumn(name, "text", present[0] if present else "nothing")
        read = f"SELECT TRY_CAST({with_point('x', self._decimal)} AS DOUBLE) FROM (SELECT trim(unnest(?::VARCHAR[])) AS x)"
        numbers = [float(value) for (value,) in self._rows(read, [present]) if value is not None]
        if len(numbers) >= READABLE_SHARE * len(present):
            return FileColumn(name, "number", present[0], _epoch(numbers) or self._compact_time(present))
        return FileColumn(name, "text", present[0], *self._time_format(present))

    def _time_format(self, texts: list[str]) -> tuple[str, bool]:
        """The format that reads most of the texts; of several that read all, the one in which they are most in order."""
        best: list[tuple[float, int, str]] = []
        for place, form in enumerate(("iso", *TIME_FORMATS)):
            times = [
                row[0]
                for row in self._rows(f"SELECT epoch_us({_parse('x', form)}) FROM (SELECT unnest(?::VARCHAR[]) AS x)", [texts[:2_000]])
            ]
            read = [time for time in times if time is not None]
            if len(read) >= READABLE_SHARE * len(times):
                disorder = sum(later < earlier for earlier, later in pairwise(read)) / len(read)
                best.append((len(times) - len(read) + disorder, place, form))
        if not best:
            return "", False
        best.sort()
        is_ambiguous = len(best) > 1 and best[0][0] == best[1][0] and {best[0][2][:2], best[1][2][:2]} == {"%d", "%m"}
        return best[0][2], is_ambiguous

    def _compact_time(self, texts: list[str]) -> str:
        """20260301 and 20260301093500 are numbers by their letters."""
        if len(set(map(len, texts[:100]))) == 1 and len(texts[0]) in (8, 14) and texts[0][:2] in ("19", "20"):
            return "%Y%m%d" if len(texts[0]) == 8 else "%Y%m%d%H%M%S"
        return ""

    def _text(self, name: str) -> str:
        return quoted_column(name) if self._types[name] == "VARCHAR" else f"CAST({quoted_column(name)} AS VARCHAR)"

    def _time_sql(self, name: str, form: str) -> str:
        if form == "iso" and self._types[name].startswith(("TIMESTAMP", "DATE")):
            return f"CAST({quoted_column(name)} AS TIMESTAMPTZ)"
        return _parse(self._text(name), form)

    def _number_sql(self, name: str) -> str:
        column = quoted_column(name)
        value = column if self._types[name] != "VARCHAR" else with_point(f"trim({column})", self._decimal)
        return f"TRY_CAST({value} AS DOUBLE)"

    def _rows(self, sql: str, parameters: list[Any] | None = None) -> list[tuple[Any, ...]]:
        return self._run(sql, parameters).fetchall()

    def _run(self, sql: str, parameters: list[Any] | None = None) -> duckdb.DuckDBPyConnection:
        with errors_of(self.path, self._scratch):
            return self._db.execute(sql, parameters) if parameters else self._db.execute(sql)


@contextmanager
def open_table(path: Path, records: str | None = None, encoding: str = "utf-8", decimal: str = ".") -> Iterator[TableFile]:
    """The file to read. SourceError, naming it, when it is missing, empty or cannot be read as what its ending says."""
    if not path.exists():
        raise SourceError(f"{path}: no such file")
    if path.is_dir():
        raise SourceError(f"{path} is a folder", remedy="Name one CSV, JSON or Parquet file.")
    with scratch_connection(None) as (scratch, connection):
        yield TableFile(path, scratch, connection, records, encoding, decimal)


def _parse(text: str, form: str) -> str:
    """SQL that reads `text` as a time; one without a zone is UTC."""
    if form == "iso":
        return f"TRY_CAST(trim({text}) AS TIMESTAMPTZ)"
    if form in _EPOCHS:
        return f"make_timestamptz(CAST(round(TRY_CAST({text} AS DOUBLE) * {_EPOCHS[form]}) AS BIGINT))"
    return f"CAST(TRY_STRPTIME(trim({text}), {quoted_text(form)}) AS TIMESTAMPTZ)"


def _epoch(numbers: list[float]) -> str:
    """The unit of numbers that can be times between 1990 and 2100, else empty."""
    low, high = min(numbers), max(numbers)
    for unit, microseconds in _EPOCHS.items():
        if low * microseconds >= 6.3e14 and high * microseconds <= 4.1e15:
            return unit
    return ""
