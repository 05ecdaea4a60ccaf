"""What a tick of the schedules asks for: sources that are due, that exist, and that have no run waiting."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pandas as pd
import pytest
from dagster._core.scheduler.instigation import InstigatorStatus, InstigatorType

from smartflow_assets.adapters.readers import file_signature
from smartflow_assets.adapters.warehouse.writes import Append, Rewrite
from smartflow_assets.config import catalogue, source_file
from smartflow_assets.config.source import Source
from smartflow_assets.config.yaml_file import YamlFile
from smartflow_assets.core.errors import WarehouseError
from smartflow_assets.defs.assets import ASSETS
from smartflow_assets.defs.build import build_definitions
from smartflow_assets.defs.execute import execute_many
from smartflow_assets.defs.many_sources import config_of_many
from smartflow_assets.defs.names import EACH_SOURCE, PARTITION_SET, prefixed
from smartflow_assets.defs.partitions import PARTITION_TAG
from smartflow_assets.defs.schedules import monitor_many_schedule, monitor_schedule, train_schedule
from smartflow_assets.stages.scheduling.appearance import DECIDING_STAGES
from smartflow_assets_tests.defs.conftest import SHOP
from smartflow_assets_tests.defs.test_carry_over import state as instigator_state
from smartflow_assets_tests.homes import START

REPOSITORY = build_definitions().get_repository_def()
MONITOR_SOURCE, MONITOR_SOURCES = (REPOSITORY.get_job(prefixed(job)) for job in ("monitor_source", "monitor_sources"))


def requests_of(home, *schedules):
    """The requests of one tick of the schedules, with all that Dagster checks, and the reason of each that has none."""
    requests, reasons, at = [], [], datetime.now(UTC)
    for schedule in schedules:
        context = dg.build_schedule_context(instance=home.instance, scheduled_execution_time=at, repository_def=REPOSITORY)
        answer = schedule.evaluate_tick(context)
        requests += answer.run_requests
        reasons += [answer.skip_message] if answer.skip_message else []
    assert len({request.run_key for request in requests}) == len(requests)
    return requests, reasons


def names_of(request):
    """The sources that a requested run is of."""
    return [request.partition_key] if request.partition_key else request.run_config["ops"][EACH_SOURCE]["config"]["sources"]


def tick(home, *schedules):
    """What a tick comes to: tags by source, or the reason for no request."""
    requests, reasons = requests_of(home, *(schedules or (monitor_schedule, monitor_many_schedule)))
    return {name: request.tags for request in requests for name in names_of(request)} or reasons[0]


def run_under_way(home, source, status=dg.DagsterRunStatus.STARTED):
    return home.instance.create_run_for_job(MONITOR_SOURCE, status=status, tags={PARTITION_TAG: source})


def ended(home, **statuses):
    """Rows of run_log as of a week ago, so that the source is due again."""
    at = datetime.now(UTC) - timedelta(days=7)
    rows = [
        {"source": name, "run_id": f"{name}-{status}", "job": "monitor_source", "status": status, "started_at": at}
        for name, status in statuses.items()
    ]
    home.warehouse.commit("ended", [Append("run_log", pd.DataFrame(rows))])


def with_sources(home, *names):
    for name in names:
        home.write_source(name, SHOP.replace("name: shop", f"name: {name}"))


def test_a_home_without_a_source_asks_for_nothing(home):
    assert tick(home) == "no source is due"
    assert tick(home, train_schedule) == "no source is due"


def test_a_new_source_gets_its_partition_and_its_run_in_one_tick(shop):
    assert shop.instance.get_dynamic_partitions(PARTITION_SET) == []
    assert {"smartflow/source": "shop", "smartflow/reason": "schedule"}.items() <= tick(shop)["shop"].items()
    assert shop.instance.get_dynamic_partitions(PARTITION_SET) == ["shop"]


def test_a_partition_without_a_file_is_never_asked_for(shop):
    shop.instance.add_dynamic_partitions(PARTITION_SET, ["gone"])
    assert list(tick(shop)) == ["shop"]


def test_a_broken_file_is_asked_for_so_that_it_fails_where_people_look(shop):
    (shop.settings.sources / "broken.yaml").write_text("name: broken\nread: {type: csv, path: x.csv, tiem: t}\n")
    assert list(tick(shop)) == ["broken", "shop"]


def test_a_file_whose_name_is_no_partition_leaves_the_others_alone(shop):
    (shop.settings.sources / "odd...name.yaml").write_text("name: odd\n")
    assert "shop" in tick(shop)


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED])
def test_a_source_with_a_run_under_way_is_left_out_by_name(shop, status):
    run_under_way(shop, "shop", status)
    assert tick(shop) == "still queued or under way: shop"


def test_a_source_with_a_run_under_way_keeps_no_other_waiting(shop):
    shop.write_source("other", SHOP.replace("name: shop", "name: other"))
    run_under_way(shop, "shop")
    assert list(tick(shop)) == ["other"]


@pytest.mark.soak
def test_a_source_that_has_run_in_its_slot_is_not_due(shop):
    (shop.settings.sources / "shop.yaml").write_text(SHOP.replace("schedule: 1min", "schedule: 7 days"))
    assert shop.instance.add_dynamic_partitions(PARTITION_SET, ["shop"]) is None
    assert shop.run("shop", START + timedelta(days=1)).is_success
    assert tick(shop) == "no source is due"


def test_runs_and_trainings_of_a_clock_that_was_wrong_keep_no_source_waiting(shop):
    (shop.settings.sources / "shop.yaml").write_text(SHOP.replace("schedule: 1min", "schedule: 1h"))
    ahead = datetime.now(UTC) + timedelta(hours=3)
    run = {"source": "shop", "status": "success", "started_at": ahead}
    model = {"source": "shop", "series": "", "detector": "", "model_id": "ahead", "status": "current"}
    model |= {"trained_at": ahead, "changed_at": ahead}
    runs = [run | {"job": job, "run_id": job} for job in ("monitor_source", "train_source")]
    shop.warehouse.commit("ahead", [Append("run_log", pd.DataFrame(runs)), Append("trained_models", pd.DataFrame([model]))])
    shop.warehouse.publish("ahead", is_forced=True)
    assert list(tick(shop)) == ["shop"]
    assert list(tick(shop, train_schedule)) == ["shop"]


def test_a_source_that_has_just_run_is_not_due_again_because_the_published_copy_lags(shop):
    (shop.settings.sources / "shop.yaml").write_text(SHOP.replace("schedule: 1min", "schedule: 7 days"))
    shop.warehouse.publish("before", is_forced=True)
    run = {"source": "shop", "status": "success", "started_at": datetime.now(UTC), "job": "monitor_source", "run_id": "just"}
    shop.warehouse.commit("just", [Append("run_log", pd.DataFrame([run]))])
    assert tick(shop) == "no source is due"


def test_a_source_whose_slot_cannot_be_found_keeps_no_other_waiting(shop, monkeypatch, caplog):
    shop.write_source("other", SHOP.replace("name: shop", "name: other"))

    def slot(schedule: str, name: str, now: datetime, timezone: str = "UTC") -> datetime:
        if name == "shop":
            raise ValueError("no such day")
        return now

    monkeypatch.setattr("smartflow_assets.stages.scheduling.due_sources.latest_slot", slot)
    assert list(tick(shop)) == ["other"]
    assert "shop is left out of this look at the sources, the others go on" in caplog.text


def test_a_reader_whose_check_breaks_is_a_broken_file_and_no_more(shop, monkeypatch):
    shop.write_source("other", SHOP.replace("name: shop", "name: other"))

    def build(file: YamlFile, **more: object) -> Source:
        if file.path.stem == "shop":
            raise ZeroDivisionError("division by zero")
        return source_file.build_source(file, **more)

    monkeypatch.setattr(catalogue, "build_source", build)
    assert sorted(tick(shop)) == ["other", "shop"]  # where it fails by itself
    assert "the file cannot be used (ZeroDivisionError: division by zero)" in str(catalogue.Catalogue.load(shop.settings).broken["shop"])


def test_sources_that_are_due_together_have_one_run(shop):
    with_sources(shop, "north", "south")
    requests, reasons = requests_of(shop, monitor_schedule, monitor_many_schedule)
    assert [names_of(request) for request in requests] == [["north", "shop", "south"]]
    assert requests[0].tags["smartflow/sources"] == "north, shop, south"
    assert reasons == ["all that are due have one run together"]


def test_a_source_whose_run_did_not_succeed_keeps_no_other_waiting(shop):
    with_sources(shop, "north", "south", "east")
    ended(shop, shop="success", north="killed", south="failed")
    requests, reasons = requests_of(shop, monitor_schedule, monitor_many_schedule)
    assert [names_of(request) for request in requests] == [["north"], ["south"], ["east", "shop"]] and reasons == []


def test_sources_that_failed_are_watched_together_since_a_dead_server_may_fail_a_hundred(shop):
    with_sources(shop, "north", "south")
    ended(shop, north="failed", south="failed")
    requests, _ = requests_of(shop, monitor_schedule, monitor_many_schedule)
    assert [names_of(request) for request in requests] == [["shop"], ["north", "south"]]


@pytest.mark.parametrize("named", [["north", "shop"], []], ids=["named", "all"])
def test_a_source_in_a_run_of_several_is_left_out_by_name(shop, named):
    with_sources(shop, "north")
    shop.instance.create_run_for_job(MONITOR_SOURCES, status=dg.DagsterRunStatus.STARTED, run_config=config_of_many(named, {}))
    assert tick(shop) == "still queued or under way: north, shop"


def test_a_source_that_a_run_of_several_has_done_with_does_not_wait_for_the_others(shop):
    with_sources(shop, "north")
    many = shop.instance.create_run_for_job(
        MONITOR_SOURCES, status=dg.DagsterRunStatus.STARTED, run_config=config_of_many(["north", "shop"], {})
    )
    week_ago = datetime.now(UTC) - timedelta(days=7)
    row = {"source": "north", "run_id": many.run_id, "job": "monitor_source", "status": "success", "started_at": week_ago}
    shop.warehouse.commit("ended", [Append("run_log", pd.DataFrame([row]))])
    assert list(tick(shop)) == ["north"]


def test_who_switched_the_schedule_off_has_switched_off_both(shop):
    with_sources(shop, "north")
    shop.instance.add_instigator_state(instigator_state(prefixed("monitor_schedule"), InstigatorType.SCHEDULE, InstigatorStatus.STOPPED))
    assert requests_of(shop, monitor_many_schedule) == ([], ["smartflow_monitor_schedule is switched off"])


def test_a_manual_source_is_never_due(shop):
    (shop.settings.sources / "shop.yaml").write_text(SHOP.replace("schedule: 1min", "schedule: manual"))
    assert tick(shop) == "no source is due"


def test_sources_without_a_model_are_not_trained_by_the_schedule(shop):
    assert tick(shop, train_schedule) == "no source is due"


@pytest.mark.soak
def test_a_source_in_which_a_run_found_nothing_to_do_is_not_run_again_until_something_is_new(shop, monkeypatch):
    monkeypatch.setattr(file_signature, "JUST_NOW", timedelta(0))
    shop.instance.add_dynamic_partitions(PARTITION_SET, ["shop"])
    shop.write_source("new", SHOP.replace("name: shop", "name: new"))
    now = datetime.now(UTC)
    for _ in range(2):
        assert shop.run("shop", now - timedelta(minutes=2)).is_success
    monkeypatch.setattr("smartflow_assets.stages.scheduling.due_sources.latest_slot", lambda *given: now + timedelta(hours=1))
    assert list(tick(shop)) == ["new"]
    (shop.settings.sources / "new.yaml").unlink()
    runs, writes = shop.count("run_log"), shop.count("writes")
    assert tick(shop) == "nothing new: 1 source"
    assert (shop.count("run_log"), shop.count("writes")) == (runs, writes)
    with (shop.settings.data / "examples/shop.csv").open("a") as feed:
        feed.write("2026-03-03T00:00:00Z,500\n")
    assert list(tick(shop)) == ["shop"]
    run_under_way(shop, "shop")
    assert tick(shop) == "still queued or under way: shop"


@pytest.mark.soak
def test_looks_rest_on_runs_of_several_sources_too(shop, monkeypatch):
    monkeypatch.setattr(file_signature, "JUST_NOW", timedelta(0))
    with_sources(shop, "shop", "north")
    now = datetime.now(UTC)
    for _ in range(2):
        execute_many(
            shop.instance, shop.settings, ["north", "shop"], {"as_of": (now - timedelta(minutes=2)).isoformat()}, on_end=lambda each: None
        )
    monkeypatch.setattr("smartflow_assets.stages.scheduling.due_sources.latest_slot", lambda *given: now + timedelta(hours=1))
    assert tick(shop) == "nothing new: 2 sources"
    with (shop.settings.data / "examples/shop.csv").open("a") as feed:  # both read it
        feed.write("2026-03-03T00:00:00Z,500\n")
    assert sorted(tick(shop)) == ["north", "shop"]


def test_a_warehouse_that_cannot_be_looked_into_is_no_reason_to_wait(shop, monkeypatch, caplog):
    shop.warehouse.publish("before")

    def look(*given):
        raise WarehouseError("the disk is full")

    monkeypatch.setattr("smartflow_assets.defs.schedules.look", look)
    assert list(tick(shop)) == ["shop"]
    assert "nobody could look whether there is anything new" in caplog.text


def test_looks_rest_on_runs_of_all_stages_that_decide_anything():
    assert {key.path[-1] for asset in ASSETS for key in asset.keys} - {"anomaly_exports"} == DECIDING_STAGES


def remedied(home, **row):
    """A row of `remediations`, as the remedy of the source `north` leaves it."""
    known = {"source": "north", "remediation_id": str(row), "action": "x", "status": "done", "attempt": 1, "happened_at": datetime.now(UTC)}
    home.warehouse.commit("remedy", [Rewrite("remediations", (known["remediation_id"],), pd.DataFrame([known | row]))])


def test_a_source_that_a_remedy_has_paused_is_left_out_and_the_tick_says_so(shop):
    with_sources(shop, "shop", "north")
    remedied(shop, source="shop", is_pause=True, until_at=datetime.now(UTC) + timedelta(hours=1))
    assert list(tick(shop)) == ["north"]
    ended(shop, shop="success", north="success")
    remedied(shop, is_pause=True)
    said = tick(shop)
    assert said.startswith("paused: north, shop until ") and said.endswith(" UTC")


def test_a_run_that_a_remedy_asks_for_is_started_though_nothing_is_due(shop, monkeypatch):
    with_sources(shop, "shop", "north")
    ended(shop, shop="success", north="success")
    monkeypatch.setattr("smartflow_assets.stages.scheduling.due_sources.latest_slot", lambda *given: None)
    assert tick(shop) == "no source is due"
    remedied(shop, run_of="shop")
    assert list(tick(shop)) == ["shop"]
    remedied(shop, source="shop", is_pause=True)
    assert tick(shop) == "paused: shop"
