"""What the sensors do at one look: files become runs once, partitions follow the folder, dead runs make way."""

import json
import os
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from smartflow_assets.adapters.readers.inbox import InboxReader
from smartflow_assets.config.source import NAME
from smartflow_assets.core.errors import SourceError
from smartflow_assets.defs.build import build_definitions
from smartflow_assets.defs.dead_runs import fail_dead_runs
from smartflow_assets.defs.names import OPTIONS, PARTITION_SET, asset_key, prefixed
from smartflow_assets.defs.partitions import PARTITION_TAG
from smartflow_assets.defs.resources import source_lock
from smartflow_assets.defs.run_closing import close_run
from smartflow_assets.defs.sensors import catalogue_sensor, housekeeping_sensor, inbox_sensor, outbox_sensor, training_sensor
from smartflow_assets.stages.scheduling.training_requests import open_requests, request_training
from smartflow_assets_tests.defs.conftest import SHOP
from smartflow_assets_tests.end_to_end.conftest import opened
from smartflow_assets_tests.homes import START, Home, daily_series, write_rows

FEED = """
name: feed
read: {type: inbox, time: timestamp, pattern: "*.csv"}
metrics: [{name: orders, column: value, aggregate: sum}]
time_bucket: {every: 5min}
schedule: manual
"""
QUIET = 60  # seconds ago: longer than the sensor waits for a file that is still being copied


def look(home: Home, sensor: dg.SensorDefinition, cursor: str | None = None):
    return sensor(dg.build_sensor_context(instance=home.instance, cursor=cursor))


def drop(home: Home, name: str, *, age: float = QUIET, text: str = "timestamp,value\n2026-03-02T00:00:00Z,1\n") -> Path:
    path = home.settings.inbox / "feed" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (time.time() - age,) * 2)
    return path


def at_rest(home: Home) -> None:
    """As if nothing had come or gone in data/sources for a while."""
    os.utime(home.settings.sources, (time.time() - QUIET,) * 2)


@pytest.fixture
def feed(home: Home) -> Home:
    home.write_source("feed", FEED)
    return home


def test_a_dropped_file_asks_for_one_run_once(feed):
    drop(feed, "a.csv")
    first = look(feed, inbox_sensor)
    assert [(request.partition_key, request.tags) for request in first.run_requests] == [
        ("feed", {"smartflow/source": "feed", "smartflow/reason": "inbox"})
    ]
    assert isinstance(look(feed, inbox_sensor, first.cursor), dg.SkipReason)


def test_many_files_of_a_source_are_one_run(feed):
    for name in ("a.csv", "b.csv", "c.csv"):
        drop(feed, name)
    assert len(look(feed, inbox_sensor).run_requests) == 1


def test_a_changed_file_and_a_second_one_of_the_same_time_are_runs_of_their_own(feed):
    first = look_at(feed, drop(feed, "a.csv"), 1_000)
    second = look_at(feed, drop(feed, "a.csv", text="timestamp,value\n"), 1_000, first.cursor)
    third = look_at(feed, drop(feed, "b.csv"), 1_000, second.cursor)
    keys = [request.run_key for answer in (first, second, third) for request in answer.run_requests]
    assert len(set(keys)) == 3  # a run key that was there before starts nothing
    assert len(json.loads(third.cursor)) == 2


def look_at(home: Home, path: Path, at: float, cursor: str | None = None):
    os.utime(path, (at, at))
    return look(home, inbox_sensor, cursor)


def test_a_file_that_is_still_being_copied_waits(feed):
    drop(feed, "a.csv", age=0)
    drop(feed, "b.csv.part")
    assert look(feed, inbox_sensor).skip_message == "no new file in data/inbox"


def test_a_source_without_a_partition_waits_for_the_catalogue(feed):
    drop(feed, "a.csv")
    feed.instance.delete_dynamic_partition(PARTITION_SET, "feed")
    assert isinstance(look(feed, inbox_sensor), dg.SkipReason)
    assert look(feed, catalogue_sensor).skip_message == "added feed"
    assert len(look(feed, inbox_sensor).run_requests) == 1


@pytest.mark.soak
def test_a_removed_yaml_removes_its_partition_and_closes_its_incidents(home):
    read = "{type: csv, path: no.csv, time: timestamp}"
    home.write_source("lost", f"name: lost\nread: {read}\nmetrics: [{{name: orders, column: value}}]\nalerts: {{to: [file]}}\n")
    assert not home.run("lost", datetime.now(UTC)).is_success
    assert home.table("incidents")["state"].tolist() == ["open"]
    text = (home.settings.sources / "lost.yaml").read_text()
    (home.settings.sources / "lost.yaml").unlink()
    assert look(home, catalogue_sensor).skip_message == "the partitions are the sources"  # an editor may be about to put it back
    home.write_source("lost", text)
    assert look(home, catalogue_sensor).skip_message == "the partitions are the sources"
    assert home.table("incidents")["state"].tolist() == ["open"]
    (home.settings.sources / "lost.yaml").unlink()
    at_rest(home)
    assert look(home, catalogue_sensor).skip_message == "removed lost"
    assert home.instance.get_dynamic_partitions(PARTITION_SET) == []
    assert home.table("incidents")["state"].tolist() == ["resolved"]
    assert home.table("incidents")["resolved_reason"].tolist() == ["the source was removed from data/sources"]
    assert "lost" not in set(home.warehouse.published_read("SELECT source FROM marts.source_health")["source"])
    look(home, outbox_sensor)
    assert home.sent()["event"].tolist() == ["opened", "resolved"]
    assert look(home, catalogue_sensor).skip_message == "the partitions are the sources"


def test_a_folder_that_is_gone_for_a_moment_removes_nothing(feed):
    feed.settings.sources.rename(feed.settings.data / "moved")
    look(feed, catalogue_sensor)
    assert feed.instance.get_dynamic_partitions(PARTITION_SET) == ["feed"]


def test_a_partition_whose_incidents_cannot_be_closed_keeps_no_other_from_going(feed, monkeypatch):
    for name in ("a", "b"):
        feed.instance.add_dynamic_partitions(PARTITION_SET, [name])
    at_rest(feed)

    def refused(warehouse: object, source: str, **more: object) -> None:
        if source == "a":
            raise ValueError("no such incident")

    monkeypatch.setattr("smartflow_assets.defs.source_partitions.close_incidents_of", refused)
    assert look(feed, catalogue_sensor).skip_message == "removed b"
    assert sorted(feed.instance.get_dynamic_partitions(PARTITION_SET)) == ["a", "feed"]


def test_an_inbox_that_cannot_be_read_keeps_no_other_waiting(feed, caplog, monkeypatch):
    feed.write_source("aside", FEED.replace("name: feed", "name: aside"))
    drop(feed, "a.csv")
    files = InboxReader.files

    def refused(reader: InboxReader, source: str, data: Path) -> list[Path]:
        if source == "aside":
            raise PermissionError(13, "Permission denied")
        return [*files(reader, source, data), data / "inbox" / "feed" / "gone.csv"]  # one that went meanwhile

    monkeypatch.setattr(InboxReader, "files", refused)
    assert [request.partition_key for request in look(feed, inbox_sensor).run_requests] == ["feed"]
    assert "aside: the inbox cannot be read, the others are" in caplog.text


def test_a_source_called_settle_shares_no_lock_with_the_closing_of_runs(feed):
    run = started_run(feed)
    feed.instance.report_run_failed(run)
    with source_lock(feed.settings, "settle").exclusive(timedelta(0)):
        assert close_run(feed.instance, run.run_id, settings=feed.settings).is_new


@pytest.mark.soak
def test_no_lock_of_ours_has_the_name_of_a_source(feed):
    drop(feed, "a.csv")
    assert feed.run("feed", datetime.now(UTC)).is_success
    ours = {path.name.split(".")[0] for path in feed.settings.locks.iterdir()} - {"feed"}
    assert ours and not [name for name in ours if NAME.fullmatch(name)]


def started_run(home: Home, job: str = "monitor_source", status=dg.DagsterRunStatus.STARTED) -> dg.DagsterRun:
    return home.instance.create_run_for_job(build_definitions().resolve_job_def(prefixed(job)), status=status, tags={PARTITION_TAG: "feed"})


def test_a_run_without_a_process_is_failed_and_closed_in_one_look(feed, monkeypatch):
    monkeypatch.setattr("smartflow_assets.defs.dead_runs.GRACE", timedelta(0))
    run = started_run(feed)
    assert look(feed, housekeeping_sensor).skip_message == f"failed 1 dead runs: {run.run_id}"
    assert feed.table("run_log")["status"].tolist() == ["killed"]
    assert look(feed, housekeeping_sensor).skip_message == "no dead run"


def test_a_run_that_has_just_left_the_queue_is_not_dead(feed):
    """It may have waited there for long; what counts is when its process was started."""
    starting = started_run(feed, status=dg.DagsterRunStatus.STARTING)
    assert fail_dead_runs(feed.instance, feed.settings, datetime.now(UTC) + timedelta(seconds=90)) == []
    assert fail_dead_runs(feed.instance, feed.settings, datetime.now(UTC) + timedelta(seconds=150)) == [starting.run_id]


@dg.job(name="their_nightly_export")
def stranger() -> None:
    """A job of somebody else on the same instance."""


def test_runs_of_strangers_are_neither_failed_nor_closed(feed):
    theirs = feed.instance.create_run_for_job(stranger, status=dg.DagsterRunStatus.STARTED)
    assert fail_dead_runs(feed.instance, feed.settings, datetime.now(UTC) + timedelta(hours=1)) == []
    feed.instance.report_run_failed(theirs)
    assert not close_run(feed.instance, theirs.run_id, settings=feed.settings).is_new


def test_a_run_that_its_server_reports_as_dead_counts_as_killed(feed):
    """What Dagster's code server does within a second: it fails the run and gives no error."""
    run = started_run(feed)
    feed.instance.report_run_failed(run)
    assert close_run(feed.instance, run.run_id, settings=feed.settings).failures == ()
    assert feed.table("run_log")["status"].tolist() == ["killed"]
    assert feed.table("incidents").empty


LATER = datetime.now(UTC) + timedelta(days=1)


@pytest.mark.parametrize(
    "clock, problem",
    [
        ("tomorrow", "as_of: 'tomorrow' is not a time"),
        (LATER.isoformat(), f"as_of: {LATER:%Y-%m-%d %H:%M} UTC is later than the clock of this machine, "),
    ],
    ids=["no time", "the future"],
)
def test_a_clock_that_is_no_time_of_the_past_fails_the_run_which_is_closed(feed, clock, problem):
    result = (
        build_definitions()
        .resolve_job_def(prefixed("monitor_source"))
        .execute_in_process(
            instance=feed.instance,
            partition_key="feed",
            raise_on_error=False,
            run_config={"resources": {OPTIONS: {"config": {"as_of": clock}}}},
        )
    )
    assert not result.success
    (failure,) = close_run(feed.instance, result.run_id, settings=feed.settings).failures
    assert problem in failure.message
    assert (feed.table("run_log")["as_of"] < LATER).all()


@pytest.mark.soak
def test_idle_runs_show_the_last_table_and_lead_to_the_last_picture(home):
    home.write_source("shop", SHOP)
    write_rows(home.settings.data / "examples" / "shop.csv", daily_series(3))
    runs = [home.run("shop", START + timedelta(days=3)) for _ in range(3)]
    assert all(run.is_success for run in runs)
    records = home.instance.fetch_materializations(asset_key("anomaly_scores"), limit=3).records
    *idle, drawn = (record.asset_materialization.metadata for record in records)
    assert "base64," in drawn["plot"].value and drawn["rows_scored"].value > 0
    for shown in idle:
        assert shown["rows_scored"].value == 0 and shown["strangest"].value == drawn["strangest"].value
        assert shown["plot"] == dg.MetadataValue.dagster_run(runs[0].run_id)  # nothing is copied


@pytest.mark.soak
def test_a_materialisation_says_what_was_read(home):
    home.write_source("shop", SHOP)
    write_rows(home.settings.data / "examples" / "shop.csv", daily_series(1))
    assert home.run("shop", START + timedelta(days=1)).is_success
    (record,) = home.instance.fetch_materializations(asset_key("raw_records"), limit=1).records
    metadata = record.asset_materialization.metadata
    assert (metadata["reads"].value, metadata["rows_in"].value) == ("csv: examples/shop.csv", 288)


@pytest.fixture(scope="module")
def with_a_request(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source with a model, and a training that was asked for while no daemon ran."""
    with opened(tmp_path_factory.mktemp("asked")) as shop:
        shop.write_source("shop", SHOP)
        write_rows(shop.settings.data / "examples" / "shop.csv", daily_series(4))
        assert shop.run("shop", START + timedelta(days=4)).is_success
        ask(shop, "the sale is over")
    return shop.folder


@pytest.fixture
def asked(with_a_request: Path, tmp_path: Path) -> Iterator[Home]:
    with opened(shutil.copytree(with_a_request, tmp_path, dirs_exist_ok=True)) as home:
        yield home


def ask(home: Home, reason: str, **more: object):
    return request_training("shop", reason, warehouse=home.warehouse, now=datetime.now(UTC), **more)  # pyright: ignore


def start(home: Home, request: dg.RunRequest, status: dg.DagsterRunStatus | None = None) -> None:
    """What the daemon makes of a request: a run of the job with its tags; with a status, one that only is in the history."""
    job = build_definitions().resolve_job_def(prefixed("train_source"))
    tags = {**request.tags, PARTITION_TAG: str(request.partition_key)}
    if status is not None:
        home.instance.create_run_for_job(job, status=status, tags=tags)
        return
    config = job.partitioned_config.get_run_config_for_partition_key("shop")
    assert job.execute_in_process(instance=home.instance, partition_key="shop", tags=tags, run_config=config).success


@pytest.mark.soak
def test_a_request_starts_one_training_which_says_why(asked):
    (request,) = look(asked, training_sensor).run_requests
    assert request.partition_key == "shop" and request.job_name in (None, "smartflow_train_source")
    start(asked, request)
    assert asked.table("trained_models", "status = 'current'").sort_values("changed_at")["reason"].tolist() == [
        "first training",
        "request: the sale is over",
    ]
    assert open_requests(asked.warehouse) == []
    assert look(asked, training_sensor).skip_message == "no training is asked for"
    start(asked, request)  # a daemon that asks twice: the request is answered, and nothing is learnt anew
    assert asked.count("trained_models", "change = 'trained'") == 2


def test_the_same_request_twice_is_one_and_two_are_answered_by_one_training(asked):
    assert ask(asked, "the sale is  over").request_id == open_requests(asked.warehouse)[0].request_id
    ask(asked, "drift of orders", requested_by="drift")
    (request,) = look(asked, training_sensor).run_requests
    start(asked, request)
    newest = asked.table("trained_models", "status = 'current'").sort_values("changed_at").iloc[-1]
    assert (newest["reason"], newest["changed_by"]) == ("request: the sale is over; drift of orders", "drift")
    assert open_requests(asked.warehouse) == []


@pytest.mark.soak
def test_a_run_under_way_is_waited_for_and_a_dead_one_is_started_again_three_times(asked):
    first = look(asked, training_sensor).run_requests[0]
    start(asked, first, dg.DagsterRunStatus.STARTED)
    assert isinstance(look(asked, training_sensor), dg.SkipReason)
    asked.instance.report_run_failed(asked.instance.get_runs()[0])
    keys = [first.run_key]
    for _ in range(2):
        (request,) = look(asked, training_sensor).run_requests
        keys.append(request.run_key)
        start(asked, request, dg.DagsterRunStatus.FAILURE)
    assert len(set(keys)) == 3 and isinstance(look(asked, training_sensor), dg.SkipReason)
    assert asked.run("shop", datetime.now(UTC), "train_source", retrain=True).is_success  # the schedule's training answers it
    assert open_requests(asked.warehouse) == []


def test_a_request_for_a_source_that_is_gone_or_broken_starts_nothing(asked):
    request_training("gone", "why not", warehouse=asked.warehouse, now=datetime.now(UTC))
    (asked.settings.sources / "shop.yaml").write_text("name: shop\nread: {}\n")
    assert look(asked, training_sensor).skip_message == "no training is asked for"
    (asked.settings.sources / "shop.yaml").write_text(SHOP)
    assert [request.partition_key for request in look(asked, training_sensor).run_requests] == ["shop"]


def test_a_request_without_a_reason_is_refused(asked):
    with pytest.raises(SourceError, match="shop: a training is asked for without a reason"):
        ask(asked, "  ")
