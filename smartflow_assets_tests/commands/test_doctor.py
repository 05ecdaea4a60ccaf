"""`smartflow doctor`: each trouble is a line with a remedy."""

import os
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from smartflow_assets.adapters.warehouse import compaction
from smartflow_assets.adapters.warehouse.locks import AdvisoryLock
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.adapters.warehouse.writes import Append, Replace
from smartflow_assets.commands import doctor
from smartflow_assets.config.settings import Settings
from smartflow_assets.core.incidents.alert_policy import AlertPolicy
from smartflow_assets.core.incidents.run_failures import Failure
from smartflow_assets.defs import run_history
from smartflow_assets.defs.run_history import HistoryUse
from smartflow_assets.stages.alerting import record_failures, writes_of
from smartflow_assets_tests.commands.conftest import SHOP, Smartflow
from smartflow_assets_tests.homes import Home

CHANNELS = """\
file: {type: file}
hook: {type: webhook, url: "${SMARTFLOW_TEST_URL}"}
"""


def _lines(text: str) -> dict[str, str]:
    """Lines by what they are about: `level  what`."""
    return {line[6:].partition(": ")[0]: line[:6].strip() + " " + line.partition(": ")[2] for line in text.splitlines()}


def test_a_sound_home_is_all_ok(smartflow: Smartflow, home: Path) -> None:
    (home / "data/sources/shop.yaml").write_text(SHOP + "alerts: {to: [file]}\n")
    answer = smartflow("doctor")
    assert answer.code == 0
    assert {line.split()[0] for line in answer.out.splitlines()} == {"ok"}
    assert not (home / "data/warehouse").exists()
    assert not (home / "data/dagster").exists()


def test_a_broken_file_and_a_missing_secret_fail(smartflow: Smartflow, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SMARTFLOW_TEST_URL", raising=False)
    (home / "data/channels.yaml").write_text(CHANNELS)
    (home / "data/sources/shop.yaml").write_text(SHOP + "alerts: {to: [hook]}\n")
    (home / "data/sources/other.yaml").write_text("name: other\n")
    answer = smartflow("doctor")
    found = _lines(answer.out)
    assert answer.code == 1
    assert found["source"].startswith("fail other: `read` is required")
    assert found["channel"].startswith("fail hook lacks SMARTFLOW_TEST_URL  Set it in the environment")
    monkeypatch.setenv("SMARTFLOW_TEST_URL", "http://127.0.0.1:9/x")
    assert "hook lacks" not in smartflow("doctor").out


def test_a_channel_that_no_source_uses_only_warns(smartflow: Smartflow, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SMARTFLOW_TEST_URL", raising=False)
    (home / "data/channels.yaml").write_text(CHANNELS)
    (home / "data/sources/shop.yaml").write_text(SHOP + "alerts: {to: [file]}\n")
    answer = smartflow("doctor")
    assert answer.code == 0
    assert "warn  channel: hook lacks SMARTFLOW_TEST_URL; no source uses it" in answer.out


def test_a_secret_that_a_source_lacks_is_named(smartflow: Smartflow, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SHOP_PASSWORD", raising=False)
    read = "read: {type: sql, url: 'postgresql://shop:${SHOP_PASSWORD}@127.0.0.1/shop', table: orders, time: at}\n"
    (home / "data/sources/shop.yaml").write_text("name: shop\n" + read)
    answer = smartflow("doctor")
    assert answer.code == 1
    assert _lines(answer.out)["source"] == "fail shop lacks SHOP_PASSWORD  Set it in the environment where SmartFlow runs."
    monkeypatch.setenv("SHOP_PASSWORD", "sesame")
    assert "SHOP_PASSWORD" not in smartflow("doctor").out


def test_a_last_run_that_failed_a_remedy_that_failed_and_a_pause_are_told(smartflow: Smartflow, home: Path) -> None:
    (home / "data/sources/shop.yaml").write_text(
        SHOP + "remediate: [{when: failure, do: {type: run, source: stok}}]\nalerts: {to: [file]}\n"
    )
    made, at = Home(home), datetime(2026, 3, 22, tzinfo=UTC)

    def log(status: str, at: datetime, error: str | None = None) -> None:
        row = {"source": "shop", "run_id": f"r{at:%H}", "job": "monitor_source", "status": status, "started_at": at, "error": error}
        made.warehouse.commit("test", [Append("run_log", pd.DataFrame([row]))])

    log("success", at)
    answer = smartflow("doctor")
    assert answer.code == 0 and _lines(answer.out)["last runs"] == "ok the last run of 1 source succeeded"
    assert _lines(answer.out)["remedies"] == "ok none failed, no source is paused"
    assert smartflow("remediate", "shop", "pause").code == 0
    answer = smartflow("doctor")
    paused = "warn shop is not run by its schedule until somebody undoes it  smartflow remediate shop --undo pause"
    assert (answer.code, _lines(answer.out)["paused"]) == (0, paused)
    step = record_failures(
        made.warehouse, "shop", [Failure("run", "no")], frozenset(), policy=AlertPolicy(), now=datetime.now(UTC), run_id="r"
    )
    made.warehouse.commit("test", writes_of(step))
    assert smartflow("remediate", "shop").code == 1
    answer = smartflow("doctor")
    assert answer.code == 1 and _lines(answer.out)["remedy"].startswith("fail shop: run stok, a remedy, failed: there is no source stok")
    log("failed", at + timedelta(hours=1), "raw_records: there is no file")
    answer = smartflow("doctor")
    said = "fail shop: its last run, of 2026-03-22 01:00 UTC, failed: raw_records: there is no file  Mend what it names; smartflow run shop"
    assert (answer.code, _lines(answer.out)["last run"]) == (1, said)


def test_who_holds_a_lock_is_named(smartflow: Smartflow, home: Path) -> None:
    with AdvisoryLock(home / "data/warehouse/locks/shop.lock").exclusive(timedelta(seconds=1), "run-1"):
        answer = smartflow("doctor")
    assert f"lock: shop is held by run run-1, PID {os.getpid()}" in answer.out
    assert "locks: nobody holds one" in smartflow("doctor").out


@pytest.mark.soak
def test_a_dead_run_is_failed_and_closed(smartflow: Smartflow, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import dagster as dg

    from smartflow_assets.defs import dead_runs
    from smartflow_assets.defs.instance import open_instance

    monkeypatch.setenv("SMARTFLOW_HOME", str(home))
    monkeypatch.setattr(dead_runs, "GRACE", timedelta(0))
    with open_instance(home / "data/dagster") as instance:
        run = instance.create_run_for_job(_job(), status=dg.DagsterRunStatus.STARTED, tags={"dagster/partition": "shop"})
    answer = smartflow("doctor")
    assert f"warn  run: {run.run_id} was dead; it is marked as failed" in answer.out
    with open_instance(home / "data/dagster") as instance:
        assert instance.get_run_by_id(run.run_id).status == dg.DagsterRunStatus.FAILURE
    assert "none dead" in smartflow("doctor").out


def _job():  # type: ignore[no-untyped-def]
    from smartflow_assets.defs.build import build_definitions
    from smartflow_assets.defs.names import prefixed

    return build_definitions().resolve_job_def(prefixed("monitor_source"))


def test_a_nearly_full_disk_fails(smartflow: Smartflow, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        doctor.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 10 * 1024**2, "total": 10 * 1024**3, "used": 0})()
    )
    answer = smartflow("doctor")
    assert answer.code == 1
    assert _lines(answer.out)["disk"].startswith("fail nearly full: 0.0 GiB of 10 GiB free")


def test_a_network_disk_is_refused(smartflow: Smartflow, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_mounts", lambda: f"/dev/sda1 / ext4 rw 0 0\nserver:/x {home} nfs4 rw 0 0\n")
    answer = smartflow("doctor")
    assert answer.code == 1
    assert "is on a network disk (nfs4); locks do not hold there  Move the home to a local disk." in answer.out


@pytest.mark.soak
def test_runs_and_rows_that_are_newer_than_the_clock_are_named(smartflow: Smartflow, home: Path) -> None:
    now = datetime.now(UTC)
    with (home / "data/feeds/shop.csv").open("a") as feed:
        feed.writelines(f"{now + timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%SZ},100\n" for minutes in (30, 150, 210))
    assert smartflow("run", "shop").code == 0
    settings = Settings(home)
    warehouse = Warehouse(settings.warehouse_file, settings.published_file)
    assert "clock: shop has 2 rows newer than the clock of this machine, up to " in smartflow("doctor").out  # the third is of this hour
    run = {"source": "shop", "run_id": "ahead", "job": "monitor_source", "status": "success", "started_at": now + timedelta(hours=3)}
    warehouse.commit("ahead", [Append("run_log", pd.DataFrame([run]))])
    answer = smartflow("doctor")
    lines = [line for line in answer.out.splitlines() if line.startswith("warn  clock: ")]
    assert answer.code == 0 and len(lines) == 2
    assert f"shop has 1 run newer than the clock of this machine, up to {now + timedelta(hours=3):%Y-%m-%d %H:%M} UTC  They" in lines[0]
    assert f"up to {now + timedelta(minutes=210):%Y-%m-%d %H:%M} UTC  They are judged when their time comes." in lines[1]


def test_a_check_that_breaks_is_a_line_and_not_the_end(smartflow: Smartflow, home: Path) -> None:
    (home / "data/warehouse").mkdir()
    (home / "data/warehouse/smartflow.duckdb").write_text("this is no database, and long enough to be looked at" * 100)
    answer = smartflow("doctor")
    assert answer.code == 1
    assert _lines(answer.out)["warehouse"].startswith("fail ")
    assert "published copy" in answer.out


def test_sizes_are_told_with_what_to_do_where_they_are_out_of_bounds(
    smartflow: Smartflow, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "data/sources/shop.yaml").write_text(SHOP + "alerts: {to: [file]}\n")
    settings = Settings(home)
    warehouse = Warehouse(settings.warehouse_file, settings.published_file)
    times = pd.date_range("2026-01-01", periods=20_000, freq="5min", tz="UTC")
    scores = pd.DataFrame({"series": "orders", "metric": "orders", "observed_at": times, "value": range(len(times)), "raw_score": 0.1})
    write = Replace("anomaly_scores", "shop", scores, times[0].to_pydatetime(), times[-1].to_pydatetime() + timedelta(minutes=5))
    warehouse.commit("run", [write])
    warehouse.publish("run")
    monkeypatch.setattr(doctor, "FEWEST_POINTS", 10_000)
    found = _lines(smartflow("doctor").out)
    assert re.fullmatch(r"ok \d+ MiB in use, \d+ MiB in free blocks; \d+ MiB for a million points", found["size"])
    assert found["pruning"] == "ok none yet" and "history" not in found
    monkeypatch.setattr(compaction, "LEAST_BYTES", 0)
    monkeypatch.setattr(compaction, "MOST_FREE", -1)
    found = _lines(smartflow("doctor").out)
    assert found["size"].endswith("more than half of the file is free  `smartflow prune` rewrites it.")


def test_what_is_going_to_be_pruned_is_told(smartflow: Smartflow, home: Path) -> None:
    (home / "data/sources/shop.yaml").write_text(SHOP + "alerts: {to: [file]}\n")
    settings, due = Settings(home), datetime(2026, 3, 1, tzinfo=UTC)
    told = {"source": "shop", "state": "announced", "happened_at": due, "due_at": due, "kept_from": {}, "row_counts": {"raw.shop": 12}}
    Warehouse(settings.warehouse_file, settings.published_file).commit("run", [Append("prunings", pd.DataFrame([told]))])
    answer = smartflow("doctor")
    assert "warn  pruning: shop: on 2026-03-01 00:00 old rows are pruned, 12 of raw.shop; `retention: never` keeps them" in answer.out


def test_the_size_of_a_run_and_of_idle_ticks_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    use = HistoryUse(3 * 1024**3, 3 * 1024**3 - 1024**2, 1024**2, 6000, 500)
    monkeypatch.setattr(run_history, "history_use", lambda instance: use)
    [found] = doctor._history(Settings(tmp_path))
    assert found.level == "warn" and "`retention: {runs: 7 days}`" in found.remedy
    assert found.what == "3,072 MiB in Dagster for 6,000 runs and 500 ticks; a run adds 524 KiB, 1,000 idle ticks 2.0 MiB"


def test_a_dead_daemon_and_a_call_outside_that_fails_are_told_with_what_to_do(
    smartflow: Smartflow, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smartflow_assets.defs.ticking.is_expected", lambda settings: True)
    settings = Settings(home)
    assert _lines(smartflow("doctor").out)["daemon"].startswith("ok ")
    settings.heartbeat.write_text("0\n")
    assert "the last tick was 0 s ago" in _lines(smartflow("doctor").out)["daemon"]
    then = time.time() - 7200
    os.utime(settings.heartbeat, (then, then))
    monkeypatch.setattr("time.monotonic", lambda: 9000.0)
    settings.home_file.write_text("heartbeat_url: ${HEARTBEAT_URL}\n")
    settings.failed_call.write_text("hc.example.org answered 503\n")
    answer = smartflow("doctor")
    assert answer.code == 1
    said = _lines(answer.out)
    assert "of no source: Dagster's daemon is dead: no tick since" in smartflow("sources").err
    assert said["daemon"].startswith("fail") and f"rm {settings.heartbeat}" in said["daemon"]
    assert "hc.example.org answered 503" in said["heartbeat_url"] and "HEARTBEAT_URL is not set" in answer.out
