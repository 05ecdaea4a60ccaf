"""`smartflow generate`: rows, labels and twin of each domain, in each format, and what it refuses."""

import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from smartflow_assets.core.generators import DOMAINS
from smartflow_assets_tests.commands.conftest import Smartflow

START = ("--start", "2026-01-07")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def table(path: Path | str) -> pd.DataFrame:
    return duckdb.sql(f"SELECT * FROM '{path}'").df()


@pytest.mark.parametrize("name", DOMAINS)
def test_every_domain_writes_csv_to_stdout_and_talks_on_stderr(smartflow: Smartflow, name: str) -> None:
    answer = smartflow("generate", name, "--rows", "30", *START)
    assert answer.code == 0
    rows = pd.read_csv(io.StringIO(answer.out))
    assert len(rows) == 30
    assert rows["timestamp"].str.match(r"2026-01-\d\dT|202\d-").all()
    assert answer.err.startswith(f"30 rows of {name}, 2026-01-07 00:")


@pytest.mark.parametrize("ending", ["csv", "json", "jsonl", "parquet"])
def test_the_ending_says_the_format_and_all_hold_the_same(smartflow: Smartflow, ending: str) -> None:
    made = DOMAINS["kpi_sales"]().rows_from(datetime(2026, 1, 7, tzinfo=UTC), 500, 3)
    answer = smartflow("generate", "kpi_sales", "--rows", "500", "--seed", "3", *START, "-o", f"rows.{ending}")
    assert (answer.code, answer.out) == (0, "")
    read = table(f"rows.{ending}")
    assert list(read.columns) == list(made.frame.columns)
    assert (pd.to_datetime(read["timestamp"], utc=True).to_numpy() == made.frame["timestamp"].to_numpy()).all()
    pd.testing.assert_frame_equal(read.drop(columns="timestamp"), made.frame.drop(columns="timestamp"), check_dtype=False)


def test_json_is_a_list_with_iso_times(smartflow: Smartflow) -> None:
    smartflow("generate", "iot_sensors", "--rows", "3", *START, "-o", "rows.json")
    rows = json.loads(Path("rows.json").read_text())
    assert [row["timestamp"] for row in rows] == ["2026-01-07T00:00:00Z", "2026-01-07T00:05:00Z", "2026-01-07T00:10:00Z"]


def test_payments_keep_the_fractions_of_their_seconds(smartflow: Smartflow) -> None:
    rows = pd.read_csv(io.StringIO(smartflow("generate", "fraud", "--rows", "200", *START).out))
    assert rows["timestamp"].is_unique
    assert rows["timestamp"].str.contains(r"\.\d{6}Z$").all()


def test_labels_are_what_differs_from_the_twin(smartflow: Smartflow) -> None:
    answer = smartflow("generate", "cpu_usage", "--rows", "4000", *START, "-o", "a.csv", "--labels", "labels.csv", "--twin", "twin.csv")
    rows, twin, labels = (pd.read_csv(name) for name in ("a.csv", "twin.csv", "labels.csv"))
    assert list(labels.columns) == ["series", "started_at", "ended_at", "type", "size"]
    for series in ("cpu", "iowait", "load_average"):
        own = labels[labels["series"] == series]
        changed = rows["timestamp"][rows[series] != twin[series]]
        inside = [((changed >= first) & (changed <= last)) for first, last in zip(own["started_at"], own["ended_at"], strict=True)]
        assert len(changed)
        assert pd.concat(inside, axis=1).any(axis=1).all()
    assert answer.err.endswith(f"with {len(labels)} labelled anomalies; written to a.csv, labels.csv, twin.csv\n")


def test_the_first_rows_of_more_are_the_same_rows(smartflow: Smartflow) -> None:
    few, more = (smartflow("generate", "finance", "--rows", rows, *START).out for rows in ("50", "3000"))
    assert more.startswith(few)


@pytest.mark.parametrize(
    ("option", "value"),
    [("--seed", "9"), ("--anomaly-rate", "0.2"), ("--step", "10min"), ("--set", "swing=1"), ("--start", "2026-02-01"), ("--rows", "2999")],
)
def test_each_option_changes_the_rows(smartflow: Smartflow, option: str, value: str) -> None:
    usual = {"--rows": "3000", "--start": "2026-01-07"}
    one, other = (
        smartflow("generate", "iot_sensors", *(part for pair in options.items() for part in pair))
        for options in (usual, usual | {option: value})
    )
    assert (one.code, other.code) == (0, 0)
    assert one.out != other.out


def test_a_list_of_texts_is_set_with_commas(smartflow: Smartflow) -> None:
    answer = smartflow("generate", "kpi_sales", "--rows", "4", "--set", "regions=a, b", *START)
    assert pd.read_csv(io.StringIO(answer.out))["region"].tolist() == ["a", "b", "a", "b"]


@pytest.mark.parametrize("arguments", [(), ("--end", "now")])
@pytest.mark.soak
def test_without_a_start_the_last_step_is_just_over(smartflow: Smartflow, arguments: tuple[str, ...]) -> None:
    before = datetime.now(UTC)
    rows = pd.read_csv(io.StringIO(smartflow("generate", "web_traffic", "--rows", "10", *arguments).out), parse_dates=["timestamp"])
    last = rows["timestamp"].iloc[-1]
    assert before - timedelta(minutes=10) < last <= datetime.now(UTC) - timedelta(minutes=5)


def test_an_end_in_another_zone(smartflow: Smartflow) -> None:
    answer = smartflow("generate", "web_traffic", "--rows", "2", "--end", "2026-03-01T12:03+02:00")
    assert [line[:20] for line in answer.out.splitlines()[1:]] == ["2026-03-01T09:50:00Z", "2026-03-01T09:55:00Z"]


def test_the_list_names_domains_columns_and_parameters(smartflow: Smartflow) -> None:
    lines = smartflow("generate", "--list").out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == list(DOMAINS)
    assert any("temperature, humidity, battery" in line and "swing" in line for line in lines)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "no domain is named. There are web_traffic, system_metrics,"),
        (("iot_sensor",), "there is no domain 'iot_sensor'. Did you mean iot_sensors?"),
        (("iot_sensors", "--start", "2026-01-01", "--end", "now"), "--start and --end exclude each other"),
        (("iot_sensors", "--start", "tomorrow"), "--start tomorrow: this is no time between 1700 and 2200"),
        (("iot_sensors", "--end", "9999-12-31"), "--end 9999-12-31: this is no time between 1700 and 2200"),
        (("iot_sensors", "--step", "often"), "--step often: 'often' is not a duration"),
        (("iot_sensors", "--step", "0.1s"), "--step 0.1s: Input should be greater than or equal to 1 second"),
        (("iot_sensors", "--set", "swing"), "--set swing: a parameter is written KEY=VALUE"),
        (("iot_sensors", "--set", "cores=2"), "--set cores=2: iot_sensors has no parameter 'cores'. It has step, warmth, swing, battery."),
        (("iot_sensors", "--set", "swing=wide"), "--set swing=wide: Input should be a valid number"),
        (("iot_sensors", "--set", "warmth=inf"), "--set warmth=inf: Input should be a finite number"),
        (("kpi_sales", "--set", "regions="), "--set regions=: String should have at least 1 character"),
        (("kpi_sales", "--set", "regions=a,a"), "--set regions=a,a: the region a is named twice"),
        (("kpi_sales", "--rows", "5000000"), "--rows 5000000: so many steps are more than 1,000 years"),
        (("iot_sensors", "-o", "rows.ods"), "rows.ods: the ending names no format. Use one of .csv"),
        (("iot_sensors", "-o", "nowhere/rows.csv"), "nowhere: no such folder"),
        (("iot_sensors", "--labels", "labels"), "labels: the ending names no format"),
        (("iot_sensors", "-o", "a.csv", "--twin", "a.csv"), "-o and --twin both name a.csv"),
    ],
)
def test_what_cannot_be_is_one_line_and_exit_code_2(smartflow: Smartflow, folder: Path, arguments: tuple[str, ...], said: str) -> None:
    answer = smartflow("generate", *arguments)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(f"error: {said}")
    assert len(answer.err.splitlines()) == 1
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("arguments", [("--rows", "0"), ("--rows", "-3"), ("--anomaly-rate", "0.9"), ("--seed", "x")])
def test_numbers_out_of_range_are_exit_code_2(smartflow: Smartflow, arguments: tuple[str, ...]) -> None:
    assert smartflow("generate", "iot_sensors", *arguments).code == 2


def test_a_negative_seed_is_a_seed(smartflow: Smartflow) -> None:
    assert smartflow("generate", "iot_sensors", "--seed", "-3", "--rows", "5", *START).code == 0


def test_one_row_and_no_label(smartflow: Smartflow) -> None:
    answer = smartflow("generate", "stock_risk", "--rows", "1", *START, "--labels", "l.parquet")
    assert (answer.code, len(answer.out.splitlines())) == (0, 2)
    assert table("l.parquet").empty


def test_what_is_generated_can_be_detected_in(smartflow: Smartflow) -> None:
    smartflow("generate", "server_traffic", "--rows", "3000", *START, "-o", "api.csv")
    answer = smartflow("detect", "api.csv", "--value", "requests")
    assert answer.code == 0
    assert "anomal" in answer.err
