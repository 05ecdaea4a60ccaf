"""Does the UI still answer when Dagster's history is long? The pages that people look at, by the queries that they are made of.

    python benchmarks/old_history.py [--partitions 1000] [--runs 10000]

One source has run; its partitions and finished runs are added to the same history, each run with the events that a source with news stores.
Then the web server answers each question eleven times: the first is left out, medians and the slowest are printed.
"""

import argparse
import json
import shutil
import statistics
import tempfile
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import homes
from dagster._core.events import StepMaterializationData
from dagster._core.storage.dagster_run import DagsterRun
from dagster._core.utils import make_new_run_id
from rich.progress import track
from whole_process import measure, running_ui

from smartflow_assets.config.settings import Settings
from smartflow_assets.defs.build import ASSETS
from smartflow_assets.defs.instance import open_instance
from smartflow_assets.defs.names import MONITOR_JOB, PARTITION_SET, prefixed
from smartflow_assets.defs.partitions import SOURCE_TAG

QUESTIONS = {
    "the newest 30 runs": "{runsOrError(limit: 30) {... on Runs {results {id status startTime endTime tags {key value}}}}}",
    "all assets, with how their partitions stand": (
        "{assetNodes {assetKey {path} partitionStats {numMaterialized numFailed numPartitions} "
        "assetMaterializations(limit: 1) {timestamp}}}"
    ),
    "one asset, partition by partition": (
        "{assetNodes {assetKey {path} partitionKeys assetPartitionStatuses {... on DefaultPartitionStatuses "
        "{materializedPartitions failedPartitions unmaterializedPartitions}}}}"
    ),
    "the newest ticks of all schedules": (
        "{workspaceOrError {... on Workspace {locationEntries {locationOrLoadError {... on RepositoryLocation {repositories {schedules "
        "{name scheduleState {ticks(limit: 20) {timestamp status skipReason}}}}}}}}}}"
    ),
}


def add_history(home: Path, partitions: int, runs: int) -> None:
    """Finished runs of the partitions, one after the other, as if they had run in the last fortnight."""
    settings = Settings(home=home)
    names = ["s0", *(f"old{number}" for number in range(1, partitions))]
    assets = [key for asset in ASSETS for key in asset.keys]
    began = datetime.now(UTC) - timedelta(days=14)
    with open_instance(settings.dagster_home) as instance:
        instance.add_dynamic_partitions(PARTITION_SET, names)
        store = instance.event_log_storage
        with store.run_connection("empty"):  # each run has a file; making it anew takes longer than all that is written to it
            empty = store.path_for_shard("empty")
        for number in track(range(runs), "adding runs"):
            name, at = names[number % partitions], (began + number * timedelta(days=14) / runs).timestamp()
            tags = {SOURCE_TAG: name, "dagster/partition": name}
            run = DagsterRun(job_name=prefixed(MONITOR_JOB), run_id=make_new_run_id(), tags=tags)
            instance.add_run(run)
            shutil.copy(empty, store.path_for_shard(run.run_id))
            store._initialized_dbs.add(run.run_id)
            materialized = StepMaterializationData(dg.AssetMaterialization(assets[number % len(assets)], partition=name))
            for kind, data in (
                (dg.DagsterEventType.RUN_START, None),
                (dg.DagsterEventType.ASSET_MATERIALIZATION, materialized),
                (dg.DagsterEventType.RUN_SUCCESS, None),
            ):
                event = dg.DagsterEvent(event_type_value=kind.value, job_name=run.job_name, event_specific_data=data)
                instance.handle_new_event(dg.EventLogEntry(None, 20, "", run.run_id, at, job_name=run.job_name, dagster_event=event))


def asked(address: str, question: str) -> tuple[float, int]:
    """Seconds until the answer is there, and its bytes."""
    body = json.dumps({"query": question}).encode()
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
    began = time.perf_counter()
    with urllib.request.urlopen(request, timeout=120) as response:
        answer = response.read()
    if (found := json.loads(answer)).get("errors"):
        raise SystemExit(f"{found['errors'][0]['message']} for {question}")
    return time.perf_counter() - began, len(answer)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--partitions", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=10_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="smartflow-history-") as folder:
        home = Path(folder)
        homes.small_sources(home, 1)
        measure(home, "run")
        for partitions, runs in ((1, 0), (arguments.partitions, arguments.runs)):
            if runs:
                add_history(home, partitions, runs)
            size = sum(file.stat().st_size for file in (home / "data/dagster").rglob("*") if file.is_file()) / 2**20
            print(f"{partitions:,} partitions, {runs:,} runs more; {size:.0f} MiB of history", flush=True)
            with running_ui(home) as (_, port):
                for what, question in QUESTIONS.items():
                    taken = [asked(f"http://127.0.0.1:{port}/graphql", question) for _ in range(11)][1:]
                    seconds = [second for second, _ in taken]
                    print(
                        f"  {what:45s} median {statistics.median(seconds):6.3f} s, slowest {max(seconds):6.3f} s, {taken[0][1]:,} bytes",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
