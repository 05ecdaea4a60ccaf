"""The daily pruning as Dagster runs it: what went is on its page, again it finds nothing, and what is not ours stays."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest
from dagster._core.events import DagsterEvent, StepMaterializationData
from dagster._core.remote_origin import InProcessCodeLocationOrigin, RemoteInstigatorOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    ScheduleInstigatorData,
    TickData,
    TickStatus,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from smartflow_assets.adapters.warehouse.writes import Append
from smartflow_assets.defs import pruning
from smartflow_assets.defs.build import build_definitions
from smartflow_assets.defs.dead_runs import fail_dead_runs
from smartflow_assets.defs.jobs import PRUNE_JOB, our_job
from smartflow_assets.defs.names import asset_key, prefixed
from smartflow_assets.defs.partitions import PARTITION_TAG
from smartflow_assets.defs.pruning import prune_home, prune_home_job, prune_schedule
from smartflow_assets.defs.run_closing import close_run
from smartflow_assets_tests.homes import Home

REPOSITORY = build_definitions().get_repository_def()
NOW = datetime.now(UTC)
WEEKS = timedelta(days=60)  # later than all that a test makes


def finished(home: Home, job: dg.JobDefinition, source: str = "") -> str:
    assert home.instance is not None
    tags = {PARTITION_TAG: source} if source else {}
    return home.instance.create_run_for_job(job, status=dg.DagsterRunStatus.SUCCESS, tags=tags).run_id


@dg.job
def somebody_elses():
    pass


def logged(home: Home, *days: int, source: str = "*") -> None:
    started = [NOW - timedelta(days=day) for day in days]
    rows = pd.DataFrame({"source": source, "run_id": [f"r{day}" for day in days], "job": "monitor_source", "started_at": started})
    home.warehouse.commit("test", [Append("run_log", rows)])


@pytest.mark.soak
def test_old_runs_of_ours_go_and_the_newest_of_each_source_stays(shop: Home):
    monitor = REPOSITORY.get_job(prefixed("monitor_source"))
    runs = [finished(shop, monitor, "shop") for _ in range(3)]
    pruned_by = [finished(shop, prune_home_job) for _ in range(2)]
    other = finished(shop, somebody_elses)
    assert shop.instance is not None
    done = prune_home(shop.instance, shop.settings, now=NOW + timedelta(days=13), run_id="prune")
    assert done.runs == 0
    done = prune_home(shop.instance, shop.settings, now=NOW + WEEKS, run_id="prune")
    assert done.runs == 3 and {run.run_id for run in shop.instance.get_runs()} == {runs[-1], pruned_by[-1], other}
    assert prune_home(shop.instance, shop.settings, now=NOW + WEEKS, run_id="prune").runs == 0


@pytest.mark.soak
def test_the_run_that_made_what_an_asset_shows_stays(shop: Home):
    monitor = REPOSITORY.get_job(prefixed("monitor_source"))
    first, made, idle, newest = (finished(shop, monitor, "shop") for _ in range(4))
    assert shop.instance is not None
    for run_id in (first, made):
        made_of = StepMaterializationData(dg.AssetMaterialization(asset_key=asset_key("incidents"), partition="shop"))
        event = DagsterEvent(dg.DagsterEventType.ASSET_MATERIALIZATION.value, monitor.name, event_specific_data=made_of)
        shop.instance.report_dagster_event(event, run_id=run_id)
    assert prune_home(shop.instance, shop.settings, now=NOW + WEEKS, run_id="prune").runs == 2
    assert {run.run_id for run in shop.instance.get_runs()} == {made, newest} and idle != newest


def test_a_source_may_keep_its_runs(shop: Home):
    path = shop.settings.sources / "shop.yaml"
    path.write_text(path.read_text() + "retention: {runs: never}\n")
    monitor = REPOSITORY.get_job(prefixed("monitor_source"))
    for _ in range(2):
        finished(shop, monitor, "shop")
    assert shop.instance is not None
    assert prune_home(shop.instance, shop.settings, now=NOW + WEEKS, run_id="prune").runs == 0


def test_ticks_of_ours_go_after_a_week_and_those_of_others_stay(home: Home):
    assert home.instance is not None
    names = [prefixed("monitor_schedule"), "monitor_schedule"]
    states = []
    repository = RemoteRepositoryOrigin(InProcessCodeLocationOrigin(LoadableTargetOrigin(executable_path="x", module_name="y")), "z")
    for name in names:
        origin, data = RemoteInstigatorOrigin(repository, name), ScheduleInstigatorData("* * * * *")
        state = InstigatorState(origin, InstigatorType.SCHEDULE, InstigatorStatus.RUNNING, data)
        home.instance.add_instigator_state(state)
        states.append(state)
        for days in (1, 6, 8, 30):
            at, own = (NOW - timedelta(days=days)).timestamp(), (state.instigator_origin_id, name)
            home.instance.create_tick(TickData(*own, InstigatorType.SCHEDULE, TickStatus.SKIPPED, at, selector_id=state.selector_id))
    assert prune_home(home.instance, home.settings, now=NOW, run_id="prune").ticks == 2
    left = [len(home.instance.get_ticks(state.instigator_origin_id, state.selector_id)) for state in states]
    assert left == [2, 4]


def test_the_page_of_the_run_says_what_went(home: Home, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SMARTFLOW_HOME", str(home.folder))
    logged(home, 200, 150, 1)
    assert home.instance is not None
    said = prune_home_job.execute_in_process(instance=home.instance)
    assert said.success and home.count("run_log") == 3, "the first pruning is announced"
    events = home.instance.all_logs(said.run_id, of_type=dg.DagsterEventType.STEP_OUTPUT)
    metadata = events[0].dagster_event.step_output_data.metadata  # type: ignore[union-attr]
    assert "2 of run_log" in str(metadata["went"].value) and metadata["rows"].value == 0


def test_a_pruning_that_fails_is_an_incident_of_no_source_until_one_succeeds(home: Home, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SMARTFLOW_HOME", str(home.folder))

    def fails(*arguments: object, **options: object):
        yield pruning.Pruned("shop", problem="the disk is full")

    logged(home, 1)
    assert home.instance is not None
    with monkeypatch.context() as full_disk:
        full_disk.setattr(pruning, "prune_by_settings", fails)
        for _ in range(2):
            done = prune_home_job.execute_in_process(instance=home.instance, raise_on_error=False)
            assert not done.success
            assert not close_run(home.instance, done.run_id, settings=home.settings).is_new
            close_run(home.instance, done.run_id, settings=home.settings)
    (incident,) = home.table("incidents").to_dict("records")
    assert (incident["source"], incident["cause"], incident["state"]) == ("*", "run:smartflow_prune_home", "open")
    assert incident["title"] == "run of smartflow_prune_home failed: shop: left to the next pruning: the disk is full."
    assert home.count("incident_events") == 2
    done = prune_home_job.execute_in_process(instance=home.instance)
    close_run(home.instance, done.run_id, settings=home.settings)
    assert home.table("incidents")["state"].tolist() == ["resolved"]


def test_a_pruning_that_was_killed_is_failed_by_housekeeping(home: Home):
    assert home.instance is not None
    run = home.instance.create_run_for_job(prune_home_job, status=dg.DagsterRunStatus.STARTED)
    assert our_job(run, home.instance, home.settings) == PRUNE_JOB
    assert fail_dead_runs(home.instance, home.settings, datetime.now(UTC) + timedelta(minutes=5)) == [run.run_id]


def test_the_schedule_asks_once_a_day(home: Home):
    def key(at: datetime) -> str | None:
        context = dg.build_schedule_context(instance=home.instance, scheduled_execution_time=at, repository_def=REPOSITORY)
        requests = prune_schedule.evaluate_tick(context).run_requests
        assert requests is not None and len(requests) == 1
        return requests[0].run_key

    assert key(NOW) == key(NOW) != key(NOW + timedelta(days=1))


def test_what_steps_printed_goes_with_the_run(shop: Home):
    run_id = finished(shop, REPOSITORY.get_job(prefixed("monitor_source")), "shop")
    finished(shop, REPOSITORY.get_job(prefixed("monitor_source")), "shop")
    assert shop.instance is not None
    logs = Path(shop.instance.root_directory) / "storage" / run_id / "compute_logs"
    logs.mkdir(parents=True)
    (logs / "x.err").write_text("printed")
    prune_home(shop.instance, shop.settings, now=NOW + WEEKS, run_id="prune")
    assert not logs.exists()
