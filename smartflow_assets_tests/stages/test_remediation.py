"""What `remediate:` does about what is wrong: each action, once, with what was before and after; and what stops it."""

import json
import sys
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pandas as pd
import pytest

from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.api import BaseAction, Done, Hands, Matter
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.core.incidents.run_failures import Failure
from smartflow_assets.core.remediation import ACTIONS
from smartflow_assets.stages import contracts, ingestion, preparation
from smartflow_assets.stages.alerting import incidents, record_failures, writes_of
from smartflow_assets.stages.remediation import SourceHands, by_hand, remediations, undo, undoable, wish_of
from smartflow_assets.stages.run_closing import RunRecord, close
from smartflow_assets.stages.scheduling.interventions import interventions
from smartflow_assets.stages.scheduling.training_requests import open_requests
from smartflow_assets_tests.homes import Home

BEGIN = datetime(2026, 3, 2, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOW = BEGIN + 20 * DAY
STAGES = (ingestion.raw_records, contracts.schema_checks, preparation.clean_series)
SHOP = """
name: shop
read: {type: csv, path: feed/*.csv, time: at}
metrics: [{name: n, aggregate: mean}]
time_bucket: {every: 1h, settle: 0s}
freshness: off
drift: off
"""


class Shop:
    """A source of an hourly number in files of a day each, and what is wrong with it."""

    def __init__(self, home: Home) -> None:
        self.home, self.runs = home, 0
        (home.settings.data / "feed").mkdir()
        self.remediate("[]")

    def remediate(self, entries: str, more: str = "") -> None:
        self.home.write_source("shop", f"{SHOP}{more}\nremediate: {entries}\n")

    def write(self, day: int, hours: int = 24, value: float | None = None) -> None:
        """A file of the first so many hours of a day."""
        times = pd.date_range(BEGIN + day * DAY, periods=hours, freq="1h")
        values = [100.0 + (7 * day + hour) % 24 if value is None else value for hour in range(hours)]
        frame = pd.DataFrame({"at": times.strftime("%Y-%m-%dT%H:%M:%SZ"), "n": values})
        frame.to_csv(self.home.settings.data / f"feed/{day:02}.csv", index=False)

    def clean(self, now: datetime = NOW) -> None:
        self.runs += 1
        self.home.run_stages("shop", now, STAGES, run_id=f"load{self.runs}")

    def wrong(self, cause: str, now: datetime = NOW, text: str = "it moved") -> str:
        """An incident of this cause; -> its id."""
        self.runs += 1
        policy = Catalogue.load(self.home.settings).source("shop").alerts
        step = record_failures(
            self.home.warehouse, "shop", [Failure(cause, text, "warning")], frozenset(), policy=policy, now=now, run_id=f"wrong{self.runs}"
        )
        self.home.warehouse.commit("wrong", writes_of(step))
        return str(step.incidents["incident_id"].iloc[0])

    def remedy(self, now: datetime = NOW) -> list[dict[str, Any]]:
        """What a run does; -> the rows that it wrote."""
        self.runs += 1
        return list(remediations(self.home.source_run("shop", now, f"remedy{self.runs}")).rows)

    def hand(
        self, action: str, since: datetime | None = None, until: datetime | None = None, now: datetime = NOW, **keys: Any
    ) -> dict[str, Any]:
        self.runs += 1
        run = self.home.source_run("shop", now, f"hand{self.runs}")
        return by_hand(run, ACTIONS[action](**keys), wish_of(run, "ana asks", since, until), "ana")

    def cells(self) -> dict[int, tuple[float, str]]:
        """Value and repair by hours after the beginning, of what is not as observed."""
        found = self.home.table("clean_series", "repair <> 'none'")
        hours = ((found["observed_at"] - BEGIN) / HOUR).astype(int)
        return {hour: (value, repair) for hour, value, repair in zip(hours, found["value"], found["repair"], strict=True)}


@pytest.fixture
def shop(home: Home) -> Shop:
    return Shop(home)


def test_a_training_is_asked_for_once_for_an_incident(shop):
    shop.remediate("[{when: drift, do: retrain}]")
    incident = shop.wrong("check:distributions_are_usual")
    assert open_requests(shop.home.warehouse) == []
    (row,) = shop.remedy()
    (request,) = open_requests(shop.home.warehouse)
    assert request.reason == "remedy: check:distributions_are_usual failed: it moved" and request.requested_by == ""
    assert (row["status"], row["action"], row["incident_id"]) == ("done", "retrain", incident)
    assert json.loads(row["before"]) == {"model_trained_at": None} and json.loads(row["after"])["request_id"] == request.request_id
    assert row["message"] == "a training was asked for at 2026-03-22 00:00 UTC"
    assert shop.remedy(NOW + DAY) == [] and shop.home.count("remediations") == 1 and len(open_requests(shop.home.warehouse)) == 1


@pytest.mark.parametrize("condition", ["freshness", "schema", "{cause: drift, severity: critical}", "{cause: drift, metric: n}"])
def test_what_an_entry_is_not_for_is_left_alone(shop, condition):
    shop.remediate(f"[{{when: {condition}, do: retrain}}]")
    shop.wrong("check:distributions_are_usual")
    assert shop.remedy() == []


def test_a_source_without_remedies_asks_only_whether_one_failed(shop, monkeypatch):
    shop.home.write_source("shop", SHOP)
    shop.wrong("check:distributions_are_usual")
    run, asked, read = shop.home.source_run("shop", NOW), [], Warehouse.read
    monkeypatch.setattr(Warehouse, "read", lambda self, *query: asked.append(query) or read(self, *query))
    assert list(remediations(run).rows) == [] and len(asked) == 1


def test_more_than_its_limit_within_a_day_is_skipped_and_said(shop):
    shop.write(0)
    shop.remediate("[{when: check, do: reingest, limit: 2}]")
    for number in range(3):
        shop.wrong(f"check:promise_{number}")
    rows = shop.remedy()
    assert [row["status"] for row in rows] == ["done", "done", "skipped"]
    assert rows[2]["message"] == "reingest was done 2 times within 24 hours, which is its limit"
    shop.wrong("check:another", NOW + HOUR)
    assert [row["status"] for row in shop.remedy(NOW + HOUR)] == ["skipped"]
    shop.wrong("check:tomorrow", NOW + DAY + HOUR)
    assert [row["status"] for row in shop.remedy(NOW + DAY + HOUR)] == ["done"]


def test_a_dry_run_only_says_what_it_would_do_until_it_is_none(shop):
    shop.remediate("[{when: drift, do: {type: pause, lasting: 6h}, dry_run: true}]")
    shop.wrong("check:distributions_are_usual")
    (row,) = shop.remedy()
    assert (row["status"], row["message"]) == ("dry", "it would stop the schedule for 6h")
    assert interventions(shop.home.warehouse, NOW).paused == {} and shop.remedy() == []
    shop.remediate("[{when: drift, do: {type: pause, lasting: 6h}}]")
    assert [row["status"] for row in shop.remedy()] == ["done"] and shop.home.count("remediations") == 1
    assert interventions(shop.home.warehouse, NOW).paused == {"shop": NOW + 6 * HOUR}


def test_what_fails_is_an_incident_until_it_succeeds(shop):
    shop.remediate("[{when: drift, do: {type: run, source: stock}}]")
    shop.wrong("check:distributions_are_usual")
    (row,) = shop.remedy()
    assert (row["status"], row["error"]) == ("failed", "there is no source stock to be run. The sources are shop.")
    opened = "cause = 'remediation:run stock'"
    (incident,) = shop.home.table("incidents", opened).to_dict("records")
    assert (incident["state"], incident["severity"]) == ("open", "warning") and "there is no source stock" in incident["title"]
    assert shop.remedy() == []  # neither again, nor about itself
    shop.home.write_source("stock", SHOP.replace("name: shop", "name: stock"))
    assert shop.hand("run", source="stock")["status"] == "done"
    (incident,) = shop.home.table("incidents", opened).to_dict("records")
    assert (incident["state"], incident["resolved_reason"]) == ("resolved", "run stock was done")
    assert interventions(shop.home.warehouse, NOW).asked == {"stock": "shop"}


def test_the_incident_of_what_failed_ends_with_what_it_was_for(shop):
    shop.remediate("[{when: failure, do: reingest}, {when: failure, do: {type: run, source: stock}}]")
    shop.wrong("raw_records", text="there is no file")
    rows = shop.remedy()  # neither the feed nor the other source is there
    assert [row["status"] for row in rows] == ["failed", "failed"]
    own = "starts_with(cause, 'remediation:')"
    assert shop.remedy() == [] and shop.home.table("incidents", own)["state"].tolist() == ["open", "open"]
    policy = Catalogue.load(shop.home.settings).source("shop").alerts
    step = record_failures(
        shop.home.warehouse, "shop", [], frozenset({"raw_records"}), policy=policy, now=NOW + HOUR, run_id="mended", because="it is back"
    )
    shop.home.warehouse.commit("mended", writes_of(step))
    assert shop.remedy(NOW + HOUR) == []
    ended = shop.home.table("incidents", own)
    assert ended["state"].tolist() == ["resolved", "resolved"]
    assert set(ended["resolved_reason"]) == {"what it was for is over: raw_records failed: there is no file"}
    events = shop.home.count("incident_events", own)
    assert shop.remedy(NOW + 2 * HOUR) == [] and shop.home.count("incident_events", own) == events  # told once


@pytest.mark.parametrize("entries", ["[]", "[{when: drift, do: retrain}]"])
def test_the_incident_of_what_failed_ends_when_the_yaml_does_not_list_it(shop, entries):
    shop.remediate("[{when: drift, do: {type: run, source: stock}}]")
    shop.wrong("check:distributions_are_usual")
    shop.remedy()
    shop.remediate(entries)
    shop.remedy()
    (own,) = shop.home.table("incidents", "starts_with(cause, 'remediation:')").to_dict("records")
    assert (own["state"], own["resolved_reason"]) == ("resolved", "run stock is no longer in `remediate`")


def test_the_incident_of_what_failed_for_a_gap_ends_when_there_are_rows(shop):
    for day in range(15):
        shop.write(day, hours=10 if day == 13 else 24)
    shop.remediate("[{when: gap, do: {type: run, source: stock}}]")
    shop.clean()
    assert [row["status"] for row in shop.remedy()] == ["failed"]
    shop.clean()
    assert shop.remedy() == [] and shop.home.table("incidents")["state"].tolist() == ["open"]
    shop.write(13)
    shop.clean()
    assert shop.remedy() == []
    (own,) = shop.home.table("incidents").to_dict("records")
    assert own["state"] == "resolved" and own["resolved_reason"].startswith("what it was for is over: no rows from ")


@pytest.mark.parametrize(
    ("action", "said"),
    [
        ("{type: pause, lasting: 6h}", "pause was skipped: its schedule is stopped already, until 2026-03-22 06:00 UTC"),
        ("retrain", "retrain was skipped: a training was asked for already, at 2026-03-22 00:00 UTC"),
        ("run", "run was skipped: a run of shop was asked for already, and has not begun"),
    ],
)
def test_what_holds_for_the_source_already_is_skipped_and_said_once(shop, action, said):
    shop.remediate(f"[{{when: blocked, do: {action}}}]")
    for load in ("a", "b", "c"):
        shop.wrong(f"load:{load}")
    done = remediations(shop.home.source_run("shop", NOW, "run"))
    assert [row["status"] for row in done.rows] == ["done", "skipped", "skipped"] and done.told[1:] == [said]
    assert len(undoable(shop.home.warehouse, "shop", NOW)) == (action.startswith("{type: pause"))


def test_a_pause_by_hand_replaces_the_one_before(shop):
    shop.hand("pause", now=NOW - HOUR)
    row = shop.hand("pause", lasting="6h")
    assert row["message"] == "its schedule is stopped until 2026-03-22 06:00 UTC, in the place of the pause that stood"
    assert interventions(shop.home.warehouse, NOW).paused == {"shop": NOW + 6 * HOUR}
    assert [each["remediation_id"] for each in undoable(shop.home.warehouse, "shop", NOW)] == [row["remediation_id"]]


def test_a_longer_pause_holds_beside_a_shorter_one(shop):
    shop.remediate("[{when: blocked, do: {type: pause, lasting: 6h}}]")
    shop.wrong("load:a")
    shop.remedy()
    shop.wrong("load:b")
    assert [row["status"] for row in shop.remedy(NOW + HOUR)] == ["done"]
    assert interventions(shop.home.warehouse, NOW).paused == {"shop": NOW + 7 * HOUR}


def test_what_a_run_died_in_is_done_once_more_and_no_third_time(shop, monkeypatch):
    shop.remediate("[{when: drift, do: retrain}]")
    shop.wrong("check:distributions_are_usual")

    def killed(hands, reason):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(SourceHands, "ask_for_training", killed)
        with pytest.raises(KeyboardInterrupt):
            shop.remedy()
    assert shop.home.table("remediations")["status"].tolist() == ["planned"]
    (row,) = shop.remedy()
    assert (row["status"], row["attempt"]) == ("done", 2) and row["message"].endswith(
        "(a run died while it did this, so it may be done twice)"
    )
    shop.wrong("check:another")
    shop.remediate("[{when: check, do: retrain}]")
    with monkeypatch.context() as patch:
        patch.setattr(SourceHands, "ask_for_training", killed)
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                shop.remedy()
    (row,) = shop.remedy()
    assert (row["status"], row["error"]) == ("failed", "2 runs died while they did it; it is not tried again")
    assert shop.remedy() == []


def test_a_pause_ends_by_itself_or_by_a_person(shop):
    shop.write(0)
    shop.hand("pause", lasting="6h")
    assert interventions(shop.home.warehouse, NOW).told(["shop"]) == "paused: shop until 2026-03-22 06:00 UTC"
    assert interventions(shop.home.warehouse, NOW + 7 * HOUR).paused == {}
    shop.hand("pause")
    assert interventions(shop.home.warehouse, NOW + 7 * HOUR).paused == {"shop": None}
    shop.clean()
    assert shop.home.table("marts.source_health")[["source", "is_paused"]].to_numpy().tolist() == [["shop", True]]
    for row in undoable(shop.home.warehouse, "shop", NOW):
        undo(shop.home.warehouse, row, by_whom="ana", now=NOW, run_id="a person")
    assert interventions(shop.home.warehouse, NOW).paused == {} and set(shop.home.table("remediations")["undone_by"]) == {"ana"}
    assert shop.home.table("marts.source_health")["is_paused"].tolist() == [False]


def test_a_run_is_asked_for_until_one_begins(shop):
    shop.hand("run")
    assert interventions(shop.home.warehouse, NOW).asked == {"shop": "shop"}
    record = RunRecord("r", "monitor_source", "shop", "success", NOW + HOUR, NOW + HOUR, NOW + HOUR, "schedule")
    catalogue = Catalogue.load(shop.home.settings)
    close(record, warehouse=shop.home.warehouse, settings=shop.home.settings, catalogue=catalogue)
    assert interventions(shop.home.warehouse, NOW).asked == {}


def test_a_stage_that_failed_is_known_when_the_run_is_closed(shop):
    shop.remediate("[{when: failure, do: {type: pause, lasting: 1h}}]")
    failure = Failure("raw_records", "the file is broken")
    record = RunRecord("r", "monitor_source", "shop", "failed", NOW, NOW, NOW, "schedule", (failure,))
    catalogue = Catalogue.load(shop.home.settings)
    close(record, warehouse=shop.home.warehouse, settings=shop.home.settings, catalogue=catalogue)
    assert interventions(shop.home.warehouse, NOW).paused == {"shop": NOW + HOUR}


class Siren(BaseAction, frozen=True):
    """An action of another package, which may break."""

    type: Literal["siren"] = "siren"
    is_broken: bool = False

    def describe(self) -> str:
        return "sound the siren"

    def carry_out(self, matter: Matter, hands: Hands) -> Done:
        if self.is_broken:
            raise SystemExit(3)  # whatever a stranger's code does
        hands.ask_for_run(hands.source)
        return Done(f"the siren sounds: {matter.title}", before={"is_loud": False}, after={"is_loud": True})


def test_an_action_of_a_package_does_what_it_wants_by_the_hands_that_it_is_given(shop):
    run = shop.home.source_run("shop", NOW, "hand")
    row = by_hand(run, Siren(is_broken=True), wish_of(run, "ana asks", None, None), "ana")
    assert (row["status"], row["error"]) == ("failed", "3")
    run = shop.home.source_run("shop", NOW + HOUR, "hand again")
    row = by_hand(run, Siren(), wish_of(run, "ana asks", None, None), "ana")
    assert (row["status"], row["message"], json.loads(row["after"])) == ("done", "the siren sounds: ana asks", {"is_loud": True})
    assert interventions(shop.home.warehouse, NOW).asked == {"shop": "shop"}
    assert shop.home.count("incidents") == 0  # what a person asked for, a person hears


# --- rows ---


def test_reading_anew_heals_the_gap_of_a_truncated_file(shop):
    for day in range(4):
        shop.write(day, hours=10 if day == 2 else 24)
    shop.clean()
    assert [hour for hour, (_, repair) in shop.cells().items() if repair == "missing"] == list(range(58, 72))
    shop.write(2)
    row = shop.hand("reingest", BEGIN + 58 * HOUR, BEGIN + 72 * HOUR)
    assert json.loads(row["before"]) == {"rows": 82} and json.loads(row["after"]) == {"rows": 96, "new_rows": 14, "removed_rows": 0}
    assert row["message"].endswith("14 rows are new, 0 went; a run that works on them was asked for")
    assert interventions(shop.home.warehouse, NOW).asked == {"shop": "shop"}
    shop.clean()
    assert shop.cells() == {}
    assert json.loads(shop.hand("reingest")["after"]) == {"rows": 96, "new_rows": 0, "removed_rows": 0}  # nothing is doubled


@pytest.fixture
def server(shop, tmp_path, monkeypatch):
    """A server that is asked for what is new alone; -> what sets the hours that it has."""
    monkeypatch.syspath_prepend(str(tmp_path / "lib"))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "lib").mkdir()

    def serve(hours: list[int]) -> None:
        code = f"""
from datetime import datetime, timedelta, timezone
def rows(since):
    begin = datetime(2026, 3, 2, tzinfo=timezone.utc)
    times = [begin + timedelta(hours=hour) for hour in {hours}]
    return [{{"at": at.isoformat(), "n": 100 + at.hour}} for at in times if since is None or at >= since]
"""
        (tmp_path / "lib" / "gappy_server.py").write_text(code)
        sys.modules.pop("gappy_server", None)

    yield serve
    sys.modules.pop("gappy_server", None)


def test_a_gap_that_a_server_has_filled_since_is_asked_for_again(shop, server):
    reader = "read: {type: python, function: 'gappy_server:rows', time: at}"
    text = SHOP.replace("read: {type: csv, path: feed/*.csv, time: at}", reader)
    shop.home.write_source("shop", f"{text}remediate: [{{when: gap, do: reingest}}]\n")
    hours = [hour for hour in range(24 * 16) if not 300 <= hour < 320]
    server(hours)
    shop.clean()
    server(list(range(24 * 16)))
    shop.clean()
    assert len(shop.cells()) == 20  # it was not asked for them
    (row,) = shop.remedy()
    assert row["reason"] == "no rows from Sat 14 Mar 12:00 to Sun 15 Mar 08:00 UTC, 20 h" and row["incident_id"] is None
    assert json.loads(row["after"])["new_rows"] == 20
    shop.clean()
    assert shop.cells() == {} and shop.remedy() == []


@pytest.mark.parametrize(("action", "repair", "first", "last"), [("fill", "interpolated", 110, 122), ("hold_last", "carried", 109, 109)])
def test_values_stand_in_a_gap_and_say_so_until_it_is_undone(shop, action, repair, first, last):
    for day in range(15):
        shop.write(day, hours=10 if day == 13 else 24)
    shop.remediate(f"[{{when: gap, do: {action}}}]")
    shop.clean()
    gap = list(range(13 * 24 + 10, 14 * 24))
    before = shop.cells()
    assert list(before) == gap
    (row,) = shop.remedy()
    assert json.loads(row["before"]) == {"missing_values": 14} and json.loads(row["after"]) == {"missing_values": 0, "repaired_values": 14}
    cells = shop.cells()
    assert list(cells) == gap and {how for _, how in cells.values()} == {repair}
    left, right = 100 + (7 * 13 + 9) % 24, 100 + (7 * 14) % 24
    wanted = {hour: left + (right - left) * (place + 1) / 15 if action == "fill" else left for place, hour in enumerate(gap)}
    assert {hour: value for hour, (value, _) in cells.items()} == pytest.approx(wanted)
    observed = preparation.clean_rows(shop.home.source_run("shop", NOW), BEGIN, NOW)
    assert observed["value"].isna().sum() == 14  # nothing learns from them
    shop.clean()
    assert shop.cells() == cells and shop.remedy() == []
    undo(shop.home.warehouse, undoable(shop.home.warehouse, "shop", NOW)[0], by_whom="ana", now=NOW, run_id="a person")
    shop.clean()
    assert str(shop.cells()) == str(before)


@pytest.mark.parametrize(("action", "repair"), [("fill", "interpolated"), ("hold_last", "carried")])
def test_by_hand_only_the_named_part_of_a_gap_is_filled_however_runs_cut_it(shop, action, repair, monkeypatch):
    for day in range(4):
        shop.write(day, hours=10 if day == 1 else 24, value=float(day))
    shop.clean()
    gap, part = list(range(34, 48)), list(range(37, 40))
    row = shop.hand(action, BEGIN + 36.5 * HOUR, BEGIN + 40 * HOUR)
    assert json.loads(row["after"]) == {"missing_values": 0, "repaired_values": 3}
    assert row["message"].startswith("3 values from 2026-03-03 13:00 to 2026-03-03 16:00 UTC were missing")
    cells = shop.cells()
    assert sorted(cells) == gap and [hour for hour in gap if cells[hour][1] == repair] == part
    wanted = [1 + (hour - 33) / 15 if action == "fill" else 1.0 for hour in part]
    assert [cells[hour][0] for hour in part] == pytest.approx(wanted)
    assert shop.hand(action, BEGIN + 40.2 * HOUR, BEGIN + 40.8 * HOUR, now=NOW + HOUR)["status"] == "skipped"
    monkeypatch.setattr(preparation.buckets.windows, "__defaults__", (5,))
    shop.home.warehouse.commit("again", [preparation.Delete("clean_series", "shop")])
    shop.clean()
    assert str(sorted(shop.cells().items())) == str(sorted(cells.items()))


def test_a_gap_that_no_value_ends_is_not_filled(shop):
    shop.write(0)
    shop.clean()
    row = shop.hand("fill")
    assert (row["status"], row["message"]) == ("skipped", "no bucket without a value lies between some that have one")


@pytest.mark.soak
@pytest.mark.parametrize("action", ["fill", "hold_last"])
def test_a_repaired_gap_is_the_same_however_runs_cut_the_rows(shop, action, monkeypatch):
    for day in range(6):
        shop.write(day, hours=10 if day == 2 else 24)
    shop.clean()
    shop.hand(action)
    for day, hours in ((2, 14), (1, 20), (3, 24)):  # rows come late into it and beside it, and go
        shop.write(day, hours=hours, value=50.0 + day)
        shop.clean()
    stepwise = shop.home.table("clean_series").sort_values("observed_at", ignore_index=True)
    monkeypatch.setattr(preparation.buckets, "MOST_BUCKETS", 5)
    monkeypatch.setattr(preparation.buckets.windows, "__defaults__", (5,))
    shop.home.warehouse.commit("again", [preparation.Delete("clean_series", "shop")])
    shop.clean()
    in_pieces = shop.home.table("clean_series").sort_values("observed_at", ignore_index=True)
    pd.testing.assert_frame_equal(stepwise, in_pieces)
    assert set(stepwise["repair"]) == {"none", "interpolated" if action == "fill" else "carried"}


def test_the_load_in_question_goes_no_further_until_a_person_releases_it(shop):
    for day in range(3):
        shop.write(day)
    shop.clean()
    shop.write(3, value=-999.0)
    shop.clean()
    bad = f"load{shop.runs}"
    row = shop.hand("quarantine", BEGIN + 3 * DAY, BEGIN + 4 * DAY)
    assert json.loads(row["after"]) == {"blocked_rows": 24, "load_id": bad}
    shop.clean()
    assert not (shop.home.table("clean_series")["value"] == -999).any()
    shop.write(4)
    shop.clean()  # the contract, which asks nothing, lets it be
    (load,) = contracts.loads_now(shop.home.warehouse, "shop")
    assert (load.load_id, load.state, load.reason) == (bad, "blocked", "quarantined by a remedy: ana asks")
    incidents(shop.home.source_run("shop", NOW, "told"))
    assert shop.home.table("incidents")["cause"].tolist() == [f"load:{bad}"]
    source = Catalogue.load(shop.home.settings).source("shop")
    contracts.decide(shop.home.warehouse, source, load, "released", by_whom="ana", now=NOW, run_id="a person")
    shop.clean()
    assert (shop.home.table("clean_series")["value"] == -999).sum() == 24
    row = shop.hand("quarantine", BEGIN + 3 * DAY, BEGIN + 4 * DAY)
    assert (row["status"], row["message"]) == ("skipped", f"load {bad} is released already, let through by ana")


def test_a_contract_that_comes_later_does_not_let_a_quarantined_load_through(shop):
    shop.write(0)
    shop.clean()
    shop.write(1, value=-999.0)
    shop.clean()
    shop.hand("quarantine", BEGIN + DAY, BEGIN + 2 * DAY)
    shop.remediate("[]", "contract: {columns: {n: {min: -1000, severity: critical}}}")
    shop.clean()
    assert [load.state for load in contracts.loads_now(shop.home.warehouse, "shop")] == ["blocked"]


def test_what_began_and_ended_within_one_run_is_remedied_unless_it_is_long_ago(shop):
    shop.remediate("[{when: check, do: retrain}]")
    policy = Catalogue.load(shop.home.settings).source("shop").alerts
    for cause, ago in (("check:lately", HOUR), ("check:long_ago", 3 * DAY)):
        shop.wrong(cause, NOW - ago)
        step = record_failures(shop.home.warehouse, "shop", [], frozenset({cause}), policy=policy, now=NOW, run_id="mended")
        shop.home.warehouse.commit("mended", writes_of(step))
    assert shop.home.table("incidents")["state"].tolist() == ["resolved", "resolved"]
    assert [row["cause"] for row in shop.remedy()] == ["check:lately"]


def test_an_anomaly_of_a_rule_is_one_with_its_metric(shop):
    shop.remediate(
        "[{when: {cause: rule, metric: n}, do: retrain}]", "rules: [{type: threshold, metric: n, below: 0}]\ndetectors: [{type: mad}]"
    )
    for day in range(4):
        shop.write(day)
    shop.write(4, hours=3, value=-5.0)
    shop.home.run_stages("shop", BEGIN + 4 * DAY + 3 * HOUR, run_id="all")
    (row,) = shop.remedy(BEGIN + 4 * DAY + 3 * HOUR)
    assert (row["status"], row["cause"]) == ("done", "anomaly") and row["reason"].startswith("-5")
