"""How fast clean rows become written scores, for one long series, many of middling length and very many short ones.

    python benchmarks/speed.py [--rows 1000000] [--shapes 1,100,10000] [--tiers statistical,default] [--repeat 3]

A home of its own for each: the rows are ingested and cleaned first and not timed. Timed, wall and CPU, are the stages
`trained_models` and `anomaly_scores`: from closed clean_series to committed anomaly_scores. The first call in a process, which
imports and loads compiled kernels, is stated apart. `statistical` is z-score, IQR, moving average and MAD by vote. Then one row at
a time with loaded state (`SeriesScorer.score`), as a stream does it, and scikit-learn's IsolationForest on the same rows.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import Progress

from smartflow_assets.adapters.model_store import ModelStore
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.settings import Settings
from smartflow_assets.core.detection import DetectionSettings, fit_models
from smartflow_assets.core.detection.series_scorer import SeriesScorer
from smartflow_assets.defs.resources import open_warehouse
from smartflow_assets.stages import detection, ingestion, modelling, preparation
from smartflow_assets.stages.run import SourceRun

START = datetime(2026, 1, 5, tzinfo=UTC)
STEPS = {1: timedelta(minutes=1), 100: timedelta(minutes=5), 10_000: timedelta(hours=1)}
TIERS = {
    "statistical": "detectors: [{type: zscore}, {type: iqr}, {type: moving_average}, {type: mad}]\nensemble: {combine: vote}\n",
    "default": "",
}
SINGLE_ROWS = 5_000


def make_home(folder: Path, series: int, rows: int, tier: str) -> Settings:
    """A home with one source of `series` series and `rows` rows in all: daily waves, noise and a step now and then."""
    for part in ("sources", "examples"):
        (folder / "data" / part).mkdir(parents=True)
    step, rng = STEPS.get(series, timedelta(minutes=5)), np.random.default_rng(0)
    length = rows // series
    times = pd.date_range(START, periods=length, freq=step)
    values = 100 + 20 * np.sin(np.arange(length) * 2 * np.pi * (step / timedelta(days=1))) + rng.normal(size=(series, length))
    values[rng.random((series, length)) < 0.001] += 40
    frame = pd.DataFrame(
        {"timestamp": np.tile(times, series), "host": np.repeat([f"h{k}" for k in range(series)], length), "value": values.ravel().round(3)}
    )
    frame.to_csv(folder / "data/examples/speed.csv", index=False, date_format="%Y-%m-%dT%H:%M:%SZ")
    (folder / "data/sources/speed.yaml").write_text(
        "name: speed\nread: {type: csv, path: examples/speed.csv, time: timestamp}\ndimensions: [host]\n"
        f"metrics: [{{name: load, column: value}}]\ntime_bucket: {{every: {int(step.total_seconds())}s, settle: 0s}}\n{TIERS[tier]}"
    )
    (folder / "data/channels.yaml").write_text("file: {type: file}\n")
    return Settings(folder)


def prepared(settings: Settings) -> SourceRun:
    """A run whose rows are ingested and cleaned."""
    catalogue, now = Catalogue.load(settings), START + timedelta(days=3650)
    run = SourceRun(catalogue.source("speed"), settings, catalogue, open_warehouse(settings), ModelStore(settings.models), now, "speed")
    for stage in (ingestion.raw_records, preparation.clean_series, preparation.rule_violations, preparation.series_features):
        stage(run)
    return run


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Wall and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def measure(series: int, rows: int, tier: str) -> tuple[int, float, float, float]:
    """Rows scored, and wall and CPU seconds of the scoring and wall seconds of the training, on a fresh home."""
    with tempfile.TemporaryDirectory(prefix="smartflow-speed-") as folder:
        run = prepared(make_home(Path(folder), series, rows, tier))
        training, _ = timed(lambda: modelling.trained_models(run))
        wall, cpu = timed(lambda: detection.anomaly_scores(run))
        written = int(run.warehouse.read("SELECT count(*) AS n FROM anomaly_scores")["n"].iloc[0])
    if written != rows:
        raise SystemExit(f"{written} of {rows} rows have a score")
    return written, wall, cpu, training


def single_rows(tier: str) -> list[float]:
    """Seconds of each of many scores of one row, the state in memory."""
    times = pd.date_range(START, periods=20_000 + SINGLE_ROWS, freq="1min")
    values = 100 + 20 * np.sin(np.arange(len(times)) * 2 * np.pi / 1440) + np.random.default_rng(0).normal(size=len(times))
    settings = DetectionSettings.model_validate(
        {}
        if tier == "default"
        else {"detectors": [{"type": kind} for kind in ("zscore", "iqr", "moving_average", "mad")], "ensemble": {"combine": "vote"}}
    )
    fitted = fit_models(pd.DataFrame({"series": "s", "observed_at": times[:20_000], "value": values[:20_000]}), settings)
    detectors = settings.active()
    scorer = SeriesScorer(
        detectors, tuple(fitted.fitted[d.type] for d in detectors), settings.ensemble, settings.surprise_threshold, fitted.series["s"]
    )
    state = scorer.start()
    for row in range(0, 20_000, 4000):
        scorer.score(state, values[row : row + 4000])
    taken = []
    for row in range(20_000, len(values)):
        began = time.perf_counter()
        scorer.score(state, values[row : row + 1])
        taken.append(time.perf_counter() - began)
    return taken


def forest(rows: int) -> tuple[float, float]:
    """Wall seconds of fit (on a third) and score of scikit-learn's IsolationForest on as many rows."""
    from sklearn.ensemble import IsolationForest

    values = np.random.default_rng(0).normal(size=(rows, 1))
    model = IsolationForest(random_state=0)
    return timed(lambda: model.fit(values[: rows // 3]))[0], timed(lambda: model.score_samples(values))[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--shapes", default="1,100,10000", help="numbers of series that share the rows")
    parser.add_argument("--tiers", default=",".join(TIERS))
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    shapes = [int(series) for series in arguments.shapes.split(",")]
    tiers = arguments.tiers.split(",")
    cold = {tier: measure(1, 5_000, tier) for tier in tiers}
    for tier, (rows, wall, cpu, training) in cold.items():
        print(f"cold start, {tier}: {training:.2f} s training and {wall:.2f} s scoring of the first {rows} rows ({cpu:.2f} CPU s)")
    print("tier          series x rows      rows/s wall   rows/s CPU   training")
    with Progress(console=Console(stderr=True)) as progress:
        bar = progress.add_task("speed", total=len(tiers) * len(shapes) * arguments.repeat)
        for tier in tiers:
            for series in shapes:
                found = []
                for _ in range(arguments.repeat):
                    found.append(measure(series, arguments.rows, tier))
                    progress.advance(bar)
                wall, cpu, training = (statistics.median(column) for column in list(zip(*found, strict=True))[1:])
                shape = f"{series:7d} x {arguments.rows // series:7d}"
                print(f"{tier:12s} {shape} {arguments.rows / wall:14,.0f} {arguments.rows / cpu:12,.0f} {training:8.2f} s", flush=True)
    for tier in tiers:
        p50, p99 = (1000 * float(np.quantile(single_rows(tier), share)) for share in (0.5, 0.99))
        print(f"one row, {tier}: median {p50:.3f} ms, p99 {p99:.3f} ms")
    fit, score = forest(arguments.rows)
    print(f"IsolationForest of scikit-learn, one column: fit {fit:.1f} s, score {arguments.rows / score:,.0f} rows/s")


if __name__ == "__main__":
    main()
