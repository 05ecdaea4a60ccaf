"""`smartflow sql` on a published copy."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.adapters.warehouse.writes import Append
from smartflow_assets_tests.commands.conftest import Smartflow


@pytest.fixture
def published(home: Path) -> Path:
    """A home whose published copy has two runs."""
    folder = home / "data" / "warehouse"
    warehouse = Warehouse(folder / "smartflow.duckdb", folder / "analyst.duckdb")
    started = datetime(2026, 3, 1, 12, tzinfo=UTC)
    rows = [
        {"source": "shop", "run_id": "a", "started_at": started, "rows_in": 3, "lag_seconds": 0.1 + 0.2, "seconds": {"raw_records": 1.5}},
        {"source": "shop", "run_id": "b", "started_at": started, "error": 'broken, "badly"'},
    ]
    warehouse.commit("a", [Append("run_log", pd.DataFrame(rows))])
    warehouse.publish("a")
    return home


QUERY = "SELECT run_id, started_at, rows_in, lag_seconds, seconds, error FROM run_log ORDER BY run_id"


def test_rows_are_a_table_and_the_age_goes_to_stderr(smartflow: Smartflow, published: Path) -> None:
    answer = smartflow("sql", QUERY)
    assert [line.split()[0] for line in answer.out.splitlines()] == ["run_id", "a", "b"]
    assert answer.err.startswith("as of 2")
    assert answer.err.endswith(" s ago\n")


def test_csv_keeps_every_digit(smartflow: Smartflow, published: Path) -> None:
    assert smartflow("sql", QUERY, "--format", "csv").out == (
        "run_id,started_at,rows_in,lag_seconds,seconds,error\n"
        'a,2026-03-01T12:00:00Z,3,0.30000000000000004,"{""raw_records"": 1.5}",\n'
        'b,2026-03-01T12:00:00Z,,,,"broken, ""badly"""\n'
    )


def test_a_csv_holds_no_formula(smartflow: Smartflow, published: Path) -> None:
    statement = """SELECT '=1+1' AS "=x", '-2.5' AS text, -2.5 AS n, '@SUM(A1)' AS at, '+1' AS plus, '- none' AS dash"""
    assert smartflow("sql", statement, "-f", "csv").out == "'=x,text,n,at,plus,dash\n'=1+1,-2.5,-2.5,'@SUM(A1),+1,'- none\n"
    assert json.loads(smartflow("sql", statement, "-f", "json").out)[0]["=x"] == "=1+1"


def test_json_knows_null_times_and_maps(smartflow: Smartflow, published: Path) -> None:
    first, second = json.loads(smartflow("sql", QUERY, "--format", "json").out)
    assert first == {
        "run_id": "a",
        "started_at": "2026-03-01T12:00:00Z",
        "rows_in": 3,
        "lag_seconds": 0.1 + 0.2,
        "seconds": {"raw_records": 1.5},
        "error": None,
    }
    assert (second["rows_in"], second["seconds"]) == (None, None)


def test_a_statement_can_come_from_stdin(smartflow: Smartflow, published: Path) -> None:
    assert smartflow("sql", "-", "--format", "csv", input="SELECT 1 AS one").out == "one\n1\n"


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("SELECT * FROM run_lag", 'Table with name run_lag does not exist. Did you mean "run_log"?'),
        ("SELEC 1", "syntax error"),
        ("DROP TABLE run_log", "read-only"),
        ("DELETE FROM run_log", "read-only"),
    ],
)
def test_a_wrong_or_writing_statement_is_one_line(smartflow: Smartflow, published: Path, statement: str, problem: str) -> None:
    answer = smartflow("sql", statement)
    assert (answer.code, answer.out, answer.err.count("\n")) == (1, "", 1)
    assert problem in answer.err


def test_without_a_copy_the_remedy_is_said(smartflow: Smartflow, home: Path) -> None:
    answer = smartflow("sql", "SELECT 1")
    assert answer.code == 1
    assert "there is no published copy yet" in answer.err
    assert "`smartflow run` makes it" in answer.err


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("", "there is no statement. Write one, such as "),
        (" ; -- none", "there is no statement."),
        ("select 1; select 2", "there are 2 statements. Ask them one by one."),
    ],
)
def test_one_statement_is_asked_for(smartflow: Smartflow, published: Path, statement: str, said: str) -> None:
    for answer in (smartflow("sql", statement), smartflow("sql", "-", input=statement)):
        assert (answer.code, answer.out) == (2, "") and answer.err.startswith(f"error: {said}")


def test_a_semicolon_at_the_end_and_in_a_text_are_no_second_statement(smartflow: Smartflow, published: Path) -> None:
    assert smartflow("sql", "SELECT 'a;b' AS a; -- the end", "-f", "csv").out == "a\na;b\n"
