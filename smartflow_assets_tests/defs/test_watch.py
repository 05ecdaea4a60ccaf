"""What is not ours alerts when it is asked for: once, whatever happens between two ticks, and never what is ours."""

import json
import random
from collections.abc import Sequence
from datetime import UTC, datetime

import dagster as dg
import pytest

from smartflow_assets.core.incidents.watched import DAEMON
from smartflow_assets.defs import watched_events
from smartflow_assets.defs.build import build_definitions
from smartflow_assets.defs.names import asset_key
from smartflow_assets.defs.run_closing import close_run
from smartflow_assets.defs.sensors import outbox_sensor, watch_sensor
from smartflow_assets_tests.defs.strangers import STRANGERS
from smartflow_assets_tests.homes import Home

MERGED = dg.Definitions.merge(build_definitions(), STRANGERS)
ORDERS = dg.AssetKey(["shop", "orders"])
LOST = "name: lost\nread: {type: csv, path: no.csv, time: t}\nmetrics: [{name: n, column: v}]\n"


class Watcher:
    """The daemon's part in a sensor: it keeps the cursor."""

    def __init__(self, home: Home, asks: str = 'alerts_for: "*"', cursor: str | None = None) -> None:
        self.home, self.cursor = home, cursor
        self.asks(asks)

    def asks(self, text: str, to: str = "file") -> None:
        self.home.settings.home_file.write_text(f"{text}\nalerts: {{to: [{to}]}}\n")

    def tick(self, definitions: dg.Definitions = MERGED) -> str:
        context = dg.build_sensor_context(instance=self.home.instance, cursor=self.cursor, repository_def=definitions.get_repository_def())
        said = watch_sensor(context)
        self.cursor = context.cursor
        return str(said.skip_message)

    def looks_again(self) -> None:
        """As if two minutes were over since the last look at ticks and assets."""
        self.cursor = json.dumps(json.loads(self.cursor or "{}") | {"looked_at": 0.0})


def materialize(home: Home, *fails: str, selection: Sequence[str] = ("shop/orders", "shop/report")) -> dg.ExecuteInProcessResult:
    job = STRANGERS.resolve_implicit_global_asset_job_def()
    keys = [dg.AssetKey.from_user_string(name) for name in selection]
    return job.execute_in_process(instance=home.instance, tags={"fails": ",".join(fails)}, raise_on_error=False, asset_selection=keys)


def run_nightly(home: Home, *fails: str, **tags: str) -> dg.ExecuteInProcessResult:
    job = STRANGERS.resolve_job_def("nightly")
    return job.execute_in_process(instance=home.instance, tags={"fails": ",".join(fails), **tags}, raise_on_error=False)


def evaluate(home: Home, check: str, passed: bool, partition: str | None = None, asset: dg.AssetKey = ORDERS) -> None:
    home.instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(asset_key=asset, check_name=check, passed=passed, metadata={"nulls": 3}, partition=partition)
    )


def causes(home: Home, state: str = "open") -> list[str]:
    return sorted(home.table("incidents", f"source = '*' AND state = '{state}'")["cause"]) if home.settings.warehouse_file.exists() else []


def told(home: Home) -> list[tuple[str, str]]:
    """What has gone out by the channel `file`: event and subject."""
    outbox_sensor(dg.build_sensor_context(instance=home.instance))
    messages = [json.loads(path.read_text()) for path in home.settings.outbox.rglob("*.json")]
    return sorted((message["event"], message["subject"]) for message in messages)


@pytest.fixture
def watcher(home: Home) -> Watcher:
    watcher = Watcher(home)
    watcher.tick()
    return watcher


def test_a_failed_blocking_check_of_a_stranger_is_one_incident_and_its_run_is_none(home, watcher):
    assert not materialize(home, "not_null").success
    watcher.tick()
    assert causes(home) == ["check:shop/orders/not_null"]
    assert told(home) == [("opened", "[critical] check not_null of shop/orders failed: 3 nulls")]


def test_a_check_that_warns_is_a_warning_though_its_run_succeeds(home, watcher):
    assert materialize(home, "fresh").success
    watcher.tick()
    assert told(home) == [("opened", "[warning] check fresh of shop/orders failed: hours 7")]


def test_a_check_that_fails_three_times_is_told_once_and_its_end_once(home, watcher):
    for _ in range(3):
        evaluate(home, "not_null", False)
        watcher.tick()
    assert len(told(home)) == 1
    evaluate(home, "not_null", True)
    watcher.tick()
    assert causes(home) == [] and causes(home, "resolved") == ["check:shop/orders/not_null"]
    opened, resolved = told(home)
    assert opened[0] == "opened" and resolved[0] == "resolved"
    assert resolved[1].startswith("[resolved] check not_null of shop/orders")


def test_partitions_of_a_check_are_matters_of_their_own(home, watcher):
    evaluate(home, "not_null", False, "2026-03-01")
    evaluate(home, "not_null", True, "2026-03-02")
    watcher.tick()
    assert causes(home) == ["check:shop/orders/not_null[2026-03-01]"]


def test_a_failed_run_of_a_job_is_one_incident_until_the_job_succeeds(home, watcher):
    for _ in range(3):
        run_nightly(home, "load")
    watcher.tick()
    assert causes(home) == ["run:nightly"]
    assert told(home) == [("opened", "[critical] run of nightly failed in step load: RuntimeError: the disk is full")]
    run_nightly(home)
    watcher.tick()
    assert causes(home) == []


def test_a_run_outside_of_a_job_is_told_by_the_asset_that_it_did_not_make(home, watcher):
    materialize(home, "orders")
    watcher.tick()
    assert causes(home) == ["materialization:shop/orders"]
    assert told(home) == [("opened", "[critical] materialization of shop/orders failed: ValueError: no such file")]
    materialize(home, selection=["shop/orders"])
    watcher.tick()
    assert causes(home) == []


def test_a_run_that_dagster_will_retry_is_not_told_and_its_last_retry_is(home, watcher):
    run_nightly(home, "load", **{"dagster/will_retry": "true"})
    watcher.tick()
    assert causes(home) == []
    run_nightly(home, "load", **{"dagster/will_retry": "false"})
    watcher.tick()
    assert causes(home) == ["run:nightly"]


def test_a_canceled_run_alerts_nobody(home, watcher):
    run = home.instance.create_run_for_job(STRANGERS.resolve_job_def("nightly"), status=dg.DagsterRunStatus.STARTED)
    home.instance.report_run_canceled(run)
    watcher.tick()
    assert causes(home) == []


@pytest.mark.parametrize("asks", ["", "alerts_for: {jobs: ['other*'], assets: ['crm/*']}"])
def test_what_nobody_asks_for_is_left_alone(home, asks):
    watcher = Watcher(home, asks)
    watcher.tick()
    evaluate(home, "not_null", False)
    run_nightly(home, "load")
    watcher.tick()
    assert causes(home) == []


def test_it_begins_at_the_newest_record_and_not_with_the_history(home):
    evaluate(home, "not_null", False)
    watcher = Watcher(home)
    watcher.tick()
    watcher.tick()
    assert causes(home) == []
    evaluate(home, "fresh", False)
    watcher.tick()
    assert causes(home) == ["check:shop/orders/fresh"]


def test_our_own_checks_and_runs_are_told_by_closing_the_run_alone(home, watcher):
    for key in watched_events._OUR_CHECKS:
        evaluate(home, key.name, False, asset=key.asset_key)
    home.write_source("lost", LOST)
    assert not home.run("lost", datetime.now(UTC)).is_success
    watcher.tick()
    assert causes(home) == []
    assert home.table("incidents")[["source", "cause"]].values.tolist() == [["lost", "raw_records"]]


def test_a_check_of_a_stranger_on_an_asset_of_ours_is_theirs(home, watcher):
    evaluate(home, "finance_looked", False, asset=asset_key("incidents"))
    watcher.tick()
    assert causes(home) == ["check:smartflow/incidents/finance_looked"]


def test_a_check_of_another_home_on_the_instance_is_left_to_it(home, watcher):
    home.instance.daemon_cursor_storage.set_cursor_values({"smartflow/home_of_prefix/acme": "/srv/acme"})
    key = next(iter(watched_events._OUR_CHECKS))
    evaluate(home, key.name, False, asset=dg.AssetKey(["acme", key.asset_key.path[-1]]))
    evaluate(home, key.name, False, asset=dg.AssetKey(["other", key.asset_key.path[-1]]))
    watcher.tick()
    assert causes(home) == [f"check:other/{key.asset_key.path[-1]}/{key.name}"]


def test_what_nobody_asks_for_any_more_is_closed_with_that_reason(home, watcher):
    evaluate(home, "not_null", False)
    watcher.tick()
    watcher.asks("alerts_for: {jobs: ['*']}")
    watcher.looks_again()
    watcher.tick()
    assert home.table("incidents")["resolved_reason"].tolist() == ["nobody asks for it any more (alerts_for in data/home.yaml)"]


def test_a_broken_home_file_closes_nothing_and_forgets_nothing(home, watcher):
    evaluate(home, "not_null", False)
    watcher.tick()
    watcher.asks("alerts_for: yes please")
    watcher.looks_again()
    evaluate(home, "fresh", False)
    assert "cannot be used" in watcher.tick()
    assert causes(home) == ["check:shop/orders/not_null"]
    watcher.asks('alerts_for: "*"')
    watcher.tick()
    assert causes(home) == ["check:shop/orders/fresh", "check:shop/orders/not_null"]


def test_an_asset_that_is_gone_takes_its_incident_along(home, watcher):
    materialize(home, "not_null")
    watcher.tick()
    watcher.looks_again()
    watcher.tick()
    assert causes(home) == ["check:shop/orders/not_null"]
    watcher.looks_again()
    watcher.tick(build_definitions())
    assert home.table("incidents")["resolved_reason"].tolist() == ["it is not in the code any more"]


def test_an_asset_that_was_wiped_takes_its_incident_along(home, watcher):
    materialize(home, "not_null")
    watcher.tick()
    watcher.looks_again()
    watcher.tick(build_definitions())  # of another code location: the history alone knows it
    home.instance.wipe_assets([ORDERS])
    watcher.looks_again()
    watcher.tick(build_definitions())
    assert home.table("incidents")["resolved_reason"].tolist() == ["the asset was wiped from Dagster's history"]


def test_ten_thousand_records_at_once_are_read_in_pieces_and_each_once(home, watcher, monkeypatch):
    monkeypatch.setattr(watched_events, "MOST_RECORDS", 7)
    for number in range(40):
        evaluate(home, f"check_{number % 4}", number >= 36)
    ticks = 0
    while json.loads(watcher.cursor)["number"] < home.instance.event_log_storage.get_maximum_record_id():
        watcher.tick()
        ticks += 1
    assert ticks == 2  # five pieces of seven each
    assert len(causes(home, "resolved")) == 4 and causes(home) == []
    assert home.count("incident_events", "event = 'opened'") == 4


def test_a_history_that_was_pruned_or_began_anew_stops_nobody(home, watcher):
    result = materialize(home, "not_null")
    home.instance.delete_run(result.run_id)
    watcher.tick()
    watcher.cursor = json.dumps(json.loads(watcher.cursor) | {"number": 10**9})
    watcher.tick()
    evaluate(home, "fresh", False)
    watcher.tick()
    assert "check:shop/orders/fresh" in causes(home)


def test_a_tick_that_died_after_its_commit_is_repeated_without_a_word(home, watcher):
    before = watcher.cursor
    evaluate(home, "not_null", False)
    evaluate(home, "not_null", True)
    watcher.tick()
    watcher.cursor = before
    evaluate(home, "fresh", False)
    watcher.tick()
    events = home.table("incident_events")
    assert sorted(zip(events["cause"], events["event"], strict=True)) == [
        ("check:shop/orders/fresh", "opened"),
        ("check:shop/orders/not_null", "opened"),
        ("check:shop/orders/not_null", "resolved"),
    ]


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(1, 12))])
def test_a_storm_of_evaluations_and_dying_ticks_ends_as_the_model_says(home, watcher, seed):
    """The model: between two ticks a matter fails if it failed once, and is over if its last word is that it passed."""
    chance, checks = random.Random(seed), ["a", "b", "c"]
    is_open, expected = dict.fromkeys(checks, False), []
    for _ in range(8):
        batch = [(chance.choice(checks), chance.random() < 0.5) for _ in range(chance.randrange(5))]
        for check, passed in batch:
            evaluate(home, check, passed)
        for check in checks:
            words = [passed for name, passed in batch if name == check]
            if words and not all(words) and not is_open[check]:
                is_open[check], _ = True, expected.append((check, "begins"))
            if words and words[-1] and is_open[check]:
                is_open[check], _ = False, expected.append((check, "ends"))
        before = watcher.cursor
        watcher.tick()
        if chance.random() < 0.4:  # it died before Dagster kept its cursor
            watcher.cursor = before
    watcher.tick()
    named = {"opened": "begins", "reopened": "begins", "resolved": "ends"}
    events = home.table("incident_events")
    got = [(row.cause.rpartition("/")[2], named[row.event]) for row in events.itertuples() if row.event in named]
    assert sorted(got) == sorted(expected)
    assert causes(home) == [f"check:shop/orders/{check}" for check in checks if is_open[check]]


def test_a_part_that_fails_stops_no_other_and_is_tried_again(home, watcher, monkeypatch):
    evaluate(home, "not_null", False)
    with monkeypatch.context() as broken:
        broken.setattr("smartflow_assets.defs.watch.seen_in", lambda *args: 1 / 0)
        assert "could not look (ZeroDivisionError)" in watcher.tick()
    watcher.tick()
    assert causes(home) == ["check:shop/orders/not_null"]
    assert DAEMON not in causes(home)


def test_a_secret_in_the_words_of_a_stranger_is_in_no_message(home, watcher, monkeypatch):
    monkeypatch.setenv("SHOP_PASSWORD", "hunter22")
    home.instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(asset_key=ORDERS, check_name="reachable", passed=False, description="no login as me:hunter22")
    )
    watcher.tick()
    assert told(home) == [("opened", "[critical] check reachable of shop/orders failed: no login as me:${SHOP_PASSWORD}")]
    assert "hunter22" not in home.table("incident_events").to_json()


def test_a_backfill_that_fails_is_one_incident_and_one_run_is_read(home, watcher, monkeypatch):
    read, real = list[str](), watched_events._step_errors
    monkeypatch.setattr(watched_events, "_step_errors", lambda instance, run_id: read.append(run_id) or real(instance, run_id))
    runs = [materialize(home, "orders").run_id for _ in range(4)]
    watcher.tick()
    assert causes(home) == ["materialization:shop/orders"]
    assert read == runs[-1:]


def test_of_a_click_on_both_what_failed_is_told_by_whose_it_is(home, watcher):
    home.write_source("lost", LOST)
    job = MERGED.resolve_job_def("__ASSET_JOB")
    for selection in ([asset_key("analyst_snapshot"), ORDERS], [asset_key("raw_records"), dg.AssetKey(["shop", "report"])]):
        result = job.execute_in_process(
            instance=home.instance, partition_key="lost", asset_selection=selection, tags={"fails": "orders"}, raise_on_error=False
        )
        assert not result.success
        close_run(home.instance, result.run_id, settings=home.settings)
    watcher.tick()
    assert sorted(home.table("incidents")[["source", "cause"]].values.tolist()) == [
        ["*", "materialization:shop/orders"],
        ["lost", "raw_records"],
    ]
