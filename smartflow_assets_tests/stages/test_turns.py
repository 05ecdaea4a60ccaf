"""In which order one process takes several sources."""

import os
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd

from smartflow_assets.adapters.warehouse.locks import AdvisoryLock
from smartflow_assets.adapters.warehouse.writes import Append
from smartflow_assets.stages.scheduling.turns import in_turn
from smartflow_assets_tests.homes import Home

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def logged(home: Home, *runs: tuple[str, str, int], job: str = "monitor_source") -> None:
    """Runs as source, status and minutes after noon."""
    rows = [
        {"source": source, "run_id": f"{source} {minute}", "job": job, "status": status, "reason": "test", "as_of": NOON}
        | dict.fromkeys(("started_at", "ended_at"), NOON + timedelta(minutes=minute))
        for source, status, minute in runs
    ]
    home.warehouse.commit("test", [Append("run_log", pd.DataFrame(rows))])


def test_what_was_killed_or_canceled_goes_last_and_the_newest_end_behind_all(tmp_path: Path) -> None:
    home = Home(tmp_path)
    logged(home, ("a", "killed", 3), ("b", "failed", 3), ("c", "canceled", 2), ("d", "killed", 1), ("e", "killed", 1), ("e", "success", 2))
    assert in_turn(["a", "b", "c", "d", "e", "new"], home.warehouse, home.settings) == (["b", "e", "new"], ["d", "c", "a"])


def test_a_training_that_killed_its_process_counts_though_a_later_run_succeeded(tmp_path: Path) -> None:
    home = Home(tmp_path)
    logged(home, ("a", "killed", 1), job="train_source")
    logged(home, ("a", "success", 2))
    assert in_turn(["a", "b"], home.warehouse, home.settings) == (["b"], ["a"])


def test_a_source_whose_run_has_died_and_is_not_closed_yet_goes_last(tmp_path: Path) -> None:
    home = Home(tmp_path)
    logged(home, ("b", "killed", 1))
    if (child := os.fork()) == 0:
        with AdvisoryLock(home.settings.source_lock("a")).exclusive(timedelta(0), "dead"):
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert in_turn(["a", "b", "c"], home.warehouse, home.settings) == (["c"], ["b", "a"])
