"""A contract gets the same verdicts, word for word, from every DuckDB that is supported."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

OTHER_PYTHON = os.environ.get("SMARTFLOW_OTHER_PYTHON", "")
ROOT = Path(__file__).parents[3]
ASK = """
import duckdb
from datetime import timedelta
from smartflow_assets.adapters.expectations.evaluation import bad_rows, evaluate, rows_of
from smartflow_assets.core.contracts.contract import Contract
connection = duckdb.connect()
connection.execute("SET TimeZone = 'UTC'")
connection.execute("CREATE TABLE t AS SELECT * FROM (VALUES (TIMESTAMPTZ '2026-03-01 00:00:00+00', 1, 2.5::DOUBLE, 'ab', true), "
    "('2026-03-02 00:00:00+00', 1, 'nan', 'A1', NULL), ('2026-03-03 00:00:00+00', NULL, -3, NULL, false)) AS v(moment, n, x, s, ok)")
column = {"column": "x", "min_value": 0, "max_value": 1}
contract = Contract.model_validate({
    "columns": {
        "moment": {"type": "timestamp", "min": "2026-03-02"}, "n": {"type": "integer", "unique": True, "max_null_percent": 5},
        "x": {"type": "number", "min": 0, "not_null": True}, "s": {"pattern": "^[a-z]+$", "allowed": ["A1"], "max_length": 1},
        "ok": {"type": "boolean"}},
    "unique_together": [["n", "ok"]], "conditions": ["x > n", "s == 'A1' or x > 1"], "row_count": {"min": 2, "per": "day"},
    "references": [{"column": "n", "source": "other", "source_column": "x"}],
    "expectations": [{"type": f"expect_column_{f}_to_be_between", **column} for f in ("min", "max", "mean", "sum", "stdev", "median")] + [
        {"type": "expect_column_unique_value_count_to_be_between", **column},
        {"type": "expect_column_quantile_values_to_be_between", "column": "x",
         "quantile_ranges": {"quantiles": [0.5], "value_ranges": [[0, 1]]}}]})
def read(sql, params):
    return connection.execute(sql, params).df()
for judged in ("t", "(SELECT * FROM t WHERE n = 1)"):
    where = {"all_rows": "t", "time_column": "moment", "references": {"other": "t"}}
    rows = rows_of(read, judged, **where)
    for verdict in evaluate(read, judged, contract.expectations(), bucket=timedelta(hours=1), **where):
        sql = bad_rows(verdict.expectation, rows)
        found = None if sql is None else connection.execute(f"SELECT count(*) FROM {judged} WHERE {sql}").fetchone()[0]
        print(verdict.engine, verdict.is_passed, verdict.unexpected_count, found, verdict.sentence)
"""


def verdicts(python: str) -> list[str]:
    done = subprocess.run([python, "-W", "ignore", "-c", ASK], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.skipif(not OTHER_PYTHON, reason="SMARTFLOW_OTHER_PYTHON does not name a Python that has another DuckDB (.ci/run sets it)")
def test_another_version_finds_the_same():
    ours = verdicts(sys.executable)
    assert len(ours) > 40
    assert {line.split()[0] for line in ours} == {"duckdb"}
    assert verdicts(OTHER_PYTHON) == ours
