"""What goes by `retention:` and when: announced first, counted from the newest row, held by what is still needed, and gone for good."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from smartflow_assets.adapters.warehouse.tables import TABLES
from smartflow_assets.adapters.warehouse.writes import Append, Rewrite
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.retention import Retention
from smartflow_assets.stages import alerting
from smartflow_assets.stages.ingestion import raw_records
from smartflow_assets.stages.maintenance.announcements import GRACE, Pruned
from smartflow_assets.stages.maintenance.kept_times import kept_from
from smartflow_assets.stages.preparation import clean_series
from smartflow_assets.stages.source_plan import plan_of
from smartflow_assets_tests.homes import Home, write_rows
from smartflow_assets_tests.stages.test_retention import prune

START, DAYS = datetime(2019, 1, 7, tzinfo=UTC), 1000
SALES = """
name: sales
read: {type: csv, path: examples/sales.csv, time: ts, on_missing_rows: delete}
metrics: [{name: sales, column: n, aggregate: sum}]
time_bucket: {every: 1 day, settle: 0s}
calendar: CALENDAR
freshness: off
alerts: {to: [file], max_age: 3650 days}
retention: RETENTION
"""
LATER = timedelta(days=100)  # than the load: rows that came within twelve weeks stay
CONTEXT = timedelta(days=85)  # no result of these settings looks further back


def day(number: float) -> datetime:
    return START + timedelta(days=number)


def rows(days: int = DAYS) -> pd.DataFrame:
    times = pd.date_range(START, periods=days, freq="1D")
    values = 100 + 20 * (times.day_of_week < 5) + np.random.default_rng(5).integers(0, 9, len(times))
    values = np.where(times == pd.Timestamp(day(950)), 900, values)
    return pd.DataFrame({"ts": times.strftime("%Y-%m-%dT%H:%M:%SZ"), "n": values})


def write(home: Home, frame: pd.DataFrame, retention: str = "{}", calendar: str = "{}") -> None:
    home.write_source("sales", SALES.replace("RETENTION", retention).replace("CALENDAR", calendar))
    write_rows(home.settings.data / "examples/sales.csv", frame)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two years and nine months of a recording that ended years ago, judged in one run and trained on its end, with its messages sent."""
    home = Home(tmp_path_factory.mktemp("recorded"))
    home.write_channels("file: {type: file}\n")
    write(home, rows())
    home.run_stages("sales", day(DAYS))
    home.run_stages("sales", day(DAYS), is_retraining=True)
    run = home.source_run("sales", day(DAYS))
    alerting.drain_outbox(run.warehouse, run.catalogue, run.settings, now=run.now, run_id="run", environment={})
    return home.folder


@pytest.fixture
def home(recorded: Path, tmp_path: Path) -> Home:
    return Home(shutil.copytree(recorded, tmp_path / "home"))


def first(home: Home, table: str = "raw.sales", column: str = "ts") -> datetime:
    return home.warehouse.read(f"SELECT min({column}) AS at FROM {table}")["at"].iloc[0].to_pydatetime()


def floor_of(home: Home, now: datetime = day(DAYS) + LATER, **ages: str):
    source = Catalogue.load(home.settings).source("sales")
    return kept_from(home.warehouse, source, Retention.model_validate(ages) if ages else source.retention, now)


@pytest.mark.soak
def test_the_first_pruning_is_announced_and_done_a_fortnight_later(home: Home):
    now, before = day(DAYS) + LATER, home.warehouse.tables()
    [told] = prune(home, now)
    assert (
        told.due_at == now + GRACE
        and told.rows["raw.sales"] > 400
        and home.warehouse.tables() | {"prunings": 0, "writes": 0} == (before | {"prunings": 0, "writes": 0})
    )
    assert prune(home, now + timedelta(days=13)) == [Pruned("sales", told.rows, due_at=told.due_at, held_by=told.held_by)]
    assert home.table("prunings")["state"].tolist() == ["announced"]
    write(home, rows(DAYS + 101))
    read = raw_records(home.source_run("sales", now + timedelta(days=13)))
    assert f"on {now + GRACE:%Y-%m-%d %H:%M} old rows are pruned, {told.rows['raw.sales']:,} of raw.sales" in read.column_notes[0]
    plan = plan_of("sales", home.settings, Catalogue.load(home.settings), home.warehouse, now)
    assert any("`retention: never` keeps them" in note for note in plan.notes)
    [done] = prune(home, now + GRACE)
    assert (
        done.due_at is None
        and done.rows["raw.sales"] == told.rows["raw.sales"] == before["raw.sales"] + 101 - home.warehouse.tables()["raw.sales"]
    )
    assert json.loads(home.table("prunings", "state = 'done'")["row_counts"].iloc[0]) == dict(done.rows)
    tables = home.warehouse.tables()
    assert prune(home, now + GRACE)[0].rows == {} and home.warehouse.tables() == tables
    assert plan_of("sales", home.settings, Catalogue.load(home.settings), home.warehouse, now).notes == ()


def test_what_is_announced_stays_when_the_settings_keep_it(home: Home):
    now = day(DAYS) + LATER
    prune(home, now)
    write(home, rows(), "never")
    tables = home.warehouse.tables()
    assert prune(home, now + GRACE)[0].rows == {}
    assert home.table("prunings").sort_values("happened_at")["state"].tolist() == ["announced", "withdrawn"]
    assert home.warehouse.tables()["raw.sales"] == tables["raw.sales"]
    write(home, rows())
    assert prune(home, now + GRACE)[0].due_at == now + 2 * GRACE  # said anew


def test_years_are_counted_from_the_newest_row_and_not_from_the_clock(home: Home):
    kept = floor_of(home, now=day(DAYS) + timedelta(days=5 * 365))
    assert kept.raw is not None and kept.scores is not None and kept.incidents is not None
    assert day(DAYS - 1 - 365) - CONTEXT <= kept.raw < day(DAYS - 1 - 365) - timedelta(days=28)
    assert kept.scores == min(kept.raw, day(DAYS - 1 - 400)) and kept.incidents == day(DAYS - 1 - 730)


def test_a_row_of_a_wrong_clock_makes_no_others_old(home: Home):
    write(home, pd.concat([rows(), pd.DataFrame({"ts": ["2099-01-01T00:00:00Z"], "n": [1]})]))
    before = floor_of(home)
    home.run_stages("sales", day(DAYS) + LATER, [raw_records, clean_series])
    assert floor_of(home).raw == before.raw


@pytest.mark.parametrize(
    ("calendar", "days", "reason"), [("{holidays: US}", 4 * 366, "four years"), ("{}", 365, "")], ids=["holidays", "none"]
)
def test_what_is_learnt_from_years_is_kept_for_years(home: Home, calendar, days, reason):
    write(home, rows(), calendar=calendar)
    kept = floor_of(home, raw="10 days")
    assert kept.raw is not None and (kept.raw < day(DAYS - 4 * 366)) is bool(reason) and reason in kept.held_by


def test_an_open_incident_holds_the_rows_that_it_is_judged_by(home: Home):
    incident = (
        home.table("incidents", "cause = 'anomaly'").iloc[:1].assign(incident_id="old", state="open", resolved_at=None, opened_at=day(300))
    )
    home.warehouse.commit("test", [Rewrite("incidents", ("old",), incident)])
    kept = floor_of(home)
    assert kept.raw is not None and kept.raw <= day(300 - 28) and kept.held_by == "an incident is open since 2019-11-03"


def test_rows_that_came_within_twelve_weeks_stay(home: Home):
    assert floor_of(home, now=day(DAYS + 83)).raw == START
    kept = floor_of(home, now=day(DAYS + 85))
    assert kept.raw is not None and kept.raw > day(500)


def test_a_window_that_a_step_has_still_to_work_on_stays(home: Home):
    frame = rows()
    frame.loc[200, "n"] = 999
    write(home, frame)
    raw_records(home.source_run("sales", day(DAYS) + LATER))
    kept = floor_of(home)
    assert kept.raw is not None and kept.raw <= day(200 - 365)


def test_an_unsent_message_keeps_its_incident(home: Home):
    now = day(DAYS) + LATER
    [incident] = home.table("incidents", "cause = 'anomaly' AND state = 'resolved'")["incident_id"].head(1)
    sends = home.table("alert_sends", f"incident_id = '{incident}'").iloc[:1]
    home.write_source(
        "sales", (home.settings.sources / "sales.yaml").read_text().replace("retention: {}", "retention: {raw: 1 day, incidents: 1 day}")
    )
    waiting = sends.assign(idempotency_key="k", channel="mail", status="failed", due_at=now)
    old = {"opened_at": START, "resolved_at": day(1), "last_seen_at": day(1)}
    row = home.table("incidents", f"incident_id = '{incident}'").assign(**old)
    home.warehouse.commit("test", [Rewrite("incidents", (incident,), row), Append("alert_sends", waiting)])
    prune(home, now, is_at_once=True)
    assert home.count("incidents", f"incident_id = '{incident}'") == 1
    ended = waiting.assign(status="sent", due_at=None, attempt=2)
    home.warehouse.commit("test", [Append("alert_sends", ended)])
    prune(home, now, is_at_once=True)
    assert all(home.count(name, f"incident_id = '{incident}'") == 0 for name in ("incidents", "incident_events", "alert_sends"))


def test_rows_that_went_are_left_out_of_a_growing_file_and_told_once(home: Home):
    now = day(DAYS) + LATER
    prune(home, now, is_at_once=True)
    oldest, left = first(home), home.warehouse.tables()["raw.sales"]
    gone = DAYS - left
    for step in (1, 2):
        write(home, rows(DAYS + 100 + step))
        read = raw_records(home.source_run("sales", now + step * timedelta(days=1)))
        assert (read.pruned_count, read.removed_count, read.missing_count, read.withheld_count) == (gone, 0, 0, 0)
        assert (read.quarantined_count, read.duplicate_count, read.row_count) == (0, 0, left + 100 + step)
        assert read.new_rows == (101 if step == 1 else 1) and first(home) == oldest
        assert [note for note in read.column_notes if "left out" in note] == []
        assert bool(read.pruned_note) is (step == 1)
        if step == 1:
            assert read.pruned_note.startswith(f"{gone:,} rows of before {oldest:%Y-%m-%d %H:%M} are left out, now and later")
    assert home.table("ingestions").sort_values("ingested_at")["pruned_count"].tolist()[-2:] == [gone, gone]


def test_what_was_made_of_pruned_rows_stands_when_the_past_is_asked_for(home: Home):
    now = day(DAYS) + LATER
    write(home, rows(), "{scores: 2 years}")
    prune(home, now, is_at_once=True)
    before = home.table("clean_series")
    assert before["observed_at"].min() == day(DAYS - 1 - 730) < first(home)
    home.run_stages("sales", now, [raw_records, clean_series], since=START)
    pd.testing.assert_frame_equal(home.table("clean_series"), before, check_exact=True)


def test_times_of_another_zone_take_the_place_of_those_of_which_some_were_pruned(home: Home):
    text = rows().assign(ts=lambda frame: frame["ts"].str.removesuffix("Z"))
    write(home, text)
    home.run_stages("sales", day(DAYS), [raw_records, clean_series])
    prune(home, day(DAYS) + LATER, is_at_once=True)
    count = home.warehouse.tables()["raw.sales"]
    home.write_source(
        "sales", (home.settings.sources / "sales.yaml").read_text().replace("time: ts", "time: {column: ts, timezone: Asia/Tokyo}")
    )
    raw_records(home.source_run("sales", day(DAYS) + LATER))
    assert count - 1 <= home.warehouse.tables()["raw.sales"] <= count
    assert home.count("raw.sales", "hour(ts) = 0") == 0


def test_every_table_says_how_long_its_rows_stay():
    # what stands in gaps is cleaned by the rows that say so, what is learnt by what people said; views are theirs
    forever = {"encodings", "feedback", "remediations", "saved_views", "schema_changes", "snapshot_info"}
    assert {name for name, spec in TABLES.items() if spec.kept is None} == forever
    for spec in TABLES.values():
        if spec.kept is not None:
            assert {spec.kept.by, *spec.kept.newest_of} <= set(spec.column_names)
            assert spec.kept.key in Retention.model_fields
            assert spec.name in str(Retention.model_fields[spec.kept.key].description) or spec.kept.key in ("raw", "incidents"), spec.name
