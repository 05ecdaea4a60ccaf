"""`smartflow prune`: what is old goes and stays away, what is needed stays, and nothing is judged or told anew."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.adapters.warehouse.writes import Prune
from smartflow_assets.defs.pruning import HomePruned
from smartflow_assets.stages.maintenance.announcements import Pruned
from smartflow_assets_tests.commands.conftest import Smartflow, in_folder, make_home

START, DAYS = datetime(2026, 1, 1, tzinfo=UTC), 60
SOURCE = """\
name: shop
read: {type: csv, path: feeds/shop.csv, time: ts}
metrics: [{name: orders, column: n, aggregate: sum}]
time_bucket: {every: 1h, settle: 0s}
training: {window: 20 days}
keep_features: all
schedule: manual
rules: [{type: threshold, name: flood, metric: orders, above: 500, severity: critical}]
alerts: {to: [file], max_age: 3650 days}
"""
SERIES = ["clean_series", "series_features", "anomaly_scores"]


def moment(day: float) -> datetime:
    return START + timedelta(days=day)


@pytest.fixture(scope="module")
def sixty_days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty days in three runs, with a flood on the days 5 and 55."""
    home = make_home(tmp_path_factory.mktemp("aged"))
    (home / "data" / "sources" / "shop.yaml").write_text(SOURCE)
    with in_folder(home) as smartflow:
        for until in range(20, DAYS + 1, 20):
            write_feed(home, until)
            assert smartflow("run", "shop", "--as-of", moment(until).isoformat()).code == 0
        assert smartflow("train", "shop", "--as-of", moment(DAYS).isoformat()).code == 0
    return home


@pytest.fixture
def aged(sixty_days: Path, copied: Callable[[Path], Path]) -> Path:
    return copied(sixty_days)


def write_feed(home: Path, until: int, **changed: int) -> None:
    hours = pd.date_range(START, moment(until), freq="1h", inclusive="left")
    values = 100 + 40 * (hours.hour >= 8) + hours.hour % 7
    rows = pd.DataFrame({"ts": hours.strftime("%Y-%m-%dT%H:%M:%SZ"), "n": values})
    for day in (5, 55):
        rows.loc[rows["ts"] == moment(day).strftime("%Y-%m-%dT%H:%M:%SZ"), "n"] = 900
    rows.to_csv(home / "data" / "feeds" / "shop.csv", index=False)


def warehouse_of(home: Path) -> Warehouse:
    return Warehouse(home / "data/warehouse/smartflow.duckdb", home / "data/warehouse/analyst.duckdb")


def first_at(home: Path, table: str, column: str = "observed_at") -> datetime:
    return warehouse_of(home).read(f"SELECT min({column}) AS at FROM {table}")["at"].iloc[0].to_pydatetime()


def state_of(home: Path) -> dict[str, pd.DataFrame]:
    read = warehouse_of(home).read
    return {name: read(f"SELECT * FROM {name} ORDER BY ALL") for name in ("anomalies", "incidents", "alert_sends")} | {
        "scores": read("SELECT * FROM anomaly_scores ORDER BY observed_at")
    }


@pytest.mark.soak
def test_old_rows_go_and_those_that_models_learn_from_stay(smartflow: Smartflow, aged: Path) -> None:
    warehouse = warehouse_of(aged)
    before = state_of(aged)
    answer = smartflow("prune", "--older-than", "10d", "--as-of", moment(DAYS).isoformat())
    assert answer.code == 0, answer.err
    assert "shop: rows from 2026-02-09 23:00 on stay, its models learn from them" in answer.err  # 20 days before the newest hour
    assert first_at(aged, "anomaly_scores") == moment(50)
    assert first_at(aged, "clean_series") == moment(40) - timedelta(hours=1)
    assert first_at(aged, "raw.shop", "ts") == moment(40) - timedelta(hours=1)
    assert warehouse.read("SELECT started_at FROM anomalies")["started_at"].tolist() == [moment(55)]
    assert warehouse.read("SELECT opened_at FROM incidents")["opened_at"].tolist() == [moment(55)]
    assert set(warehouse.read("SELECT incident_id FROM alert_sends")["incident_id"]) == set(
        warehouse.read("SELECT incident_id FROM incidents")["incident_id"]
    )
    kept = before["scores"][before["scores"]["observed_at"] >= moment(50)].reset_index(drop=True)
    pd.testing.assert_frame_equal(state_of(aged)["scores"], kept, check_exact=True)


@pytest.mark.soak
def test_a_feed_that_still_holds_pruned_rows_does_not_bring_them_back(smartflow: Smartflow, aged: Path) -> None:
    assert smartflow("prune", "--older-than", "10d", "--as-of", moment(DAYS).isoformat()).code == 0
    after, sent = state_of(aged), len(list((aged / "data" / "outbox").glob("*.eml")))
    assert "rows in 0  scored 0 " in smartflow("run", "shop", "--as-of", moment(DAYS).isoformat()).out
    write_feed(aged, DAYS + 1)
    grown = smartflow("run", "shop", "--as-of", moment(DAYS + 1).isoformat())
    assert "rows in 24 " in grown.out and "scored 24 " in grown.out, grown.out
    assert first_at(aged, "raw.shop", "ts") == moment(40) - timedelta(hours=1)
    now = state_of(aged)
    pd.testing.assert_frame_equal(now["incidents"], after["incidents"], check_exact=True)
    pd.testing.assert_frame_equal(now["scores"][now["scores"]["observed_at"] < moment(DAYS)], after["scores"], check_exact=True)
    assert len(list((aged / "data" / "outbox").glob("*.eml"))) == sent


@pytest.mark.soak
def test_a_dry_run_says_the_same_and_deletes_nothing(smartflow: Smartflow, aged: Path) -> None:
    tables = warehouse_of(aged).tables()
    arguments = ("prune", "--older-than", "10d", "--as-of", moment(DAYS).isoformat())
    said = smartflow(*arguments, "--dry-run")
    assert said.code == 0 and "nothing was deleted" in said.err and warehouse_of(aged).tables() == tables
    done = smartflow(*arguments)
    assert done.code == 0, done
    assert [line for line in done.out.splitlines() if line.startswith("shop")] == [
        line for line in said.out.splitlines() if line.startswith("shop")
    ]
    counts = {line.split()[1]: int(line.split()[2].replace(",", "")) for line in done.out.splitlines() if line.startswith("shop")}
    left = warehouse_of(aged).tables()
    assert counts["anomaly_scores"] == 50 * 24 and counts["raw.shop"] == 40 * 24 - 1
    assert all(tables[name] - left[name] == counts.get(name, 0) for name in SERIES)
    assert "nothing is that old" in smartflow(*arguments).out


def test_the_history_of_dagster_keeps_the_newest_run_of_a_source(smartflow: Smartflow, aged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMARTFLOW_ALLOW_FUTURE", "1")
    from smartflow_assets.defs.instance import open_instance

    def runs() -> list[str]:
        with open_instance(aged / "data" / "dagster") as instance:
            return [run.run_id for run in instance.get_runs()]

    training, newest, *older = runs()
    assert len(older) == 2
    later = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    answer = smartflow("prune", "--older-than", "1h", "--as-of", later)
    assert answer.code == 0 and "2 runs of Dagster's history" in answer.out, answer
    assert runs() == [training, newest]
    files = {path.name for path in (aged / "data/dagster/history/runs").glob("*.db")}
    assert files == {"index.db", f"{training}.db", f"{newest}.db"}


@pytest.mark.soak
def test_a_source_that_was_removed_goes_altogether(smartflow: Smartflow, aged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMARTFLOW_ALLOW_FUTURE", "1")
    (aged / "data" / "sources" / "late.yaml").write_text(SOURCE.replace("shop\n", "late\n", 1))
    assert smartflow("run", "late", "--as-of", moment(5).isoformat()).code == 0
    (aged / "data" / "sources" / "late.yaml").unlink()
    assert (aged / "data/warehouse/models/late").exists()
    assert "late" not in smartflow("prune", "--older-than", "1000d").err  # its last run was today
    later = (datetime.now(UTC) + timedelta(days=2)).isoformat()
    answer = smartflow("prune", "--older-than", "1d", "--as-of", later)
    assert "late has no YAML file any more: all of it went" in answer.err
    tables = warehouse_of(aged).tables()
    assert "raw.late" not in tables and "raw.shop" in tables
    for table in SERIES:
        assert set(warehouse_of(aged).read(f"SELECT DISTINCT source FROM {table}")["source"]) <= {"shop"}
    assert not (aged / "data/warehouse/models/late").exists()


def test_shorter_writes_say_the_same_of_what_is_pending(aged: Path) -> None:
    warehouse = warehouse_of(aged)
    steps = {"clean_series": ["raw.shop"], "series_features": ["clean_series"], "never_written": ["raw.shop", "clean_series"]}
    pending = {step: warehouse.pending("shop", step, upstream) for step, upstream in steps.items()}
    rows = warehouse.tables()["writes"]
    warehouse.commit("prune", [Prune("writes", "shop", datetime.now(UTC) + timedelta(days=1))])
    assert warehouse.tables()["writes"] < rows * 2 / 3
    after = {step: warehouse.pending("shop", step, upstream) for step, upstream in steps.items()}
    assert {step: (windows[0].from_at, windows[-1].to_at) for step, windows in after.items() if windows} == {
        step: (windows[0].from_at, windows[-1].to_at) for step, windows in pending.items() if windows
    }
    assert after["clean_series"] == after["series_features"] == [] and after["never_written"]


def test_from_cron_what_is_much_is_announced_before_it_goes(smartflow: Smartflow, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    due, asked = moment(DAYS), []

    def prune_home(*given: object, is_at_once: bool, **named: object) -> HomePruned:
        asked.append(is_at_once)
        return HomePruned([Pruned("shop", {"anomaly_scores": 7}, due_at=None if is_at_once else due)])

    monkeypatch.setattr("smartflow_assets.defs.pruning.prune_home", prune_home)
    told, gone = smartflow("prune", "--announced"), smartflow("prune")
    assert asked == [False, True]
    assert "old rows are pruned, 7 of anomaly_scores" in told.err and "nothing is pruned yet" in told.out
    assert "anomaly_scores" in gone.out and not gone.err
    assert smartflow("prune", "--announced", "--older-than", "10d").code == 2


def test_a_source_whose_file_is_broken_is_left_and_said(smartflow: Smartflow, aged: Path) -> None:
    (aged / "data" / "defaults.yaml").write_text("retention: -1 day\n")
    answer = smartflow("prune", "--dry-run")
    assert answer.code == 0 and "shop: left to the next pruning: its file cannot be used" in answer.err, answer


def test_a_duration_that_cannot_be_read_is_a_usage_error(smartflow: Smartflow, home: Path) -> None:
    answer = smartflow("prune", "--older-than", "long")
    assert answer.code == 2 and "--older-than: 'long' is not a duration" in answer.err
