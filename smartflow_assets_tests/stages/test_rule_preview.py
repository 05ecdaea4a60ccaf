"""What a preview says of other settings is what runs with such a YAML then flag, row by row, and tell."""

import shutil
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.configuration_edit import proposed
from smartflow_assets.config.source import Source
from smartflow_assets.core.errors import SourceError, WarehouseError
from smartflow_assets.stages.configuration_changes import write
from smartflow_assets.stages.experiments import rule_preview
from smartflow_assets.stages.experiments.rule_preview import Previewer, RulePreview, previewer
from smartflow_assets.stages.experiments.stored_verdicts import of_source
from smartflow_assets_tests.homes import START, Home, write_rows

YAML = """
name: web
read: {type: csv, path: examples/web.csv, time: at}
metrics: [{name: requests, aggregate: sum}, {name: errors, aggregate: sum}]
time_bucket: {every: 1h, settle: 0s}
rules:
  - {type: threshold, name: flood, metric: requests, above: 1100, severity: critical}
  - {type: ratio_to_median, name: surge, metric: requests, at_least: 1.8, window: 1 day}
alerts: {to: [file], max_age: 3650 days}
"""
DAYS, LEARNT = 30, 14
LENGTH = timedelta(days=DAYS - LEARNT)


def day(number: float) -> Any:
    return START + timedelta(days=number)


def rows() -> pd.DataFrame:
    """Two metrics by the hour: spikes and drops of all sizes, a silence, a flat hour of a day, zeros."""
    chance, hours = np.random.default_rng(3), pd.date_range(START, periods=24 * DAYS, freq="1h")
    daily = np.sin(hours.hour.to_numpy() / 24 * 2 * np.pi)
    requests, errors = 500 + 200 * daily + chance.normal(0, 14, len(hours)), 40 + 12 * daily + chance.normal(0, 3, len(hours))
    for place, at in enumerate(range(24 * LEARNT + 10, 24 * DAYS - 30, 29)):
        size = 30 * (1 + place % 9) * (1 if place % 2 else -1)
        requests[at : at + 1 + place % 3] += size * 2
        errors[at + 9] += size / 9
    requests[600:616] = requests[600]
    errors[640:652] = 0
    requests[660:664] = 0
    found = pd.DataFrame({"at": hours, "requests": np.round(np.maximum(requests, 0)), "errors": np.round(np.maximum(errors, 0), 1)})
    found = found.drop(index=range(500, 520))
    return found.assign(at=found["at"].dt.strftime("%Y-%m-%dT%H:%M:%SZ"))


def began(folder: Path) -> Home:
    """A home that has run once, with two weeks to learn from."""
    home = Home(folder)
    home.write_source("web", YAML)
    home.write_channels("file: {type: file}\n")
    every = rows()
    write_rows(home.settings.data / "examples" / "web.csv", every[every["at"] < day(LEARNT).strftime("%Y-%m-%dT%H")])
    home.run_stages("web", day(LEARNT))
    return home


def gone_on(home: Home) -> Home:
    """The rest of the rows, by the model that is there."""
    write_rows(home.settings.data / "examples" / "web.csv", rows())
    home.run_stages("web", day(DAYS))
    home.warehouse.publish("test", is_forced=True)
    return home


@cache
def homes(folder: Path) -> tuple[Path, Path]:
    begun = began(folder / "begun").folder
    return begun, gone_on(Home(shutil.copytree(begun, folder / "watched"))).folder


@pytest.fixture
def begun(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Home:
    return Home(shutil.copytree(homes(_folder(tmp_path_factory))[0], tmp_path / "begun"))


@pytest.fixture
def watched(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Home:
    return Home(shutil.copytree(homes(_folder(tmp_path_factory))[1], tmp_path / "watched"))


_folders: list[Path] = []


def _folder(factory: pytest.TempPathFactory) -> Path:
    if not _folders:
        _folders.append(factory.mktemp("previewed"))
    return _folders[0]


def made(home: Home, changes: dict[str, Any]) -> tuple[Previewer, Source]:
    catalogue = Catalogue.load(home.settings)
    return previewer("web", home.settings, catalogue, LENGTH), proposed(home.settings, catalogue, "web", changes).source


def preview(home: Home, changes: dict[str, Any]) -> RulePreview:
    found, variant = made(home, changes)
    return found.preview(variant)


def flags(rows: pd.DataFrame) -> dict[tuple[str, str], str]:
    """Series and time of what is anomalous, with how bad it is."""
    found = rows[rows["is_anomalous"]]
    return {(str(series), f"{at:%d %H}"): str(bad) for series, at, bad in found[["series", "observed_at", "severity"]].to_numpy()}


def run_flags(home: Home) -> dict[tuple[str, str], str]:
    from smartflow_assets.stages.detection import judged_rows

    return flags(judged_rows(home.source_run("web", day(DAYS)), day(LEARNT), day(DAYS)))


CHANGES: list[dict[str, Any]] = [
    {},
    {"sensitivity": "low"},
    {"sensitivity": "high"},
    {"threshold.score": 0.9},
    {"threshold.score": 0.9999},
    {"direction": "drop"},
    {"direction": "spike", "sensitivity": "high"},
    {"ignore_small_changes": "30%"},
    {"rules.0.above": 800},
    {"rules.1.at_least": 1.4},
    {"rules.1.window": "3 days"},
    {"rules.0": None, "rules.1": None},
    {"rules.2": {"type": "threshold", "metric": "errors", "below": 10, "for": "2h"}, "sensitivity": "low"},
]


@pytest.mark.parametrize("changes", CHANGES, ids=str)
@pytest.mark.soak
def test_a_preview_equals_what_runs_with_that_yaml_flag_and_tell(watched, begun, changes):
    stored, variant = made(watched, changes)
    said, told = flags(stored.stored.judged(of_source(stored.stored.run, variant).source)), stored.preview(variant)
    assert told.method == "stored" and len(said) > 5

    write(watched.settings, Catalogue.load(watched.settings), "web", changes)
    watched.run_stages("web", day(DAYS), since=day(LEARNT), until=day(DAYS))
    assert run_flags(watched) == said, "the run that looks at the window again flags otherwise"

    write(begun.settings, Catalogue.load(begun.settings), "web", changes)
    gone_on(begun)
    assert run_flags(begun) == said, "the YAML of before the rows came flags otherwise"
    found = begun.table("anomalies", f"started_at >= '{day(LEARNT)}' ORDER BY started_at, series")
    shown = ["series", "metric", "started_at", "ended_at", "severity", "rules"]
    pd.testing.assert_frame_equal(told.after.anomalies[shown], found[shown])
    opened = begun.table("alert_sends", f"event = 'opened' AND status = 'planned' AND happened_at >= '{day(DAYS)}'")
    assert told.after.counts.alert_count == opened["incident_id"].nunique()
    assert begun.count("trained_models") == 1, "nothing is trained for it"


def test_a_preview_counts_both_sides_and_writes_nothing(watched):
    before = {path: path.stat().st_mtime_ns for path in watched.folder.rglob("*.duckdb")}
    few = preview(watched, {"sensitivity": "low", "rules.0.above": 5000})
    many = preview(watched, {"threshold.score": 0.9, "rules.0.above": 700})
    assert few.before == many.before and few.method == many.method == "stored"
    assert few.after.counts.anomaly_count < few.before.counts.anomaly_count < many.after.counts.anomaly_count
    assert 0 < few.after.counts.alert_count <= few.after.counts.anomaly_count
    assert many.before.counts.alerts_per_week == round(many.before.counts.alert_count / ((DAYS - LEARNT) / 7), 2)
    assert sum(many.after.counts.by_severity.values()) == len(many.after.anomalies) == many.after.counts.anomaly_count
    assert [(limit.series, limit.rule, limit.value) for limit in many.limits] == [("requests", "flood", 700.0)]
    assert (many.since, many.until) == (day(LEARNT), day(DAYS))
    assert {path: path.stat().st_mtime_ns for path in watched.folder.rglob("*.duckdb")} == before


def test_severity_of_alerts_decides_who_is_told(watched):
    usual, loud = preview(watched, {}).after.counts, preview(watched, {"alerts.min_severity": "critical"}).after.counts
    assert usual.anomaly_count == loud.anomaly_count and loud.alert_count < usual.alert_count


@pytest.mark.soak
def test_other_detectors_learn_anew_and_say_so(watched):
    found = preview(watched, {"detectors": [{"type": "mad"}, {"type": "seasonal"}]})
    assert found.method == "learnt_anew" and "learnt anew" in found.notes[0]
    assert found.after.counts.anomaly_count == len(found.after.anomalies) != found.before.counts.anomaly_count


def test_a_metric_of_its_own_says_that_a_model_is_trained(watched):
    found = preview(watched, {"metrics.1.sensitivity": "high"})
    assert found.method == "stored" and found.notes == (
        "errors, requests: the next run trains a model of its own for it, whose scores may differ a little",
    )


def test_another_copy_is_read_anew_and_the_same_one_is_not(watched):
    first = made(watched, {})[0]
    assert made(watched, {"sensitivity": "low"})[0] is first
    watched.warehouse.publish("again", is_forced=True)
    assert made(watched, {})[0] is not first and len(rule_preview._kept) <= rule_preview.SOURCES_KEPT


def test_more_rows_than_a_preview_holds_are_refused_with_how_many_days_fit(watched, monkeypatch):
    monkeypatch.setattr("smartflow_assets.stages.experiments.stored_verdicts.MOST_ROWS", 400)
    with pytest.raises(SourceError, match=r"the last 16 days have 768 rows, and at most 400 are looked at \(days\)\. Ask for 8 days\."):
        previewer("web", watched.settings, Catalogue.load(watched.settings), LENGTH)


def test_a_source_without_rows_and_a_home_without_a_copy_say_so(tmp_path):
    home = Home(tmp_path)
    home.write_source("web", YAML)
    with pytest.raises(WarehouseError, match="nothing is published yet"):
        previewer("web", home.settings, Catalogue.load(home.settings))
    home.warehouse.publish("test", is_forced=True)
    with pytest.raises(SourceError, match="no rows yet"):
        previewer("web", home.settings, Catalogue.load(home.settings))
