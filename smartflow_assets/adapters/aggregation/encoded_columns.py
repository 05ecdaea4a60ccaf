"""Encoded columns in SQL: how often categories occur, what was learnt of them, and raw rows with numbers in their place.

The numbers are joined from the table `encodings` while rows are read, so nothing is written twice and memory stays bounded.
core.preparation.category_encoding decides what categories become.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

import pandas as pd

from smartflow_assets.adapters.aggregation.buckets import NUMERIC, RAW, EncodedSql, Reads, column_types
from smartflow_assets.adapters.sql_quoting import quoted, quoted_column, quoted_text
from smartflow_assets.adapters.warehouse.blocked_loads import accepted_rows
from smartflow_assets.adapters.warehouse.tables import RAW_COLUMNS, RAW_NAMES, raw_table
from smartflow_assets.core.preparation.category_encoding import MOST_CATEGORIES, OTHER, UNSEEN, Counted, LearntEncoding


def count_categories(warehouse: Reads, source: str, column: str, time_column: str, until: datetime) -> Counted:
    """The categories of a column in the rows before a moment, most frequent first."""
    chosen = f"SELECT {_category(column)} AS category FROM {accepted_rows(source)} AS {RAW} WHERE {quoted_column(time_column)} < ?"
    counts = f"SELECT category, count(*) AS row_count FROM ({chosen}) GROUP BY category"
    found = warehouse.read(f"{counts} ORDER BY row_count DESC, category LIMIT {MOST_CATEGORIES}", [until])
    whole = warehouse.read(
        f"""SELECT coalesce(sum(row_count), 0) AS row_count, count(*) AS distinct_count,
                   count(*) FILTER (WHERE TRY_CAST(category AS DOUBLE) <> trunc(TRY_CAST(category AS DOUBLE))) AS fractions
            FROM ({counts})""",
        [until],
    ).iloc[0]
    numbers = dict(zip(found["category"], found["row_count"].astype(int), strict=True))
    return Counted(numbers, int(whole["row_count"]), int(whole["distinct_count"]), int(whole["fractions"]))


def time_of_row(warehouse: Reads, source: str, time_column: str, number: int) -> datetime | None:
    """When the row of this number was, in the order of time; None when there are fewer."""
    time = quoted_column(time_column)
    first = f"SELECT {time} AS moment FROM {accepted_rows(source)} ORDER BY moment LIMIT {number}"
    found = warehouse.read(f"SELECT max(moment) AS moment, count(*) AS found FROM ({first})")
    return found["moment"].iloc[0].to_pydatetime() if found["found"].iloc[0] == number else None


def stored(warehouse: Reads, source: str) -> tuple[LearntEncoding, ...]:
    """What was learnt of a source, as the table `encodings` holds it."""
    rows = warehouse.read("SELECT * FROM encodings WHERE source = ? ORDER BY column_name, place", [source])
    return tuple(
        LearntEncoding(
            str(column),
            group["encoding"].iloc[0],
            dict(zip(group["category"], group["code"], strict=True)),
            dict(zip(group["category"], group["share"], strict=True)),
        )
        for column, group in rows.groupby("column_name", sort=True)
    )


def rows_of(learnt: LearntEncoding) -> pd.DataFrame:
    """What was learnt of a column, as rows of the table `encodings` without who and when."""
    return pd.DataFrame(
        [
            {
                "column_name": learnt.column,
                "category": category,
                "place": place,
                "encoding": learnt.encoding,
                "encoded_column": learnt.column_of(category),
                "code": code,
                "share": learnt.shares[category],
            }
            for place, (category, code) in enumerate(learnt.codes.items())
        ]
    )


def encoded_sql(source: str, learnt: Sequence[LearntEncoding], made_of: Mapping[str, str]) -> EncodedSql:
    """The SQL of encoded columns: `made_of` gives for each name the column of categories that it is made of. Null where nothing is
    learnt of that. Numbers are found by a join: looked up row by row, 10M rows take 9 s more."""
    by_column = {encoding.column: (place, encoding) for place, encoding in enumerate(learnt)}
    columns, lookups = {}, {}
    for name, base in made_of.items():
        place, encoding = by_column.get(base, (0, None))
        if encoding is None:
            columns[name] = "NULL"
        elif encoding.encoding == "one_hot":
            columns[name] = _one_hot(encoding, name.removeprefix(f"{base}__"))
        else:
            columns[name] = f"coalesce(_code_{place}, {UNSEEN[encoding.encoding]})"
            lookups[base] = f"""LEFT JOIN (SELECT category AS _category_{place}, code AS _code_{place} FROM encodings
                WHERE source = {quoted_text(source)} AND column_name = {quoted_text(base)}) ON _category_{place} = {_category(base)}"""
    return EncodedSql(columns, " ".join(lookups.values()))


def _one_hot(learnt: LearntEncoding, suffix: str) -> str:
    if suffix == OTHER:
        known = ", ".join(map(quoted_text, learnt.codes)) or "NULL"
        return f"CASE WHEN {_category(learnt.column)} IN ({known}) THEN 0.0 ELSE 1.0 END"
    return f"CASE WHEN {_category(learnt.column)} = {quoted_text(learnt.category_of(suffix))} THEN 1.0 ELSE 0.0 END"


def records(
    warehouse: Reads,
    source: str,
    time_column: str,
    learnt: Sequence[LearntEncoding],
    since: datetime,
    until: datetime,
    most: int,
    one_of: int = 1,
) -> Iterator[pd.DataFrame]:
    """Raw rows of [since, until) as numbers, in frames of at most `most` rows, in the order of time, origin and row number.

    happened_at, _origin and _row name the row; then each numeric column as read, and each encoded one in the place of its
    categories. Text, null and infinity in a numeric column are NaN. `one_of`: about one row of so many, chosen by the rows' own
    hashes, so that it is the same one whichever way the rows lie.
    """
    encoded = encoded_sql(source, learnt, {name: encoding.column for encoding in learnt for name in encoding.names})
    time, table = quoted_column(time_column), accepted_rows(source)
    numeric = numeric_columns(warehouse, source, time_column, learnt)
    values = [*(f"CAST({RAW}.{quoted_column(name)} AS DOUBLE)" for name in numeric), *encoded.columns.values()]
    chosen = "".join(f", CAST({value} AS DOUBLE) AS x{k}" for k, value in enumerate(values))
    names = dict(zip((f"x{k}" for k in range(len(values))), [*numeric, *encoded.columns], strict=True))
    after: tuple[datetime, str, int] = since, "", -(2**62)
    while True:
        later = f"_row_hash % {one_of} = 0 AND {time} >= ? AND {time} < ? AND ({time}, _origin, _row) > (CAST(? AS TIMESTAMPTZ), ?, ?)"
        bound = [after[0], until, *after]
        times = f"SELECT {time} AS moment FROM {table} WHERE {later} ORDER BY moment LIMIT {most}"  # only one column of all is sorted
        found = warehouse.read(
            f"""SELECT {RAW}.{time} AS happened_at, _origin, _row{chosen} FROM (
                    SELECT * FROM {table} WHERE {later} AND {time} <= (SELECT max(moment) FROM ({times}))
                    ORDER BY {time}, _origin, _row LIMIT {most}) AS {RAW} {encoded.lookups}
                ORDER BY happened_at, _origin, _row""",
            [*bound, *bound],
        )
        if found.empty:
            return
        last = found.iloc[-1]
        after = last["happened_at"].to_pydatetime(), str(last["_origin"]), int(last["_row"])
        numbers = found[list(names)].astype(float)
        finite = numbers.where(numbers.abs() < float("inf")).rename(columns=names)
        yield pd.concat([found[["happened_at", "_origin", "_row"]], finite], axis=1)
        if len(found) < most:
            return


def numeric_columns(warehouse: Reads, source: str, time_column: str, learnt: Sequence[LearntEncoding]) -> list[str]:
    """The columns of the raw rows that are numbers, in the order of the table, but for the time and those of categories."""
    own = {time_column, *(encoding.column for encoding in learnt), *RAW_NAMES}
    types = column_types(warehouse, source)
    return [name for name, type_ in types.items() if name not in own and type_.partition("(")[0] in NUMERIC]


def rows_as_read(warehouse: Reads, source: str, time_column: str, since: datetime, until: datetime, rows: pd.DataFrame) -> pd.DataFrame:
    """The raw rows of [since, until) that `rows` (_origin, _row) names: _origin, _row, and each column of the source as it was read."""
    time, hidden = quoted_column(time_column), ", ".join(column.name for column in RAW_COLUMNS if column.name not in ("_origin", "_row"))
    return warehouse.read(
        f"""SELECT {RAW}.* EXCLUDE ({hidden}) FROM {quoted(raw_table(source))} AS {RAW}
            JOIN (SELECT unnest(CAST(? AS VARCHAR[])) AS wanted_origin, unnest(CAST(? AS BIGINT[])) AS wanted_row)
              ON _origin = wanted_origin AND _row = wanted_row
            WHERE {time} >= ? AND {time} < ?""",
        [rows["_origin"].tolist(), rows["_row"].astype(int).tolist(), since, until],
    )


def _category(column: str) -> str:
    """The category of a raw row as text, never null."""
    text = f"CAST({RAW}.{quoted_column(column)} AS VARCHAR)"
    return f"CASE WHEN lower({text}) = 'nan' THEN '' ELSE coalesce({text}, '') END"
