"""What metrics say of a home is what its tables and files say."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from smartflow_assets.adapters.warehouse.locks import AdvisoryLock
from smartflow_assets.serve.metrics.declarations import METRICS, MOST_SOURCES, OF_THE_SERVER
from smartflow_assets.serve.metrics.readings import Readings
from smartflow_assets_tests.serve.metrics.watched_home import busy_home, by_name, incident, insert, make_home, read, run, send

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[tuple[str, ...], float]]:
    return read(busy_home(tmp_path_factory.mktemp("busy"), NOW), NOW)


def seconds(**ago: float) -> float:
    return (NOW - timedelta(**ago)).timestamp()


def test_every_metric_of_a_home_has_a_value(busy: dict) -> None:
    assert set(busy) == set(METRICS) - OF_THE_SERVER


def test_runs_are_told_by_source_with_how_the_last_one_went(busy: dict) -> None:
    assert busy["smartflow_source_last_run_success"] == {("shop",): 0, ("web",): 1}
    assert busy["smartflow_source_last_run_timestamp_seconds"][("shop",)] == seconds(hours=1) + 2
    assert busy["smartflow_source_last_run_duration_seconds"] == {("shop",): 2, ("web",): 2}
    assert busy["smartflow_source_last_look_timestamp_seconds"] == {("shop",): seconds(hours=1) + 2, ("web",): seconds(minutes=5)}
    runs = busy["smartflow_runs_last_day"]
    assert {key: n for key, n in runs.items() if n} == {("shop", "success"): 1, ("shop", "failed"): 1, ("web", "success"): 1}
    assert runs[("web", "killed")] == 0 and len(runs) == 2 * 4, "a series that is missing alerts nobody"
    assert busy["smartflow_rows_scored_last_day"] == {("shop",): 16, ("web",): 8}


def test_freshness_is_the_time_of_the_newest_row_and_silence_what_is_unusual(busy: dict) -> None:
    assert busy["smartflow_source_newest_row_timestamp_seconds"] == {("shop",): seconds(hours=9), ("web",): seconds(minutes=10)}
    assert busy["smartflow_source_silent"] == {("shop",): 1, ("web",): 0}
    assert busy["smartflow_source_lag_seconds"] == {("shop",): 90, ("web",): 90}


def test_a_row_that_is_dated_ahead_of_the_clock_makes_nothing_fresher_than_its_load(tmp_path: Path) -> None:
    settings = make_home(tmp_path, "shop")
    load = {"source": "shop", "origin": "f", "row_count": 10, "duplicate_count": 0}
    ahead, usual = NOW + timedelta(days=36_500), NOW - timedelta(hours=3)
    insert(settings, "ingestions", load | {"content_hash": "a", "last_at": ahead, "ingested_at": NOW - timedelta(days=2)})
    assert read(settings, NOW)["smartflow_source_newest_row_timestamp_seconds"] == {("shop",): seconds(days=2)}
    insert(settings, "ingestions", load | {"content_hash": "b", "last_at": usual, "ingested_at": NOW})
    assert read(settings, NOW)["smartflow_source_newest_row_timestamp_seconds"] == {("shop",): seconds(hours=3)}


def test_anomalies_and_incidents_are_counted_by_severity(busy: dict) -> None:
    assert busy["smartflow_anomalies"] == {("info",): 0, ("warning",): 3, ("critical",): 0}
    assert busy["smartflow_anomalies_last_day"][("web", "warning")] == 2, "of the newest day of its data"
    opened = {key: n for key, n in busy["smartflow_incidents_open"].items() if n}
    assert opened == {("shop", "critical"): 2, ("shop", "warning"): 1, ("*", "info"): 1}
    assert busy["smartflow_incidents_unacknowledged"] == {("info",): 1, ("warning",): 1, ("critical",): 1}
    assert busy["smartflow_incidents_snoozed"] == {("info",): 0, ("warning",): 1, ("critical",): 0}


def test_messages_are_told_by_where_they_stand_and_by_what_they_wait_for(busy: dict) -> None:
    sent = {key: n for key, n in busy["smartflow_messages_last_day"].items() if n}
    assert sent == {("file", "sent"): 1, ("file", "planned"): 1, ("pager", "failed"): 2}
    assert {key: n for key, n in busy["smartflow_messages_waiting"].items() if n} == {("file", "due"): 1, ("pager", "retry"): 1}
    assert busy["smartflow_messages_given_up"] == {("file",): 0, ("pager",): 1}


def test_a_message_for_a_digest_waits_and_is_not_due(tmp_path: Path) -> None:
    settings = make_home(tmp_path, "shop")
    settings.channels_file.write_text("file: {type: file, digest: {at: '07:00'}}\n")
    insert(settings, "alert_sends", send("file", "m", "planned", NOW - timedelta(hours=2)))
    assert read(settings, NOW)["smartflow_messages_waiting"] == {("file", "due"): 0, ("file", "retry"): 0, ("file", "held"): 1}


def test_a_source_is_due_until_it_has_run_or_was_looked_at(tmp_path: Path) -> None:
    settings = make_home(tmp_path, "shop", "web")
    insert(settings, f"UPDATE snapshot_info SET published_at = TIMESTAMPTZ '{NOW}'")
    assert read(settings, NOW)["smartflow_sources_due"] == {(): 2}
    insert(settings, "run_log", run("shop", NOW), run("web", NOW - timedelta(hours=1)))
    assert read(settings, NOW)["smartflow_sources_due"] == {(): 1}
    insert(settings, "source_looks", {"source": "web", "looked_at": NOW, "outcome": "nothing_new"})
    assert read(settings, NOW)["smartflow_sources_due"] == {(): 0}
    assert read(settings, NOW + timedelta(hours=1))["smartflow_sources_due"] == {(): 0}, "what was looked at since, the copy does not know"


def test_a_run_under_way_is_seen_by_its_locks(tmp_path: Path) -> None:
    settings = make_home(tmp_path, "shop")
    second = timedelta(seconds=1)
    with AdvisoryLock(settings.locks / "run-1.lock").exclusive(second), AdvisoryLock(settings.source_lock("shop")).exclusive(second):
        figures = read(settings, NOW)
        assert figures["smartflow_runs_under_way"] == {(): 1} and figures["smartflow_sources_under_way"] == {(): 1}
    figures = read(settings, NOW)
    assert figures["smartflow_runs_under_way"] == {(): 0} and figures["smartflow_sources_under_way"] == {(): 0}


def test_what_is_left_of_a_source_without_a_file_is_not_told(tmp_path: Path) -> None:
    settings = make_home(tmp_path, "shop")
    insert(settings, "run_log", run("gone", NOW - timedelta(days=80)), run("shop", NOW))
    assert read(settings, NOW)["smartflow_source_last_run_timestamp_seconds"] == {("shop",): NOW.timestamp() + 2}


def test_a_broken_file_is_counted_and_the_other_sources_go_on(tmp_path: Path) -> None:
    settings = make_home(tmp_path, "shop", "web")
    (settings.sources / "web.yaml").write_text("name: web\nreed: {}\n")
    insert(settings, "run_log", run("web", NOW - timedelta(hours=1), "failed"))
    figures = read(settings, NOW)
    assert figures["smartflow_sources"] == {("ok",): 1, ("broken",): 1}
    assert figures["smartflow_source_last_run_success"] == {("web",): 0}


def test_an_empty_home_says_that_nothing_is_published_and_what_its_files_say(tmp_path: Path) -> None:
    settings = make_home(tmp_path, "shop")
    settings.published_file.unlink()
    figures = read(settings, NOW)
    assert figures["smartflow_published_readable"] == {(): 0}
    assert figures["smartflow_sources"] == {("ok",): 1, ("broken",): 0}
    assert figures["smartflow_warehouse_size_bytes"].keys() == {("live",)}
    assert "smartflow_incidents_open" not in figures and "smartflow_heartbeat_timestamp_seconds" not in figures


def test_half_of_a_copy_that_lacks_a_table_is_not_told(tmp_path: Path) -> None:
    settings = busy_home(tmp_path, NOW)
    insert(settings, "ALTER TABLE alert_sends RENAME TO of_before")
    figures = read(settings, NOW)
    assert figures["smartflow_published_readable"] == {(): 0}
    assert "smartflow_runs_last_day" not in figures and figures["smartflow_disk_free_bytes"][()] > 0


def test_sources_beyond_the_bound_share_one_series_each(tmp_path: Path) -> None:
    names = [f"s{number:03}" for number in range(MOST_SOURCES + 3)]
    settings = make_home(tmp_path, *names)
    insert(
        settings,
        "run_log",
        *(run(name, NOW - timedelta(minutes=number)) for number, name in enumerate(names) if number >= MOST_SOURCES - 1),
    )
    insert(settings, "run_log", run(names[-1], NOW, "failed"))
    insert(settings, "incidents", *(incident(name, 1) for name in names[-2:]))
    figures = read(settings, NOW)
    assert figures["smartflow_sources_in_other"] == {(): 3}
    assert figures["smartflow_source_last_run_success"] == {("s199",): 1, ("_other",): 0}, "one that failed is seen"
    oldest = NOW - timedelta(minutes=MOST_SOURCES + 1) + timedelta(seconds=2)
    assert figures["smartflow_source_last_run_timestamp_seconds"][("_other",)] == oldest.timestamp()
    assert figures["smartflow_incidents_open"][("_other", "critical")] == 2
    assert figures["smartflow_runs_last_day"][("_other", "success")] == 3 and figures["smartflow_runs_last_day"][("_other", "failed")] == 1
    assert all(len(values) <= (MOST_SOURCES + 2) * 4 for values in figures.values())


def test_what_is_not_declared_is_refused() -> None:
    readings = Readings(["shop"], ["file"])
    with pytest.raises(KeyError):
        readings.add("smartflow_weather", 1)
    with pytest.raises(ValueError, match="has the labels"):
        readings.add("smartflow_source_silent", 1, series="orders")
    readings.add("smartflow_messages_given_up", 2, channel="of before")
    readings.add("smartflow_messages_given_up", 3, channel="older")
    readings.add("smartflow_source_silent", None, source="shop")
    assert by_name(readings) == {"smartflow_messages_given_up": {("_other",): 5}}


def test_an_incident_of_no_severity_is_told_as_the_least(tmp_path: Path) -> None:
    settings = make_home(tmp_path, "shop")
    insert(settings, "incidents", {**incident("shop", 1), "severity": None})
    assert read(settings, NOW)["smartflow_incidents_open"][("shop", "info")] == 1
