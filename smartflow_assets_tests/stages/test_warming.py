"""Warming up is said with what is missing, and no longer once all is judged."""

from datetime import timedelta

import pandas as pd

from smartflow_assets.config.source import Source
from smartflow_assets.stages import detection, modelling
from smartflow_assets.stages.ingestion import raw_records
from smartflow_assets.stages.preparation import clean_series, series_features
from smartflow_assets.stages.warming import warming_up
from smartflow_assets_tests.homes import START, STEP, WEB, Home, daily_series, write_rows

STAGES = (raw_records, clean_series, series_features, modelling.trained_models, detection.anomaly_scores)
HOSTS = WEB.replace("metrics:", "dimensions: [host]\nmetrics:").split("rules:")[0]


def feed(home: Home, rows: int, hosts: int = 3) -> None:
    frame = daily_series(4)[:rows]
    several = pd.concat([frame.assign(host=f"h{number}") for number in range(hosts)])
    write_rows(home.settings.data / "examples" / "web.csv", several)


def test_a_source_that_is_warming_up_says_what_is_missing(tmp_path):
    home = Home(tmp_path)
    home.write_source("web", HOSTS)
    feed(home, 12)
    scored = home.run_stages("web", START + 12 * STEP, STAGES)["anomaly_scores"]
    assert scored.waiting == "3 series, 12 of 288 rows"
    assert scored.summary == "0 rows scored, 0 anomalous, 36 are still warming up (3 series, 12 of 288 rows)"
    feed(home, 600)
    scored = home.run_stages("web", START + 600 * STEP, STAGES)["anomaly_scores"]
    assert (scored.waiting, scored.scored_count > 0) == ("", True)


def test_metrics_that_need_more_rows_are_told_apart():
    read = {"type": "csv", "path": "a.csv", "time": "ts"}
    metrics = [{"name": "a"}, {"name": "b", "detectors": [{"type": "prophet"}]}, {"name": "c"}]
    source = Source.model_validate({"name": "web", "read": read, "metrics": metrics})
    unjudged = [{"metric": metric, "series_count": 27, "row_count": count} for metric, count in (("a", 12), ("b", 12), ("c", 9))]
    assert warming_up(source, timedelta(minutes=5), unjudged) == "54 series, 12 of 288 rows; 27 series, 12 of 576 rows"
    assert warming_up(source, timedelta(minutes=5), []) == ""


def test_series_that_came_after_the_training_wait_for_the_next():
    source = Source.model_validate({"name": "web", "read": {"type": "csv", "path": "a.csv", "time": "ts"}})
    said = warming_up(source, timedelta(minutes=5), [{"metric": "a", "series_count": 1, "row_count": 300}])
    assert said == "1 series, 300 rows are there and 288 needed: judged after the next training"
