"""The rows that are judged, as SQL: which columns they have, and NaN as the missing value that it is to Great Expectations.

DuckDB alone holds NaN to be larger than any number, so every DOUBLE is read as null where it is NaN.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cached_property

from smartflow_assets.adapters.sql_quoting import quoted_column

_KINDS = {
    "DOUBLE": "number",
    "TINYINT": "integer",
    "SMALLINT": "integer",
    "INTEGER": "integer",
    "BIGINT": "integer",
    "UTINYINT": "integer",
    "USMALLINT": "integer",
    "UINTEGER": "integer",
    "UBIGINT": "integer",
    "VARCHAR": "text",
    "BOOLEAN": "boolean",
    "TIMESTAMP WITH TIME ZONE": "timestamp",
}
_OTHERS = (
    ("DECIMAL", "number"),
    ("FLOAT", "number"),
    ("HUGEINT", "integer"),
    ("UHUGEINT", "integer"),
    ("TIMESTAMP", "timestamp"),
    ("DATE", "timestamp"),
)


class BrokenCheckError(Exception):
    """An expectation cannot be asked of these rows; the text says why. It is not bad data."""


@dataclass(frozen=True)
class Column:
    """A column as it is stored. `kind` is number, integer, text, boolean or timestamp where DuckDB and pandas hold the same values, and
    empty for any other type; `category` is the nearest of the five, or empty."""

    name: str
    type: str
    sql: str

    @property
    def kind(self) -> str:
        """What SQL may compare as pandas does."""
        return _KINDS.get(self.type, "")

    @property
    def category(self) -> str:
        """What a person calls the type."""
        return self.kind or next((name for start, name in _OTHERS if self.type.startswith(start)), "")

    @property
    def is_numeric(self) -> bool:
        """Is it a number that both sides hold alike?"""
        return self.kind in ("number", "integer")


@dataclass(frozen=True)
class Rows:
    """`relation` is the SQL of the rows to judge, `all_rows` that of all rows of the source, which has the same columns; `types` are the
    types by name. `bucket` is the length of a bucket and `zone` the time zone in which days begin. `is_inline`: columns are named in an
    expression over the rows as stored, not over `base`."""

    relation: str
    all_rows: str
    types: Mapping[str, str]
    time_column: str
    references: Mapping[str, "Rows"] = field(default_factory=dict)
    bucket: timedelta | None = None
    zone: str = "UTC"
    is_inline: bool = False

    @cached_property
    def _by_lower(self) -> dict[str, str]:
        return {name.lower(): name for name in self.types}

    def has(self, name: str) -> bool:
        """Is there a column of that name? DuckDB's names ignore case."""
        return name.lower() in self._by_lower

    def column(self, name: str) -> Column:
        """The column of that name. BrokenCheckError when there is none."""
        if not self.has(name):
            raise BrokenCheckError(f"there is no column {name}")
        stored = self._by_lower[name.lower()]
        type_, sql = self.types[stored], quoted_column(stored)
        is_float = self.is_inline and type_ in ("DOUBLE", "FLOAT")
        return Column(stored, type_, f"(CASE WHEN isnan({sql}) THEN NULL ELSE {sql} END)" if is_float else sql)

    @property
    def base(self) -> str:
        """The rows to judge, with null for NaN."""
        return self._without_nan(self.relation)

    @property
    def all_base(self) -> str:
        """All rows of the source, with null for NaN."""
        return self._without_nan(self.all_rows)

    @property
    def inline(self) -> "Rows":
        """The same for an expression over the rows as they are stored."""
        return replace(self, is_inline=True)

    @property
    def of_base(self) -> "Rows":
        """The same for an expression over `base`."""
        return replace(self, is_inline=False)

    def _without_nan(self, relation: str) -> str:
        names = [quoted_column(name) for name, type_ in self.types.items() if type_ in ("DOUBLE", "FLOAT")]
        replaced = ", ".join(f"CASE WHEN isnan({name}) THEN NULL ELSE {name} END AS {name}" for name in names)
        return f"(SELECT * REPLACE ({replaced}) FROM {relation})" if names else relation
