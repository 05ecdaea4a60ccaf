"""Bad data still alerts: one incident, one message, the old rows stay, other sources go on, and it recovers by itself."""

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from smartflow_assets.defs.execute import execute
from smartflow_assets.defs.names import asset_key
from smartflow_assets_tests.end_to_end.conftest import opened
from smartflow_assets_tests.homes import START, STEP, Home, daily_series, stages_until, write_rows

SOURCE = """
name: {name}
read: {{type: csv, path: examples/{name}.csv, time: timestamp}}
metrics: [{{name: requests, column: value, aggregate: sum}}]
time_bucket: {{every: 5min, settle: 0s}}
detectors: [{{type: mad}}]
alerts: {{to: [file]}}
"""  # what is found does not matter here
END = START + timedelta(days=3)


def add(home: Home, name: str) -> pd.DataFrame:
    home.write_source(name, SOURCE.format(name=name))
    rows = daily_series(3)
    write_rows(home.settings.data / "examples" / f"{name}.csv", rows)
    return rows


@pytest.fixture(scope="module")
def two_sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which `web` and `other` have run until END."""
    with opened(tmp_path_factory.mktemp("two")) as home:
        for name in ("web", "other"):
            add(home, name)
            assert home.run(name, END).is_success
    return home.folder


@pytest.fixture
def both(two_sources: Path, tmp_path: Path) -> Iterator[Home]:
    with opened(shutil.copytree(two_sources, tmp_path, dirs_exist_ok=True)) as home:
        yield home


def published(home: Home, sql: str) -> pd.DataFrame:
    return home.warehouse.published_read(sql)


@pytest.mark.soak
def test_a_renamed_column_is_one_incident_one_message_and_loses_nothing(both):
    home, rows = both, daily_series(3)
    stored = home.count("raw.web")
    write_rows(home.settings.data / "examples" / "web.csv", rows.rename(columns={"value": "requests_total"}))
    for k in range(3):  # no daemon: the command line settles its own runs
        outcome = home.run("web", END + k * STEP)
        assert not outcome.is_success
        assert "value" in outcome.failures[0].message and "web.csv" in outcome.failures[0].message
    incidents = published(home, "SELECT * FROM incidents")
    assert incidents[["source", "cause", "state"]].values.tolist() == [["web", "raw_records", "open"]]
    assert len(list(home.settings.outbox.glob("*.eml"))) == 1
    runs = published(home, "SELECT status FROM run_log WHERE source = 'web' ORDER BY started_at")
    assert runs["status"].tolist() == ["success", "failed", "failed", "failed"]
    assert home.count("raw.web") == stored
    assert home.run("other", END + STEP).is_success
    write_rows(home.settings.data / "examples" / "web.csv", rows)
    assert home.run("web", END + 4 * STEP).is_success
    assert published(home, "SELECT state, resolved_reason FROM incidents").values.tolist() == [["resolved", "raw_records succeeded again"]]
    assert len(list(home.settings.outbox.glob("*.eml"))) == 2


@pytest.mark.soak
def test_a_broken_yaml_fails_in_its_own_run_and_leaves_others_alone(home):
    add(home, "web")
    add(home, "other")
    home.write_source("web", SOURCE.format(name="web").replace("metrics:", "metrcs:"))
    outcome = home.run("web", END)
    assert not outcome.is_success
    assert "metrcs" in outcome.failures[0].message and "did you mean" in outcome.failures[0].message
    assert home.run("other", END).is_success
    assert home.table("incidents")[["source", "state"]].values.tolist() == [["web", "open"]]
    add(home, "web")
    assert home.run("web", END + STEP).is_success
    assert home.table("incidents")[["source", "state"]].values.tolist() == [["web", "resolved"]]


@pytest.mark.parametrize(("text", "word"), [("", "empty"), ("timestamp,value\n", None), (None, "no")])
@pytest.mark.soak
def test_an_empty_or_missing_file_says_so(home, text, word):
    home.write_source("web", SOURCE.format(name="web"))
    if text is not None:
        (home.settings.data / "examples" / "web.csv").write_text(text)
    outcome = home.run("web", END)
    if word is None:  # a header without rows is a source that has said nothing yet
        assert outcome.is_success and home.count("clean_series") == 0
    else:
        assert not outcome.is_success and word in outcome.failures[0].message and "web.csv" in outcome.failures[0].message


@pytest.mark.soak
def test_text_in_a_number_column_is_kept_aside_with_the_reason(home):
    rows = add(home, "web")
    damaged = rows.astype({"value": str}).replace({"value": {str(rows["value"][7]): "n/a?"}})
    write_rows(home.settings.data / "examples" / "web.csv", damaged)
    home.run_stages("web", END)
    held = home.table("quarantined_records")
    assert len(held) >= 1 and set(held["state"]) == {"held"} and held["reason"].str.contains("value").all()


@pytest.mark.soak
def test_rows_out_of_order_make_the_same_series(both):
    home, rows = both, add(both, "shuffled")
    write_rows(home.settings.data / "examples" / "shuffled.csv", rows.sample(frac=1, random_state=1))
    home.run_stages("shuffled", END, stages_until("clean_series"))
    columns = ["series", "observed_at", "value", "repair"]
    first, second = (
        home.table("clean_series", f"source = '{name}'")[columns].sort_values("observed_at", ignore_index=True)
        for name in ("web", "shuffled")
    )
    pd.testing.assert_frame_equal(first, second)


@pytest.mark.soak
def test_an_interrupted_run_is_canceled_and_wakes_nobody(home):
    add(home, "web")

    def interrupt(stage: str) -> None:
        if stage == "clean_series":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute(home.instance, home.settings, "monitor_source", "web", {"as_of": END.isoformat()}, on_stage=interrupt)
    assert home.table("run_log")["status"].tolist() == ["canceled"]
    assert home.count("incidents") == 0
    assert home.run("web", END).is_success


@pytest.mark.soak
def test_a_picture_and_files_that_cannot_be_made_are_notes_of_a_run_that_succeeds(home, monkeypatch):
    home.write_source("web", SOURCE.format(name="web") + "dimensions: [offer]\nrules: [{type: threshold, metric: requests, above: 5000}]\n")
    rows = daily_series(3).assign(offer="$5 % off $10")  # a formula that matplotlib cannot read
    rows.loc[rows.index[-20:], "value"] = 9000
    write_rows(home.settings.data / "examples" / "web.csv", rows)
    home.settings.exports.mkdir(parents=True)
    (home.settings.exports / "web").write_text("in the way")
    outcome = home.run("web", END)
    assert outcome.is_success and home.count("anomalies") > 0
    (note,) = outcome.notes
    assert note.startswith("the files of the latest anomalies could not be made (FileExistsError: ")
    shown = home.instance.fetch_materializations(asset_key("anomalies"), limit=1).records[0].asset_materialization
    assert "plot" in shown.metadata

    def broken(*given: object, **more: object) -> bytes:
        raise ValueError("no font")

    monkeypatch.setattr("smartflow_assets.core.reports.series_plot.series_plot", broken)
    rows.loc[rows.index[-10:], "value"] = 9500
    write_rows(home.settings.data / "examples" / "web.csv", rows)
    outcome = home.run("web", END + STEP)
    assert outcome.is_success
    assert "the picture 'newest scores' could not be made (ValueError: no font); the run goes on without" in outcome.notes
