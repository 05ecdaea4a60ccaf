"""The report of a week of a real home, its numbers asked a second time by a few lines of their own."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from smartflow_assets.adapters.warehouse.writes import Append, Rewrite
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.core.incidents.decisions import Decisions
from smartflow_assets.core.incidents.event_log import EVENT_COLUMNS, fold, log_entry
from smartflow_assets.core.reports.weekly_report import WeekFacts, summary
from smartflow_assets.core.temporal.week import week_named
from smartflow_assets.stages.alerting import drain_outbox
from smartflow_assets.stages.decisions import decide
from smartflow_assets.stages.incident_pages import write_touched
from smartflow_assets.stages.incident_views import Wanted, lasting_of, listed
from smartflow_assets.stages.weekly_report import home_timezone, week_facts
from smartflow_assets.stages.weekly_report_file import report_path, written
from smartflow_assets_tests.core.reports.test_html_page import Read
from smartflow_assets_tests.homes import START, Home, write_rows

HOUR = timedelta(hours=1)
NAMES = ("shop", "web")
SOURCE = """
name: NAME
read: {type: csv, path: examples/NAME.csv, time: timestamp}
metrics: [{name: orders, column: value, aggregate: sum}]
time_bucket: {every: 1h, settle: 0s}
detectors: [{type: zscore}]
rules: [{type: threshold, metric: orders, above: 500, severity: critical}]
freshness: off
profile: off
drift: off
alerts: {to: [file], max_age: 3650 days, resolve_after: 2h, reopen_within: 1h}
"""
# Hours after START, a Monday, in which each source has a value that no rule allows: each Monday at nine, and some more.
PLANTED = {"shop": [9, 177, 345, 513, 681, 700, 790], "web": [400, 676]}
END = START + timedelta(days=35)
WEEK = week_named("2026-W14", "UTC")  # the last of the five


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five weeks of two sources in three runs; the incident of the last Monday is acknowledged after 20 minutes."""
    home = Home(tmp_path_factory.mktemp("month"))
    for name in NAMES:
        hours = pd.date_range(START, END, freq="h", inclusive="left")
        values = pd.Series([100 + number % 7 for number in range(len(hours))])
        values[PLANTED[name]] = 900
        write_rows(home.folder / f"data/examples/{name}.csv", pd.DataFrame({"timestamp": hours, "value": values}))
        home.write_source(name, SOURCE.replace("NAME", name))
    _run(home, START + timedelta(days=27), "before")
    _run(home, START + 682 * HOUR, "monday")
    catalogue = Catalogue.load(home.settings)
    (name,) = home.table("incidents", "state = 'open'")["incident_id"]

    def acknowledge(people: Decisions) -> None:
        people.acknowledge(name)

    later = START + 682 * HOUR + timedelta(minutes=20)
    decide(home.warehouse, catalogue, "shop", [name], acknowledge, by_whom="anna", now=later, patience=HOUR)
    _run(home, END, "end")
    return home.folder


def _run(home: Home, now: datetime, run_id: str) -> None:
    for name in NAMES if run_id == "monday" else NAMES[:1]:
        home.run_stages(name, now, run_id=run_id)
        drain_outbox(home.warehouse, Catalogue.load(home.settings), home.settings, now=now, run_id=run_id, environment={}, sources=[name])
        write_touched(home.source_run(name, now, run_id=run_id), {})


def facts_of(home: Home, folder: Path | None = None) -> WeekFacts:
    return week_facts(home.warehouse, Catalogue.load(home.settings), WEEK, now=END, folder=folder)


def planted_in(name: str, first: int, last: int) -> list[datetime]:
    return [START + hour * HOUR for hour in PLANTED[name] if first <= hour < last]


@pytest.mark.soak
def test_the_incidents_of_the_week_are_those_that_were_planted_in_it(month: Path) -> None:
    facts = facts_of(Home(month))
    week, before = 4 * 168, 5 * 168
    assert sorted((each.source, each.began_at) for each in facts.incidents) == [
        (name, at.replace(tzinfo=UTC)) for name in NAMES for at in planted_in(name, week, before)
    ]
    assert sorted((each.source, each.began_at) for each in facts.earlier) == [
        (name, at) for name in NAMES for at in planted_in(name, 0, week)
    ]
    assert all(each.severity == "critical" and each.point_count == 1 for each in facts.incidents)


@pytest.mark.soak
def test_the_share_without_an_incident_is_that_of_the_minutes(month: Path) -> None:
    home = Home(month)
    rows = home.table("incidents")
    minutes = pd.date_range(WEEK.start, WEEK.end, freq="min", inclusive="left")
    for each in facts_of(home).sources:
        own = rows[rows["source"] == each.source]
        spans = zip(own["opened_at"], own["resolved_at"].fillna(END), strict=True)
        is_open = sum((minutes >= start) & (minutes < end) for start, end in spans) > 0
        assert each.calm_share == pytest.approx(1 - is_open.mean(), abs=1e-9) and 0.9 < each.calm_share < 1


@pytest.mark.soak
def test_times_messages_and_rows_are_those_of_the_tables(month: Path) -> None:
    home = Home(month)
    facts = facts_of(home)
    (told,) = [each for each in facts.incidents if each.acknowledged_at]
    assert (told.began_at, told.acknowledged_at - told.found_at, told.by_whom) == (START + 681 * HOUR, timedelta(minutes=20), "anna")
    assert told.closed_at == END
    assert [each.closed_at for each in facts.incidents if each is not told] == [None] * 3  # over when they were found
    sends = home.table("alert_sends", "status = 'sent'")
    inside = (sends["happened_at"] >= WEEK.start) & (sends["happened_at"] < WEEK.end)
    assert facts.messages[("file", "sent")] == inside.sum() > 0
    assert facts.sent_before == (~inside & (sends["happened_at"] < WEEK.start)).sum() > 0
    loads = home.table("ingestions")
    assert sum(each.row_count for each in facts.sources) == loads.loc[loads["source"] == "web", "new_count"].sum() > 0
    assert facts.still_open == home.count("incidents", "state <> 'resolved'") == 0


@pytest.mark.soak
def test_one_strange_hour_lasts_an_hour_however_long_the_calm_that_ends_it(month: Path) -> None:
    home = Home(month)
    facts, rows = facts_of(home), home.table("incidents")
    assert {each.lasted for each in (*facts.incidents, *facts.earlier)} == {HOUR}
    assert set(rows["resolved_at"] - rows["opened_at"]) == {3 * HOUR}  # resolve_after is 2h
    subjects = [json.loads(path.read_text())["subject"] for path in home.settings.outbox.glob("*.json")]
    over = [subject for subject in subjects if subject.startswith("[resolved] ")]
    assert over and all(subject.endswith(" orders after 1 h") for subject in over)


@pytest.mark.soak
def test_each_monday_at_nine_is_told_and_the_page_leads_to_its_incidents(month: Path) -> None:
    home = Home(month)
    path = report_path(home.settings, WEEK)
    catalogue = Catalogue.load(home.settings)
    facts = written(home.warehouse, catalogue, WEEK, now=END, path=path)
    page = path.read_text()
    text = Read(page).text
    assert all(sentence in text for sentence in summary(facts))
    assert summary(facts)[0] == "4 incidents began, 4 of them critical; a usual week of the four before had 1.2. None is still open."
    assert "shop: 5 of 7 incidents begin from 09:00 to 10:00." in text and "shop orders" in text
    links = [value for tag, name, value in Read(page).attributes if (tag, name) == ("a", "href")]
    assert len(links) == 4 and all((path.parent / link).is_file() for link in links)
    written(home.warehouse, catalogue, WEEK, now=END, path=path)
    assert path.read_text() == page and [each.name for each in path.parent.iterdir()] == ["2026-W14.html"]


@pytest.mark.soak
def test_what_people_said_is_read_where_the_table_is_there(home: Home, month: Path) -> None:
    assert facts_of(home).verdicts is None or facts_of(home).verdicts == {}
    told = facts_of(Home(month)).incidents
    copy = home.settings.warehouse_file
    copy.write_bytes((month / "data/warehouse/smartflow.duckdb").read_bytes())
    with duckdb.connect(str(copy)) as connection:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS feedback (source VARCHAR, feedback_id VARCHAR, incident_id VARCHAR, series VARCHAR, cause VARCHAR, "
            "verdict VARCHAR, undoes VARCHAR, given_by VARCHAR, given_at TIMESTAMPTZ)"
        )
        said = [
            (told[0], "f1", "false_positive", None, 1),
            (told[1], "f2", "true_positive", None, 1),
            (told[1], "f3", "false_positive", None, 2),  # the newer word counts
            (told[2], "f4", "false_positive", None, 1),
            (told[2], "f5", None, "f4", 2),  # taken back
            (told[3], "f6", "true_positive", None, 1),
        ]
        for each, key, verdict, undoes, minute in said:
            connection.execute(
                "INSERT INTO feedback (source, feedback_id, incident_id, series, cause, verdict, undoes, given_by, given_at) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, 'anna', ?)",
                [each.source, key, each.incident_id, each.series, each.cause, verdict, undoes, END + timedelta(minutes=minute)],
            )
    assert facts_of(home).verdicts == {"false_positive": 2, "true_positive": 1}


def test_a_home_in_which_nothing_ran_and_a_broken_file_are_told(home: Home) -> None:
    home.write_source("shop", "name: shop\nread: 7\n")
    facts = week_facts(None, Catalogue.load(home.settings), WEEK, now=END)
    assert [(each.source, each.state) for each in facts.sources] == [("shop", "its file is broken")]
    assert summary(facts) == ["Nothing was watched then: nothing is known of this week."]


def told(home: Home, *incidents: dict) -> None:
    """Write incidents as they stand, over since two hours after their last anomalous bucket."""
    entries = []
    for number, each in enumerate(incidents):
        row = {"source": "shop", "cause": "anomaly", "series": "orders", "severity": "critical", "hours": 3, **each}
        opened_at = WEEK.start + HOUR
        last = opened_at + row["hours"] * HOUR
        told = {"opened_at": opened_at, "last_seen_at": last, "title": f"title of {row['incident_id']}"}
        ended = {"resolved_at": last + 2 * HOUR, "resolved_reason": "back to normal"}
        events = [("opened", told), ("grouped", {"group_id": row.get("group_id")}), ("resolved", ended)]
        for sequence, (kind, payload) in enumerate(events, 1):
            at = WEEK.start + number * timedelta(seconds=1)
            payload |= {"sequence": sequence}
            entries.append(log_entry(row, kind, severity=row["severity"], happened_at=at, run_id="r", payload=payload))
    log = pd.DataFrame(entries, columns=EVENT_COLUMNS)
    ids = tuple(each["incident_id"] for each in incidents)
    home.warehouse.commit("r", [Append("incident_events", log), Rewrite("incidents", ids, fold(log))])


def test_incidents_of_a_group_count_for_their_sources_and_last_to_the_last_bucket_of_all(home: Home) -> None:
    for name in ("shop", "web", "mail", "feed"):
        home.write_source(name, SOURCE.replace("NAME", name))
    told(
        home,
        {"incident_id": "g", "source": "*", "cause": "group", "series": "", "hours": 5},
        {"incident_id": "s1", "group_id": "g"},
        {"incident_id": "s2", "group_id": "s1", "series": "refunds", "hours": 5},
        {"incident_id": "w1", "group_id": "g", "source": "web", "severity": "warning"},
        {"incident_id": "m1", "source": "mail", "hours": 24},
        {"incident_id": "f1", "source": "feed", "cause": "freshness", "series": ""},
    )
    facts = facts_of(home)
    assert {each.source: each.severities for each in facts.sources} == {
        "shop": {"critical": 1},  # with refunds in it
        "web": {"warning": 1},
        "mail": {"critical": 1},
        "feed": {"critical": 1},
    }
    shares = {each.source: each.calm_share for each in facts.sources}
    assert shares == pytest.approx({"shop": 1 - 7 / 168, "web": 1 - 5 / 168, "mail": 1 - 26 / 168, "feed": 1 - 5 / 168})
    said = {each.incident_id: (each.who, each.member_count, each.lasted / HOUR) for each in facts.incidents}
    assert said == {"g": ("shop and web", 3, 5), "m1": ("mail orders", 0, 24), "f1": ("feed freshness", 0, 5)}
    rows = {row["incident_id"]: row for row in listed(home.warehouse, Wanted("resolved"))}
    assert {name: lasting_of(rows[name], END) / HOUR for name in ("g", "m1", "f1")} == {"g": 5, "m1": 24, "f1": 5}


def test_a_week_before_anything_was_watched_says_so(home: Home) -> None:
    home.write_source("shop", SOURCE.replace("NAME", "shop"))
    told(home, {"incident_id": "m1"})
    early = week_facts(home.warehouse, Catalogue.load(home.settings), week_named("2020-W10", "UTC"), now=END)
    assert [(each.state, each.is_watched) for each in early.sources] == [("not watched yet", False)]
    assert summary(early) == ["Nothing was watched then: nothing is known of this week."]
    assert facts_of(home).is_watched


@pytest.mark.parametrize(
    ("defaults", "zone"),
    [
        ("calendar: {timezone: Europe/Berlin}", "Europe/Berlin"),
        ("calendar: {timezone: Nowhere}", "UTC"),
        ("calendar: 7", "UTC"),
        ("", "UTC"),
    ],
)
def test_weeks_are_cut_in_the_zone_of_the_defaults(home: Home, defaults: str, zone: str) -> None:
    assert home_timezone(home.settings) == "UTC"
    home.settings.defaults_file.write_text(defaults)
    assert home_timezone(home.settings) == zone
