"""What is said of quality on weeks in which nothing happened, and what is found when something does, on the example sources.

    python benchmarks/quiet_weeks.py [--seeds 20] [--sources web_traffic,...] [--weeks 10] [--faults 0] [--no-drift]

First the anomaly-free twins of the sources: incidents of causes volume and profile, days that begin a spell of drift, and loads that break
their contract, for 100 weeks that were judged. What metrics say of the same twins is printed by `twins.py`. Then with `--faults N`: of N
twins each, in how many the profile finds half the rows of a day, and a fifth of the values of a column missing for a day.
Freshness is asked at each full hour of the last four weeks, and is for 100 weeks of its own.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from homes import twin_of
from rich.console import Console
from rich.progress import Progress

from smartflow_assets.adapters.model_store import ModelStore
from smartflow_assets.adapters.readers import CsvReader, TimeColumn
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.settings import Settings
from smartflow_assets.config.source import Source
from smartflow_assets.core.generators.examples import END, EXAMPLE_SOURCES
from smartflow_assets.core.incidents.freshness import Freshness
from smartflow_assets.stages import alerting, contracts, detection, drift, ingestion, profile
from smartflow_assets.stages.arrivals import arrivals_of
from smartflow_assets.stages.bucket_resolution import with_bucket
from smartflow_assets.stages.preparation import bucket_plan
from smartflow_assets.stages.run import SourceRun

DAY = timedelta(days=1)
WARM = timedelta(days=28)
HOUR, ASKED_WEEKS = timedelta(hours=1), 4


def watched(
    source: Source, rows: pd.DataFrame, settings: Settings, catalogue: Catalogue, folder: Path, *, is_drifting: bool
) -> Counter[str]:
    """Causes of what was said, with their counts; `weeks` that were judged."""
    feed = folder / "twin.csv"
    rows.to_csv(feed, index=False, date_format="%Y-%m-%dT%H:%M:%S.%fZ")
    calm = source.model_copy(update={"read": CsvReader(path=str(feed), time=TimeColumn(column="timestamp")), "labels": None})
    apart = settings.with_state_in(folder)
    warehouse = Warehouse(apart.warehouse_file, apart.published_file)

    def run(now: datetime) -> SourceRun:
        return SourceRun(calm, apart, catalogue, warehouse, ModelStore(apart.models), now, "quiet", is_sending=False)

    now, found = END + 2 * calm.time_bucket.settle_time + calm.profile_bucket, Counter[str]()
    ingestion.raw_records(run(now))
    asked = contracts.schema_checks(run(now))
    found["schema"] = len(asked.blocked) or int(any(not verdict.is_passed for verdict in asked.verdicts))
    for verdict in asked.verdicts:
        if not verdict.is_passed:
            print(f"    {verdict.sentence}")
    profile.data_profile(run(now))
    detection.anomalies(run(now))
    alerting.incidents(run(now))
    told = warehouse.read("SELECT cause, count(*) AS n FROM incidents WHERE group_id IS NULL GROUP BY cause")
    found.update(dict(zip(told["cause"], told["n"].astype(int), strict=True)))
    found["silence"], found["asked weeks"] = silences(run(END)), ASKED_WEEKS
    first = rows["timestamp"].min().to_pydatetime()
    if is_drifting:
        was, day = False, max(first + 36 * DAY, END - 56 * DAY)
        while day <= END:
            standing = drift.drift_checks(run(day + timedelta(hours=1))).standing
            is_drifted = bool(len(standing)) and bool(standing["is_drifted"].any())
            found["drift"] += is_drifted and not was
            was, day = is_drifted, day + DAY
    found["weeks"] = max(0, (END - first - WARM) // (7 * DAY))
    found["strange"] = int(warehouse.read("SELECT count(*) AS n FROM profile_series WHERE is_anomaly")["n"].iloc[0])
    for message in warehouse.read("SELECT series, opened_at, title FROM incidents WHERE cause IN ('volume', 'profile')").itertuples():
        print(f"    {message.series} {message.opened_at:%Y-%m-%d %H:%M} {message.title}")
    return found


def silences(run: SourceRun) -> int:
    """How often the source falls silent in the last weeks, as a look at each full hour sees it."""
    live = replace(run, source=run.source.model_copy(update={"freshness": Freshness()}))  # the examples are recordings
    known, was, found = with_bucket(live), False, 0
    plan = bucket_plan(known)
    for hours in range(ASKED_WEEKS * 7 * 24, -1, -1):
        arrived = arrivals_of(replace(known, now=run.now - hours * HOUR), plan)
        is_silent = arrived is not None and arrived.severity is not None
        found, was = found + (is_silent and not was), is_silent
    return found


def quiet(names: list[str], seeds: int, weeks: int, settings: Settings, catalogue: Catalogue, *, is_drifting: bool) -> None:
    with Progress(console=Console(stderr=True)) as progress:
        total = Counter[str]()
        print("source           weeks  schema  volume  profile  drift  silence of weeks   each 100 weeks")
        for name in names:
            of_source, bar = Counter[str](), progress.add_task(name, total=seeds)
            for seed in range(1, seeds + 1):
                rows = twin_of(name, seed, max(EXAMPLE_SOURCES[name].length, weeks * 7 * DAY))
                with tempfile.TemporaryDirectory(prefix="smartflow-quiet-") as folder:
                    of_source += watched(catalogue.source(name), rows, settings, catalogue, Path(folder), is_drifting=is_drifting)
                progress.advance(bar)
            total += of_source
            print(_line(name, of_source), flush=True)
        print(_line("all", total), flush=True)


def _line(name: str, found: Counter[str]) -> str:
    counts = [found[cause] for cause in ("schema", "volume", "profile", "drift")]
    rate = 100 * (sum(counts) / max(1, found["weeks"]) + found["silence"] / max(1, found["asked weeks"]))
    silence = f"{found['silence']:8d} {found['asked weeks']:8d}"
    return f"{name:16s} {found['weeks']:5d} {counts[0]:7d} {counts[1]:7d} {counts[2]:8d} {counts[3]:6d} {silence} {rate:16.2f}"


def faults(names: list[str], seeds: int, weeks: int, settings: Settings, catalogue: Catalogue) -> None:
    print("source           fault            found")
    for name in names:
        source = catalogue.source(name)
        for fault in ("half the rows", "nulls"):
            hits = 0
            for seed in range(1, seeds + 1):
                rows, rng = twin_of(name, seed, max(EXAMPLE_SOURCES[name].length, weeks * 7 * DAY)), np.random.default_rng(seed)
                day = END - int(rng.integers(2, 7)) * DAY
                is_hit = (rows["timestamp"] >= day) & (rows["timestamp"] < day + DAY)
                if fault == "nulls":
                    column = rows.select_dtypes("number").columns[0]
                    rows[column] = rows[column].astype(float).mask(is_hit & (rng.uniform(size=len(rows)) < 0.2))
                else:
                    rows = rows[~is_hit | (rng.uniform(size=len(rows)) < 0.5)]
                with tempfile.TemporaryDirectory(prefix="smartflow-faults-") as folder:
                    hits += _is_found(
                        source, rows, settings, catalogue, Path(folder), day, "row_count" if fault != "nulls" else "null_share("
                    )
            print(f"{name:16s} {fault:16s} {hits} of {seeds}", flush=True)


def _is_found(
    source: Source, rows: pd.DataFrame, settings: Settings, catalogue: Catalogue, folder: Path, day: datetime, metric: str
) -> bool:
    feed, apart = folder / "rows.csv", settings.with_state_in(folder)
    rows.to_csv(feed, index=False, date_format="%Y-%m-%dT%H:%M:%S.%fZ")
    changed = source.model_copy(update={"read": CsvReader(path=str(feed), time=TimeColumn(column="timestamp")), "labels": None})
    warehouse = Warehouse(apart.warehouse_file, apart.published_file)
    run = SourceRun(changed, apart, catalogue, warehouse, ModelStore(apart.models), END + 2 * DAY, "faults", is_sending=False)
    ingestion.raw_records(run)
    profile.data_profile(run)
    found = warehouse.read(
        "SELECT count(*) AS n FROM profile_series WHERE is_anomaly AND starts_with(metric, ?) AND observed_at >= ? AND observed_at < ?",
        [metric, day, day + DAY],
    )
    return bool(found["n"].iloc[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--weeks", type=int, default=10, help="length of a twin, at least that of the example")
    parser.add_argument("--sources", default=",".join(EXAMPLE_SOURCES))
    parser.add_argument("--faults", type=int, default=0, help="twins of each source and fault")
    parser.add_argument("--no-drift", action="store_true", help="leave out drift, which takes most of the time")
    arguments = parser.parse_args()
    settings = Settings(home=Path(__file__).parents[1])
    catalogue, names = Catalogue.load(settings), arguments.sources.split(",")
    if arguments.seeds:
        quiet(names, arguments.seeds, arguments.weeks, settings, catalogue, is_drifting=not arguments.no_drift)
    if arguments.faults:
        faults(names, arguments.faults, arguments.weeks, settings, catalogue)


if __name__ == "__main__":
    main()
