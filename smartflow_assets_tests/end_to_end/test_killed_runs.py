"""A run that is killed in any stage: the next one goes on from there, nothing is lost, doubled or sent twice."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest
from dagster._core.errors import DagsterExecutionInterruptedError

from smartflow_assets.defs.dead_runs import fail_dead_runs
from smartflow_assets.defs.execute import execute
from smartflow_assets.defs.run_closing import close_run
from smartflow_assets_tests.end_to_end.conftest import opened
from smartflow_assets_tests.homes import START, WEB, Home, daily_series, write_rows

STAGES = [
    "raw_records",
    "clean_series",
    "rule_violations",
    "series_features",
    "trained_models",
    "anomaly_scores",
    "anomalies",
    "incidents",
    "alert_sends",
]
END = START + timedelta(days=4)
RUN_AND_DIE = """
import os, signal, sys
from pathlib import Path
from smartflow_assets.config.settings import Settings
from smartflow_assets.defs.execute import execute
from smartflow_assets.defs.instance import open_instance

def die_at(stage):
    if stage == sys.argv[2]:
        os.kill(os.getpid(), signal.SIGKILL)

settings = Settings(Path(sys.argv[1]))
with open_instance(settings.dagster_home) as instance:
    execute(instance, settings, "monitor_source", "web", {"as_of": sys.argv[3]}, on_stage=die_at)
"""


def prepared(folder: Path, monkeypatch: pytest.MonkeyPatch, instance: dg.DagsterInstance) -> Home:
    monkeypatch.setenv("SMARTFLOW_HOME", str(folder))
    home = Home(folder, instance)
    home.write_source("web", WEB)
    rows = daily_series(4)
    rows.loc[1000, "value"] = 2500
    write_rows(home.settings.data / "examples" / "web.csv", rows)
    return home


def what_is_stored(home: Home) -> dict[str, pd.DataFrame]:
    kept = {"clean_series": "observed_at", "anomaly_scores": "observed_at", "anomalies": "started_at", "incidents": "opened_at"}
    own = {"incidents": "cause = 'anomaly'"}
    frames = {
        name: home.table(name, own.get(name, "TRUE"))
        .drop(columns=["run_id", "model_id"], errors="ignore")
        .sort_values(key, ignore_index=True)
        for name, key in kept.items()
    }
    return frames | {"raw": home.table("raw.web")[["timestamp", "value"]].sort_values("timestamp", ignore_index=True)}


@pytest.mark.parametrize(
    "stages",
    [
        pytest.param(STAGES, marks=pytest.mark.soak, id="each stage"),
        pytest.param(["anomaly_scores"], id="one in the middle"),
    ],
)
def test_a_run_killed_in_some_stages_is_finished_by_the_next(tmp_path, monkeypatch, stages):
    for folder in ("whole", "instance"):
        (tmp_path / folder).mkdir()
    with opened(tmp_path / "whole") as alone:
        whole = prepared(alone.folder, monkeypatch, alone.instance)
        assert whole.run("web", END).is_success
        expected, sent = what_is_stored(whole), whole.count("alert_sends", "status = 'sent'")
        assert sent == 2  # the spike, and its recovery

    dagster_home = tmp_path / "instance"
    with dg.instance_for_test(temp_dir=str(dagster_home)) as instance:
        home = prepared(tmp_path / "killed", monkeypatch, instance)
        for stage in stages:
            environment = {**os.environ, "DAGSTER_HOME": str(dagster_home)}
            died = subprocess.run(
                [sys.executable, "-W", "ignore", "-c", RUN_AND_DIE, str(home.folder), stage, END.isoformat()],
                env=environment,
                capture_output=True,
                text=True,
            )
            assert died.returncode == -signal.SIGKILL, (stage, died.stderr[-2000:])
            begun = datetime.fromtimestamp(instance.get_run_records(limit=1)[0].start_time, UTC)
            assert fail_dead_runs(instance, home.settings, begun + timedelta(seconds=29)) == []  # half a minute of grace
            (dead,) = fail_dead_runs(instance, home.settings, begun + timedelta(seconds=31))
            assert close_run(instance, dead, settings=home.settings).is_new
            killed = home.count("run_log", "status = 'killed'")
            assert home.count("incidents", "cause = 'run'") == (killed >= 3)  # two wake nobody: the next run goes on
        assert home.run("web", END).is_success
        for name, frame in what_is_stored(home).items():
            pd.testing.assert_frame_equal(frame, expected[name], check_exact=True, obj=name)
        doomed, is_told = home.table("incidents", "cause <> 'anomaly'"), len(stages) >= 3
        assert doomed[["cause", "state"]].to_numpy().tolist() == [["run", "resolved"]] * is_told
        assert doomed["title"].str.contains("runs in a row were killed").all()
        assert home.count("alert_sends", "status = 'sent'") == sent + 2 * is_told  # that one opened and resolved
        assert len(list(home.settings.outbox.glob("*.eml"))) == sent + 2 * is_told
        assert home.count("run_log", "status = 'killed'") == len(stages)


@pytest.mark.parametrize("error", [DagsterExecutionInterruptedError, KeyboardInterrupt])
def test_a_run_that_somebody_ends_while_it_waits_for_the_warehouse_is_canceled_and_no_incident(home, monkeypatch, error):
    web = prepared(home.folder, monkeypatch, home.instance)

    def end(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("smartflow_assets.defs.resources.appearance", end)  # asks the warehouse, before the first stage
    with pytest.raises(KeyboardInterrupt):
        web.run("web", END)
    assert web.table("run_log")["status"].tolist() == ["canceled"]
    assert web.count("incidents") == 0


AFTER_DETECTION = [pytest.param("anomalies", marks=pytest.mark.soak), "incidents", pytest.param("alert_sends", marks=pytest.mark.soak)]


@pytest.mark.parametrize("stage", AFTER_DETECTION)
@pytest.mark.soak
def test_a_failure_after_detection_loses_no_anomaly(tmp_path, monkeypatch, home, stage):
    """The failure opens an incident of its own, after the anomalies were written and before theirs was opened."""
    web = prepared(home.folder, monkeypatch, home.instance)

    def fail(entered: str) -> None:
        if entered == stage:
            raise RuntimeError("out of luck")

    failed = execute(home.instance, web.settings, "monitor_source", "web", {"as_of": END.isoformat()}, on_stage=fail)
    assert not failed.is_success
    assert web.count("incidents", f"cause = '{stage}' AND state = 'open'") == 1
    assert web.run("web", END).is_success
    told = web.table("incidents").sort_values("cause")[["cause", "state"]].to_numpy().tolist()
    assert told == sorted([["anomaly", "resolved"], [stage, "resolved"]])
    assert web.count("alert_sends", "status = 'sent'") == 4


@pytest.mark.soak
def test_a_living_run_is_not_taken_for_dead(home):
    web = prepared(home.folder, pytest.MonkeyPatch(), home.instance)
    found: list[list[str]] = []

    def look(stage: str) -> None:
        if stage == "anomaly_scores":
            found.append(fail_dead_runs(home.instance, web.settings, datetime.now(UTC) + timedelta(hours=1)))

    assert execute(home.instance, web.settings, "monitor_source", "web", {"as_of": END.isoformat()}, on_stage=look).is_success
    assert found == [[]]
