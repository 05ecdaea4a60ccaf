"""Several metrics of one file: each key of a metric changes rows of that metric, and no row of another, to the bit."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg
import numpy as np
import pandas as pd
import pytest
import yaml

from smartflow_assets.adapters.model_store import ModelStore
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.metric import Metric
from smartflow_assets.config.plan import compare
from smartflow_assets.stages import detection, ingestion, modelling, preparation
from smartflow_assets.stages.bucket_resolution import made_under
from smartflow_assets.stages.run import SourceRun
from smartflow_assets_tests.homes import START, Home, write_rows

STAGES = [
    ingestion.raw_records,
    preparation.clean_series,
    preparation.series_features,
    preparation.rule_violations,
    modelling.trained_models,
    detection.anomaly_scores,
    detection.anomalies,
]
TABLES = {"clean_series": "observed_at", "rule_violations": "observed_at", "anomaly_scores": "observed_at", "anomalies": "started_at"}
DAYS = 40
LOAD: dict[str, Any] = {"name": "load", "column": "load", "unit": "jobs", "ignore_small_changes": 20}
SALES = {"name": "sales", "column": "amount", "aggregate": "sum", "unit": "EUR"}
COUNT = {"name": "orders", "aggregate": "count", "rules": [{"type": "threshold", "above": 5}]}


def rows() -> pd.DataFrame:
    """Two rows an hour but for some hours, from two regions."""
    chance = np.random.default_rng(11)
    hours = pd.date_range(START, periods=24 * DAYS, freq="1h")
    daily = np.sin(hours.hour.to_numpy() / 24 * 2 * np.pi)
    load, amount = 200 + 60 * daily + chance.normal(0, 3, len(hours)), 100 + 30 * daily + chance.normal(0, 3, len(hours))
    for at, size in ((500, 60), (560, -60), (620, 90), (680, -90), (740, 130), (800, 400)):
        load[at], amount[at + 20] = load[at] + size, amount[at + 20] + size / 2
    both = pd.concat(
        [
            pd.DataFrame(
                {
                    "timestamp": hours + pd.Timedelta(minutes=k),
                    "load": np.round(load * (1 + k / 90), 2),
                    "amount": np.round(amount, 2),
                    "region": region,
                }
            )
            for k, region in ((5, "north"), (35, "south"))
        ]
    )
    silent = [hours[n] for n in (300, 301, 700, 860)]
    kept = both[~both["timestamp"].dt.floor("1h").isin(silent)].sort_values("timestamp")
    return kept.assign(timestamp=kept["timestamp"].dt.strftime("%Y-%m-%dT%H:%M:%SZ"))


def write_source(home: Home, *metrics: dict[str, Any]) -> None:
    home.write_source(
        "shop",
        yaml.safe_dump(
            {
                "name": "shop",
                "read": {"type": "csv", "path": "examples/shop.csv", "time": "timestamp"},
                "time_bucket": {"every": "1h", "settle": "0s"},
                "metrics": list(metrics),
            }
        ),
    )


def run_stages(home: Home, days: float = DAYS) -> SourceRun:
    catalogue, now = Catalogue.load(home.settings), START + timedelta(days=days)
    run = SourceRun(
        catalogue.source("shop"), home.settings, catalogue, home.warehouse, ModelStore(home.settings.models), now, f"run {uuid4()}"
    )
    for stage in STAGES:
        stage(run)
    return run


def results(home: Home, metric: str | None = None) -> dict[str, pd.DataFrame]:
    found = {}
    for table, time in TABLES.items():
        frame = home.table(table).drop(columns=["model_id", "run_id"], errors="ignore").sort_values(["series", time], ignore_index=True)
        is_its = frame["series"].str.split("{").str[0] == metric
        found[table] = frame if metric is None else frame[is_its].reset_index(drop=True)
    return found


def made(folder: Path, *metrics: dict[str, Any]) -> Home:
    home = Home(folder, dg.DagsterInstance.ephemeral())
    write_rows(home.settings.data / "examples" / "shop.csv", rows())
    write_source(home, *metrics)
    run_stages(home)
    return home


def is_equal(one: pd.DataFrame, two: pd.DataFrame) -> bool:
    try:
        pd.testing.assert_frame_equal(one, two, check_exact=True)
    except AssertionError:
        return False
    return True


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Home:
    return made(tmp_path_factory.mktemp("plain"), LOAD, SALES, COUNT)


CHANGES: list[tuple[dict[str, Any], set[str]]] = [
    ({"direction": "drop"}, {"anomaly_scores", "anomalies"}),
    ({"threshold": {"score": 0.9999}}, {"anomaly_scores", "anomalies"}),
    ({"sensitivity": "low"}, {"anomaly_scores", "anomalies"}),
    ({"ignore_small_changes": 150}, {"anomaly_scores", "anomalies"}),
    ({"detectors": [{"type": "zscore"}]}, {"anomaly_scores", "anomalies"}),
    ({"ensemble": {"combine": "max"}}, {"anomaly_scores", "anomalies"}),
    ({"scale": "standard"}, {"anomaly_scores"}),
    ({"rules": [{"type": "threshold", "above": 500, "name": "roof"}]}, {"rule_violations", "anomalies"}),
    ({"unit": "tasks"}, {"anomalies"}),
    ({"column": "amount"}, {"clean_series", "anomaly_scores", "anomalies"}),
    ({"aggregate": "p95"}, {"clean_series", "anomaly_scores", "anomalies"}),
    ({"dimensions": ["region"]}, {"clean_series", "anomaly_scores", "anomalies"}),
    ({"where": "region == 'north'"}, {"clean_series", "anomaly_scores", "anomalies"}),
    ({"transform": "log"}, {"anomaly_scores", "anomalies"}),
    ({"transform": "difference"}, {"clean_series", "anomaly_scores", "anomalies"}),
    ({"transform": "cumulative_to_rate"}, {"clean_series", "anomaly_scores", "anomalies"}),
    ({"aggregate": "count", "without_rows": "zero"}, {"clean_series", "anomaly_scores", "anomalies"}),
    ({"aggregate": "sum", "explain_by": ["region"]}, {"clean_series", "anomaly_scores", "anomalies"}),
]


@pytest.mark.parametrize(("change", "tables"), CHANGES, ids=lambda value: "+".join(value) if isinstance(value, dict) else "")
def test_a_key_changes_its_own_metric_and_no_other(tmp_path, plain, change, tables):
    home = made(tmp_path, LOAD | change, SALES, COUNT)
    for other in ("sales", "orders"):
        before, after = results(plain, other), results(home, other)
        assert len(before["anomaly_scores"]) == 24 * DAYS
        for table in TABLES:
            pd.testing.assert_frame_equal(after[table], before[table], check_exact=True, check_dtype=False, obj=f"{table} of {other}")
    before, after = results(plain, "load"), results(home, "load")
    assert {table for table in TABLES if not is_equal(before[table], after[table])} >= tables


def test_every_key_of_a_metric_is_among_the_changes():
    assert {key for change, _ in CHANGES for key in change} | {"name"} == set(Metric.model_fields)


def test_what_a_metric_measures_is_said_by_the_plan_and_rebuilt(tmp_path, plain):
    home = made(tmp_path, LOAD, SALES)
    write_source(home, LOAD | {"transform": "difference"}, SALES)
    source = Catalogue.load(home.settings).source("shop")
    plan = compare(source, rows_made_under=made_under(home.warehouse, "shop"))
    assert (plan.effect, str(plan.changes[0])) == (
        "rebuild",
        "metrics: load load mean, sales amount sum -> load load mean difference, sales amount sum",
    )
    run_stages(home)
    fresh = made(tmp_path / "fresh", LOAD | {"transform": "difference"}, SALES)
    pd.testing.assert_frame_equal(results(home)["clean_series"], results(fresh)["clean_series"], check_exact=True)
    np.testing.assert_array_equal(home.table("clean_series", "metric = 'load'").sort_values("observed_at")["value"].head(1), [np.nan])
