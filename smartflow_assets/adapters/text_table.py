"""A delimited text file as a relation in SQL: all values text, the time read, bad rows with their reason.

The pieces of SQL that staging asks and writes with. How one text becomes a value is text_values; which types columns take and
what is written where is staging.
"""
from dataclasses import dataclass, field
from pathlib import Path

from smartflow_assets.adapters import text_values
from smartflow_assets.adapters.readers.base import DelimitedText, Wanted
from smartflow_assets.adapters.readers.plain_text import Header, TextFile, require_columns
from smartflow_assets.adapters.table_spec import quoted_text

MOST_BROKEN_LINES = 100_000
# lines that are no rows; one of blanks holds nothing to lose
BROKEN = "FROM reject_errors WHERE trim(csv_line, chr(9) || chr(10) || chr(13) || ' ') <> ''"


@dataclass
class Column:
    """A column of the file: `c` is its name in SQL, the rest is what is known of it."""

    index: int
    name: str
    is_number: bool = False     # its values must be numbers: declared, or mostly numbers where every numeric column is wanted
    is_text: bool = False       # declared as a dimension
    type: str = "VARCHAR"
    candidates: set[str] = field(default_factory=set)

    @property
    def c(self) -> str:
        return f"c{self.index}"

    def said(self, after: str) -> str:
        """SQL for `name: 'value' …`, with the value cut short."""
        before = f"{self.name}: '"
        return f"concat({quoted_text(before)}, left({self.c}, 80), {quoted_text(after)})"


class TextTable:
    """The columns of one file and the SQL that reads its rows. `text` is the plain UTF-8 text of `file`."""

    def __init__(self, reader: DelimitedText, wanted: Wanted, file: TextFile, text: Path, header: Header) -> None:
        self.reader, self.wanted = reader, wanted
        fields = [(reader.time.column, "read.time")]
        fields += [(name, "metrics") for name in wanted.numbers or ()] + [(name, "dimensions") for name in wanted.texts]
        declared = require_columns(fields, header, file)
        names = {index: name for name, index in declared.items()}
        self.columns = [Column(index, names.get(index, name)) for index, name in enumerate(header.names)]
        for name in wanted.numbers or ():
            self.columns[declared[name]].is_number, self.columns[declared[name]].type = True, "DOUBLE"
        for name in wanted.texts:
            self.columns[declared[name]].is_text = True
        self.time = self.columns[declared[reader.time.column]]
        self.time.type = "TIMESTAMPTZ"
        self.scan = _scan(text, header, self.columns)
        self.clock = text_values.wall_clock(self.time.c, reader.time)
        self.has_second_hours = False   # is there a table second_hour(row_number)?

    @property
    def undeclared(self) -> list[Column]:
        """The columns whose type the values decide."""
        return [column for column in self.columns if column is not self.time and not column.is_number and not column.is_text]

    def rows(self, *, is_numbered: bool = True) -> str:
        """All lines that are rows, with row_number, moment (the time), is_ambiguous and reason (null when the row is good).
        Numbering sends the file through one thread, so counting goes without."""
        number, zone, clock = "row_number() OVER ()" if is_numbered else "0", quoted_text(self.reader.time.timezone), self.clock
        is_doubled = f"coalesce(timezone({zone}, base - INTERVAL 1 HOUR) = {clock}, FALSE)" if clock else "FALSE"
        is_skipped = f"coalesce(timezone({zone}, base) <> {clock}, FALSE)" if clock else "FALSE"
        moment = "base"     # DuckDB takes the second of two hours
        if self.has_second_hours:
            is_first = "is_ambiguous AND row_number NOT IN (SELECT row_number FROM second_hour)"
            moment = f"CASE WHEN {is_first} THEN base - INTERVAL 1 HOUR ELSE base END"
        return f"""
            SELECT *, {self._reason()} AS reason FROM (
                SELECT * EXCLUDE (base), CASE WHEN NOT is_skipped THEN {moment} END AS moment FROM (
                    SELECT *, {is_doubled} AS is_ambiguous, {is_skipped} AS is_skipped FROM (
                        SELECT *, {text_values.moment(self.time.c, self.reader.time)} AS base
                        FROM (SELECT {number} AS row_number, * FROM {self.scan})
                    )
                )
            )"""

    def _reason(self) -> str:
        """Why a row is bad, in words; null for a good row."""
        is_none = f"' is not a time; expected {text_values.expected_time(self.reader.time)}"
        is_skipped = f"' does not exist, the clock of {self.reader.time.timezone} skips it"
        cases = [f"""CASE WHEN moment IS NULL THEN CASE
            WHEN {self.time.c} IS NULL THEN {quoted_text(self.time.name + " is empty; expected a time")}
            WHEN is_skipped THEN {self.time.said(is_skipped)} ELSE {self.time.said(is_none)} END END"""]
        if self.wanted.on_bad_rows != "keep":
            is_none = f"' is not a number; expected one up to {text_values.LARGEST:g}"
            cases += [f"CASE WHEN {column.c} IS NOT NULL AND {self.number(column)} IS NULL THEN {column.said(is_none)} END"
                      for column in self.columns if column.is_number]
        return f"nullif(concat_ws('; ', {', '.join(cases)}), '')"

    def typed(self, column: Column) -> str:
        """The value as the column's type."""
        if column is self.time:
            return "moment"
        if column.type == "DOUBLE":
            return self.number(column)
        return column.c if column.type == "VARCHAR" else f"TRY_CAST(trim({column.c}) AS {column.type})"

    def number(self, column: Column) -> str:
        """The value as a number; null when it is none."""
        return text_values.number(column.c, self.reader.decimal)

    def type_tests(self, column: Column) -> dict[str, str]:
        """For each type, narrowest first, what is true where the value fits."""
        return text_values.type_tests(column.c, self.reader.decimal)


def _scan(text: Path, header: Header, columns: list[Column]) -> str:
    """All values as text; lines that do not have these columns go to `reject_errors`."""
    names = ", ".join(f"'{column.c}': 'VARCHAR'" for column in columns)
    path = "".join(f"[{sign}]" if sign in "*?[" else sign for sign in str(text))    # a file may be called a*.csv
    return (f"read_csv({quoted_text(path)}, auto_detect = false, header = true, skip = {header.skipped}, "
            f"delim = {quoted_text(header.delimiter)}, quote = '\"', escape = '\"', columns = {{{names}}}, nullstr = '', "
            f"store_rejects = true, rejects_limit = {2 * MOST_BROKEN_LINES})")
