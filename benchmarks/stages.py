"""Where the time of a run goes: CPU seconds and rows a second of each stage of a first load.

    python benchmarks/stages.py [--series 1000] [--rows 2000000] [--tier default] [--json FILE]

The home is that of `speed.py`: one source, `rows` rows in all, shared by `series` series. Stages are called one after the other in this
process, without Dagster, after a run of 5,000 rows that imports what they need and loads compiled kernels. CPU seconds are of the process,
both cores together; wall seconds depend on what else the machine does. The peak is that of the process so far.
"""

import argparse
import json
import resource
import tempfile
import time
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

from speed import START, TIERS, make_home

from smartflow_assets.adapters.model_store import ModelStore
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.defs.resources import open_warehouse
from smartflow_assets.stages import alerting, contracts, detection, drift, ingestion, modelling, preparation, profile
from smartflow_assets.stages.run import SourceRun

STAGES = (
    ingestion.raw_records,
    profile.data_profile,
    contracts.schema_checks,
    drift.drift_checks,
    preparation.clean_series,
    preparation.rule_violations,
    preparation.series_features,
    modelling.trained_models,
    detection.anomaly_scores,
    detection.anomalies,
    alerting.incidents,
)


@dataclass(frozen=True)
class Taken:
    """What a stage took; rows_per_second is of CPU seconds."""

    stage: str
    cpu_seconds: float
    wall_seconds: float
    rows_per_second: float
    peak_mib: int


def measure(series: int, rows: int, tier: str) -> list[Taken]:
    """Each stage of a first load on a fresh home."""
    taken: list[Taken] = []
    with tempfile.TemporaryDirectory(prefix="smartflow-stages-") as folder:
        settings = make_home(Path(folder), series, rows, tier)
        catalogue, now = Catalogue.load(settings), START + timedelta(days=3650)
        run = SourceRun(catalogue.source("speed"), settings, catalogue, open_warehouse(settings), ModelStore(settings.models), now, "speed")
        for stage in STAGES:
            wall, cpu = time.perf_counter(), time.process_time()
            stage(run)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            taken.append(Taken(stage.__name__, cpu, wall, rows / cpu, peak))
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=1000)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--tier", choices=list(TIERS), default="default")
    parser.add_argument("--json", type=Path, help="writes the table there too")
    arguments = parser.parse_args()
    measure(1, 5_000, arguments.tier)
    taken = measure(arguments.series, arguments.rows, arguments.tier)
    print(f"{'stage':18s} {'CPU s':>8s} {'wall s':>8s} {'rows/s CPU':>12s} {'peak MiB':>9s}")
    for each in taken:
        print(f"{each.stage:18s} {each.cpu_seconds:8.2f} {each.wall_seconds:8.2f} {each.rows_per_second:12,.0f} {each.peak_mib:9d}")
    print(f"{'all':18s} {sum(each.cpu_seconds for each in taken):8.2f} {sum(each.wall_seconds for each in taken):8.2f}")
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(each) for each in taken], indent=1))


if __name__ == "__main__":
    main()
