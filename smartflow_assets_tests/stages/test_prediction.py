"""What is predicted of rows is what a run says of them once they are ingested, and nothing is left of it."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.core.errors import SourceError, WarehouseError
from smartflow_assets.core.incidents.event_log import row_dicts
from smartflow_assets.stages.detection import judged_rows
from smartflow_assets.stages.experiments.prediction import FARTHEST_BUCKETS, Prediction, predict
from smartflow_assets_tests.homes import START, Home

YAML = """
name: shop
read: {type: json, path: examples/shop.jsonl, time: at}
metrics: [{name: orders, aggregate: sum, unit: orders}, {name: lines, aggregate: count, column: orders, dimensions: []}]
dimensions: [region]
time_bucket: {every: 1h, settle: 0s}
rules: [{type: threshold, name: flood, metric: orders, above: 400, severity: critical}]
"""
DAYS = 16
SAME = ("value", "expected", "lower", "upper", "threshold")


def day(number: float) -> datetime:
    return START + timedelta(days=number)


def at(hours: float) -> str:
    return (day(DAYS) + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")


def stored() -> list[dict[str, Any]]:
    chance, hours = np.random.default_rng(5), pd.date_range(START, periods=24 * DAYS, freq="1h")
    daily = 100 + 40 * np.sin(hours.hour.to_numpy() / 24 * 2 * np.pi)
    return [
        {"at": hour.strftime("%Y-%m-%dT%H:%M:%SZ"), "region": region, "orders": round(level * each + noise, 1)}
        for region, level in (("eu", 1.0), ("us", 1.6))
        for hour, each, noise in zip(hours, daily, chance.normal(0, 4, len(hours)), strict=True)
    ]


def append(home: Home, rows: list[dict[str, Any]]) -> None:
    with (home.settings.data / "examples" / "shop.jsonl").open("a") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = Home(tmp_path_factory.mktemp("shop"))
    home.write_source("shop", YAML)
    append(home, stored())
    home.run_stages("shop", day(DAYS))
    home.warehouse.publish("test", is_forced=True)
    return home.folder


@pytest.fixture
def shop(folder: Path, tmp_path: Path) -> Home:
    return Home(shutil.copytree(folder, tmp_path / "shop"))


def predicted(home: Home, rows: list[dict[str, Any]]) -> Prediction:
    return predict("shop", rows, home.settings, Catalogue.load(home.settings), datetime.now(UTC))


ROWS = [
    {"at": at(0.2), "region": "eu", "orders": 101},
    {"at": at(0.4), "region": "eu", "orders": 300},
    {"at": at(0.5), "region": "us", "orders": 163},
    {"at": at(1.5), "region": "eu", "orders": "0"},
    {"at": at(2.5), "region": "us", "orders": 150},
    {"at": at(4.5), "region": "eu", "orders": 120},
    {"at": at(4.6), "region": "asia", "orders": 120},
    {"at": at(-30), "region": "eu", "orders": 250},
    {"at": at(5.5), "region": "us", "orders": None},
    {"at": "yesterday", "region": "us", "orders": 1},
    {"at": at(5.6), "region": "us", "orders": "many"},
]


def test_what_is_predicted_is_what_a_run_says_of_the_same_rows(shop):
    found = predicted(shop, ROWS)
    append(shop, ROWS)
    shop.run_stages("shop", day(DAYS + 0.25))
    judged = judged_rows(shop.source_run("shop", day(DAYS + 0.25)), day(DAYS - 2), day(DAYS + 1))
    said = {(row["series"], row["observed_at"]): row for row in row_dicts(judged)}
    assert {each.series for each in found.verdicts} == {"orders{region=eu}", "orders{region=us}", "orders{region=asia}", "lines"}
    assert len(found.verdicts) == 14
    for each in found.verdicts:
        row = said[each.series, each.at]
        assert {name: getattr(each, name) for name in SAME} == {name: row[name] for name in SAME}, each
        assert (each.is_anomaly, dict(each.rules), each.state) == (row["is_anomalous"], dict(row["rules"]), row["state"]), each
        assert each.severity == (row["severity"] if each.is_anomaly else None)
        assert each.score == (row["anomaly_score"] if each.state == "scored" else None)
    assert [set(each.rules) for each in found.verdicts if each.rules] == [{"flood"}]
    held = shop.table("quarantined_records", "source = 'shop' ORDER BY row_number")
    assert list(found.unread.values()) == list(held["reason"]) and list(found.unread) == [9, 10]
    (model,) = shop.table("trained_models")["model_id"]
    assert found.model_id == model


def test_a_verdict_says_in_a_sentence_why(shop):
    (eu,) = [each for each in predicted(shop, ROWS).verdicts if each.series == "orders{region=eu}" and each.at == day(DAYS)]
    assert eu.rows == (0, 1) and eu.value == 401 and eu.is_anomaly and eu.severity == "critical"
    assert eu.explanation.startswith("401 orders, usually ") and "breaks the rule flood: 401 is above 400" in eu.explanation
    (calm,) = [each for each in predicted(shop, [{"at": at(0.5), "region": "us", "orders": 160}]).verdicts if each.metric == "orders"]
    assert not calm.is_anomaly and calm.explanation.startswith("160 orders, inside the usual ") and calm.severity is None
    (new,) = [each for each in predicted(shop, ROWS).verdicts if "asia" in each.series]
    assert (new.state, new.score) == ("warming_up", None)
    assert new.explanation == "120 orders; not judged by a model yet: the series is newer than the last training"


def test_nothing_is_written(shop):
    def state() -> dict[str, tuple[int, int]]:
        return {
            str(each): (each.stat().st_mtime_ns, each.stat().st_size)
            for each in shop.folder.rglob("*")
            if each.is_file() and ".lock" not in each.name
        }

    before = state()
    assert predicted(shop, ROWS).verdicts
    assert state() == before


def test_rows_ahead_are_judged_as_after_an_outage_and_those_too_far_ahead_or_back_are_not(shop):
    far = FARTHEST_BUCKETS + 5
    found = predicted(
        shop,
        [
            {"at": at(20.5), "region": "eu", "orders": 500},
            {"at": at(far), "region": "eu", "orders": 120},
            {"at": "1999-01-01T00:00:00Z", "region": "eu", "orders": 120},
        ],
    )
    assert [(each.series, each.at, each.is_anomaly) for each in found.verdicts if each.metric == "orders"] == [
        ("orders{region=eu}", day(DAYS) + timedelta(hours=20), True)
    ]
    assert found.notes == (
        "20 buckets are missing before the first of these rows, which is judged as after an outage: by what was usual before it",
    )
    assert list(found.unread) == [1, 2] and "1,000 buckets after the newest" in found.unread[1] and "before the first" in found.unread[2]


def test_rows_of_which_none_can_be_read_all_say_why(shop):
    found = predicted(shop, [{"when": at(0), "region": "eu"}] * 3)
    assert not found.verdicts and list(found.unread) == [0, 1, 2] and "there is no column 'at'" in found.unread[0]
    assert predicted(shop, []).verdicts == ()


def test_without_a_model_that_fits_a_rule_speaks_alone(shop):
    shop.write_source("shop", YAML + "scale: standard\n")
    (eu,) = [each for each in predicted(shop, ROWS[:2]).verdicts if each.metric == "orders"]
    assert (eu.state, eu.is_anomaly, set(eu.rules)) == ("warming_up", True, {"flood"})
    assert "its settings changed, and the next run trains a model" in eu.explanation


def test_sensitivity_of_the_yaml_holds_at_once(shop):
    rows = [{"at": at(0.5), "region": "eu", "orders": 131}]
    scores = [each for each in predicted(shop, rows).verdicts if each.metric == "orders"]
    shop.write_source("shop", YAML + f"threshold: {{score: {scores[0].score - 0.001}}}\n")
    (other,) = [each for each in predicted(shop, rows).verdicts if each.metric == "orders"]
    assert other.score == scores[0].score and other.threshold != scores[0].threshold


def test_what_a_contract_blocks_is_not_judged(shop):
    shop.write_source("shop", YAML + "contract: {columns: {orders: {type: number, max: 350, severity: critical}}}\n")
    found = predicted(shop, [{"at": at(0.5), "region": "eu", "orders": 380}, {"at": at(0.6), "region": "us", "orders": 100}])
    assert not found.verdicts and set(found.unread) == {0, 1}
    assert "the contract keeps it out: " in found.unread[1] and "orders" in found.unread[1]


def test_a_source_without_rows_and_a_home_without_a_copy_say_so(tmp_path):
    home = Home(tmp_path)
    home.write_source("shop", YAML)
    with pytest.raises(WarehouseError, match="nothing is published yet"):
        predicted(home, ROWS)
    home.warehouse.publish("test", is_forced=True)
    found = predicted(home, ROWS[:1])
    assert not found.verdicts and found.unread == {0: "the source has no rows yet, so there is nothing to compare with"}
    with pytest.raises(SourceError, match="no such source"):
        predict("nobody", [], home.settings, Catalogue.load(home.settings), datetime.now(UTC))
