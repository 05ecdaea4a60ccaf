"""A look in the place of a run: what it rests on, what makes a run of it, and what it costs."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import duckdb
import pandas as pd
import pytest

from smartflow_assets.adapters.readers import CsvReader, file_signature
from smartflow_assets.adapters.staging.contract import ProbeContext
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.adapters.warehouse.writes import Append
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.stages import ingestion
from smartflow_assets.stages.next_decision import next_decision
from smartflow_assets.stages.scheduling import appearance as appearances
from smartflow_assets.stages.scheduling import looks
from smartflow_assets.stages.scheduling.appearance import Probed, appearance, probed
from smartflow_assets.stages.scheduling.due_sources import last_runs, monitoring_due
from smartflow_assets.stages.scheduling.looks import Standing, look, look_at_all, note_nothing_new, publish_looks, standing
from smartflow_assets.stages.scheduling.training_requests import request_training
from smartflow_assets_tests.homes import STAGES, START, STEP, WEB, Home, daily_series, write_rows

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOW = START + DAY


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_signature, "JUST_NOW", timedelta(0))


@pytest.fixture
def web(home: Home) -> Home:
    """A source whose last run found nothing to do."""
    home.write_source("web", WEB)
    write_rows(home.settings.data / "examples/web.csv", daily_series(1))
    run(home, NOW)
    assert run(home, NOW)
    return home


def run(home: Home, now: datetime, source: str = "web", status: str = "success") -> bool:
    """A run to its end; whether looks rest on it."""
    run_id = f"run {home.count('run_log')}"
    seen = appearance(Catalogue.load(home.settings).source(source), home.settings, home.warehouse, now)
    home.run_stages(source, now, STAGES[:1], run_id=run_id)
    is_noted = note_nothing_new(home.source_run(source, now, run_id, appearance=seen))
    row = {"source": source, "run_id": run_id, "job": "monitor_source", "status": status, "started_at": now}
    home.warehouse.commit(run_id, [Append("run_log", pd.DataFrame([row]))])
    return is_noted


def looked(home: Home, now: datetime = NOW + STEP, due: list[str] | None = None) -> dict[str, str]:
    """Why the sources that are due are worth a run."""
    return dict(look(Catalogue.load(home.settings), due or ["web"], home.warehouse, now).worth)


def test_a_source_in_which_nothing_is_new_is_looked_at_and_not_run(web: Home) -> None:
    found = look(Catalogue.load(web.settings), ["web"], web.warehouse, NOW + STEP)
    assert (found.nothing_new, str(found)) == (["web"], "nothing new: 1 source")
    [row] = web.table("source_looks").iloc[-1:].to_dict("records")
    assert (row["looked_at"], row["outcome"], row["run_id"]) == (pd.Timestamp(NOW + STEP), "nothing_new", "run 1")
    health = web.table("marts.source_health")
    assert (health["last_run_at"][0], health["last_looked_at"][0]) == (pd.Timestamp(NOW), pd.Timestamp(NOW + STEP))


def message(status: str, attempt: int = 1, due_at: datetime | None = None) -> dict[str, object]:
    what = {"source": "web", "incident_id": "i1", "event": "opened", "channel": "mail", "idempotency_key": "k1", "run_id": "r"}
    return {**what, "attempt": attempt, "status": status, "due_at": due_at, "happened_at": pd.Timestamp(NOW), "is_possible_repeat": False}


@pytest.mark.parametrize(
    ("rows", "is_worth_a_run"),
    [
        ([], False),
        ([message("planned")], True),
        ([message("planned"), message("claimed")], True),
        ([message("planned"), message("claimed"), message("failed", due_at=NOW + DAY)], True),
        ([message("planned"), message("claimed"), message("failed")], False),
        ([message("failed", due_at=NOW), message("claimed", 2), message("sent", 2)], False),
        ([message("skipped")], False),
    ],
)
def test_a_message_that_has_not_gone_out_is_worth_a_run_where_nobody_else_sees_to_it(web: Home, rows: list, is_worth_a_run: bool) -> None:
    insert(web, "alert_sends", rows)
    found = look_at_all(Catalogue.load(web.settings), web.warehouse, NOW + STEP)
    assert (dict(found.worth), list(found.nothing_new)) == (
        ({"web": "a message has not gone out"}, []) if is_worth_a_run else ({}, ["web"])
    )


@pytest.mark.parametrize(
    ("cause", "state", "found"),
    [
        ("anomaly", "open", Standing(1)),
        ("anomaly", "resolved", None),
        ("freshness", "acknowledged", Standing(1, is_silent=True)),
        ("load:r1", "open", Standing(1, is_blocked=True)),
    ],
)
def test_what_is_open_is_known_though_nothing_is_new(web: Home, cause: str, state: str, found: Standing | None) -> None:
    what = {"source": "web", "incident_id": "i1", "series": "", "cause": cause, "severity": "warning", "state": state}
    insert(web, "incidents", [what | {"opened_at": pd.Timestamp(NOW)}])
    assert standing(web.warehouse) == ({"web": found} if found else {})


def insert(home: Home, table: str, rows: list[dict[str, object]]) -> None:
    """As if they had been there before the last run."""
    home.warehouse.release()
    with duckdb.connect(str(home.warehouse.path)) as connection:
        for row in rows:
            connection.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", list(row.values()))


def test_a_look_takes_the_slot_of_a_run(web: Home) -> None:
    web.write_source("web", WEB + "schedule: 1h\n")
    assert run(web, NOW)

    def due(now: datetime) -> list[str]:
        return monitoring_due(Catalogue.load(web.settings), last_runs(web.warehouse, now), now)

    later = NOW + 2 * HOUR
    assert due(later) == ["web"]
    assert looked(web, later) == {} and due(later) == [] and due(later + 2 * HOUR) == ["web"]


def edit(text: str) -> Callable[[Home], object]:
    return lambda home: home.write_source("web", WEB + text)


def grow(home: Home) -> None:
    write_rows(home.settings.data / "examples/web.csv", daily_series(1.1))


def break_file(home: Home) -> None:
    home.write_source("web", WEB + "rulse: []\n")


def ask_for_training(home: Home) -> None:
    request_training("web", "a new product", warehouse=home.warehouse, now=NOW)


def take_the_file_away(home: Home) -> None:
    (home.settings.data / "examples/web.csv").unlink()


def write_defaults(home: Home) -> None:
    home.settings.defaults_file.write_text("sensitivity: high\n")


def fail(home: Home) -> None:
    run(home, NOW, status="failed")


def run_otherwise(home: Home) -> None:
    """A run by a click, on which no look rests."""
    row = {"source": "web", "run_id": "click", "job": "monitor_source", "status": "success", "started_at": NOW}
    home.warehouse.commit("click", [Append("run_log", pd.DataFrame([row]))])


REASONS: dict[str, tuple[Callable[[Home], object], str]] = {
    "rows": (grow, "its origin has changed"),
    "no file": (take_the_file_away, "its origin cannot be looked at: read.path: no file matches examples/web.csv"),
    "settings": (edit("sensitivity: high\n"), "its settings have changed"),
    "defaults": (write_defaults, "its settings have changed"),
    "a broken file": (break_file, "its file cannot be used"),
    "a person": (ask_for_training, "its tables have changed"),
    "a failed run": (fail, "its last run has not ended with success, or found something to do"),
    "another run": (run_otherwise, "its last run has not ended with success, or found something to do"),
}


@pytest.mark.parametrize("what", REASONS)
def test_a_run_is_due_again_after(web: Home, what: str) -> None:
    happen, reason = REASONS[what]
    happen(web)
    assert looked(web) == {"web": reason}


def test_the_labels_are_a_part_of_the_settings(web: Home) -> None:
    labels = web.settings.data / "labels.csv"
    labels.write_text("series,started_at,ended_at\n")
    web.write_source("web", WEB + "labels: labels.csv\n")
    assert run(web, NOW) and looked(web) == {}
    labels.write_text("series,started_at,ended_at\nrequests,2026-03-02T01:00:00Z,2026-03-02T02:00:00Z\n")
    assert looked(web) == {"web": "its settings have changed"}


def test_another_version_judges_otherwise(web: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(appearances, "_versions", lambda: {"smartflow": "99"})
    assert looked(web) == {"web": "its settings have changed"}


def test_a_source_is_run_once_a_day_whatever_the_looks_say(web: Home) -> None:
    web.write_source("web", WEB + "freshness: off\n")
    assert run(web, NOW)
    assert looked(web, NOW + DAY - STEP) == {}
    assert looked(web, NOW + DAY) == {"web": "a run a day, whatever the looks say"}


def test_a_look_of_a_clock_that_was_ahead_counts_for_nothing(web: Home) -> None:
    assert looked(web, NOW - HOUR) == {"web": "the clock was ahead at the last look"}


def test_a_run_that_changed_something_is_followed_by_another(web: Home) -> None:
    grow(web)
    later = NOW + 3 * HOUR
    assert not run(web, later) and "web" in looked(web, later)
    assert run(web, later) and looked(web, later) == {}


def test_the_state_before_the_run_counts_not_the_one_that_it_leaves(web: Home) -> None:
    """A file that changes while the run reads another is found by the next look."""
    seen = appearance(Catalogue.load(web.settings).source("web"), web.settings, web.warehouse, NOW)
    web.run_stages("web", NOW, STAGES[:1], run_id="slow")
    grow(web)
    assert note_nothing_new(web.source_run("web", NOW, "slow", appearance=seen))
    row = {"source": "web", "run_id": "slow", "job": "monitor_source", "status": "success", "started_at": NOW}
    web.warehouse.commit("slow", [Append("run_log", pd.DataFrame([row]))])
    assert looked(web) == {"web": "its origin has changed"}


def test_one_reason_is_written_down_once(web: Home) -> None:
    grow(web)
    before = web.count("source_looks")
    for _ in range(3):
        looked(web)
    assert web.count("source_looks") == before + 1
    run(web, NOW + 3 * HOUR)
    looked(web, NOW + 3 * HOUR)
    assert list(web.table("source_looks")["outcome"].tail(2)) == ["run", "run"]


def test_many_sources_cost_one_read_and_one_commit(web: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"web{number}" for number in range(20)]
    rows = web.table("source_looks").tail(1)
    for name in names:
        web.write_source(name, WEB.replace("name: web", f"name: {name}"))
    web.warehouse.commit("looks", [Append("source_looks", pd.concat([rows.assign(source=name) for name in names]))])
    catalogue, calls = Catalogue.load(web.settings), list[str]()
    for name in ("read", "commit"):
        original = getattr(Warehouse, name)
        monkeypatch.setattr(Warehouse, name, lambda self, *args, _of=original, _name=name: (calls.append(_name), _of(self, *args))[1])
    found = look(catalogue, ["web", *names], web.warehouse, NOW + STEP)
    assert calls == ["read", "commit"] and found.nothing_new == ["web"] and len(found.worth) == 20
    assert found.reasons().startswith("web0, web1, web10,")
    assert look(catalogue, [], web.warehouse, NOW).worth == {} and calls == ["read", "commit"]


# --- what hangs, fails and keeps secrets ---


def test_what_hangs_delays_nobody_and_is_not_asked_twice() -> None:
    end, calls = threading.Event(), list[int]()

    def hang() -> str:
        calls.append(1)
        end.wait(30)
        return "late"

    begun = time.monotonic()
    for _ in range(2):
        found = probed({"slow": hang, "quick": lambda: "seen"}, timedelta(seconds=0.2))
        assert found["quick"] == Probed("seen") and "not answer" in found["slow"].silent_because
    assert time.monotonic() - begun < 10 and len(calls) == 1
    end.set()
    appearances._asking["slow"].join()
    assert probed({"slow": lambda: "seen"}) == {"slow": Probed("seen")}


def test_whatever_a_probe_raises_is_a_reason_to_run_and_tells_no_secret(web: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def probe(self: CsvReader, context: ProbeContext) -> str:
        raise ConnectionError("https://me:sesame@host")

    monkeypatch.setattr(CsvReader, "probe", probe)
    assert looked(web) == {"web": "its origin cannot be looked at (ConnectionError)"}
    assert "sesame" not in str(web.table("source_looks"))


def test_a_reader_that_cannot_say_is_run(web: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CsvReader, "probe", lambda self, context: None)
    assert looked(web) == {"web": "its origin does not say whether anything is new"}
    assert not run(web, NOW + STEP)


def test_a_look_that_cannot_be_taken_is_no_reason_for_a_run_to_fail(web: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def resolved(self: object) -> None:
        raise ZeroDivisionError

    source = Catalogue.load(web.settings).source("web")
    monkeypatch.setattr(type(source), "resolved", resolved)
    assert appearance(source, web.settings, web.warehouse, NOW) is None
    assert looked(web) == {"web": "its settings cannot be looked at (ZeroDivisionError)"}


def test_the_published_copy_is_made_for_looks_every_ten_minutes(web: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    web.warehouse.publish("run")
    assert not publish_looks(web.warehouse)
    web.settings.published_file.unlink()
    assert publish_looks(web.warehouse)  # nobody can read what was taken away
    assert not publish_looks(web.warehouse)
    monkeypatch.setattr(looks, "COPIED_EACH", timedelta(0))
    assert not publish_looks(web.warehouse)  # nobody has looked since
    rows = pd.DataFrame([{"source": "web", "looked_at": datetime.now(UTC), "outcome": "nothing_new"}])
    web.warehouse.commit("look", [Append("source_looks", rows)])
    assert publish_looks(web.warehouse)


# --- what is due by the clock alone ---

HOURLY = """
name: orders
read: {type: csv, path: examples/orders.csv, time: at}
metrics: [{name: orders, column: n, aggregate: mean}]
time_bucket: {every: 1h, settle: 10min}
"""


def decided(home: Home, now: datetime, yaml: str, *, until: datetime = NOW, since: datetime = START) -> tuple[datetime, str]:
    """The next decision of a source with hourly rows."""
    home.write_source("orders", HOURLY + yaml)
    hours = pd.date_range(since, until, freq="1h", inclusive="left")
    write_rows(home.settings.data / "examples/orders.csv", pd.DataFrame({"at": hours.strftime("%Y-%m-%dT%H:%M:%SZ"), "n": 100}))
    home.run_stages("orders", now, [ingestion.raw_records])
    return next_decision(home.source_run("orders", now))


@pytest.mark.parametrize(
    ("after", "yaml", "due_after", "reason"),
    [
        (5, "freshness: off\n", 10, "a bucket has closed"),
        (15, "freshness: off\n", 15 + 24 * 60, "a run a day, whatever the looks say"),
        (15, "freshness: {warn_after: 90min}\n", 30, "how long the source has been silent"),
        (45, "freshness: {warn_after: 90min, error_after: 3h}\n", 120, "how long the source has been silent"),
        (15, "freshness: {warn_after: 9h, delay: 0s}\nrules: [{type: missing, metric: orders, for: 2h}]\n", 70, "a bucket has closed"),
        (15, "freshness: {warn_after: 9h, delay: 20min}\nrules: [{type: missing, metric: orders, for: 2h}]\n", 90, "a bucket has closed"),
    ],
)
def test_the_clock_alone_decides_at(home: Home, after: int, yaml: str, due_after: int, reason: str) -> None:
    at, why = decided(home, NOW + after * timedelta(minutes=1), yaml)
    assert (at.replace(microsecond=0), why) == (NOW + due_after * timedelta(minutes=1), reason)


def test_a_silence_is_due_in_the_bucket_in_which_it_becomes_unusual(home: Home) -> None:
    """Four weeks of rows each hour: three hours without one are unusual."""
    end = START + 28 * DAY
    at, why = decided(home, end + HOUR / 3, "freshness: {delay: 0s}\n", until=end)
    assert (at, why) == (end + 3 * HOUR + HOUR / 6, "how long the source has been silent")


def test_a_row_of_the_future_is_due_when_its_time_comes(home: Home) -> None:
    at, why = decided(home, NOW - 8 * HOUR - HOUR / 4, "freshness: {warn_after: 9h}\n")
    assert (at, why) == (NOW - 8 * HOUR, "how long the source has been silent")
