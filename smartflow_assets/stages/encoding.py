"""Encoding: what the categories of a source become, learnt once, and its rows as numbers.

Learnt as soon as the first rows are complete (a week, at least 36 buckets and 100 rows, at most the training window), however
runs split the data; rows that come later never change it. Until then encoded columns have no value. A change of `encode`, or of
anything else that clean rows are made under, learns anew.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import pandas as pd

from smartflow_assets.adapters.aggregation import encoded_columns
from smartflow_assets.adapters.aggregation.buckets import EncodedSql, column_types, require_raw_columns
from smartflow_assets.adapters.sql_quoting import quoted_column
from smartflow_assets.adapters.warehouse.blocked_loads import accepted_rows
from smartflow_assets.adapters.warehouse.writes import Append, Delete, Write
from smartflow_assets.core.errors import SourceError
from smartflow_assets.core.preparation.category_encoding import FEW_ROWS, LearntEncoding, learn_encoding
from smartflow_assets.core.temporal.time_grid import TimeGrid
from smartflow_assets.stages.run import SourceRun

LEAST_TIME, LEAST_BUCKETS = timedelta(days=7), 36
RECORD_ROWS = 50_000
"""Rows of a frame of records: about 10 MB with twenty columns."""


def learn_categories(run: SourceRun, closed_to: datetime, rebuilding: Sequence[Write]) -> bool:
    """Learn what the categories become, once the rows to learn from are complete at `closed_to`; in the same commit goes
    `rebuilding`, as rows made before have no value in encoded columns. True when something was learnt.

    SourceError naming the key of the YAML when a column is not there, is empty, or holds no categories.
    """
    source, known = run.source, {learnt.column: learnt.encoding for learnt in encoded_columns.stored(run.warehouse, run.name)}
    if known == source.encode:
        return False
    forget = [Delete("encodings", run.name)] if known else []
    until = _end_of_learning(run) if source.encode else None
    if until is None or until > closed_to:
        if forget:
            run.warehouse.commit(run.run_id, forget)
        return False
    types = column_types(run.warehouse, run.name)
    learnt = {column: _learn(run, column, until, types) for column in source.encode}
    _warn_of_unknown(run, learnt)
    first_at = run.warehouse.read(f"SELECT min({quoted_column(source.time_column)}) AS at FROM {accepted_rows(run.name)}")["at"].iloc[0]
    rows = pd.concat([encoded_columns.rows_of(encoding) for encoding in learnt.values()], ignore_index=True).assign(
        source=run.name, learnt_from=first_at, learnt_to=until, learnt_at=run.now, fingerprint=source.fingerprint, run_id=run.run_id
    )
    run.warehouse.commit(run.run_id, [*forget, *rebuilding, Append("encodings", rows)])
    return True


def encoded_sql(run: SourceRun) -> EncodedSql:
    """How the encoded columns that metrics name are made of a raw row; they are null while nothing is learnt."""
    wanted = run.source.encoded_columns
    learnt = encoded_columns.stored(run.warehouse, run.name) if wanted else ()
    return encoded_columns.encoded_sql(run.name, learnt, wanted)


def encoded_records(
    run: SourceRun,
    since: datetime,
    until: datetime,
    most_rows: int = RECORD_ROWS,
    one_of: int = 1,
) -> Iterator[pd.DataFrame]:
    """The raw rows of [since, until) as numbers, for models of single rows, in frames of at most `most_rows`.

    happened_at, _origin and _row name a row; each other column is a number: the numeric columns as read, in the order of the
    table, then all encoded columns. The columns are the same in every frame, and in every run. Nothing before categories are
    learnt. `one_of`: about one row of so many, always the same ones.
    """
    learnt = encoded_columns.stored(run.warehouse, run.name)
    if {encoding.column: encoding.encoding for encoding in learnt} != run.source.encode:
        return
    yield from encoded_columns.records(run.warehouse, run.name, run.source.time_column, learnt, since, until, most_rows, one_of)


def _end_of_learning(run: SourceRun) -> datetime | None:
    """The end of the rows that are learnt from; None as long as there are too few."""
    source = run.source
    enough = encoded_columns.time_of_row(run.warehouse, run.name, source.time_column, FEW_ROWS)
    if enough is None:
        return None
    grid = TimeGrid(source.time_bucket.every, source.calendar)
    time = quoted_column(source.time_column)
    first = grid.floor(run.warehouse.read(f"SELECT min({time}) AS at FROM {accepted_rows(run.name)}")["at"].iloc[0])
    span = min(max(LEAST_TIME, LEAST_BUCKETS * source.time_bucket.every), source.training.window)
    return max(grid.floor(first + span), grid.step(enough, 1))


def _learn(run: SourceRun, column: str, until: datetime, types: dict[str, str]) -> LearntEncoding:
    where = run.source.where("encode", column)
    require_raw_columns(types, [column], run.name, where)
    counted = encoded_columns.count_categories(run.warehouse, run.name, column, run.source.time_column, until)
    try:
        learnt, note = learn_encoding(column, run.source.encode[column], counted)
    except SourceError as error:
        raise SourceError(error.what, source=run.name, where=where, remedy=error.remedy) from error
    if note:
        run.warn(note)
    return learnt


def _warn_of_unknown(run: SourceRun, learnt: dict[str, LearntEncoding]) -> None:
    """A category that a metric names may come later, or be misspelt."""
    for name, base in run.source.encoded_columns.items():
        if name not in (names := learnt[base].names):
            run.warn(
                f"metrics name {name}, which is none of the categories learnt: it is 0 until such a row comes. "
                f"encode gives {', '.join(names)}"
            )
