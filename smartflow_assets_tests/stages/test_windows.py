"""A load that is too long for memory goes batch by batch: what it leaves is what one batch would, killed between two or not."""

import shutil
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.adapters.warehouse.writes import LeavePending
from smartflow_assets.stages import modelling, windows
from smartflow_assets_tests.homes import START, STEP, Home, daily_series, write_rows

SOURCE = """
name: web
read: {type: csv, path: examples/web.csv, time: timestamp}
metrics:
  - {name: requests, column: value, aggregate: sum}
  - {name: peak, column: value, aggregate: max, detectors: [{type: isolation_forest}]}
time_bucket: {every: 5min, settle: 0s}
training: {window: 30h}
rules: [{type: ratio_to_median, metric: requests, at_least: 2.5, window: 6h}]
alerts: {to: [file], max_age: 3650 days, resolve_after: 15min, reopen_within: 30min}
"""
IN_PIECES = ["series_features", "rule_violations", "anomaly_scores", "anomalies", "incidents"]
TABLES = {
    "clean_series": "observed_at",
    "series_features": "observed_at",
    "rule_violations": "observed_at",
    "anomaly_scores": "observed_at",
    "detector_scores": "observed_at",
    "anomalies": "started_at",
    "incidents": "opened_at",
}
DAYS = 4
END = START + timedelta(days=DAYS)


ORIGINAL = Warehouse.commit


class Killed(BaseException):
    """The process is gone."""


def web(folder: Path) -> Home:
    home = Home(folder)
    home.write_source("web", SOURCE)
    home.write_channels("file: {type: file}\n")
    rows = daily_series(DAYS)
    rows.loc[[*range(770, 778), *range(995, 1009), 1120], "value"] = 2500  # the second lies across a cut
    write_rows(home.settings.data / "examples" / "web.csv", rows.drop(index=range(1030, 1050)))
    return home


def stored(home: Home) -> dict[str, pd.DataFrame]:
    frames = {name: home.table(name).drop(columns="model_id", errors="ignore") for name in TABLES}
    keys = {name: [time, "series", *(["detector"] if name == "detector_scores" else [])] for name, time in TABLES.items()}
    sends = home.table("alert_sends")[["incident_id", "event", "channel", "status"]]
    return {name: frame.sort_values(keys[name], ignore_index=True) for name, frame in frames.items()} | {
        "alert_sends": sends.sort_values(["incident_id", "event"], ignore_index=True)
    }


def kill_after_a_batch_of(monkeypatch: pytest.MonkeyPatch, table: str) -> None:
    def commit(self: Warehouse, run_id: str, writes: list) -> object:
        done = ORIGINAL(self, run_id, writes)
        if any(isinstance(write, LeavePending) and write.table == table for write in writes):
            raise Killed
        return done

    monkeypatch.setattr(Warehouse, "commit", commit)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Home:
    """A load that fits into one batch."""
    home = web(tmp_path_factory.mktemp("whole"))
    home.run_stages("web", END)
    return home


@pytest.mark.parametrize("dies_at", [[], IN_PIECES], ids=["as they come", "killed between two"])
@pytest.mark.soak
def test_batches_leave_what_the_whole_leaves(tmp_path, whole, monkeypatch, dies_at):
    expected = stored(whole)
    assert len(expected["anomaly_scores"]) == 2 * DAYS * 288 and len(expected["series_features"]) == 360
    assert len(expected["anomalies"]) >= 6 and len(expected["rule_violations"]) >= 23 and len(expected["alert_sends"]) >= 6
    assert (expected["detector_scores"]["detector"] == "isolation_forest").any()

    monkeypatch.setattr(windows, "BATCH_ROWS", 666)  # 333 buckets of both series
    home = web(tmp_path)
    for table in dies_at:
        with monkeypatch.context() as patch, pytest.raises(Killed):
            kill_after_a_batch_of(patch, table)
            home.run_stages("web", END)
    home.run_stages("web", END)
    assert home.count("writes", "operation = 'left'") > 10
    for name, frame in stored(home).items():
        pd.testing.assert_frame_equal(frame, expected[name], check_exact=True, obj=name)
    before = home.count("writes")
    home.run_stages("web", END)  # nothing is left
    assert home.count("writes") == before


@pytest.mark.soak
def test_a_model_is_trained_anew_once_its_context_has_grown_long(tmp_path, whole, monkeypatch):
    home = Home(shutil.copytree(whole.folder, tmp_path, dirs_exist_ok=True))
    before = home.table("anomaly_scores").drop(columns="model_id")
    home.run_stages("web", END)
    assert home.count("trained_models", "status = 'current'") == 2  # one for each group of metrics
    monkeypatch.setattr(modelling, "LONGEST_CONTEXT", 400)
    home.run_stages("web", END)
    assert home.count("trained_models", "status = 'current'") == 2  # nothing is to be scored, so nothing is replayed
    with (home.settings.data / "examples" / "web.csv").open("a") as feed:
        feed.write(f"{END:%Y-%m-%dT%H:%M:%SZ},500\n")
    for _ in range(2):  # the new ones have a short context
        home.run_stages("web", END + STEP)
    assert home.count("trained_models", "status = 'current'") == 4 and home.count("trained_models", "status = 'retired'") == 2
    scores = home.table("anomaly_scores", f"observed_at < '{END}'").drop(columns="model_id")
    pd.testing.assert_frame_equal(scores, before)  # a score once given stands


def test_buckets_of_months_have_batches_too(tmp_path):
    """A batch of them is longer than the calendar of a computer."""
    home = Home(tmp_path)
    home.write_source("web", SOURCE.replace("every: 5min", "every: 28 days"))
    write_rows(home.settings.data / "examples" / "web.csv", daily_series(90, step=timedelta(days=1)))
    run = home.source_run("web", START + timedelta(days=90))
    every = (START, START + timedelta(days=90))
    assert list(windows.batches(run, [every])) == [([every], [])]
