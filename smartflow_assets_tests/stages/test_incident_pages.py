"""The page of an incident from a real home: what it says, that it is written, that it is the same again, and that it goes."""

import re
from datetime import timedelta

import pandas as pd
import pytest

from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.core.incidents.decisions import Decisions
from smartflow_assets.core.incidents.event_log import row_dicts
from smartflow_assets.core.incidents.run_failures import Failure
from smartflow_assets.stages import incident_pages, message_background
from smartflow_assets.stages.alerting import drain_outbox, record_failures, writes_of
from smartflow_assets.stages.decisions import decide
from smartflow_assets.stages.incident_pages import incident_page, remove_pages, write_touched
from smartflow_assets.stages.message_background import page_path
from smartflow_assets_tests.core.reports.test_html_page import Read
from smartflow_assets_tests.homes import START, Home, daily_series, write_rows

UI = {"SMARTFLOW_UI_URL": "https://dagster.example.com"}
NAME = "<script>alert(1)</script> \u202emirror " + "long" * 80
GROUPED = """
name: web
read: {type: csv, path: examples/web.csv, time: timestamp}
metrics: [{name: requests, column: value, aggregate: sum, dimensions: [region]}]
time_bucket: {every: 5min, settle: 0s}
detectors: [{type: zscore}]
rules: [{type: threshold, metric: requests, above: 1500}]
freshness: {warn_after: 1h}
owner: team:web
runbook: "RUNBOOK"
alerts: {to: [file], max_age: 3650 days}
"""
NOON = START + timedelta(days=1)


def spiked(home: Home, regions: list[str], runbook: str = "https://wiki.example.com/web") -> None:
    rows = daily_series(1)
    rows.loc[270:, "value"] = 1600
    many = pd.concat([rows.assign(region=region) for region in regions])
    write_rows(home.folder / "data" / "examples" / "web.csv", many)
    home.write_source("web", GROUPED.replace("RUNBOOK", runbook))


def page(home: Home, where: str = "group_id IS NULL", environment: dict[str, str] | None = None) -> str:
    (incident,) = row_dicts(home.table("incidents", where))
    return incident_page(home.warehouse, Catalogue.load(home.settings), incident, now=NOON, environment=environment or {})


def drain(home: Home) -> None:
    drain_outbox(home.warehouse, Catalogue.load(home.settings), home.settings, now=NOON, run_id="r", environment={})


def test_a_group_is_told_with_all_its_members_and_names_are_text(home: Home) -> None:
    spiked(home, ["eu", "us", "asia", "latam", "uk", NAME])
    home.run_stages("web", NOON)
    told = page(home, environment=UI)
    text = Read(told).text
    assert "All 6 series" in text and text.count("requests{region=") >= 6 and NAME in text
    assert "script" not in Read(told).tags and Read(told).tags.count("img") == 1
    links = [value for tag, name, value in Read(told).attributes if (tag, name) == ("a", "href")]
    assert links == [
        "https://wiki.example.com/web",
        "https://dagster.example.com/assets/smartflow/incidents?view=partitions&partition=web",
    ]
    assert told == page(home, environment=UI)


def test_what_people_did_and_who_was_told_stands_on_it(home: Home) -> None:
    spiked(home, ["eu"])
    home.run_stages("web", NOON)
    assert "planned" in Read(page(home)).text
    drain(home)
    (leader,) = home.table("incidents")["incident_id"]

    def say(people: Decisions) -> None:
        people.acknowledge(leader, "on it")
        people.comment(leader, "the <b>campaign</b>")

    catalogue, patience = Catalogue.load(home.settings), timedelta(seconds=9)
    decide(home.warehouse, catalogue, "web", [leader], say, by_whom="anna", now=NOON, patience=patience)
    text = Read(page(home)).text
    for said in ("acknowledged by anna", "the <b>campaign</b>", "on it", "sent", "team:web", "threshold", "smartflow incidents ack"):
        assert said in text, said
    assert "load of" in text.split("What changed before it")[1].split("What to do")[0]
    (statement,) = re.findall(r'smartflow sql "(SELECT observed_at.*)"', text)
    rows = home.warehouse.read(statement)
    assert (rows["value"] == 1600).sum() == 18


def test_a_setting_that_changed_the_day_before_is_named(home: Home) -> None:
    spiked(home, ["eu"])
    early = START + timedelta(hours=20)
    home.run_stages("web", early, run_id="early")
    home.write_source("web", GROUPED.replace("RUNBOOK", "https://wiki.example.com/web").replace("above: 1500", "above: 1400"))
    home.run_stages("web", NOON)
    changed = Read(page(home)).text.split("What changed before it")[1].split("What to do")[0]
    assert "setting rules.threshold.above: 1500 -> 1400" in changed


def test_a_load_that_came_after_it_is_not_what_changed_before_it(home: Home) -> None:
    spiked(home, ["eu"])
    home.run_stages("web", NOON)
    rows = daily_series(3)
    rows.loc[270:288, "value"] = 1600
    write_rows(home.folder / "data" / "examples" / "web.csv", rows.assign(region="eu"))
    home.run_stages("web", START + timedelta(days=3))
    changed = Read(page(home, "cause = 'anomaly'")).text.split("What changed before it")[1].split("What to do")[0]
    assert changed.count("load of") == 1


def test_a_silence_has_a_page_with_the_rows_before_it_and_a_failed_step_one_without_a_picture(home: Home) -> None:
    spiked(home, ["eu"])
    home.run_stages("web", NOON + timedelta(hours=3))
    silence = page(home, "cause = 'freshness'")
    assert "No rows since" in silence and "<img" in silence
    catalogue = Catalogue.load(home.settings)
    for source, cause in (("web", "clean_series"), ("*", "run")):
        failure = Failure(cause, "the disk is <full>")
        step = record_failures(
            home.warehouse, source, [failure], frozenset(), policy=catalogue.alert_policy(source), now=NOON, run_id="x" * 8
        )
        home.warehouse.commit("x", writes_of(step))
        told = page(home, f"cause = '{cause}'")
        assert "the disk is <full>" in Read(told).text and "<img" not in told
        assert ("What changed before it" in told) == (source == "web")


def test_a_runbook_that_is_no_address_is_text_alone(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    spiked(home, ["eu"])
    home.run_stages("web", NOON)
    beside = message_background.MessageBackground.facts
    monkeypatch.setattr(
        message_background.MessageBackground, "facts", lambda self, *of: {**beside(self, *of), "runbook": "javascript:alert(1)"}
    )
    assert "javascript" not in [value.partition(":")[0] for tag, name, value in Read(page(home)).attributes if name == "href"]


def test_a_run_writes_the_pages_of_what_it_tells_once_drawn(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []
    draw = message_background.incident_plot
    monkeypatch.setattr(message_background, "incident_plot", lambda *panels, **rest: drawn.append(1) or draw(*panels, **rest))
    monkeypatch.setattr(message_background, "_drawn_lately", {})
    spiked(home, ["eu", "us"])
    home.run_stages("web", NOON)
    run = home.source_run("web", NOON)
    (path,) = write_touched(run, {})
    (leader,) = home.table("incidents", "group_id IS NULL")["incident_id"]
    assert path == page_path(home.settings, leader) and path.stat().st_mode & 0o777 == 0o600
    assert "planned" in path.read_text()
    drain(home)
    write_touched(run, {})
    assert "<td>sent</td>" in path.read_text() and drawn == [1]  # the mail and both pages show one picture
    assert write_touched(home.source_run("web", NOON, run_id="another"), {}) == []
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_run_writes_at_most_so_many_pages(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incident_pages, "MOST_PAGES", 1)
    spiked(home, ["eu"])
    home.run_stages("web", NOON + timedelta(hours=3))
    assert home.count("incidents", "group_id IS NULL") == 2
    assert len(write_touched(home.source_run("web", NOON), {})) == 1


def test_pages_of_incidents_that_are_gone_go_and_other_files_stay(home: Home) -> None:
    spiked(home, ["eu"])
    home.run_stages("web", NOON)
    (path,) = write_touched(home.source_run("web", NOON), {})
    stranger, notes = path.with_name("0123456789abcdef.html"), path.with_name("notes.html")
    stranger.touch()
    notes.touch()
    assert remove_pages(home.settings, home.warehouse) == 1
    assert sorted(path.parent.iterdir()) == sorted([path, notes])


def test_a_shared_home_shares_its_pages(home: Home) -> None:
    spiked(home, ["eu"])
    home.settings.home_file.write_text("share: all\n")
    home.run_stages("web", NOON)
    (path,) = write_touched(home.source_run("web", NOON), {})
    assert path.stat().st_mode & 0o777 == 0o644 and path.parent.stat().st_mode & 0o777 == 0o755
