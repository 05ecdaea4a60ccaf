"""Columns of raw tables that change their type: which were texts by accident, and where values go that do not fit.

A column that nobody declared takes the type of its first values. When those were `n/a` alone, or numbers among them, it is a column of
numbers all the same once numbers come: it is widened in the commit that brings them, and what is no number moves to `<column>__text`,
as it would have gone there had it come later. A column that holds words stays text, and the first word is written down as its comment.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import duckdb

from smartflow_assets.adapters.sql_quoting import quoted, quoted_column, quoted_text

MARKS = ("", "-", "--", "?", ".", "n/a", "#n/a", "na", "n.a.", "nan", "null", "none", "nil", "missing", "unknown")
"""What people write where there is no value, in lower case."""

SAMPLE = 2_000
FEW_NUMBERS, SMALL_SHARE = 10, 0.25
"""Fewer numbers, or a smaller share of them beside words, are no reason to speak of a column of texts."""

_LARGEST = 1e150  # as in staging: nothing can be computed from a larger number
_TOLD = "text since "


@dataclass(frozen=True)
class TextsBefore:
    """What a column of texts holds: the first that is neither a number nor a mark of no value, with its origin and time, None when there
    is none; how many rows have a value, how many of these a mark, and from when to when. `is_new`: nobody was told yet."""

    row_count: int
    mark_count: int
    first_at: datetime | None
    last_at: datetime | None
    first_text: str | None
    origin: str
    is_new: bool

    @property
    def since(self) -> str:
        """`text since 'abc' (a.csv)`."""
        return f"{_TOLD}{_shown(self.first_text or '')}" + (f" ({self.origin})" if self.origin else "")

    def told(self, name: str) -> str:
        """The column, since when it is text, and the remedy."""
        return told(name, self.since)


def told(name: str, since: str) -> str:
    """What a person hears of a column that numbers came into and that makes no series."""
    return f"column '{name}' is {since}: numbers that come make no series; if they should, name it under `metrics`"


def stored_types(connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
    """The types of the stored columns by lower-case name, since DuckDB's names ignore case."""
    return {name.lower(): type_ for name, type_, *_ in connection.execute(f"DESCRIBE {quoted(table)}").fetchall()}


OVERFLOW = "__text"
"""How the column beside one of numbers is called that has the texts which do not fit: `amount__text`."""


def overflow_column(name: str, stored: Mapping[str, str], staged: Mapping[str, str]) -> str:
    """Where values of a column go that do not fit it: `<column>__text`, or the next of that name which the feed has not for itself.

    >>> overflow_column("v", {"v": "BIGINT"}, {"v": "VARCHAR"})
    'v__text'
    >>> overflow_column("v", {"v": "BIGINT"}, {"v": "VARCHAR", "V__text": "BIGINT"})
    'v__text_2'
    """
    own, number = {each.lower() for each in staged}, 1
    while True:
        found = f"{name}{OVERFLOW}" + (f"_{number}" if number > 1 else "")
        if found.lower() not in own and stored.get(found.lower(), "VARCHAR") == "VARCHAR":
            return found
        number += 1


@dataclass(frozen=True)
class NumbersInTexts:
    """Columns of the view `staged` that are texts and hold numbers: `alone` with nothing beside them but marks of no value, `beside_words`
    with words, the first of which is given. Texts that are all numbers are texts on purpose: a feed that has no types has none."""

    alone: frozenset[str] = frozenset()
    beside_words: Mapping[str, str] = field(default_factory=dict)


def numbers_in_texts(connection: duckdb.DuckDBPyConnection, names: Mapping[str, str]) -> NumbersInTexts:
    """Look for numbers in columns of texts; `names` is what each is called in the view. Most are words from their first rows on: those
    are not read further."""
    sample = _counted(connection, names, f"(SELECT * FROM staged LIMIT {SAMPLE})")
    likely = [name for name, (numbers, words, _) in sample.items() if numbers >= SMALL_SHARE * (numbers + words)]
    counts = _counted(connection, {name: names[name] for name in likely}, "staged")
    mixed = [name for name, (numbers, words, _) in counts.items() if words and numbers >= max(FEW_NUMBERS, SMALL_SHARE * (numbers + words))]
    firsts = {
        name: connection.execute(f"SELECT {names[name]} FROM staged WHERE {_is_word(names[name])} ORDER BY _row LIMIT 1").fetchall()[0][0]
        for name in mixed
    }
    return NumbersInTexts(frozenset(name for name, (numbers, words, marks) in counts.items() if numbers and marks and not words), firsts)


def _counted(connection: duckdb.DuckDBPyConnection, names: Mapping[str, str], rows: str) -> dict[str, tuple[int, int, int]]:
    """How many numbers, words and marks of no value each column has."""
    if not names:
        return {}
    asked = [f"count(*) FILTER (WHERE {test(column)})" for column in names.values() for test in (_is_number, _is_word, _is_mark)]
    found = connection.execute(f"SELECT {', '.join(asked)} FROM {rows}").fetchall()[0]
    return {name: (int(found[3 * place]), int(found[3 * place + 1]), int(found[3 * place + 2])) for place, name in enumerate(names)}


def texts_before(connection: duckdb.DuckDBPyConnection, table: str, name: str, time_column: str, earlier: Sequence[Path]) -> TextsBefore:
    """What the column holds, and what files that the same commit loads before have for it."""
    column, time = quoted_column(name), quoted_column(time_column)
    count, marks, first_at, last_at = connection.execute(
        f"SELECT count(*), count(*) FILTER (NOT {_is_number(column)}), min({time}), max({time}) "
        f"FROM {quoted(table)} WHERE {column} IS NOT NULL"
    ).fetchall()[0]
    found = connection.execute(
        f"SELECT {column}, _origin FROM {quoted(table)} WHERE {_is_word(column)} ORDER BY {time}, _row LIMIT 1"
    ).fetchall()
    for parquet in earlier if not found else ():
        scan = f"read_parquet({quoted_text(parquet)})"
        same = [other for other, *_ in connection.execute(f"DESCRIBE SELECT * FROM {scan}").fetchall() if other.lower() == name.lower()]
        for other in same[:1]:
            text = f"CAST({quoted_column(other)} AS VARCHAR)"
            found = found or [
                (each, "") for (each,) in connection.execute(f"SELECT {text} FROM {scan} WHERE {_is_word(text)} LIMIT 1").fetchall()
            ]
    text, origin = found[0] if found else (None, "")
    return TextsBefore(int(count), int(marks), first_at, last_at, text, origin, _comment(connection, table, name) is None)


def widen_to_numbers(connection: duckdb.DuckDBPyConnection, table: str, name: str, overflow: str) -> None:
    """The texts of a column as numbers; those that are none move to the overflow column."""
    column, text = quoted_column(name), quoted_column(overflow)
    if connection.execute(f"SELECT 1 FROM {quoted(table)} WHERE {column} IS NOT NULL AND NOT {_is_number(column)} LIMIT 1").fetchall():
        if overflow.lower() not in stored_types(connection, table):
            connection.execute(f"ALTER TABLE {quoted(table)} ADD COLUMN {text} VARCHAR")
        moved = f"coalesce({text}, CASE WHEN NOT {_is_number(column)} THEN {column} END)"
        connection.execute(f"ALTER TABLE {quoted(table)} ALTER COLUMN {text} TYPE VARCHAR USING {moved}")  # 1.5 alters no updated table
    connection.execute(f"ALTER TABLE {quoted(table)} ALTER COLUMN {column} TYPE DOUBLE USING TRY_CAST({column} AS DOUBLE)")
    if _comment(connection, table, name) is not None:
        connection.execute(f"COMMENT ON COLUMN {quoted(table)}.{column} IS NULL")


def tell_in_table(connection: duckdb.DuckDBPyConnection, table: str, name: str, before: TextsBefore) -> None:
    """Writes since when the column is text as its comment, which the published copy has too."""
    connection.execute(f"COMMENT ON COLUMN {quoted(table)}.{quoted_column(name)} IS {quoted_text(before.since)}")


TEXT_COLUMNS = f"""
    SELECT table_name AS source, column_name AS "column", comment AS since FROM duckdb_columns()
    WHERE database_name = current_database() AND schema_name = 'raw' AND starts_with(comment, {quoted_text(_TOLD)})
    ORDER BY table_name, column_index"""
"""Every column that is text though numbers came into it: its source, its name and since when."""


def told_beside(connection: duckdb.DuckDBPyConnection, name: str, column: str, misfit: str, overflow: str) -> str | None:
    """What a person hears of a load that has texts for a column of numbers: how many of the staged rows, and the first. Marks of no value
    are not worth a word: None."""
    text = f"CAST({column} AS VARCHAR)"
    words = f"SELECT count(*), arg_min({text}, _row) FROM staged WHERE {misfit} AND {_is_word(text)}"
    count, first = connection.execute(words).fetchall()[0]
    if not count:
        return None
    values = "1 value is no number and is" if count == 1 else f"{count:,} values are no numbers and are"
    return (
        f"column '{name}' holds numbers: {values} kept in '{overflow}', the first {_shown(first)}; "
        "if they are numbers, correct how they are read (read.decimal), else mend the feed"
    )


def _shown(text: str) -> str:
    """The beginning of a text of the data, in quotes and in one line."""
    return repr(" ".join(text.split())[:40])


def _comment(connection: duckdb.DuckDBPyConnection, table: str, name: str) -> str | None:
    schema, _, raw = table.rpartition(".")
    found = connection.execute(
        "SELECT comment FROM duckdb_columns() WHERE database_name = current_database() AND schema_name = ? AND table_name = ? "
        "AND lower(column_name) = ?",
        [schema, raw, name.lower()],
    ).fetchall()
    return found[0][0] if found else None


def _is_number(column: str) -> str:
    """True for a text that is the same as a number: 00123 and 19 digits are not."""
    is_code = f"regexp_full_match(trim({column}), '[-+]?(0[0-9]+|[0-9]{{19,}})')"
    return f"coalesce(abs(TRY_CAST({column} AS DOUBLE)) <= {_LARGEST} AND NOT {is_code}, FALSE)"


def _is_mark(column: str) -> str:
    return f"lower(trim({column})) IN ({', '.join(map(quoted_text, MARKS))})"


def _is_word(column: str) -> str:
    return f"{column} IS NOT NULL AND NOT {_is_number(column)} AND NOT {_is_mark(column)}"
