"""A source that nobody feeds, through all stages: each later clock adds its rows, and its anomalies become incidents."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from smartflow_assets_tests.commands.conftest import Smartflow, smartflow  # noqa: F401
from smartflow_assets_tests.homes import Home

SOURCE = """
name: greenhouse
read: {type: synthetic, domain: {type: iot_sensors, step: 15min}, seed: 8, history: 20 days, anomaly_rate: 0.02}
metrics: [temperature, humidity]
time_bucket: {every: 15min, settle: 0s}
training: {window: 20 days}
alerts: {to: [file], max_age: 3650 days}
"""
START = datetime(2026, 3, 20, 12, 0, tzinfo=UTC)


@pytest.fixture
def house(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    home.write_source("greenhouse", SOURCE)
    home.write_channels("file: {type: file}\n")
    return home


def test_validate_accepts_a_synthetic_source_and_says_what_is_wrong_with_another(house, smartflow: Smartflow, monkeypatch):  # noqa: F811
    monkeypatch.setenv("SMARTFLOW_HOME", str(house.folder))
    assert smartflow("validate").code == 0
    assert "iot_sensors, seed 8, time in timestamp" in smartflow("show", "greenhouse").out
    for old, new, said in [
        ("iot_sensors, step", "iot_sensor, step", "there is no domain 'iot_sensor'"),
        ("step: 15min", "stepp: 15min", "read.domain.stepp"),
        ("seed: 8", "sead: 8", "did you mean `read.seed`"),
        ("history: 20 days", "history: 5s", "history must be at least one step of the domain, 15min"),
    ]:
        house.write_source("greenhouse", SOURCE.replace(old, new))
        answer = smartflow("validate")
        assert (answer.code, len(answer.out.splitlines())) == (1, 1)
        assert said in answer.out


@pytest.mark.soak
def test_each_later_clock_adds_its_rows_to_raw_clean_and_scores(house):
    counts = []
    for minutes in (0, 15, 20, 60, 60):
        house.run_stages("greenhouse", START + timedelta(minutes=minutes))
        counts.append(tuple(house.count(table) for table in ('raw."greenhouse"', "clean_series", "anomaly_scores")))
    rows = 20 * 96
    expected = [rows, rows + 1, rows + 1, rows + 4, rows + 4]
    assert [raw for raw, _, _ in counts] == expected
    assert [clean for _, clean, _ in counts] == [2 * count for count in expected]
    assert [scored - counts[0][2] for _, _, scored in counts] == [0, 2, 2, 8, 8]


@pytest.mark.soak
def test_what_generate_labels_is_what_the_source_holds_and_opens_incidents(house, smartflow: Smartflow):  # noqa: F811
    end = START + timedelta(days=4)
    for hours in (0, 48, 96):
        house.run_stages("greenhouse", START + timedelta(hours=hours))
    labels = house.folder / "labels.csv"
    answer = smartflow(
        "generate",
        "iot_sensors",
        "--step",
        "15min",
        "--seed",
        "8",
        "--anomaly-rate",
        "0.02",
        "--end",
        end.isoformat(),
        "--rows",
        str(24 * 96),
        "-o",
        str(house.folder / "rows.csv"),
        "--labels",
        str(labels),
    )
    assert answer.code == 0
    read = house.warehouse.read(
        f"SELECT count(*) AS n FROM raw.\"greenhouse\" JOIN read_csv('{house.folder / 'rows.csv'}') AS made "
        "USING (timestamp, temperature, humidity, battery)"
    )
    assert read["n"].iloc[0] == 24 * 96
    found = house.table("anomalies", f"ended_at >= TIMESTAMPTZ '{START.isoformat()}'")
    injected = pd.read_csv(labels, parse_dates=["started_at", "ended_at"])
    injected = injected[(injected["started_at"] >= START) & injected["series"].isin(["temperature", "humidity"])]
    met = [
        ((found["series"] == label.series) & (found["started_at"] <= label.ended_at) & (found["ended_at"] >= label.started_at)).any()
        for label in injected.itertuples()
    ]
    assert (len(met), sum(met)) == (3, 3)
    assert house.count("incidents") >= 3
