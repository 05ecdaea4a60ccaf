"""`smartflow export`: what is written reads back equal, in each format."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from smartflow_assets_tests.commands.conftest import Smartflow, in_folder, make_home

AS_OF = "2026-03-06T00:00:00Z"


@pytest.fixture(scope="module")
def flooded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose source has a flood that a rule flags."""
    home = make_home(tmp_path_factory.mktemp("flooded"))
    feed = home / "data" / "feeds" / "shop.csv"
    feed.write_text(feed.read_text().replace("2026-03-05T10:00:00Z,", "2026-03-05T10:00:00Z,9"))
    with in_folder(home) as smartflow:
        assert smartflow("run", "shop", "--as-of", AS_OF).code == 0
    return home


@pytest.fixture
def watched(flooded: Path, copied: Callable[[Path], Path]) -> Path:
    return copied(flooded)


def stored(home: Path, sql: str) -> pd.DataFrame:
    with duckdb.connect(str(home / "data/warehouse/analyst.duckdb"), read_only=True) as copy:
        copy.execute("SET TimeZone = 'UTC'")
        return copy.execute(sql).df()


@pytest.mark.soak
def test_scores_read_back_equal_in_every_format(smartflow: Smartflow, watched: Path) -> None:
    expected = stored(watched, "SELECT observed_at, value, anomaly_score FROM anomaly_scores ORDER BY observed_at")
    for form in ("csv", "json", "jsonl", "parquet"):
        answer = smartflow("export", "scores", "-o", f"scores.{form}")
        assert (answer.code, answer.out) == (0, ""), answer.err
        assert answer.err == f"{len(expected)} rows in scores.{form}\n"
        read = duckdb.sql(f"SELECT * FROM '{watched / f'scores.{form}'}'").df()
        assert set(read["is_anomaly"].astype(str).str.lower()) == {"true", "false"}
        assert pd.to_datetime(read["timestamp"], utc=True).tolist() == expected["observed_at"].tolist()
        for name in ("value", "anomaly_score"):
            pd.testing.assert_series_equal(read[name].astype(float), expected[name], check_exact=True, check_names=False)


@pytest.mark.soak
def test_scores_open_in_excel(smartflow: Smartflow, watched: Path) -> None:
    expected = stored(watched, "SELECT observed_at, value, anomaly_score FROM anomaly_scores ORDER BY observed_at")
    answer = smartflow("export", "scores", "-o", "scores.xlsx")
    assert (answer.code, answer.err) == (0, f"{len(expected)} rows in scores.xlsx\n")
    read = pd.read_excel(watched / "scores.xlsx", engine="openpyxl")
    assert pd.to_datetime(read["timestamp"], utc=True).tolist() == expected["observed_at"].tolist()
    for name in ("value", "anomaly_score"):
        pd.testing.assert_series_equal(read[name].astype(float), expected[name], check_names=False, rtol=1e-12)
    assert read["is_anomaly"].dtype == bool
    piped = smartflow("export", "scores", "--format", "xlsx")
    assert piped.code == 0


def test_only_anomalies_are_the_rows_that_detectors_or_rules_flag(smartflow: Smartflow, watched: Path) -> None:
    answer = smartflow("export", "scores", "--only-anomalies", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(answer.out)))
    assert [row["timestamp"] for row in rows] == ["2026-03-05T10:00:00Z"]
    assert rows[0]["is_anomaly"] == "true" and json.loads(rows[0]["rules"]) == ["flood"]
    everything = smartflow("export", "scores", "--format", "json")
    assert len(json.loads(everything.out)) == 120


def test_anomalies_and_incidents_keep_lists_maps_and_times(smartflow: Smartflow, watched: Path) -> None:
    (anomaly,) = json.loads(smartflow("export", "anomalies", "--format", "json").out)
    assert anomaly["rules"] == ["flood"] and anomaly["dimensions"] == {}
    assert anomaly["started_at"] == "2026-03-05T10:00:00Z"
    (incident,) = json.loads(smartflow("export", "incidents", "--format", "json").out)
    assert incident["state"] == "resolved" and incident["severity"] == "critical"


def test_a_span_takes_its_start_and_leaves_its_end(smartflow: Smartflow, watched: Path) -> None:
    answer = smartflow("export", "scores", "--from", "2026-03-05T09:00", "--to", "2026-03-05T11:00", "--format", "jsonl")
    assert [json.loads(line)["timestamp"] for line in answer.out.splitlines()] == ["2026-03-05T09:00:00Z", "2026-03-05T10:00:00Z"]


def test_an_export_that_cannot_be_written_leaves_the_old_file(smartflow: Smartflow, watched: Path) -> None:
    target = watched / "out.csv"
    target.write_text("kept")
    assert "nothing of a source 'shoq' is stored" in smartflow("export", "scores", "--source", "shoq", "-o", "out.csv").err
    assert "the ending names no format" in smartflow("export", "scores", "-o", "out.xls").err
    backwards = smartflow("export", "scores", "--from", "2026-03-05", "--to", "2026-03-04")
    assert (backwards.code, backwards.out) == (2, "") and "--from 2026-03-05 is not before --to 2026-03-04" in backwards.err
    stored_before = (watched / "data/warehouse/smartflow.duckdb").read_bytes()
    assert smartflow("export", "scores", "-f", "csv", "-o", "data/warehouse/smartflow.duckdb").code == 2
    assert (watched / "data/warehouse/smartflow.duckdb").read_bytes() == stored_before
    assert "no such folder" in smartflow("export", "scores", "-o", "nowhere/out.csv").err
    wrong_time = smartflow("export", "scores", "--from", "yesterday", "-o", "out.csv")
    assert wrong_time.code == 2 and "--from: 'yesterday' is not a time" in wrong_time.err
    assert target.read_text() == "kept"
    assert not list(watched.glob(".*"))


def test_before_the_first_run_there_is_nothing_to_export(smartflow: Smartflow, home: Path) -> None:
    answer = smartflow("export", "scores")
    assert answer.code == 1 and "nothing to export yet" in answer.err


@pytest.mark.soak
def test_every_run_keeps_the_latest_anomalies_as_files(smartflow: Smartflow, watched: Path) -> None:
    folder = watched / "data" / "exports" / "shop"
    (anomaly,) = json.loads((folder / "anomalies.json").read_text())
    assert anomaly["rules"] == ["flood"] and anomaly["incident_state"] == "resolved"
    rows = list(csv.DictReader(io.StringIO((folder / "anomalies.csv").read_text())))
    assert [row["started_at"] for row in rows] == ["2026-03-05T10:00:00Z"]
    assert smartflow("run", "shop", "--dry-run", "--as-of", AS_OF).code == 0
    (folder / "anomalies.json").unlink()
    assert smartflow("run", "shop", "--as-of", AS_OF).code == 0
    assert json.loads((folder / "anomalies.json").read_text()) == [anomaly]
