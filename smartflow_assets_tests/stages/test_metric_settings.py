"""Several metrics of one file: each key of a metric changes rows of that metric, and no row of another, to the bit."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.metric import Metric
from smartflow_assets.config.plan import compare
from smartflow_assets.stages.bucket_resolution import made_under
from smartflow_assets_tests.homes import STAGES, START, Home, Stage, stages_until, write_rows

TABLES = {"clean_series": "observed_at", "rule_violations": "observed_at", "anomaly_scores": "observed_at", "anomalies": "started_at"}
DAYS = 20
END = START + timedelta(days=DAYS)
LOAD: dict[str, Any] = {"name": "load", "column": "load", "unit": "jobs", "ignore_small_changes": 20}
SALES = {"name": "sales", "column": "amount", "aggregate": "sum", "unit": "EUR"}
COUNT = {"name": "orders", "aggregate": "count", "rules": [{"type": "threshold", "above": 5}]}


def rows() -> pd.DataFrame:
    """Two rows an hour but for some hours, from two regions."""
    chance = np.random.default_rng(11)
    hours = pd.date_range(START, periods=24 * DAYS, freq="1h")
    daily = np.sin(hours.hour.to_numpy() / 24 * 2 * np.pi)
    load, amount = 200 + 60 * daily + chance.normal(0, 3, len(hours)), 100 + 30 * daily + chance.normal(0, 3, len(hours))
    for at, size in ((340, 60), (360, -60), (380, 90), (400, -90), (420, 130), (440, 400)):
        load[at], amount[at + 10] = load[at] + size, amount[at + 10] + size / 2
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
    silent = [hours[n] for n in (300, 301, 410, 450)]
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


def results(home: Home) -> dict[str, pd.DataFrame]:
    return {
        table: home.table(table).drop(columns=["model_id", "run_id"], errors="ignore").sort_values(["series", time], ignore_index=True)
        for table, time in TABLES.items()
    }


def of_metric(results: dict[str, pd.DataFrame], metric: str) -> dict[str, pd.DataFrame]:
    """The rows of one metric, without its name: to be compared with those of another."""
    found = {}
    for table, frame in results.items():
        own = frame[frame["series"].str.split("{").str[0] == metric]
        series = own["series"].str.removeprefix(metric)
        found[table] = own.assign(series=series).drop(columns=["metric", "anomaly_id"], errors="ignore").reset_index(drop=True)
    return found


def made(folder: Path, *metrics: dict[str, Any], stages: Sequence[Stage] = STAGES) -> Home:
    home = Home(folder)
    write_rows(home.settings.data / "examples" / "shop.csv", rows())
    write_source(home, *metrics)
    home.run_stages("shop", END, stages)
    return home


def is_equal(one: pd.DataFrame, two: pd.DataFrame) -> bool:
    try:
        pd.testing.assert_frame_equal(one, two, check_exact=True)
    except AssertionError:
        return False
    return True


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


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> dict[str, pd.DataFrame]:
    return results(made(tmp_path_factory.mktemp("plain"), LOAD, SALES, COUNT))


@pytest.fixture(scope="module")
def changed(tmp_path_factory) -> dict[str, pd.DataFrame]:
    """Beside the three as they are, a metric like `load` for each change, and one without any."""
    loads = [LOAD | change | {"name": f"load_{place}"} for place, (change, _) in enumerate([*CHANGES, ({}, set())])]
    return results(made(tmp_path_factory.mktemp("changed"), *loads, LOAD, SALES, COUNT))


@pytest.mark.parametrize(
    ("place", "tables"),
    [pytest.param(place, tables, id="+".join(change)) for place, (change, tables) in enumerate(CHANGES)],
)
def test_a_key_changes_its_own_metric(plain, changed, place, tables):
    before, after = of_metric(plain, "load"), of_metric(changed, f"load_{place}")
    assert {table for table in TABLES if not is_equal(before[table], after[table])} >= tables


@pytest.mark.parametrize("other", ["load", "sales", "orders", f"load_{len(CHANGES)}"])
def test_no_key_changes_another_metric(plain, changed, other):
    before, after = of_metric(plain, "load" if other.startswith("load") else other), of_metric(changed, other)
    assert len(before["anomaly_scores"]) == 24 * DAYS
    for table in TABLES:
        pd.testing.assert_frame_equal(after[table], before[table], check_exact=True, check_dtype=False, obj=f"{table} of {other}")


def test_every_key_of_a_metric_is_among_the_changes():
    assert {key for change, _ in CHANGES for key in change} | {"name"} == set(Metric.model_fields)


def test_what_a_metric_measures_is_said_by_the_plan_and_rebuilt(tmp_path):
    until_clean = stages_until("clean_series")
    home = made(tmp_path, LOAD, SALES, stages=until_clean)
    write_source(home, LOAD | {"transform": "difference"}, SALES)
    source = Catalogue.load(home.settings).source("shop")
    plan = compare(source, rows_made_under=made_under(home.warehouse, "shop"))
    assert (plan.effect, str(plan.changes[0])) == (
        "rebuild",
        "metrics.load.transform: by default -> difference (rows are made anew)",
    )
    home.run_stages("shop", END, until_clean)
    fresh = made(tmp_path / "fresh", LOAD | {"transform": "difference"}, SALES, stages=until_clean)
    pd.testing.assert_frame_equal(results(home)["clean_series"], results(fresh)["clean_series"], check_exact=True)
    np.testing.assert_array_equal(home.table("clean_series", "metric = 'load'").sort_values("observed_at")["value"].head(1), [np.nan])


def test_a_table_without_a_number_says_that_no_series_is_made_of_it(home: Home) -> None:
    file = home.settings.data / "examples/notes.csv"
    file.write_text("timestamp,note\n" + "".join(f"2026-03-0{day}T00:00:00Z,day {day}\n" for day in range(1, 9)))
    read = "name: notes\nread: {type: csv, path: examples/notes.csv, time: timestamp}\n"
    home.write_source("notes", read)
    done = home.run_stages("notes", START + timedelta(days=9))["clean_series"]
    assert done.note.startswith("no column holds numbers") and done.series_count == 0
    home.write_source("notes", read + "metrics: [{name: rows, aggregate: count}]\n")
    done = home.run_stages("notes", START + timedelta(days=9, hours=1))["clean_series"]
    assert "no column" not in done.note and done.series_count == 1
