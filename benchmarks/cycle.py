"""CPU seconds and peak memory of one full cycle: ingest, prepare, train, score, alert, publish.

    python benchmarks/cycle.py [--series 10] [--rows 5000] [--repeat 3]

Runs `smartflow run` in a process of its own on a fresh home, as a user would, so start-up and imports are counted. The first
run after an installation also compiles the scoring kernels; a warm-up run keeps that out and is printed apart.
"""

import argparse
import statistics
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from whole_process import measure

START, STEP = datetime(2026, 3, 1, tzinfo=UTC), timedelta(minutes=5)
SOURCE = """
name: bench
read: {{type: csv, path: examples/bench.csv, time: timestamp}}
time_bucket: {{every: 5min, settle: 0s}}
alerts: {{to: [file], max_age: 3650 days}}
metrics: [{metrics}]
"""


def make_home(folder: Path, series: int, rows: int) -> datetime:
    """A home with one source of `series` columns: daily waves, noise, and a spike in each. -> the clock of the run."""
    for part in ("sources", "examples"):
        (folder / "data" / part).mkdir(parents=True)
    rng = np.random.default_rng(0)
    times = pd.date_range(START, periods=rows, freq=STEP)
    hours = (times.hour + times.minute / 60).to_numpy()
    columns = {}
    for k in range(series):
        values = 100 * (k + 1) * (1 + 0.4 * np.sin((hours + k) / 24 * 2 * np.pi)) + rng.normal(0, 3 * (k + 1), rows)
        values[rows - 100 - 7 * k] *= 3
        columns[f"m{k}"] = values.round(2)
    pd.DataFrame({"timestamp": times.strftime("%Y-%m-%dT%H:%M:%SZ"), **columns}).to_csv(folder / "data/examples/bench.csv", index=False)
    metrics = ", ".join(f"{{name: m{k}, column: m{k}}}" for k in range(series))
    (folder / "data/sources/bench.yaml").write_text(SOURCE.format(metrics=metrics))
    (folder / "data/channels.yaml").write_text("file: {type: file}\n")
    return START + rows * STEP


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--series", type=int, default=10)
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    figures = []
    for k in range(arguments.repeat + 1):
        with tempfile.TemporaryDirectory(prefix="smartflow-bench-") as folder:
            as_of = make_home(Path(folder), arguments.series, arguments.rows)
            taken = measure(Path(folder), "run", "bench", "--as-of", as_of.isoformat())
        if taken.exit_code:
            raise SystemExit(f"the run failed with {taken.exit_code}:\n{taken.output}")
        figure = (taken.cpu_seconds, taken.wall_seconds, taken.peak_mib)
        name = "warm-up" if k == 0 else f"run {k}"
        print(f"{name:8s} {figure[0]:6.2f} CPU s  {figure[1]:6.2f} s wall  {figure[2]:6.0f} MiB peak", flush=True)
        figures.append(figure)
    cpu, wall, memory = (statistics.median(column) for column in zip(*figures[1:], strict=True))
    print(
        f"median   {cpu:6.2f} CPU s  {wall:6.2f} s wall  {memory:6.0f} MiB peak   "
        f"({arguments.series} series x {arguments.rows} rows; aim: under 10 CPU s and 500 MiB)"
    )


if __name__ == "__main__":
    main()
