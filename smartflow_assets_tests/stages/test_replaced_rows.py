"""Rows that give way, that count each by itself, and removals that wait: what a source's stages make of it, and what `plan` says before."""

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.stages import alerting, ingestion, preparation
from smartflow_assets.stages.source_plan import plan_of
from smartflow_assets.stages.withheld_removals import LEFT_BEHIND
from smartflow_assets_tests.homes import START, Home

SOURCE = """
name: web
read: {{type: {type}, time: timestamp{more}}}
metrics: [{{name: requests, column: value, aggregate: sum}}, {{name: lines, aggregate: count}}]
time_bucket: {{every: 1h, settle: 0s}}
schedule: manual
alerts: {{to: [file], max_age: 3650 days}}
"""
NOW = START + timedelta(days=3)
STAGES = (ingestion.raw_records, preparation.clean_series, alerting.incidents)


def source(type_: str = "csv", **more: str) -> str:
    return SOURCE.format(type=type_, more="".join(f", {name}: {value}" for name, value in more.items()))


def hours(count: int, first: int = 0, value: float = 1) -> pd.DataFrame:
    times = [START + timedelta(hours=first + hour) for hour in range(count)]
    return pd.DataFrame({"timestamp": [f"{at:%Y-%m-%dT%H:%M:%SZ}" for at in times], "value": value})


@pytest.fixture
def home(tmp_path) -> Home:
    made = Home(tmp_path)
    made.write_source("web", source(path="a.csv"))
    return made


def write(home: Home, rows: pd.DataFrame, name: str = "a.csv") -> None:
    path = home.settings.data / name
    path.parent.mkdir(parents=True, exist_ok=True)
    rows.to_json(path, orient="records", lines=True) if path.suffix == ".jsonl" else rows.to_csv(path, index=False)


def run(home: Home, now: datetime = NOW, **options) -> dict:
    run.count = getattr(run, "count", 0) + 1
    return home.run_stages("web", now, STAGES, run_id=f"run {run.count}", **options)


def plan(home: Home) -> str:
    return str(plan_of("web", home.settings, Catalogue.load(home.settings), home.warehouse, datetime.now(UTC)))


def values(home: Home, metric: str = "requests") -> list[float]:
    return home.table("clean_series", f"metric = '{metric}' ORDER BY observed_at")["value"].tolist()


@pytest.mark.soak
def test_another_path_replaces_the_rows_of_the_former_one_and_plan_says_how_many(home):
    write(home, hours(24))
    run(home)
    write(home, hours(24, value=2), "b.csv")
    home.write_source("web", source(path="b.csv"))
    said = plan(home)
    assert said.startswith("web: stored rows give way to those that are read now")
    assert "24 stored rows of a.csv, which read does not name any more, give way where the times overlap" in said
    assert run(home)["raw_records"].new_rows == 24
    assert values(home) == [2.0] * 24
    assert "give way" not in plan(home)


def test_a_file_that_is_renamed_with_its_path_changes_nothing(home):
    write(home, hours(24))
    run(home)
    (home.settings.data / "a.csv").rename(home.settings.data / "b.csv")
    home.write_source("web", source(path="b.csv"))
    answers = run(home)
    assert (answers["raw_records"].new_rows, answers["raw_records"].removed_count, answers["clean_series"].row_count) == (0, 0, 0)
    assert home.table("raw.web")["_origin"].unique().tolist() == ["b.csv"]


def test_a_narrower_path_gives_the_times_to_the_files_that_are_left(home):
    home.write_source("web", source(path="'*.csv'"))
    write(home, hours(24))
    write(home, hours(30, value=1), "b.csv")
    run(home)
    assert home.table("raw.web")["_origin"].value_counts().to_dict() == {"a.csv": 24, "b.csv": 6}
    home.write_source("web", source(path="b.csv"))
    run(home)
    assert home.table("raw.web")["_origin"].value_counts().to_dict() == {"b.csv": 30}


@pytest.mark.soak
def test_another_reader_of_the_same_rows_doubles_none(home, tmp_path, monkeypatch):
    home.write_source("web", source("json", path="a.jsonl"))
    write(home, hours(24), "a.jsonl")
    run(home)
    (tmp_path / "own_rows.py").write_text(
        "import json, pathlib\n"
        f"def rows():\n    return [dict(json.loads(line), more='x') for line in open({str(home.settings.data / 'a.jsonl')!r})]\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    home.write_source("web", source("python", function="'own_rows:rows'"))
    assert "24 stored rows of a.jsonl" in plan(home)
    run(home)
    assert home.count("raw.web") == 24 and values(home) == [1.0] * 24
    assert run(home)["raw_records"].new_rows == 0


@pytest.mark.soak
def test_what_a_former_address_did_not_hold_any_more_is_left_behind_no_more(home, tmp_path, monkeypatch):
    (tmp_path / "moving_rows.py").write_text(
        "rows = [{'timestamp': f'2026-03-01T{hour:02}:00:00Z', 'value': 1} for hour in range(5)]\n"
        "given = [rows, rows[:2] + rows[3:]]\n"
        "def v1():\n    return given.pop(0)\n\ndef v2():\n    return rows\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    home.write_source("web", source("python", function="'moving_rows:v1'"))
    run(home)
    run(home)
    assert home.warehouse.read(LEFT_BEHIND).to_numpy().tolist() == [["web", 1, 0]]
    home.write_source("web", source("python", function="'moving_rows:v2'"))
    run(home)
    assert home.warehouse.read(LEFT_BEHIND).empty


def test_a_flood_of_equal_rows_is_seen(home):
    write(home, pd.concat([hours(24), *[hours(1, first=20)] * 50], ignore_index=True).sort_values("timestamp"))
    run(home)
    assert values(home, "lines") == [1.0] * 20 + [51.0] + [1.0] * 3


def test_buckets_that_counted_equal_rows_once_are_made_anew_and_plan_says_so(home):
    write(home, pd.concat([hours(24), hours(24)], ignore_index=True).sort_values("timestamp"))
    run(home)
    old = home.table("clean_series").assign(value=1.0, repair="deduplicated").drop(columns="source")
    from smartflow_assets.adapters.warehouse.writes import Replace

    old["source"] = "web"
    fingerprint = home.warehouse.read("SELECT max(fingerprint) AS f FROM writes WHERE table_name = 'clean_series'")["f"].iloc[0]
    home.warehouse.commit("old", [Replace("clean_series", "web", old, START, NOW, fingerprint=fingerprint)])
    said = plan(home)
    assert said.startswith("web: clean rows,") and "equal rows count each by itself now, not once: 48 buckets hold some" in said
    assert run(home)["clean_series"].rebuilt_because == "equal rows count each by itself now"
    assert values(home) == [2.0] * 24
    assert "equal rows" not in plan(home)


@pytest.mark.soak
def test_a_removal_that_waits_is_an_incident_until_it_is_accepted(home):
    home.write_source("web", source(path="a.csv", on_missing_rows="delete"))
    write(home, hours(48))
    run(home)
    write(home, hours(24, first=26))
    taken = run(home)["raw_records"]
    assert (taken.new_rows, taken.withheld_count, home.count("raw.web")) == (2, 26, 50)
    (incident,) = home.table("incidents", "cause = 'removal'").to_dict("records")
    assert (incident["state"], incident["severity"], incident["title"]) == (
        "open",
        "warning",
        "26 stored rows are not in a.csv any more",
    )
    assert home.warehouse.read(LEFT_BEHIND).to_numpy().tolist() == [["web", 26, 26]]
    events = home.count("incident_events")
    run(home)
    assert (home.count("incident_events"), home.count("alert_sends", "status = 'planned'")) == (events, 1)
    accepted = run(home, is_removal_accepted=True)["raw_records"]
    assert (accepted.removed_count, home.count("raw.web"), home.count("clean_series", "value IS NOT NULL") // 2) == (26, 24, 24)
    (incident,) = home.table("incidents", "cause = 'removal'").to_dict("records")
    assert (incident["state"], incident["resolved_reason"]) == ("resolved", "the removal was accepted")
    assert home.warehouse.read(LEFT_BEHIND).empty


@pytest.mark.soak
def test_a_removal_that_no_load_wants_any_more_ends_its_incident(home):
    home.write_source("web", source(path="a.csv", on_missing_rows="delete"))
    for rows in (hours(48), hours(22, first=26), hours(50)):
        write(home, rows)
        run(home)
    (incident,) = home.table("incidents", "cause = 'removal'").to_dict("records")
    assert (incident["state"], incident["resolved_reason"]) == ("resolved", "no load wants to remove them any more")
    assert home.count("raw.web") == 50
