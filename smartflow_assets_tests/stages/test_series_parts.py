"""Many series are scored part by part: what that leaves is what all at once leave, killed between two parts or not."""

from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.adapters.warehouse.writes import Delete
from smartflow_assets.stages import detection, windows
from smartflow_assets.stages.windows import series_parts
from smartflow_assets_tests.homes import START, Home, daily_series, stages_until, write_rows

SOURCE = """
name: web
read: {type: csv, path: examples/web.csv, time: timestamp}
dimensions: [host]
metrics: [{name: load, column: value}, {name: peak, column: value, aggregate: max, sensitivity: high}]
time_bucket: {every: 15min, settle: 0s}
alerts: {to: [file], max_age: 3650 days}
"""
HOSTS, DAYS = 5, 5
END = START + timedelta(days=DAYS)
ORIGINAL = Warehouse.commit


class Killed(BaseException):
    """The process is gone."""


def web(folder: Path) -> Home:
    home = Home(folder)
    home.write_source("web", SOURCE)
    home.write_channels("file: {type: file}\n")
    hosts = [daily_series(DAYS, seed=k).assign(host=f"h{k}") for k in range(HOSTS)]
    hosts[1].loc[1200:1206, "value"] = 2500
    hosts[3].loc[1300:1302, "value"] = 0
    hosts[4] = hosts[4].iloc[600:]  # younger than the others
    write_rows(home.settings.data / "examples" / "web.csv", pd.concat(hosts))
    home.run_stages("web", END, stages_until("trained_models"))
    return home


def scored(home: Home) -> dict[str, pd.DataFrame]:
    keys = {"anomaly_scores": ["series", "observed_at"], "detector_scores": ["series", "observed_at", "detector"]}
    tables = {name: home.table(name).drop(columns="model_id", errors="ignore") for name in keys}
    return {name: frame.sort_values(keys[name], ignore_index=True) for name, frame in tables.items()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Home:
    home = web(tmp_path_factory.mktemp("whole"))
    outcome = detection.anomaly_scores(home.source_run("web", END))
    assert outcome.anomalous_count >= 5 and len(outcome.strangest) == 10
    return home


@pytest.mark.parametrize("is_killed", [False, True], ids=["as they come", "killed after the second"])
def test_parts_leave_what_all_at_once_leave(tmp_path, whole, monkeypatch, is_killed):
    home = web(tmp_path)
    monkeypatch.setattr(windows, "BATCH_ROWS", 3 * DAYS * 96)  # three series a part
    commits = []

    def commit(self: Warehouse, run_id: str, writes: list) -> object:
        commits.append(writes)
        done = ORIGINAL(self, run_id, writes)
        if is_killed and len(commits) == 2:
            raise Killed
        return done

    with monkeypatch.context() as patch:
        patch.setattr(Warehouse, "commit", commit)
        if is_killed:
            with pytest.raises(Killed):
                detection.anomaly_scores(home.source_run("web", END))
            assert 0 < home.count("anomaly_scores") < len(scored(whole)["anomaly_scores"])
        detection.anomaly_scores(home.source_run("web", END))
    assert len(commits) == (6 if is_killed else 4)  # ten series
    for name, frame in scored(home).items():
        pd.testing.assert_frame_equal(frame, scored(whole)[name], check_exact=True, obj=name)
    assert home.warehouse.pending("web", "anomaly_scores", ["clean_series"]) == []


def test_a_series_that_is_gone_is_in_a_part_so_that_its_scores_go(whole, monkeypatch):
    monkeypatch.setattr(windows, "BATCH_ROWS", DAYS * 96)
    run = whole.source_run("web", END)
    names = whole.table("anomaly_scores")["series"].unique()
    whole.warehouse.commit("run", [Delete("clean_series", "web")])
    parts = list(series_parts(run, [(START, END)], "anomaly_scores"))
    assert [name for part in parts for name in part.names] == sorted(names)
    assert [part.is_last for part in parts] == [False] * (len(parts) - 1) + [True]
    assert all(part.narrowed == part.names for part in parts)
