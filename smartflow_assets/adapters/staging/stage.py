"""From one content, in whatever layout, to one typed Parquet file, in SQL, in bounded memory.

All values are read as text (a scan, adapters.scans) and every type is decided from the whole column, never from a sample. A
column that the source declares (time, numbers, dimensions, categories) has the type it needs, and a row that breaks it becomes a bad row
with its reason; any other column keeps the type that its file gives it, or takes the narrowest type that all of its values
have. Nothing here touches the warehouse.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

import duckdb

from smartflow_assets.adapters.duckdb_errors import content_error
from smartflow_assets.adapters.scans import Delimited, JsonRecords, Layout, Parquet, ending
from smartflow_assets.adapters.scans.base import ENOUGH
from smartflow_assets.adapters.scans.plain_text import TextFile, undecodable_line
from smartflow_assets.adapters.sql_quoting import quoted_column, quoted_text
from smartflow_assets.adapters.staging import text_parsing
from smartflow_assets.adapters.staging.contract import ReadContext, Staged, TimedReader, origin_of
from smartflow_assets.adapters.staging.reading_key import READ_AGAIN, key_of_file, split
from smartflow_assets.adapters.staging.session import session
from smartflow_assets.adapters.staging.text_table import TextColumn, TextTable, declared_columns
from smartflow_assets.adapters.warehouse.column_types import MARKS
from smartflow_assets.adapters.warehouse.writes import MissingRows

WIDE_MEMORY = "1GB"  # for more columns than are asked at once
MOSTLY = 0.9  # an undeclared column holds numbers when nine in ten of its values are
EARLIEST_UNIX = datetime(1980, 1, 1, tzinfo=UTC)  # numbers of rows, read as seconds, all lie in 1970
SAMPLE = 2_000
AT_ONCE = 250  # columns of which one query asks all that they may be: each has a vector of 2,048 values for each part of each test
GOOD, BAD = "rows.parquet", "rejected.parquet"
MASK = "'***'"


def stage_file(
    reader: TimedReader,
    path: Path,
    context: ReadContext,
    layout: Layout,
    on_missing_rows: MissingRows = "keep",
    kept: Mapping[str, object] = MappingProxyType({}),
) -> Staged | None:
    """Stage one file; None when its content is known. SourceError naming file, field and remedy when it cannot be used. `kept` are the
    settings that say which of its rows are kept, where they are not the defaults.

    The hash is taken before anything else is read: should the file grow meanwhile, the next run finds another hash and reads
    it again, so nothing that was half written stays.
    """
    origin = origin_of(path, context.data)
    file = TextFile(context.source, path, _folder(context, origin))
    with file.reading(), path.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    known, key = context.known.get(origin, ""), key_of_file(reader.time, layout, context.wanted, on_missing_rows, context.timezone, kept)
    known_digest, known_key = split(known)
    if digest == known_digest and key.holds(known_key) and known == f"{known_digest}.{known_key}":
        return None
    limits = ""
    if context.since or context.until:
        if origin in context.known:  # what is stored is replaced as a whole: a part would take the rest away
            context = replace(context, since=None, until=None)
        else:  # and a part is not the whole: the next run without limits reads the file again
            limits = f" {_moment(context.since)}..{_moment(context.until)}"
    context = replace(context, zone_before=key.zone_before(known_key))
    staged = _staged([file], reader, context, layout, origin, digest)
    return replace(
        staged,
        content_hash=f"{digest}.{key.of(staged.zone)}{limits}",
        on_missing_rows=on_missing_rows,
        is_same_content=digest == known_digest and ".." not in known,
    )


def stage_rows(
    reader: TimedReader,
    paths: Sequence[Path],
    context: ReadContext,
    *,
    origin: str,
    content_hash: str,
    where: str = "",
    layout: Layout | None = None,
) -> Staged | None:
    """Stage rows that a reader has fetched and written to files; None when `content_hash` is what the origin is known by, and its times
    are of the zone that they were read in.

    `paths` are one content: one JSON-lines or delimited file, or any number of Parquet files with the same or other columns.
    The reader writes them into `context.staging` (it may not exist yet) under names of its own; ingestion clears the folder.
    `layout` says how they are laid out; default: by the ending of the first (.jsonl, .parquet, else CSV with a header line).
    Types, bad rows, quarantine and messages are those of files; in JSON lines nested objects become columns `a.b`.

    `origin` names in the tables what was asked: the window or the address, without secrets. Staging the same origin with another
    hash replaces the rows that came from it within the time that it spans; rows that other origins hold already are left
    out and counted, so windows may overlap. `since` and `until` of the context limit what is taken. `where` is what errors
    name in the place of the staged file, such as an address without its secrets; default: the origin.
    """
    known, zone = context.known.get(origin, "").removesuffix(READ_AGAIN), reader.time.reading(context.timezone).zone
    if known in (f"{content_hash}@", content_hash if zone == "UTC" else f"{content_hash}@{zone}") and known == context.known[origin]:
        return None
    if known:
        context = replace(context, zone_before=known.rpartition("@")[2] or None if "@" in known else "UTC")
    files = [TextFile(context.source, path, _folder(context, f"{origin} {number}"), where or origin) for number, path in enumerate(paths)]
    kinds = {"json": JsonRecords, "parquet": Parquet, "csv": Delimited}
    staged = _staged(files, reader, context, layout or kinds[ending(paths[0])](), origin, content_hash)
    return staged if zone == "UTC" else replace(staged, content_hash=f"{content_hash}@{staged.zone or ''}")


def _folder(context: ReadContext, name: str) -> Path:
    return context.staging / hashlib.sha256(name.encode()).hexdigest()[:16]


def has_local_times(reader: TimedReader, path: Path, context: ReadContext, layout: Layout) -> bool:
    """Does the file hold a time that names no zone? It is read as far as the first. SourceError when it cannot be used."""
    file = TextFile(context.source, path, _folder(context, str(path)))
    file.folder.mkdir(parents=True, exist_ok=True)
    time = reader.time.reading(context.timezone)
    with session(file.folder, time.zone) as connection:
        table = TextTable(time, context.wanted, file, layout.open(connection, [file], declared_columns(time, context.wanted)))
        local = f"SELECT 1 FROM ({table.rows(is_numbered=False)}) WHERE is_local AND (moment IS NOT NULL OR is_skipped) LIMIT 1"
        return bool(connection.execute(local).fetchall())


def _staged(
    files: Sequence[TextFile],
    reader: TimedReader,
    context: ReadContext,
    layout: Layout,
    origin: str,
    content_hash: str,
) -> Staged:
    file = files[0]
    for each in files:
        each.folder.mkdir(parents=True, exist_ok=True)
    try:
        try:
            return _stage(files, reader, context, layout, origin, content_hash)
        except duckdb.InvalidInputException as error:
            if "state machine" not in str(error):
                raise
            return _stage(files, reader, context, layout, origin, content_hash, is_rewritten=True)  # line ends of two kinds
    except duckdb.Error as error:
        settings = [field.name for field in fields(layout) if field.name != "decimal"]
        raise content_error(error, file.error, layout.name, settings) from None
    finally:
        for each in files:
            for copy in each.folder.iterdir():
                if copy.name not in (GOOD, BAD) and copy.is_file():
                    copy.unlink()


def _stage(
    files: Sequence[TextFile],
    reader: TimedReader,
    context: ReadContext,
    layout: Layout,
    origin: str,
    content_hash: str,
    *,
    is_rewritten: bool = False,
) -> Staged:
    file, time = files[0], reader.time.reading(context.timezone)
    declared = declared_columns(time, context.wanted)
    with session(file.folder, time.zone) as connection:
        text = None
        try:
            scan = layout.open(connection, files, declared, is_rewritten=is_rewritten)
            text = scan.text
            if len(scan.names) > AT_ONCE:
                connection.execute("SET threads = 1")  # each has a vector of each column for itself
                connection.execute(f"SET memory_limit = '{WIDE_MEMORY}'")
            table = TextTable(time, context.wanted, file, scan)
            return _Staging(connection, table, file, _window(context), context.zone_before).run(origin, content_hash)
        except duckdb.InternalException:  # DuckDB 1.5 in a short file that is not UTF-8; 2.0 rejects the line
            if text is None or (line := undecodable_line(text)) is None:
                raise
            raise file.wrong_encoding("utf-8", line) from None


class _Staging:
    """One file on its way: four scans (sample, profile, good rows, bad rows) and the decisions between them."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        table: TextTable,
        file: TextFile,
        window: str,
        zone_before: str | None,
    ) -> None:
        self.connection, self.table, self.file, self.window, self.zone_before = connection, table, file, window, zone_before
        self.taken = table.columns
        self.notes: list[str] = []

    def run(self, origin: str, content_hash: str) -> Staged:
        """Decide the types, write the good and the bad rows."""
        self._sniff()
        counts = self._profile()
        self._decide(counts)
        self._refuse(counts)
        self._find_second_hours(counts["ambiguous"])
        self._tell_what_is_emptied(counts)
        parquet = self._write_good()
        time = quoted_column(self.table.time.name)
        row_count, first_at, last_at = self._one(f"SELECT count(*), min({time}), max({time}) FROM {quoted_text(parquet)}")
        if last_at is not None and self.table.reading.is_epoch and last_at < EARLIEST_UNIX:
            form = self.table.reading.formats[0]
            raise self.file.error(
                f"the times of column '{self.table.time.name}' end on {last_at:%Y-%m-%d}: these are no {form} times",
                "Correct read.time: format unix counts seconds since 1970, unix_ms milliseconds.",
            )
        bad_count, rejected = self._write_bad(counts)
        staged = Staged(origin, content_hash, parquet, row_count, _utc(first_at), _utc(last_at), bad_count, rejected, tuple(self.notes))
        if not counts["local"]:
            return staged
        return self._with_zone_before(replace(staged, zone=self.table.reading.zone))

    def _with_zone_before(self, staged: Staged) -> Staged:
        """When the stored rows are of another zone, which times they have: those are the rows that these take the place of."""
        if self.zone_before in (None, staged.zone):
            return staged
        held_from, held_to = self._one(self.table.held_times(self.zone_before))
        return replace(staged, zone_before=self.zone_before, held_from=_utc(held_from), held_to=_utc(held_to))

    # --- the scans ---

    def _sniff(self) -> None:
        """Which types an undeclared column may have: a value of the sample that does not fit excludes a type for good."""
        for columns in _parts(self.table.undeclared):
            asked = [(column, type_, test) for column in columns for type_, test in self.table.type_tests(column).items()]
            fits = self._one(
                f"SELECT {', '.join(f'bool_and({column.c} IS NULL OR {test})' for column, _, test in asked)} "
                f"FROM (SELECT * FROM {self.table.relation} LIMIT {SAMPLE})"
            )
            for (column, type_, _), is_fitting in zip(asked, fits, strict=True):
                if is_fitting or (type_ == "DOUBLE" and self.table.wanted.numbers is None):
                    column.candidates.add(type_)

    def _profile(self) -> dict[str, int]:
        """Counts over all rows: what each column could be, and which times are readable."""
        asked = {"rows": "count(*)", "timed": "count(moment)", "ambiguous": "count_if(is_ambiguous)"}
        asked["local"] = "count_if(is_local AND (moment IS NOT NULL OR is_skipped))"
        counts = dict[str, int]()
        for columns in _parts(self.table.columns):
            for column in columns:
                asked[f"{column.c} filled"] = f"count({column.c})"
                if column.is_number or "DOUBLE" in column.candidates:
                    asked[f"{column.c} numbers"] = f"count({self.table.number(column)})"
                    asked[f"{column.c} codes"] = f"count_if({text_parsing.is_code(column.c)})"
                for type_ in column.candidates - {"DOUBLE"}:
                    asked[f"{column.c} {type_}"] = f"count_if({self.table.type_tests(column)[type_]})"
            found = self._one(f"SELECT {', '.join(asked.values())} FROM ({self.table.rows(is_numbered=False)})")
            counts |= dict(zip(asked, found, strict=True))
            asked = {}
        return counts

    def _decide(self, counts: dict[str, int]) -> None:
        """The type of each undeclared column, and which columns are taken."""
        for column in self.table.columns:
            filled, numbers = counts[f"{column.c} filled"], counts.get(f"{column.c} numbers", 0)
            fitting = [
                type_
                for type_ in self.table.type_tests(column)
                if type_ in column.candidates and (numbers if type_ == "DOUBLE" else counts[f"{column.c} {type_}"]) == filled > 0
            ]
            if "DOUBLE" in column.candidates and counts[f"{column.c} codes"]:
                fitting = []
            elif "DOUBLE" in column.candidates and self.table.wanted.numbers is None and numbers >= MOSTLY * filled > 0:
                column.is_number = True
                fitting = fitting or ["DOUBLE"]
            column.type = fitting[0] if fitting else column.type
            column.has_misfits = numbers < filled
        # an undeclared column without a value has no type yet: it joins the table with its first one
        self.taken = [
            column
            for column in self.table.columns
            if not column.is_time_part
            and (
                counts[f"{column.c} filled"]
                or column is self.table.time
                or column.is_text
                or (column.is_number and self.table.wanted.numbers is not None)
            )
        ]

    def _refuse(self, counts: dict[str, int]) -> None:
        """A file of which nothing can be read is a wrong setting, or a feed that changed: not a pile of bad rows."""
        time, name = self.table.reading, self.table.time.name
        if counts["rows"] >= ENOUGH and not counts["timed"]:
            example = self._example(self.table.time)
            digits = len(example.strip()) if example.strip().isdigit() else 0
            form = "%d/%m/%Y %H:%M" if not digits else "%Y%m%d" if digits == 8 else "unix"
            told = " and ".join(f"column '{part}'" for part in time.parts)
            named = f"column: {name}" if len(time.parts) == 1 else f"columns: [{', '.join(time.parts)}]"
            remedy = f'Say how it is written, such as read.time: {{{named}, format: "{form}"}}, or correct read.time.'
            if 0 < digits < 8:
                remedy = "It looks like a number of the row: correct read.time. For a table without times see docs/own-source.md."
            raise self.file.error(
                f"no value of {told} is a time; expected {text_parsing.expected_time(time)}, the first is {example!r}", remedy
            )
        for column in self.table.columns:
            is_text = column.is_number and counts[f"{column.c} filled"] >= ENOUGH and not counts[f"{column.c} numbers"]
            if is_text and self.table.wanted.on_bad_rows != "keep":
                example = self._example(column)
                raise self.file.error(
                    f"column '{column.name}' is text; expected a number, the first value is {example!r}",
                    _remedy_of_text(example, self.table.scan.has_decimal),
                )
        self.table.scan.refuse(self.connection, counts["rows"])
        if not counts["rows"] and not self._one(f"SELECT count(*) FROM ({self.table.scan.broken})")[0]:
            self.notes.append("holds no rows")

    def _tell_what_is_emptied(self, counts: dict[str, int]) -> None:
        """With `on_bad_rows: keep` a row stays, and the number that could not be read is null: somebody should hear of it."""
        for column in self.table.columns if self.table.wanted.on_bad_rows == "keep" else ():
            lost = counts[f"{column.c} filled"] - counts[f"{column.c} numbers"] if column.is_number else 0
            if lost:
                self.notes.append(f"{lost:,} values of column '{column.name}' are no numbers and are empty now (on_bad_rows: keep)")

    def _find_second_hours(self, ambiguous_count: int) -> None:
        """In the night in which the clock is set back an hour occurs twice. In file order and within the dimensions, rows
        after a step back in time belong to the second one; so does a time that is there twice when all of that hour are."""
        if not ambiguous_count:
            return
        own = ", ".join(["night", *(column.c for column in self.table.columns if column.name in self.table.wanted.texts)])
        self.connection.execute(f"""
            CREATE TEMP TABLE second_hour AS
            WITH nights AS (SELECT *, date_trunc('day', moment) AS night FROM ({self.table.rows()}) WHERE is_ambiguous),
            steps AS (
                SELECT *, count(*) OVER (PARTITION BY {own}) = 2 * count(DISTINCT moment) OVER (PARTITION BY {own}) AS is_paired,
                       max(moment) OVER (PARTITION BY {own} ORDER BY row_number
                                         ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS highest
                FROM nights
            ),
            backs AS (
                SELECT row_number, bool_or(coalesce(moment < highest OR (is_paired AND moment = highest), FALSE))
                                   OVER (PARTITION BY {own} ORDER BY row_number) AS is_second
                FROM steps
            )
            SELECT row_number FROM backs WHERE is_second
        """)
        self.table.has_second_hours = True
        second = self._one("SELECT count(*) FROM second_hour")[0]
        self.notes.append(
            f"{ambiguous_count} rows lie in an hour that the clock of {self.table.reading.zone} shows twice; "
            f"{ambiguous_count - second} are taken as the first, {second} as the second"
        )

    def _write_good(self) -> Path:
        parquet = self.file.folder / GOOD
        values = ", ".join(f"{self.table.typed(column)} AS {quoted_column(column.name)}" for column in self.taken)
        self.connection.execute(
            f"COPY (SELECT {values}, row_number AS _row FROM ({self.table.rows()}) WHERE reason IS NULL AND {self.window}) "
            f"TO {quoted_text(parquet)} (FORMAT parquet, COMPRESSION lz4_raw)"
        )
        return parquet

    def _write_bad(self, counts: dict[str, int]) -> tuple[int, Path | None]:
        """Rows that break a declared column, by their number; what is no row at all by its own, or, where rows are numbered
        without it, after them."""
        is_number_bad = self.table.wanted.on_bad_rows != "keep" and any(
            counts[f"{column.c} numbers"] < counts[f"{column.c} filled"] for column in self.table.columns if column.is_number
        )
        if counts["timed"] == counts["rows"] and not is_number_bad and not self._one(f"SELECT count(*) FROM ({self.table.scan.broken})")[0]:
            return 0, None
        masked = {name.lower() for name in self.table.wanted.sensitive}
        record = ", ".join(
            f"{quoted_text(column.name)}, "
            + (f"CASE WHEN {column.c} IS NOT NULL THEN {MASK} END" if column.name.lower() in masked else column.c)
            for column in self.table.read_columns
        )
        broken = f"CAST(json_object('line', {MASK}) AS VARCHAR)" if masked else "CAST(record AS VARCHAR)"
        place = "place" if self.table.scan.number else f"{counts['rows']} + row_number() OVER (ORDER BY place)"
        rejected = self.file.folder / BAD
        self.connection.execute(f"""
            COPY (
                SELECT row_number, CAST(json_object({record}) AS VARCHAR) AS record, reason
                FROM ({self.table.rows()}) WHERE reason IS NOT NULL AND (moment IS NULL OR {self.window})
                UNION ALL
                SELECT {place}, {broken}, reason
                FROM ({self.table.scan.broken})
            ) TO {quoted_text(rejected)} (FORMAT parquet)
        """)
        count = self._one(f"SELECT count(*) FROM {quoted_text(rejected)}")[0]
        return count, rejected if count and self.table.wanted.on_bad_rows != "drop" else None

    def _one(self, sql: str) -> tuple:
        return self.connection.execute(sql).fetchall()[0]

    def _example(self, column: TextColumn) -> str:
        first = f"SELECT {column.c} FROM {self.table.relation} WHERE {column.c} IS NOT NULL LIMIT 1"
        return str(self.connection.execute(first).fetchall()[0][0])[:80]


def _parts(columns: Sequence[TextColumn]) -> Iterator[Sequence[TextColumn]]:
    return (columns[place : place + AT_ONCE] for place in range(0, len(columns), AT_ONCE))


def _remedy_of_text(example: str, has_decimal: bool) -> str:
    """What helps where a column of numbers holds none, by its first value.

    >>> _remedy_of_text("1,5", True)
    'Fix the feed, set read.decimal if it writes 1,5, or correct metrics.'
    >>> _remedy_of_text("100,000", True)
    "Write numbers without a separator of thousands; read.decimal: ',' would read this one as 100."
    >>> _remedy_of_text("n/a", False)
    'Take rows without this value by on_bad_rows: keep, fix the feed, or correct metrics.'
    """
    if example.strip().lower() in MARKS:
        return "Take rows without this value by on_bad_rows: keep, fix the feed, or correct metrics."
    if has_decimal and re.fullmatch(r"[-+]?[0-9]{1,3}(,[0-9]{3})+([.][0-9]+)?", example.strip()):
        return f"Write numbers without a separator of thousands; read.decimal: ',' would read this one as {example.strip().split(',')[0]}."
    return "Fix the feed, set read.decimal if it writes 1,5, or correct metrics." if has_decimal else "Fix the feed, or correct metrics."


def _window(context: ReadContext) -> str:
    """Which moments a run takes that asks for a part of the file."""
    limits = [f"moment >= TIMESTAMPTZ '{_moment(context.since)}'"] if context.since else []
    limits += [f"moment < TIMESTAMPTZ '{_moment(context.until)}'"] if context.until else []
    return " AND ".join(limits) or "TRUE"


def _moment(at: datetime | None) -> str:
    return at.astimezone(UTC).isoformat() if at else ""


def _utc(at: datetime | None) -> datetime | None:
    return at.astimezone(UTC) if at else None
