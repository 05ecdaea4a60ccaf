"""The rows of a scan as a relation in SQL: all values text, the time read, bad rows with their reason.

The pieces of SQL that staging asks and writes with. `text_parsing` turns one text into a value; `stage` decides which types
columns take and what is written where.
"""

from dataclasses import dataclass, field, replace

from smartflow_assets.adapters.scans import Scan
from smartflow_assets.adapters.scans.plain_text import TextFile, column_positions
from smartflow_assets.adapters.sql_quoting import quoted_text
from smartflow_assets.adapters.staging import text_parsing
from smartflow_assets.adapters.staging.contract import TimeReading, Wanted

_INSTANTS = ("DATE", "TIMESTAMP", "TIMESTAMPTZ")


@dataclass
class TextColumn:
    """A column of the scan: `c` is its name in SQL, the rest is what is known of it."""

    index: int
    name: str
    is_number: bool = False  # its values must be numbers: declared, or mostly numbers where every numeric column is wanted
    has_misfits: bool = True  # of a column of numbers: some of its values may be none
    is_text: bool = False  # declared as a dimension or a category
    type: str = "VARCHAR"
    is_typed: bool = False  # the type is that of the file, whatever the texts could be
    is_time_part: bool = False  # the date or the time of day, which are joined
    candidates: set[str] = field(default_factory=set)

    @property
    def c(self) -> str:
        return f"c{self.index}"

    def said(self, after: str) -> str:
        """SQL for `name: 'value' …`, with the value cut short."""
        before = f"{self.name}: '"
        return f"concat({quoted_text(before)}, left({self.c}, 80), {quoted_text(after)})"


def declared_columns(time: TimeReading, wanted: Wanted) -> list[tuple[str, str]]:
    """The columns that a source names, each with the YAML field that does; the time first."""
    return [*((part, "read.time") for part in time.parts), *wanted.declared]


def _typed_formats(reading: TimeReading) -> tuple[str, ...]:
    """The formats of a column that has times: ISO, and for the time of day beside a date whatever is said as well."""
    return ("iso",) if len(reading.parts) == 1 else tuple(dict.fromkeys(("iso", *reading.formats)))


class TextTable:
    """The columns of one content and the SQL that reads its rows."""

    def __init__(self, reading: TimeReading, wanted: Wanted, file: TextFile, scan: Scan) -> None:
        self.wanted, self.scan = wanted, scan
        declared = column_positions(declared_columns(reading, wanted), scan.names, file, is_any_line=scan.has_decimal)
        names = {index: name for name, index in declared.items()}
        self.columns = [
            TextColumn(index, names.get(index, name), type=type_ or "VARCHAR", is_typed=type_ is not None)
            for index, (name, type_) in enumerate(zip(scan.names, scan.types, strict=True))
        ]
        if wanted.numbers is None:
            for column in self.columns:
                column.is_number = column.is_typed and column.type in ("BIGINT", "DOUBLE")
        self.read_columns = list(self.columns)  # those of the content, as they came
        self.relation = scan.relation
        first = self.columns[declared[reading.parts[0]]]
        # a column of times needs no format: as a text it is written as ISO has it
        self.reading = replace(reading, formats=_typed_formats(reading)) if first.type in _INSTANTS else reading
        self.time = first if len(reading.parts) == 1 else self._join(reading, [self.columns[declared[part]] for part in reading.parts])
        self.time.type, self.time.is_number = "TIMESTAMPTZ", False
        for name in wanted.numbers or ():
            self.columns[declared[name]].is_number, self.columns[declared[name]].type = True, "DOUBLE"
        for name in (*wanted.texts, *wanted.categories):
            column = self.columns[declared[name]]
            column.is_text, column.is_number, column.type = True, False, "VARCHAR"
        self.clock = text_parsing.wall_clock(self.time.c, self.reading)
        if len(reading.parts) > 1 and any(column.name.lower() == reading.column.lower() for column in self.read_columns):
            raise file.error(
                f"there is a column '{reading.column}', and read.time.columns makes one of that name",
                f"Set read.time to {{column: {reading.column}}} if that is the time, or rename one of the columns.",
            )
        self.has_second_hours = False  # is there a table second_hour(row_number)?

    def _join(self, reading: TimeReading, parts: list[TextColumn]) -> TextColumn:
        """The column that a date and a time of day make; they are no columns of their own any more."""
        for part in parts:
            part.is_time_part, part.is_number = True, False
        time = TextColumn(len(self.columns), reading.column)
        self.columns.append(time)
        self.relation = f"(SELECT *, {text_parsing.joined(*(part.c for part in parts))} AS {time.c} FROM {self.scan.relation})"
        return time

    @property
    def undeclared(self) -> list[TextColumn]:
        """The columns whose type the values decide."""
        return [
            column
            for column in self.columns
            if column is not self.time and not (column.is_number or column.is_text or column.is_typed or column.is_time_part)
        ]

    def rows(self, *, is_numbered: bool = True) -> str:
        """All rows of the scan, with row_number (the place among the readable lines, in JSON among all records), moment (the time),
        is_local (it names no offset), is_ambiguous and reason (null when the row is good). Numbering sends the file through one
        thread, so counting goes without."""
        number = (self.scan.number or "row_number() OVER ()") if is_numbered else "0"
        zone = quoted_text(self.reading.zone)
        is_doubled, is_ambiguous, is_skipped = "FALSE", "FALSE", "FALSE"
        if self.clock:  # a day begins with its first moment, whichever that is
            day = text_parsing.is_day(self.time.c, self.reading)
            is_doubled = f"coalesce(timezone({zone}, base - INTERVAL 1 HOUR) = wall, FALSE)"
            is_skipped = f"CASE WHEN timezone({zone}, base) <> wall THEN NOT ({day}) ELSE FALSE END"
            is_ambiguous = f"CASE WHEN is_doubled THEN NOT ({day}) ELSE FALSE END"
        moment = "base"  # DuckDB takes the second of two hours, and the first moment after a skipped one
        if self.has_second_hours:
            is_first = "is_ambiguous AND row_number NOT IN (SELECT row_number FROM second_hour)"
            moment = f"CASE WHEN {is_first} THEN base - INTERVAL 1 HOUR ELSE base END"
        return f"""
            SELECT *, {self._reason()} AS reason FROM (
                SELECT * EXCLUDE (base, wall, is_doubled), CASE
                    WHEN is_skipped THEN NULL WHEN is_doubled AND NOT is_ambiguous THEN base - INTERVAL 1 HOUR ELSE {moment}
                END AS moment FROM (
                    SELECT *, {is_ambiguous} AS is_ambiguous FROM (
                        SELECT *, {is_doubled} AS is_doubled, {is_skipped} AS is_skipped FROM (
                            SELECT *, {text_parsing.moment(self.time.c, self.reading)} AS base, {self.clock or "NULL"} AS wall,
                                   {text_parsing.is_local(self.time.c, self.reading)} AS is_local
                            FROM (SELECT {number} AS row_number, * FROM {self.relation})
                        )
                    )
                )
            )"""

    def held_times(self, zone: str) -> str:
        """The first and the last time of all rows as another zone has them."""
        own = quoted_text(self.reading.zone)
        clock = f"coalesce({self.clock or 'NULL'}, timezone({own}, moment))"
        at = f"CASE WHEN is_local THEN timezone({quoted_text(zone)}, {clock}) ELSE moment END"
        return f"SELECT min({at}), max({at}) FROM ({self.rows(is_numbered=False)})"

    def _reason(self) -> str:
        """Why a row is bad, in words; null for a good row."""
        is_none = f"' is not a time; expected {text_parsing.expected_time(self.reading)}"
        is_skipped = f"' does not exist, the clock of {self.reading.zone} skips it"
        cases = [
            f"""CASE WHEN moment IS NULL THEN CASE
            WHEN {self.time.c} IS NULL THEN {quoted_text(" or ".join(self.reading.parts) + " is empty; expected a time")}
            WHEN is_skipped THEN {self.time.said(is_skipped)} ELSE {self.time.said(is_none)} END END"""
        ]
        if self.wanted.on_bad_rows != "keep":
            is_none = f"' is not a number; expected one up to {text_parsing.LARGEST:g}"
            cases += [
                f"CASE WHEN {column.c} IS NOT NULL AND {self.number(column)} IS NULL THEN {column.said(is_none)} END"
                for column in self.columns
                if column.is_number and column.has_misfits
            ]
        return f"nullif(concat_ws('; ', {', '.join(cases)}), '')"

    def typed(self, column: TextColumn) -> str:
        """The value as the column's type."""
        if column is self.time:
            return "moment"
        if column.type == "DOUBLE":
            return self.number(column)
        return column.c if column.type == "VARCHAR" else f"TRY_CAST(trim({column.c}) AS {column.type})"

    def number(self, column: TextColumn) -> str:
        """The value as a number; null when it is none."""
        return text_parsing.number(column.c, self.scan.decimal)

    def type_tests(self, column: TextColumn) -> dict[str, str]:
        """For each type, narrowest first, what is true where the value fits."""
        return text_parsing.type_tests(column.c, self.scan.decimal)
