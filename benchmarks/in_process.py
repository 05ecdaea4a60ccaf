"""Figures that are taken inside of one process and printed as a number, so that `bench.py` can run each in a process of its own.

python benchmarks/in_process.py tick HOME                 CPU seconds of one idle tick of the schedule, the process warm
python benchmarks/in_process.py rate TIER SERIES ROWS     rows a second from clean rows to committed scores (speed.py)
python benchmarks/in_process.py forest ROWS               rows a second that scikit-learn's forest scores
python benchmarks/in_process.py ui HOME SECONDS           share of a core that an idle `smartflow ui` takes
"""

import os
import statistics
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import psutil
from whole_process import running_ui


def tick(home: str) -> float:
    """CPU seconds: the median of three ticks after a first one."""
    os.environ["SMARTFLOW_HOME"] = home
    import dagster as dg

    from smartflow_assets.config.settings import Settings
    from smartflow_assets.defs.build import build_definitions
    from smartflow_assets.defs.instance import open_instance
    from smartflow_assets.defs.schedules import monitor_schedule

    settings, repository, taken = Settings.from_environment(os.environ), build_definitions().get_repository_def(), []
    with open_instance(settings.dagster_home) as instance:
        for _ in range(4):
            began = time.process_time()
            with dg.build_schedule_context(
                instance=instance, scheduled_execution_time=datetime.now(UTC), repository_def=repository
            ) as context:
                asked = monitor_schedule.evaluate_tick(context).run_requests
            taken.append(time.process_time() - began)
    if asked:
        raise SystemExit(f"an idle tick asked for {len(asked)} runs")
    return statistics.median(taken[1:])


def rate(tier: str, series: str, rows: str) -> float:
    """Rows a second on the wall, after a first small piece that loads what is compiled."""
    from speed import measure

    measure(1, 5_000, tier)
    written, wall, _, _ = measure(int(series), int(rows), tier)
    return written / wall


def forest(rows: str) -> float:
    """Rows a second of `score_samples` alone."""
    from speed import forest as timed_forest

    return int(rows) / timed_forest(int(rows))[1]


def ui(home: str, seconds: str) -> float:
    """Share of a core over so many seconds, a minute after the page answers; its resident memory goes to stderr."""
    with running_ui(Path(home)) as (process, _):
        time.sleep(60)
        before = _cpu(process.pid)
        time.sleep(float(seconds))
        share = (_cpu(process.pid) - before) / float(seconds)
        tree = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        print(f"{sum(each.memory_info().rss for each in tree) / 2**20:.0f} MiB in {len(tree)} processes", file=sys.stderr)
    return share


def _cpu(pid: int) -> float:
    """CPU seconds of a process and of its children, those that have ended included."""
    total, root = 0.0, psutil.Process(pid)
    for each in (root, *root.children(recursive=True)):
        times = each.cpu_times()
        total += times.user + times.system + times.children_user + times.children_system
    return total


if __name__ == "__main__":
    print({each.__name__: each for each in (tick, rate, forest, ui)}[sys.argv[1]](*sys.argv[2:]))
