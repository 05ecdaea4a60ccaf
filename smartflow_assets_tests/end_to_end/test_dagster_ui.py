"""A real `smartflow ui`, asked by GraphQL what a person would see, and left alone to see what it does by itself.

One Dagster for the whole module, started in a folder that is not the home. The tests stand in the order in which a person
would look, and share the waiting: the first victim is killed before them, and its successor starts meanwhile. What needs no waiting
has quick tests: what is loaded in defs/test_definitions.py, what starts and closes runs in defs/test_sensors.py and
defs/test_schedules.py, that the UI answers and ends in commands/test_ui.py.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import psutil
import pytest

from smartflow_assets.adapters.warehouse.locks import AdvisoryLock
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.config.settings import Settings
from smartflow_assets.defs.instance import INSTANCE_SETTINGS
from smartflow_assets.defs.resources import open_warehouse, source_lock
from smartflow_assets_tests.homes import daily_series, write_rows

pytestmark = pytest.mark.soak
SOURCE = """
name: {name}
read: {{{read}, time: timestamp}}
metrics: [{{name: requests, column: value, aggregate: sum}}]
time_bucket: {{every: 5min, settle: 0s}}
schedule: {schedule}
alerts: {{to: [file]}}
"""
READ = "type: csv, path: examples/{file}.csv"
SCHEDULES = {"web": "1min", "by_hand": "manual", "web_victim": "1 day", "cli_victim": "1 day", "lost": "manual", "lost_too": "manual"}
# web_victim waits for us in the middle of its first run, in which web came before it, so that it can be killed at a known moment.
WAITING = """
import os, time
import pandas as pd

def rows():
    while os.path.exists({held!r}):
        time.sleep(0.1)
    return pd.read_csv({rows!r})
"""
SMARTFLOW = [sys.executable, "-m", "smartflow_assets.cli"]
LOCATION = {"repositoryLocationName": "smartflow_assets.definitions", "repositoryName": "__repository__"}
READY_SECONDS, SCHEDULED_SECONDS, SUCCESSOR_SECONDS = 90, 150, 150
ROOM = {"concurrency": {"runs": {"max_concurrent_runs": 4}}}  # for the two that hang, until they are killed
Found = TypeVar("Found")


@dataclass
class Dagster:
    """A running `smartflow ui` and the home that it watches."""

    settings: Settings
    port: int
    environment: dict[str, str]
    elsewhere: Path
    held: Path  # while it is there, web_victim waits
    deaths: dict[str, tuple[str, float]] = field(default_factory=dict)  # run id and moment, by source

    @property
    def warehouse(self) -> Warehouse:
        return open_warehouse(self.settings)

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/graphql", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            found = json.load(answer)
        assert "errors" not in found, found["errors"]
        return found["data"]

    def runs(self, source: str, **tags: str) -> list[dict[str, Any]]:
        """Runs of the source, by itself or with others, newest first; `tags` are ours, without their prefix."""
        wanted = [{"key": f"smartflow/{name}", "value": value} for name, value in tags.items()]
        query = """query ($tags: [ExecutionTag!]) { runsOrError(filter: {tags: $tags}) { ... on Runs { results {
            runId status startTime jobName tags { key value } } } } }"""
        found = self.ask(query, tags=wanted)["runsOrError"]["results"]
        return [run for run in found if source in _names(run)]

    def smartflow(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*SMARTFLOW, *arguments], env=self.environment, cwd=self.elsewhere, capture_output=True, text=True, timeout=120
        )

    def kill(self, source: str, run_id: str, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        self.deaths[source] = (run_id, time.time())

    def run_log(self, source: str) -> pd.DataFrame:
        return self.warehouse.published_read("SELECT * FROM run_log WHERE source = ? ORDER BY started_at", [source])


def _names(run: dict[str, Any]) -> list[str]:
    tags = {tag["key"]: tag["value"] for tag in run["tags"]}
    return [tags["dagster/partition"]] if "dagster/partition" in tags else tags.get("smartflow/sources", "").split(", ")


def wait_for(find: Callable[[], Found | None], seconds: float, what: str) -> Found:
    """The first answer that is something; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (found := find()):
        if time.monotonic() > deadline:
            pytest.fail(f"no {what} within {seconds:.0f} s")
        time.sleep(0.5)
    return found


@pytest.fixture(scope="module")
def dagster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dagster]:
    home, elsewhere = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("elsewhere")
    settings = Settings(home)
    settings.sources.mkdir(parents=True)
    for name, schedule in SCHEDULES.items():
        read = READ.format(file="nowhere" if name.startswith("lost") else "web")
        read = "type: python, function: 'waiting:rows'" if name == "web_victim" else read
        (settings.sources / f"{name}.yaml").write_text(SOURCE.format(name=name, schedule=schedule, read=read))
    write_rows(settings.data / "examples" / "web.csv", daily_series(2))
    settings.dagster_home.mkdir()
    (settings.dagster_home / "dagster.yaml").write_text(json.dumps(INSTANCE_SETTINGS | ROOM))
    (held := elsewhere / "held").touch()
    (elsewhere / "waiting.py").write_text(WAITING.format(held=str(held), rows=str(settings.data / "examples" / "web.csv")))
    environment = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}
    environment |= {"SMARTFLOW_HOME": str(home), "PYTHONPATH": str(elsewhere)}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    log = elsewhere / "ui.log"
    with ExitStack() as until_killed, log.open("w") as output:
        running = Dagster(settings, port, environment, elsewhere, held)
        until_killed.enter_context(source_lock(settings, "cli_victim").exclusive(timedelta(seconds=5), "the test"))
        command = [*SMARTFLOW, "ui", "--port", str(port)]
        victim = subprocess.Popen([*SMARTFLOW, "run", "cli_victim"], env=environment, cwd=elsewhere, stdout=output, stderr=output)
        process = subprocess.Popen(command, env=environment, cwd=elsewhere, stdout=output, stderr=output, start_new_session=True)
        try:
            wait_for(lambda: _is_ready(running, process, log), READY_SECONDS, "answer from the UI")
            run_id, pid = wait_for(lambda: _living(running, "cli_victim"), 60, "run of cli_victim")
            running.kill("cli_victim", run_id, pid)
            assert victim.wait(10) == -signal.SIGKILL
            until_killed.close()
            yield running
        finally:
            victim.kill()
            _end(process)
            sys.stderr.write(log.read_text()[-5000:])  # shown when something failed


def _is_ready(running: Dagster, process: "subprocess.Popen[bytes]", log: Path) -> bool:
    assert process.poll() is None, log.read_text()[-3000:]
    with suppress(OSError, ValueError):
        return bool(running.ask("{ assetNodes { id } }")["assetNodes"])
    return False


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Politely, then by force: dagster's children may outlive it."""
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)] if process.poll() is None else []
    process.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(40)
    for member in family:
        with suppress(psutil.NoSuchProcess):
            member.kill()
    process.wait(10)


def test_no_asset_is_without_description_owner_kind_or_described_columns(dagster):
    nodes = dagster.ask("""{ assetNodes { assetKey { path } description groupName kinds
        owners { ... on TeamAssetOwner { team } ... on UserAssetOwner { email } }
        metadataEntries { ... on TableSchemaMetadataEntry { schema { columns { name description } } } } } }""")["assetNodes"]
    assert len(nodes) == 17
    for node in nodes:
        name = node["assetKey"]["path"][-1]
        assert node["description"] and node["owners"] and "duckdb" in node["kinds"] and len(node["kinds"]) >= 2, name
        assert node["groupName"] != "default", name
        columns = [column for entry in node["metadataEntries"] for column in (entry.get("schema") or {"columns": []})["columns"]]
        assert (columns or name == "weekly_report") and all(column["description"] for column in columns), name


def test_every_sensor_and_schedule_runs_without_being_switched_on(dagster):
    found = dagster.ask(
        """query ($at: RepositorySelector!) {
        sensorsOrError(repositorySelector: $at) { ... on Sensors { results { name description sensorState { status } } } }
        schedulesOrError(repositorySelector: $at) { ... on Schedules { results { name description scheduleState { status } } } }
        }""",
        at=LOCATION,
    )
    sensors, schedules = found["sensorsOrError"]["results"], found["schedulesOrError"]["results"]
    assert len(sensors) == 8 and len(schedules) == 5
    assert {sensor["sensorState"]["status"] for sensor in sensors} == {"RUNNING"}
    assert {schedule["scheduleState"]["status"] for schedule in schedules} == {"RUNNING"}
    assert all(each["description"] for each in (*sensors, *schedules))


def test_a_run_of_the_command_line_shows_up_with_its_partition_and_its_logs(dagster):
    run = dagster.smartflow("run", "by_hand")
    assert run.returncode == 0, run.stderr
    assert [line.split(",")[0] for line in run.stderr.splitlines()] == ["note: by_hand: taken as a recording"], run.stderr
    (shown,) = dagster.runs("by_hand", reason="command line")
    assert (shown["status"], shown["jobName"]) == ("SUCCESS", "smartflow_monitor_source")
    logs = dagster.ask(
        """query ($run: ID!) { logsForRun(runId: $run) { ... on EventConnection { events {
        __typename ... on MessageEvent { message stepKey } } } } }""",
        run=shown["runId"],
    )
    events = logs["logsForRun"]["events"]
    assert any(event.get("stepKey") == "smartflow__raw_records" and "576 new rows" in event["message"] for event in events)
    partitions = dagster.ask("""{ assetNodeOrError(assetKey: {path: ["smartflow", "anomaly_scores"]}) { ... on AssetNode {
        assetPartitionStatuses { ... on DefaultPartitionStatuses { materializedPartitions } } } } }""")
    assert "by_hand" in partitions["assetNodeOrError"]["assetPartitionStatuses"]["materializedPartitions"]


def test_a_failed_run_of_the_command_line_is_an_incident_and_a_message(dagster):
    run = dagster.smartflow("run", "lost")
    assert run.returncode == 1
    assert "lost: raw_records: read.path: no file matches" in run.stderr and "Traceback" not in run.stderr
    _is_closed_once(dagster, "lost")


def test_a_failed_materialisation_by_a_click_is_an_incident_and_a_message(dagster):
    launch = """mutation ($asked: ExecutionParams!) { launchPipelineExecution(executionParams: $asked) {
        __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
    selector = {**LOCATION, "pipelineName": "__ASSET_JOB", "assetSelection": [{"path": ["smartflow", "raw_records"]}]}
    tagged = {"tags": [{"key": "dagster/partition", "value": "lost_too"}]}
    answer = dagster.ask(launch, asked={"selector": selector, "mode": "default", "executionMetadata": tagged, "runConfigData": "{}"})
    assert answer["launchPipelineExecution"]["__typename"] == "LaunchRunSuccess", answer
    wait_for(lambda: len(dagster.run_log("lost_too")), 60, "entry in run_log")
    _is_closed_once(dagster, "lost_too")


def _is_closed_once(dagster: Dagster, source: str) -> None:
    read = dagster.warehouse.published_read
    assert dagster.run_log(source)["status"].tolist() == ["failed"]
    incidents = read("SELECT * FROM incidents WHERE source = ?", [source])
    assert incidents[["cause", "state"]].to_numpy().tolist() == [["raw_records", "open"]]
    assert "no file matches" in incidents["body"][0]
    sent = read("SELECT * FROM alert_sends WHERE source = ? AND status = 'sent'", [source])
    assert sent[["event", "channel"]].to_numpy().tolist() == [["opened", "file"]]
    assert sum(source in path.read_text() and f"{source}_" not in path.read_text() for path in dagster.settings.outbox.glob("*.eml")) == 1


def test_a_scheduled_run_that_nobody_clicked_succeeds_and_stands_in_the_run_log(dagster):
    """It is a run of several, whose last source hangs: web keeps going, in runs of its own."""

    wait_for(lambda: len(dagster.run_log("web")) > 1, SCHEDULED_SECONDS, "two scheduled runs that ended")
    log = dagster.run_log("web")
    assert set(log["status"]) == {"success"} and set(log["reason"]) == {"schedule"} and log["rows_in"].tolist()[:2] == [576, 0]
    schedules = {tag["value"]: _names(run) for run in dagster.runs("web") for tag in run["tags"] if tag["key"] == "dagster/schedule_name"}
    assert schedules["smartflow_monitor_schedule"] == ["web"]
    assert "web_victim" in schedules["smartflow_monitor_many_schedule"]


def _logged(dagster: Dagster, source: str, run_id: str) -> pd.Series:
    def find() -> list[pd.Series]:
        rows = dagster.run_log(source)
        return [row for _, row in rows[rows["run_id"] == run_id].iterrows()]

    return wait_for(find, 60, "entry in run_log")[0]


def _living(dagster: Dagster, source: str) -> tuple[str, int] | None:
    """Run id and process of a run under way, from the lock that says that it is alive."""
    for run in dagster.runs(source):
        holder = AdvisoryLock(dagster.settings.locks / f"run-{run['runId']}.lock").holder()
        if run["status"] == "STARTED" and holder is not None:
            return run["runId"], holder.pid
    return None


@pytest.mark.parametrize("source", ["web_victim", "cli_victim"])
def test_after_a_kill_the_next_run_starts_by_itself_within_two_minutes(dagster, source):
    """Both are watched once a day only, so it is not their next slot that starts the successor."""
    if source == "web_victim":
        dagster.kill(source, *wait_for(lambda: _living(dagster, source), 90, "run of the daemon"))
        dagster.held.unlink()
    run_id, died_at = dagster.deaths[source]
    left = SUCCESSOR_SECONDS - (time.time() - died_at)
    others = wait_for(lambda: [run for run in dagster.runs(source) if run["runId"] != run_id and run["startTime"]], left, "successor")
    successor = others[-1]
    seconds = successor["startTime"] - died_at
    print(f"{source}: the next run started {seconds:.0f} s after the kill")
    assert 0 < seconds < SUCCESSOR_SECONDS
    assert _logged(dagster, source, run_id)["status"] == "killed"
    assert _logged(dagster, source, successor["runId"])["status"] == "success"
    read = dagster.warehouse.read
    assert read(f"SELECT count(*) AS n, count(DISTINCT timestamp) AS times FROM raw.{source}").to_numpy().tolist() == [[576, 576]]
    assert read("SELECT count(*) AS n FROM incidents WHERE source = ?", [source])["n"][0] == 0
    assert "smartflow/killed" in {tag["key"] for run in dagster.runs(source) if run["runId"] == run_id for tag in run["tags"]}
