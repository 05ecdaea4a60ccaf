"""Rows that cannot be read: too many open one incident that stays until they are gone, far too many are not taken at all."""

import json
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from smartflow_assets.adapters.staging.bad_rows import Unreadable
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.core.errors import SourceError
from smartflow_assets.stages import alerting, ingestion, readability
from smartflow_assets.stages.alerting import drain_outbox, writes_of
from smartflow_assets_tests.homes import START, STEP, Home, daily_series, write_rows

SOURCE = """
name: web
read: {type: csv, path: "examples/*.csv", time: timestamp}
metrics: [{name: requests, column: value, aggregate: sum}]
time_bucket: {every: 5min, settle: 0s}
freshness: off
alerts: {to: [file]}
"""
END = START + timedelta(days=4)
TAKE = (ingestion.raw_records, alerting.incidents)


def make(folder: Path, keys: str = "", **files: pd.DataFrame) -> Home:
    home = Home(folder)
    home.write_source("web", SOURCE + keys)
    for name, rows in files.items():
        write(home, rows, name)
    return home


def write(home: Home, rows: pd.DataFrame, name: str = "a") -> None:
    write_rows(home.settings.data / "examples" / f"{name}.csv", rows)


def rows_with(bad: int, of: int = 1000) -> pd.DataFrame:
    rows = daily_series(4).head(of).astype({"value": object})
    rows.loc[: bad - 1, "value"] = [f"n/a {number}" for number in range(bad)]
    return rows


def take(home: Home, number: int = 0) -> None:
    now = END + number * STEP
    home.run_stages("web", now, TAKE)
    drain_outbox(home.warehouse, Catalogue.load(home.settings), home.settings, now=now, run_id=f"run {number}", environment={})


def held(home: Home) -> list[Unreadable]:
    return readability.of_source(home.warehouse, Catalogue.load(home.settings).source("web"))


def incidents(home: Home) -> list[tuple[str, str, str]]:
    rows = home.table("incidents").sort_values("opened_at")
    return list(rows[["cause", "severity", "state"]].itertuples(index=False, name=None))


@pytest.mark.soak
def test_too_many_are_one_incident_that_names_share_file_and_reason_until_the_file_is_clean(tmp_path):
    home = make(tmp_path, a=rows_with(50))
    for number in range(3):  # runs without anything new end nothing
        take(home, number)
    assert incidents(home) == [("readability", "warning", "open")]
    title = "5.0 % of the rows of examples/a.csv cannot be read, 50 of 1,000: value is not a number"
    assert home.table("incidents")["title"].tolist() == [title]
    assert home.table("incident_events")["event"].tolist() == ["opened"] == home.sent()["event"].tolist()
    assert "smartflow quarantine web" in next(home.settings.outbox.glob("*.eml")).read_text()
    write(home, rows_with(60))
    take(home, 3)
    assert sorted(home.table("incident_events")["event"]) == ["opened", "seen"]
    write(home, rows_with(0))
    take(home, 4)
    assert held(home) == [] and incidents(home) == [("readability", "warning", "resolved")]
    assert home.table("incidents")["resolved_reason"].tolist() == ["of no file more than 1% of the rows are in quarantine now"]
    assert sorted(home.sent()["event"]) == ["opened", "resolved"]
    write(home, rows_with(50))
    take(home, 5)
    assert incidents(home) == [("readability", "warning", "open")]  # the same one, which is back


def test_few_open_nothing_and_are_held_all_the_same(tmp_path):
    home = make(tmp_path, a=rows_with(10))
    take(home)
    assert held(home) == [Unreadable("examples/a.csv", 10, 990, "value is not a number")] and incidents(home) == []


def test_each_file_is_judged_by_itself_and_the_worst_is_named(tmp_path):
    home = make(tmp_path, a=rows_with(20), b=rows_with(0).assign(value=5), c=rows_with(150).assign(other=1))
    take(home)
    (title,) = home.table("incidents")["title"]
    assert title.startswith("15 % of the rows of examples/c.csv cannot be read, 150 of 1,000: value is not a number, and 1 more like it")


@pytest.mark.soak
def test_rows_that_nobody_needs_are_held_no_more_and_end_it(tmp_path):
    home = make(tmp_path, a=rows_with(50))
    take(home)
    assert readability.drop_held(home.warehouse, "web", None, run_id="ana") == 50
    step = readability.watch(home.warehouse, Catalogue.load(home.settings).source("web"), now=END + STEP, run_id="ana")
    assert step is not None
    home.warehouse.commit("ana", writes_of(step))
    assert held(home) == [] and incidents(home) == [("readability", "warning", "resolved")]
    write(home, pd.concat([rows_with(50), daily_series(4).tail(100)]))  # the file goes on, with the same rows in it
    take(home, 2)
    assert held(home) == [] and incidents(home) == [("readability", "warning", "resolved")]
    assert home.count("quarantined_records", "state = 'dropped'") == 50


def test_of_a_file_with_far_too_many_nothing_is_taken_and_the_other_files_are(tmp_path):
    home = make(
        tmp_path, a=rows_with(0, 200), b=rows_with(300).assign(value=lambda rows: [v if "n/a" in str(v) else v + 1 for v in rows["value"]])
    )
    said = (
        r"web: 30 % of the rows of examples/b\.csv cannot be read, 300 of 1,000: value is not a number; nothing of it is taken\. "
        r"Mend the feed or `read`; or raise on_bad_rows\.fail_above, which is 20%\."
    )
    for _ in range(2):
        with pytest.raises(SourceError, match=said):
            take(home)
    assert home.count("raw.web") == 200 and home.count("quarantined_records") == 0
    assert home.table("ingestions")["origin"].tolist() == ["examples/a.csv"]
    write(home, rows_with(0, 300), "b")
    take(home, 1)
    assert home.count("raw.web") == 300


def test_what_is_stored_stays_where_a_file_has_become_so_bad(tmp_path):
    home = make(tmp_path, a=rows_with(0))
    take(home)
    write(home, rows_with(400))
    with pytest.raises(SourceError, match="40 % of the rows"):
        take(home, 1)
    assert home.count("raw.web") == 1000 and home.count("quarantined_records") == 0


@pytest.mark.parametrize(
    ("keys", "taken", "opened"),
    [
        ("on_bad_rows: {fail_above: 50%}\n", 700, [("readability", "warning", "open")]),
        ("on_bad_rows: {fail_above: 50%, warn_above: 30%}\n", 700, []),
        ("on_bad_rows: {do: drop, fail_above: 100%}\n", 700, []),
        ("on_bad_rows: keep\n", 1000, []),
    ],
)
def test_the_limits_are_those_of_the_yaml(tmp_path, keys, taken, opened):
    home = make(tmp_path, keys, a=rows_with(300))
    take(home)
    assert home.count("raw.web") == taken and incidents(home) == opened


def test_dropped_rows_are_a_note_and_far_too_many_of_them_fail_as_well(tmp_path):
    home = make(tmp_path, "on_bad_rows: drop\n", a=rows_with(50))
    read = ingestion.raw_records(home.source_run("web", END))
    assert [str(each) for each in read.unreadable] == ["5.0 % of the rows of examples/a.csv cannot be read, 50 of 1,000"]
    write(home, rows_with(300))
    with pytest.raises(SourceError, match="30 % of the rows"):
        take(home, 1)


def test_a_file_of_a_few_lines_is_taken_since_one_of_them_may_be_half_written(tmp_path):
    home = make(tmp_path, a=rows_with(3, 9))
    take(home)
    assert home.count("raw.web") == 6 and len(held(home)) == 1


@pytest.mark.soak
def test_however_loads_cut_a_file_the_incident_is_that_of_the_whole(tmp_path):
    whole, parts = make(tmp_path / "whole", a=rows_with(50)), make(tmp_path / "parts")
    take(whole)
    for number, end in enumerate((400, 401, 800, 1000)):
        write(parts, rows_with(50).head(end))
        take(parts, number - 3)
    columns = ["cause", "severity", "state", "title"]
    pd.testing.assert_frame_equal(whole.table("incidents")[columns], parts.table("incidents")[columns])
    assert held(whole) == held(parts)


def test_a_record_that_is_no_json_is_named_without_its_line(tmp_path):
    home = make(tmp_path)
    home.write_source("web", SOURCE.replace("type: csv", "type: json").replace("*.csv", "*.jsonl"))
    lines = [json.dumps(row) for row in daily_series(4).head(500).to_dict("records")] + ["{"] * 20
    (home.settings.data / "examples" / "a.jsonl").write_text("\n".join(lines) + "\n")
    take(home)
    assert [each.reason for each in held(home)] == ["this is not JSON"]
