"""DuckDB alone on the rows of a Parquet file: means of ten seconds, and which lie more than four deviations from the day's mean.

python benchmarks/peers/duckdb_zscore.py FILE OUT
"""

import sys

import duckdb

duckdb.sql(f"""
    COPY (WITH buckets AS (
              SELECT time_bucket(INTERVAL 10 SECOND, timestamp) AS bucket, avg(value) AS value FROM '{sys.argv[1]}' GROUP BY ALL
          ), judged AS (
              SELECT *, abs(value - avg(value) OVER day) / stddev(value) OVER day AS z
              FROM buckets WINDOW day AS (PARTITION BY date_trunc('day', bucket))
          )
          FROM judged WHERE z > 4) TO '{sys.argv[2]}'
""")
