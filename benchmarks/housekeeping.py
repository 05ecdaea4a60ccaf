"""What a simulated year leaves on the disk, pruned each month or never: `python benchmarks/housekeeping.py [SERIES]`.

A feed of hourly rows grows for a year; each 30 days it is run through all stages, and one of two homes is pruned by
`retention: {raw: 30 days, scores: 30 days, …}` as the daily job does. Printed for both: points, the file's bytes in use and free, bytes
for a million points, rows by table; and CPU seconds of the prunings. Figures are for this machine only.
"""

import os
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from smartflow_assets.adapters.model_store import ModelStore
from smartflow_assets.adapters.warehouse import compaction
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.stages.maintenance.retention import prune_by_settings
from smartflow_assets_tests.homes import Home, write_rows

START, DAYS, EACH = datetime(2025, 1, 6, tzinfo=UTC), 365, 30
SOURCE = """
name: shop
read: {type: csv, path: examples/shop.csv, time: at}
metrics: [{name: orders, column: n, aggregate: sum}]
dimensions: [store]
time_bucket: {every: 1h, settle: 0s}
training: {window: 30 days}
alerts: {to: [file]}
retention: {raw: 30 days, scores: 30 days, incidents: 60 days, ledgers: 30 days}
"""
MEBIBYTE = 1024**2


def cpu_seconds() -> float:
    """Of this process."""
    return sum(os.times()[:2])


def rows_until(days: int, series: int) -> pd.DataFrame:
    """An hourly row for each store, with a daily wave."""
    times = pd.date_range(START, START + timedelta(days=days), freq="1h", inclusive="left")
    values = 100 + 30 * np.sin(times.hour.to_numpy() / 24 * 2 * np.pi)
    noise = np.random.default_rng(1).normal(0, 4, (DAYS * 24 + 24, series))[: len(times)]
    frame = pd.DataFrame(np.round(values[:, None] + noise), index=times.strftime("%Y-%m-%dT%H:%M:%SZ"))
    return frame.rename_axis("at").reset_index().melt("at", var_name="store", value_name="n").sort_values("at", kind="stable")


def prune(home: Home, now: datetime) -> float:
    """Prune as the daily job does, and rewrite the file if it is worth it; -> CPU seconds."""
    before, models = cpu_seconds(), ModelStore(home.settings.models)
    list(prune_by_settings(home.warehouse, models, Catalogue.load(home.settings), now=now, run_id="prune", is_at_once=True))
    home.warehouse.compact()
    return cpu_seconds() - before


def main(series: int) -> None:
    """Play the year twice."""
    compaction.LEAST_BYTES = 0
    for is_pruned in (True, False):
        with tempfile.TemporaryDirectory() as folder:
            home, pruning = Home(Path(folder)), 0.0
            home.write_source("shop", SOURCE)
            home.write_channels("file: {type: file}\n")
            for day in range(EACH, DAYS + 1, EACH):
                write_rows(home.settings.data / "examples/shop.csv", rows_until(day, series))
                now = START + timedelta(days=day)
                home.run_stages("shop", now, is_retraining=True)
                pruning += prune(home, now) if is_pruned else 0.0
            use, tables = home.warehouse.file_use(), home.warehouse.tables()
            points = tables["anomaly_scores"]
            used, free = use.used / MEBIBYTE, use.free / MEBIBYTE
            print(f"{'pruned' if is_pruned else 'whole'}: {points:,} points, {used:.1f} MiB in use, {free:.1f} free")
            print(f"  {used / points * 1e6:.0f} MiB for a million points, {pruning:.1f} CPU s for {DAYS // EACH} prunings")
            print("  " + ", ".join(f"{name} {count:,}" for name, count in tables.items() if count > 100))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
