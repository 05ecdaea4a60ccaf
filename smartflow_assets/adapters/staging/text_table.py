"""The rows of a scan as a relation in SQL: all values text, the time read, bad rows with their reason.

The pieces of SQL that staging asks and writes with. `text_parsing` turns one text into a value; `stage` decides which types
columns take and what is written where.
"""

from dataclasses import dataclass, field

from smartflow_assets.adapters.scans import Scan
from smartflow_assets.adapters.scans.plain_text import TextFile, column_positions
from smartflow_assets.adapters.sql_quoting import quoted_text
from smartflow_assets.adapters.staging import text_parsing
from smartflow_assets.adapters.staging.contract import TimeColumn, Wanted

_INSTANTS = ("DATE", "TIMESTAMP", "TIMESTAMPTZ")


@dataclass
class TextColumn:
    """A column of the scan: `c` is its name in SQL, the rest is what is known of it."""

    index: int
    name: str
    is_number: bool = False  # its values must be numbers: declared, or mostly numbers where every numeric column is wanted
    is_text: bool = False  # declared as a dimension or a category
    type: str = "VARCHAR"
    is_typed: bool = False  # the type is that of the file, whatever the texts could be
    candidates: set[str] = field(default_factory=set)

    @property
    def c(self) -> str:
        return f"c{self.index}"

    def said(self, after: str) -> str:
        """SQL for `name: 'value' …`, with the value cut short."""
        before = f"{self.name}: '"
        return f"concat({quoted_text(before)}, left({self.c}, 80), {quoted_text(after)})"


def declared_columns(time: TimeColumn, wanted: Wanted) -> list[tuple[str, str]]:
    """The columns that a source names, each with the YAML field that does; the time first."""
    return [(time.column, "read.time"), *wanted.declared]


class TextTable:
    """The columns of one content and the SQL that reads its rows."""

    def __init__(self, reading: TimeColumn, wanted: Wanted, file: TextFile, scan: Scan) -> None:
        self.wanted, self.scan = wanted, scan
        declared = column_positions(declared_columns(reading, wanted), scan.names, file)
        names = {index: name for name, index in declared.items()}
        self.columns = [
            TextColumn(index, names.get(index, name), type=type_ or "VARCHAR", is_typed=type_ is not None)
            for index, (name, type_) in enumerate(zip(scan.names, scan.types, strict=True))
        ]
        if wanted.numbers is None:
            for column in self.columns:
                column.is_number = column.is_typed and column.type in ("BIGINT", "DOUBLE")
        self.time = self.columns[declared[reading.column]]
        # a column of times needs no format: as a text it is written as ISO has it
        self.reading = reading.model_copy(update={"format": "iso"}) if self.time.type in _INSTANTS else reading
        self.time.type, self.time.is_number = "TIMESTAMPTZ", False
        for name in wanted.numbers or ():
            self.columns[declared[name]].is_number, self.columns[declared[name]].type = True, "DOUBLE"
        for name in (*wanted.texts, *wanted.categories):
            column = self.columns[declared[name]]
            column.is_text, column.is_number, column.type = True, False, "VARCHAR"
        self.clock = text_parsing.wall_clock(self.time.c, self.reading)
        self.has_second_hours = False  # is there a table second_hour(row_number)?

    @property
    def undeclared(self) -> list[TextColumn]:
        """The columns whose type the values decide."""
        return [
            column
            for column in self.columns
            if column is not self.time and not column.is_number and not column.is_text and not column.is_typed
        ]

    def rows(self, *, is_numbered: bool = True) -> str:
        """All rows of the scan, with row_number, moment (the time), is_ambiguous and reason (null when the row is good).
        Numbering sends the file through one thread, so counting goes without."""
        number, zone, clock = "row_number() OVER ()" if is_numbered else "0", quoted_text(self.reading.timezone), self.clock
        is_doubled = f"coalesce(timezone({zone}, base - INTERVAL 1 HOUR) = {clock}, FALSE)" if clock else "FALSE"
        is_skipped = f"coalesce(timezone({zone}, base) <> {clock}, FALSE)" if clock else "FALSE"
        moment = "base"  # DuckDB takes the second of two hours
        if self.has_second_hours:
            is_first = "is_ambiguous AND row_number NOT IN (SELECT row_number FROM second_hour)"
            moment = f"CASE WHEN {is_first} THEN base - INTERVAL 1 HOUR ELSE base END"
        return f"""
            SELECT *, {self._reason()} AS reason FROM (
                SELECT * EXCLUDE (base), CASE WHEN NOT is_skipped THEN {moment} END AS moment FROM (
                    SELECT *, {is_doubled} AS is_ambiguous, {is_skipped} AS is_skipped FROM (
                        SELECT *, {text_parsing.moment(self.time.c, self.reading)} AS base
                        FROM (SELECT {number} AS row_number, * FROM {self.scan.relation})
                    )
                )
            )"""

    def _reason(self) -> str:
        """Why a row is bad, in words; null for a good row."""
        is_none = f"' is not a time; expected {text_parsing.expected_time(self.reading)}"
        is_skipped = f"' does not exist, the clock of {self.reading.timezone} skips it"
        cases = [
            f"""CASE WHEN moment IS NULL THEN CASE
            WHEN {self.time.c} IS NULL THEN {quoted_text(self.time.name + " is empty; expected a time")}
            WHEN is_skipped THEN {self.time.said(is_skipped)} ELSE {self.time.said(is_none)} END END"""
        ]
        if self.wanted.on_bad_rows != "keep":
            is_none = f"' is not a number; expected one up to {text_parsing.LARGEST:g}"
            cases += [
                f"CASE WHEN {column.c} IS NOT NULL AND {self.number(column)} IS NULL THEN {column.said(is_none)} END"
                for column in self.columns
                if column.is_number
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
