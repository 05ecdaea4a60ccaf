"""Recall of untouched defaults by type of anomaly, on real series into which anomalies of a declared size were planted.

    python benchmarks/injected.py --corpus-dir DIR [--size 1.0] [--seeds 1,2,3,4,5]

DIR holds inject.py, which plants, and what quality.py reads. An event is found when a row from its first to two after its last is
flagged; flags elsewhere, joined when at most ten rows apart, are false alarms. Precision is found / (found + false alarms).

Intervals of zeros are planted apart from the rest, in the same series where these hardly ever are at zero, and in revenue with a heavy
tail that is made here: daily, hourly and each five minutes. Of these `rows` says how much of the intervals was flagged.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from quality import read_corpus, score_series
from rich.console import Console
from rich.progress import track

from smartflow_assets.core.evaluation.anomaly_injection import plant
from smartflow_assets.core.series.facts import season


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus-dir", type=Path, required=True)
    parser.add_argument("--size", type=float, default=1.0, help="of the 1 to 99 %% range of a series")
    parser.add_argument("--seeds", default="1,2,3,4,5", help="comma-separated")
    arguments = parser.parse_args()
    sys.path.insert(0, str(arguments.corpus_dir))
    import inject
    from corpus import Series

    def load(corpus: str) -> list[Series]:  # without pyarrow
        rows = read_corpus(arguments.corpus_dir / f"{corpus}.parquet")
        return [
            Series(
                str(name),
                one["seconds"].to_numpy().astype("datetime64[s]"),
                one["value"].to_numpy(float),
                one["label"].to_numpy(),
                int((~one["scored"]).sum()),
                [],
                float(one["seconds"].diff().median()),
            )
            for name, one in rows.groupby("series", sort=True)
        ]

    inject.load = load
    seeds = [int(seed) for seed in arguments.seeds.split(",")]
    print(f"size {arguments.size:g}, seeds {arguments.seeds}")
    measure("", [case for seed in seeds for case in inject.injected(size=arguments.size, seed=seed)])
    calm = [
        Series(one.name, one.ts[: one.n0], one.v[: one.n0], one.y[: one.n0], LEARNT, [], one.interval_s)
        for one in load("wsd")
        if one.n0 >= 7500 and not one.y[LEARNT : one.n0].any()
    ]
    measure("wsd", [with_zeros(one, 1000 * seed + place) for seed in seeds for place, one in enumerate(calm)])
    for name, make in REVENUE.items():
        made = [make(np.random.default_rng(seed)) for seed in range(len(seeds) * SERIES_OF_EACH)]
        measure(name, [with_zeros(Series(f"{name}/{seed}", *one), seed) for seed, one in enumerate(made)])


LEARNT = 4000
"""Rows of a web KPI that may be learnt from, as inject.py has it."""
SERIES_OF_EACH = 6
"""Revenue series for each seed."""


def revenue(random: np.random.Generator, step: str, days: int, learnt: float, sigma: float) -> tuple[np.ndarray, ...]:
    """Times, values, labels, rows to learn from, windows and seconds of a row: a season of a week and a day, a log-normal spread, and
    promotions, in which revenue is up to six times as high."""
    times = pd.date_range("2026-01-05", periods=int(pd.Timedelta(days, "D") / pd.Timedelta(step)), freq=step)
    day = (times - times[0]) / pd.Timedelta(1, "D")
    season = np.array([1, 0.95, 0.9, 1, 1.2, 1.5, 1.3])[day.astype(int) % 7]
    if step != "1D":
        season = season * (0.15 + np.maximum(np.sin(2 * np.pi * (day - 0.3)), 0))
    promotion = np.where(random.random(len(day)) < 0.05, 1 + 5 * random.random(len(day)), 1)
    values = np.round(1000 * season * random.lognormal(sigma=sigma, size=len(day)) * promotion, 2)
    rows, seconds = int(learnt * len(day)), pd.Timedelta(step).total_seconds()
    return times.to_numpy().astype("datetime64[s]"), values, np.zeros(len(day), np.int8), rows, [], seconds


REVENUE = {
    "revenue 1D": partial(revenue, step="1D", days=240, learnt=0.4, sigma=0.5),
    "revenue 1h": partial(revenue, step="1h", days=80, learnt=0.4, sigma=0.7),
    "revenue 5min": partial(revenue, step="5min", days=20, learnt=0.5, sigma=0.8),
}


def with_zeros(series: Any, seed: int) -> tuple[Any, list[tuple[str, int, int]]]:
    """The series with intervals of zeros in it and where they are, in rows; as it is where zero is usual."""
    step = timedelta(seconds=series.interval_s)
    times = pd.date_range("2026-01-05", periods=len(series.v), freq=step, tz="UTC")
    rows = pd.DataFrame({"series": series.name, "observed_at": times, "value": series.v})
    planted, labels = plant(rows, times[series.n0], times[-1], period=season(step), types=("zero_run",), seed=seed)
    events = [("zero_run", *times.get_indexer([label.started_at, label.ended_at]).tolist()) for label in labels.itertuples()]
    labelled = series.y.copy()
    for _, first, last in events:
        labelled[first : last + 1] = 1
    return replace(series, v=planted["value"].to_numpy(), y=labelled), events


def measure(name: str, cases: list[tuple[Any, list[tuple[str, int, int]]]]) -> None:
    """Print recall by type, and precision, of series with events of (type, first row, last row)."""
    import metrics

    planted, found, counts, rows_found, rows_planted = Counter[str](), Counter[str](), [], 0, 0
    for series, events in track(cases, f"planted series {name}", console=Console(stderr=True)):
        rows = pd.DataFrame(
            {
                "series": series.name,
                "row": range(len(series.v)),
                "seconds": series.ts.astype(int),
                "value": series.v,
                "scored": [row >= series.n0 for row in range(len(series.v))],
            }
        )
        flags = score_series(rows)["flag"].to_numpy()
        windows = [(first - series.n0, last - series.n0) for _, first, last in events]
        counts.append(metrics.event_counts(series.y[series.n0 :], flags[series.n0 :], windows=windows))
        for kind, first, last in events:
            planted[kind] += 1
            found[kind] += bool(flags[first : last + 3].any())
            rows_found += int(flags[first : last + 1].sum())
            rows_planted += last + 1 - first
    precision, recall, f1 = metrics.event_prf(counts)
    for kind in sorted(planted):
        label = f"{kind} {name}".strip()
        print(f"{label:22s} {found[kind]:4d} of {planted[kind]:4d}  recall {found[kind] / planted[kind]:.2f}")
    together = f"{'together':22s} {sum(found.values()):4d} of {sum(planted.values()):4d}"
    print(f"{together}  recall {recall:.2f}  precision {precision:.2f}  F1 {f1:.2f}  rows {rows_found / max(rows_planted, 1):.2f}")


if __name__ == "__main__":
    main()
