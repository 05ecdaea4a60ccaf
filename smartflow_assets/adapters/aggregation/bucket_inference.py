"""The time bucket that suits the rows of a source whose YAML names none, inferred from the interval between them.

It is asked of raw.<source> after an ingestion. Whether it is asked at all, and that a bucket once used is kept, is
stages.bucket_resolution.
"""

from datetime import timedelta

from smartflow_assets.adapters.sql_quoting import quoted, quoted_column
from smartflow_assets.adapters.warehouse.tables import raw_table
from smartflow_assets.adapters.warehouse.warehouse import Warehouse

NICE_STEPS = tuple(
    timedelta(seconds=seconds)
    for seconds in (1, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 14400, 21600, 43200, 86400, 604800)
)
STEPS_LOOKED_AT, ROWS_PER_BUCKET = 2_000, 10


def usual_bucket(warehouse: Warehouse, source: str, time_column: str) -> timedelta | None:
    """The bucket that suits the rows of a source whose YAML names none; None when it has fewer than three times.

    Rows that come at a regular interval (four in five steps are the median step) get that interval, rounded up. Others are events: they get
    the shortest round bucket that holds ten of them, one minute at least. Only the first 2,000 times are looked at, so the
    answer stays as the data grows.
    """
    if not warehouse.has_table(raw_table(source)):
        return None
    column, table = quoted_column(time_column), quoted(raw_table(source))
    rows = warehouse.read(f"""
        WITH times AS (SELECT DISTINCT {column} AS moment FROM {table} ORDER BY moment LIMIT {STEPS_LOOKED_AT + 1}),
        steps AS (SELECT epoch(moment) - epoch(lag(moment) OVER (ORDER BY moment)) AS step FROM times),
        usual AS (SELECT median(step) AS step FROM steps)
        SELECT count(steps.step) AS count, any_value(usual.step) AS step,
               count_if(abs(steps.step - usual.step) <= 0.1 * usual.step) AS regular
        FROM steps, usual
    """).iloc[0]
    if rows["count"] < 2:
        return None
    step = float(rows["step"])
    wanted = 0.9 * step if rows["regular"] >= 0.8 * rows["count"] else max(60.0, ROWS_PER_BUCKET * step)
    return next((nice for nice in NICE_STEPS if nice.total_seconds() >= wanted), NICE_STEPS[-1])
