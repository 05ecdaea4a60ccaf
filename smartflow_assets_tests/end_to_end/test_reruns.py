"""Running again: the same clock changes nothing, a later one adds the buckets between, an appended row adds itself."""

import shutil
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from smartflow_assets.adapters.warehouse.tables import TABLES
from smartflow_assets.stages import alerting
from smartflow_assets_tests.homes import STAGES, START, STEP, WEB, Home, daily_series, write_rows

LEDGERS = {"run_log", "writes", "snapshot_info"}  # a run leaves a trace there, whatever it found
DAYS = 4
END = START + timedelta(days=DAYS)


def web(home: Home) -> pd.DataFrame:
    home.write_source("web", WEB)
    rows = daily_series(DAYS)
    rows.loc[1100, "value"] = 2500
    write_rows(home.settings.data / "examples" / "web.csv", rows)
    return rows


def run(home: Home, at: datetime) -> None:
    """What a run does, without Dagster around it, where a test is not about Dagster."""
    home.run_stages("web", at, [*STAGES, lambda run: alerting.alert_sends(run, environment={})])


def made(folder: Path, at: datetime) -> Path:
    home = Home(folder)
    web(home)
    run(home, at)
    return folder


@pytest.fixture(scope="module")
def after_a_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("end"), END)


@pytest.fixture(scope="module")
def ten_steps_before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("before"), END - 10 * STEP)


def copied(made: Path, home: Home) -> Home:
    shutil.copytree(made, home.folder, dirs_exist_ok=True)
    home.write_source("web", WEB)  # Dagster's own record of it is new
    return home


@pytest.fixture
def at_end(after_a_run: Path, home: Home) -> Home:
    """The home after a run at END."""
    return copied(after_a_run, home)


@pytest.fixture
def earlier(ten_steps_before: Path, home: Home) -> Home:
    """The home after a run ten steps before END."""
    return copied(ten_steps_before, home)


def counts(home: Home) -> dict[str, int]:
    names = [name for name in TABLES if name not in LEDGERS]
    return {name: home.count(name) for name in [*names, "raw.web"]}


def test_the_same_clock_twice_changes_nothing(at_end):
    before = counts(at_end)
    assert before["anomalies"] >= 1 and before["alert_sends"] >= 1
    assert at_end.run("web", END).is_success
    assert counts(at_end) == before


@pytest.mark.soak
def test_a_later_clock_adds_exactly_the_buckets_between(earlier):
    before = counts(earlier)
    run(earlier, END - 3 * STEP)
    after = counts(earlier)
    for name in ("clean_series", "anomaly_scores"):
        assert after[name] - before[name] == 7, name
    assert after["raw.web"] == before["raw.web"]


@pytest.mark.soak
def test_an_appended_row_adds_exactly_itself(at_end):
    rows = pd.read_csv(at_end.settings.data / "examples" / "web.csv")
    before = counts(at_end)
    newest = pd.DataFrame({"timestamp": [END.strftime("%Y-%m-%dT%H:%M:%SZ")], "value": [500.0]})
    write_rows(at_end.settings.data / "examples" / "web.csv", pd.concat([rows, newest]))
    run(at_end, END + STEP)
    after = counts(at_end)
    assert {name: after[name] - before[name] for name in ("raw.web", "clean_series", "anomaly_scores")} == {
        "raw.web": 1,
        "clean_series": 1,
        "anomaly_scores": 1,
    }


@pytest.mark.soak
def test_a_late_row_changes_its_own_bucket_and_no_other_score(home):
    rows = web(home)
    late = rows.drop(index=1000)
    write_rows(home.settings.data / "examples" / "web.csv", late)
    run(home, END)
    before = home.table("anomaly_scores").set_index("observed_at")["raw_score"].sort_index()
    write_rows(home.settings.data / "examples" / "web.csv", rows)
    run(home, END + STEP)
    after = home.table("anomaly_scores").set_index("observed_at")["raw_score"].sort_index()
    at = START + 1000 * STEP
    changed = before.index[(before.fillna(-1) != after.reindex(before.index).fillna(-1)).to_numpy()]
    assert set(changed) <= {pd.Timestamp(at)}
    clean = home.table("clean_series", f"observed_at = '{at.isoformat()}'")
    assert clean["repair"].tolist() == ["none"] and clean["value"].tolist() == [rows["value"][1000]]


@pytest.mark.soak
def test_a_changed_aggregation_rebuilds_without_alerting_again(at_end):
    sent = at_end.count("alert_sends", "status = 'sent'")
    assert sent >= 1
    at_end.write_source("web", WEB.replace("every: 5min", "every: 10min"))
    run(at_end, END)
    assert at_end.count("clean_series") == DAYS * 144
    assert at_end.count("alert_sends", "status = 'sent'") == sent
    assert at_end.count("raw.web") == DAYS * 288


@pytest.mark.soak
def test_a_dry_run_leaves_no_trace(earlier):
    before, runs = counts(earlier), len(earlier.instance.get_run_records())
    assert earlier.run("web", END, dry_run=True).facts["rows_scored"] == 10
    assert counts(earlier) == before and len(earlier.instance.get_run_records()) == runs
