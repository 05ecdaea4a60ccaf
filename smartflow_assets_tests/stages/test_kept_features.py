"""Features are stored for the detectors that read them, or for people who ask for all; a detector that comes later finds what it needs."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from smartflow_assets.stages import ingestion, modelling
from smartflow_assets.stages.preparation import clean_series, features_of, series_features
from smartflow_assets_tests.homes import START, Home, daily_series, write_rows

SOURCE = """
name: web
read: {{type: csv, path: examples/web.csv, time: timestamp}}
metrics: [{{name: load, column: value}}, {{name: peak, column: value, aggregate: max{own}}}]
time_bucket: {{every: 15min, settle: 0s}}
alerts: {{to: [file], max_age: 3650 days}}
{more}
"""
FOREST = ", detectors: [{type: isolation_forest}]"
END = START + timedelta(days=6)
NEXT = END + timedelta(hours=6)


@pytest.fixture
def home_of(tmp_path) -> Callable[..., Home]:
    def make(own: str = "", more: str = "", until: pd.Timestamp | None = None) -> Home:
        home = Home(tmp_path)
        home.write_source("web", SOURCE.format(own=own, more=more))
        home.write_channels("file: {type: file}\n")
        rows = daily_series(7)
        rows.loc[1900, "value"] = np.float64(2500.0)
        write_rows(home.settings.data / "examples" / "web.csv", rows[pd.to_datetime(rows["timestamp"], utc=True) < (until or END)])
        return home

    return make


def metrics_with_features(home: Home) -> list[str]:
    return home.warehouse.read("SELECT DISTINCT series FROM series_features ORDER BY series")["series"].tolist()


def prepare(home: Home, now: object) -> None:
    for stage in (ingestion.raw_records, clean_series, series_features):
        stage(home.source_run("web", now))


@pytest.mark.parametrize(
    ("own", "more", "kept"),
    [("", "", []), (FOREST, "", ["peak"]), ("", "keep_features: all", ["load", "peak"])],
    ids=["auto reads none", "a forest for one metric", "all for people"],
)
def test_what_is_stored(home_of, own, more, kept):
    home = home_of(own, more)
    prepare(home, END)
    assert metrics_with_features(home) == kept
    assert home.source_run("web", END).warehouse.pending("web", "series_features", ["clean_series"]) == []


def test_mahalanobis_has_the_features_of_all_metrics(home_of):
    home = home_of(more="detectors: [{type: mahalanobis}, {type: forecast}]")
    prepare(home, END)
    assert metrics_with_features(home) == ["load", "peak"]


@pytest.mark.soak
def test_a_detector_that_comes_later_learns_and_scores_as_if_it_had_been_there(home_of, tmp_path_factory):
    """With nothing stored, with a stretch between two that is not stored, and with all."""
    home = home_of()
    home.run_stages("web", END)  # nothing is stored
    home = home_of(FOREST)
    home.run_stages("web", END)  # the forest learns from rows whose features nobody stored
    home = home_of(until=NEXT)
    home.run_stages("web", NEXT)  # six hours without the forest
    last = NEXT + timedelta(hours=6)
    home = home_of(FOREST, until=last)
    run = home.source_run("web", last)
    prepare(home, last)
    group = next(group for group in modelling.metric_groups(run) if group.reads_features)
    rows = group.rows(home.warehouse.read("SELECT * FROM clean_series"))
    found = modelling.feature_rows(run, group, rows)
    expected = features_of(run, rows["observed_at"].min(), last, ["peak"])
    assert found is not None and len(found) == len(rows)
    pd.testing.assert_frame_equal(found, expected.reset_index(drop=True), check_exact=True)


def test_what_was_stored_goes_where_rows_change_and_nobody_reads_it(home_of):
    """A home made when all features were stored: late rows must not leave features of the rows before."""
    home = home_of(more="keep_features: all")
    prepare(home, END)
    stored = home.count("series_features")
    home = home_of(until=NEXT)
    prepare(home, NEXT)
    assert 0 < home.count("series_features") <= stored
    stale = "SELECT count(*) AS n FROM series_features WHERE observed_at >= ?"
    assert home.warehouse.read(stale, [pd.Timestamp(END)])["n"].iloc[0] == 0
    assert not Path(home.settings.outbox).exists()
