"""Many sources that are due every five minutes, for a simulated hour: what a tick costs, how late rows are judged, what queues.

    python benchmarks/busy_hour.py [--sources 200] [--with-news 1.0] [--ticks 12] [--rows 500]

At each tick so many sources get their next row, and a process of its own watches those that the schedule would ask for: those with news and
those that had news at the tick before, since looks rest on a run that found nothing to do. The clock of the home goes on by five minutes
from tick to tick. The lag of a source is the time from the tick until it is closed, its incidents up to date; a run that takes longer than
five minutes keeps the next one waiting, which is the queue. `look` is what the schedule asks of all sources.
"""

import argparse
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import homes
import numpy as np
import pandas as pd
from whole_process import Taken, measure

from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.settings import Settings
from smartflow_assets.defs.resources import open_warehouse
from smartflow_assets.stages.scheduling.looks import look

EACH = timedelta(minutes=5)


def add_row(home: Path, source: str, at: datetime, value: float) -> None:
    with (home / f"data/examples/{source}.csv").open("a") as file:
        file.write(f"{at:%Y-%m-%dT%H:%M:%SZ},{value:.3f}\n")


def _cost(taken: Taken) -> str:
    failed = f", exit code {taken.exit_code}" if taken.exit_code else ""
    return f"{taken.cpu_seconds:.1f} CPU s, {taken.wall_seconds:.1f} s, {taken.peak_mib:.0f} MiB{failed}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sources", type=int, default=200)
    parser.add_argument("--with-news", type=float, default=1.0, help="share of the sources that get a row at each tick")
    parser.add_argument("--ticks", type=int, default=12)
    parser.add_argument("--rows", type=int, default=500, help="history of each source")
    arguments = parser.parse_args()
    rng, names = np.random.default_rng(0), [f"s{number}" for number in range(arguments.sources)]
    with tempfile.TemporaryDirectory(prefix="smartflow-hour-") as folder:
        home = Path(folder)
        clock = homes.small_sources(home, arguments.sources, arguments.rows)
        first = measure(home, "run", "--as-of", clock.isoformat())
        print(f"first run of {len(names)} sources: {_cost(first)}", flush=True)
        settings = Settings(home=home)
        warehouse, late, before = open_warehouse(settings), 0.0, set[str]()
        for tick in range(1, arguments.ticks + 1):
            clock += EACH
            news = set(rng.choice(names, int(arguments.with_news * len(names)), replace=False))
            for name in news:
                add_row(home, name, clock - EACH - timedelta(minutes=1), homes.usual(arguments.rows + tick - 1) + rng.normal())
            began = time.process_time()
            look(Catalogue.load(settings), names, warehouse, clock)
            looking = time.process_time() - began
            began_at = datetime.now(UTC)
            taken = measure(home, "run", *sorted(news | before), "--as-of", clock.isoformat())
            closed = warehouse.read("SELECT source, max(ended_at) AS at FROM run_log WHERE ended_at >= ? GROUP BY source", [began_at])
            lags = late + (pd.to_datetime(closed["at"]) - began_at).dt.total_seconds()
            late = max(0.0, late + taken.wall_seconds - EACH.total_seconds())
            lag = f"lag median {statistics.median(lags):.1f} s, worst {max(lags):.1f} s; queue {late:.0f} s"
            print(f"tick {tick:2d}: look {looking:.2f} CPU s; run of {len(news | before)}: {_cost(taken)}; {lag}", flush=True)
            before = news


if __name__ == "__main__":
    main()
