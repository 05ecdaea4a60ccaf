"""A source with labels says how well it is watched: after new labels, after labelled scores, and not at every run."""

import base64
import re
from datetime import timedelta

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from smartflow_assets.adapters.files.labels import read_labels
from smartflow_assets.adapters.warehouse.writes import Prune
from smartflow_assets.core.evaluation.metrics import quality
from smartflow_assets.defs.names import asset_key
from smartflow_assets_tests.homes import START, STEP, WEB, Home, daily_series, write_rows

LABELLED = WEB + "labels: examples/web_labels.csv\n"
SPIKE, UNSEEN = 2200, 2500  # rows: a spike that is labelled, and a calm time that is labelled as well


def write_labels(home: Home, *rows: tuple[int, int], series: str = "requests") -> None:
    lines = [f"{series},{START + first * STEP:%Y-%m-%dT%H:%M:%SZ},{START + last * STEP:%Y-%m-%dT%H:%M:%SZ}" for first, last in rows]
    (home.settings.data / "examples" / "web_labels.csv").write_text("\n".join(["series,started_at,ended_at", *lines]) + "\n")


@pytest.fixture
def web(home: Home) -> Home:
    """Ten days with one spike, which a rule and the detectors see; two labels, one of them wrong."""
    rows = daily_series(12)
    rows.loc[SPIKE : SPIKE + 2, "value"] = 3000
    write_rows(home.settings.data / "examples" / "web.csv", rows)
    write_labels(home, (SPIKE - 1, SPIKE + 2), (UNSEEN, UNSEEN + 5))
    home.write_source("web", LABELLED)
    return home


def metadata_of(home: Home) -> dict[str, object]:
    filter_ = dg.AssetRecordsFilter(asset_key=asset_key("detection_quality"), asset_partitions=["web"])
    last = home.instance.fetch_materializations(filter_, limit=1).records[0].asset_materialization
    assert last is not None
    return {name: value.value for name, value in last.metadata.items()}


@pytest.mark.soak
def test_the_figures_are_in_the_table_in_the_view_and_in_the_ui(web: Home) -> None:
    assert web.run("web", START + timedelta(days=10)).is_success
    rows = web.table("detection_quality").set_index("series")
    assert sorted(rows.index) == ["*", "requests"]
    total = rows.loc["*"]
    assert (total["label_count"], total["recall"]) == (2, 0.5)
    assert total["delay_seconds"] == 300  # labelled from the row before the spike
    judged = web.table("anomaly_scores", "state <> 'warming_up'")
    is_broken = judged["observed_at"].isin(web.table("rule_violations")["observed_at"])
    judged["is_anomaly"] |= is_broken
    expected = quality(judged, read_labels(web.settings.data / "examples" / "web_labels.csv", "web"), step=STEP)
    for name in ("precision", "recall", "f1"):
        assert total[name] == getattr(expected.events, name) and total[f"point_{name}"] == getattr(expected.points, name)
    assert (total["pr_auc"], total["roc_auc"]) == (expected.pr_auc, expected.roc_auc)
    assert total["to_at"] - total["from_at"] == expected.days * timedelta(days=1)
    assert web.count("marts.detection_quality_latest") == 2
    shown = metadata_of(web)
    assert shown["recall"] == 0.5 and shown["label_count"] == 2
    assert "| requests | 1 of 2 |" in str(shown["series"])
    picture = re.search(r"base64,([^)]+)", str(shown["plot"]))
    assert picture and base64.b64decode(picture[1]).startswith(b"\x89PNG")


@pytest.mark.soak
def test_it_is_measured_again_when_something_changed_and_only_then(web: Home) -> None:
    clock = START + timedelta(days=8, hours=12)  # before UNSEEN
    web.run("web", clock)
    assert web.count("detection_quality", "series = '*'") == 1
    web.run_stages("web", clock)
    web.run("web", clock + timedelta(hours=1))  # an hour of calm, unlabelled rows
    assert web.count("detection_quality", "series = '*'") == 1
    shown = metadata_of(web)
    assert "neither the labels nor the scores" in str(shown["outcome"]) and "plot" in shown and "recall" not in shown
    web.run_stages("web", clock + timedelta(hours=8))  # UNSEEN has come
    assert web.table("detection_quality", "series = '*'").sort_values("measured_at")["label_count"].tolist() == [1, 2]
    write_labels(web, (SPIKE, SPIKE + 2))
    web.run_stages("web", clock + timedelta(hours=8))
    newest = web.table("marts.detection_quality_latest", "series = '*'")
    assert newest["label_count"].tolist() == [1] and newest["recall"].tolist() == [1]
    web.run_stages("web", clock + timedelta(hours=33))  # a day of new scores
    assert web.count("detection_quality", "series = '*'") == 4
    web.warehouse.commit("prune", [Prune("detection_quality", "web", START + timedelta(days=365))])
    assert web.table("detection_quality", "series = '*'")["measured_at"].tolist() == [clock + timedelta(hours=33)]  # the newest stays


@pytest.mark.soak
def test_without_labels_nothing_is_written_and_it_says_so(web: Home) -> None:
    web.write_source("web", WEB)
    answers = web.run_stages("web", START + timedelta(days=8))
    assert web.count("detection_quality") == 0
    assert "no labels" in answers["detection_quality"].summary


@pytest.mark.soak
def test_labels_that_cannot_be_read_fail_their_step_and_nothing_else(web: Home) -> None:
    (web.settings.data / "examples" / "web_labels.csv").unlink()
    outcome = web.run("web", START + timedelta(days=8))
    assert [failure.cause for failure in outcome.failures] == ["detection_quality"]
    assert "web: the labels cannot be read" in outcome.failures[0].message
    assert web.count("incidents", "cause = 'anomaly'") >= 1 and web.count("incidents", "cause = 'detection_quality'") == 1
    assert web.count("anomaly_scores") == 8 * 288


@pytest.mark.soak
def test_labels_of_a_series_that_there_is_not_are_named(web: Home, caplog: pytest.LogCaptureFixture) -> None:
    write_labels(web, (SPIKE, SPIKE + 2), series="request")
    web.run_stages("web", START + timedelta(days=8))
    assert "examples/web_labels.csv labels request, which this source does not have" in caplog.text
    found = web.table("detection_quality")
    assert found["series"].tolist() == ["*"] and found["label_count"].tolist() == [0]
    assert np.isnan(found["pr_auc"].iloc[0]) or pd.isna(found["pr_auc"].iloc[0])
