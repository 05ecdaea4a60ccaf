"""Pruning by `retention:`: what is decided stays the same, what went does not come back, and nothing goes without a word."""

import json
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from smartflow_assets.adapters.model_store import ModelStore
from smartflow_assets.adapters.warehouse import compaction
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.stages import alerting
from smartflow_assets.stages.maintenance.announcements import Pruned
from smartflow_assets.stages.maintenance.retention import prune_by_settings
from smartflow_assets_tests.homes import Home, write_rows

START, STEP = datetime(2025, 1, 6, tzinfo=UTC), timedelta(hours=6)
SHOP = """
name: shop
read: {type: csv, path: examples/shop.csv, time: at}
metrics:
  - {name: orders, column: n, aggregate: sum, explain_by: [channel], without_rows: zero}
  - {name: level, column: m, aggregate: mean, dimensions: []}
dimensions: [store]
time_bucket: {every: 6h, settle: 0s}
training: {window: 30 days}
rules: [{type: ratio_to_median, name: surge, metric: orders, at_least: 3, window: 14 days}, {type: missing, metric: level}]
alerts: {to: [file], max_age: 3650 days}
retention: {raw: 20 days, scores: 20 days, incidents: 30 days, ledgers: 10 days}
"""


def day(number: float) -> datetime:
    return START + timedelta(days=number)


def rows_until(end: float) -> pd.DataFrame:
    """Three stores with two channels: one closes for good, one for longer than anything is kept; spikes, a gap; and rows, a spike
    among them, that come as late as rows may that are judged as if nothing had been pruned."""
    times = pd.date_range(START, day(end), freq=STEP, inclusive="left")
    frames = []
    for number, (store, channel) in enumerate([("a", "web"), ("a", "shop"), ("b", "web"), ("c", "web")]):
        noise = np.random.default_rng([7, number]).normal(0, 4, 4 * 700)[: len(times)]
        values = np.round(100 + 30 * np.sin(np.arange(len(times)) / 4 * 2 * np.pi) + noise)
        frame = pd.DataFrame({"at": times, "store": store, "channel": channel, "n": values, "m": values / 3})
        open_ = (frame["at"] < day(40)) if store == "b" else (frame["at"] < day(60)) | (frame["at"] >= day(290)) if store == "c" else True
        frames.append(frame[np.broadcast_to(open_, len(frame))])
    rows = pd.concat(frames, ignore_index=True)
    for at in (55, 130, 182, 262, 300, 330):
        rows.loc[(rows["at"] == day(at)) & (rows["store"] == "a") & (rows["channel"] == "web"), "n"] *= 6
    rows = rows[~rows["at"].between(day(150), day(152))]
    is_late = (rows["store"] == "a") & (rows["at"] >= day(178)) & (rows["at"] < day(184))
    return rows[~is_late | (end >= 280)]


class Twins(NamedTuple):
    pruned: Home
    whole: Home
    went: list[Pruned]


def prune(home: Home, now: datetime, **options: bool) -> list[Pruned]:
    models = ModelStore(home.settings.models)
    return list(prune_by_settings(home.warehouse, models, Catalogue.load(home.settings), now=now, run_id="prune", **options))


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Twins:
    """A year in steps of twenty days, pruned after each or never."""
    pruned, whole = Home(tmp_path_factory.mktemp("pruned")), Home(tmp_path_factory.mktemp("whole"))
    went: list[Pruned] = []
    for home in (pruned, whole):
        home.write_source("shop", SHOP)
        home.write_channels("file: {type: file}\n")
        for end in range(20, 361, 20):
            write_rows(home.settings.data / "examples/shop.csv", text(rows_until(end)))
            home.run_stages("shop", day(end), is_retraining=end % 60 == 0)
            run = home.source_run("shop", day(end))
            alerting.drain_outbox(run.warehouse, run.catalogue, run.settings, now=run.now, run_id="run", environment={})
            if home is pruned:
                went += prune(home, day(end), is_at_once=True)
    return Twins(pruned, whole, went)


def text(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(at=rows["at"].dt.strftime("%Y-%m-%dT%H:%M:%SZ"))


@pytest.mark.soak
def test_a_pruned_source_decides_as_one_that_never_was(twins):
    first = twins.pruned.table("clean_series")["observed_at"].min()
    assert day(100) < first < day(300), first
    done = twins.pruned.table("prunings", "state = 'done'").sort_values("happened_at")["kept_from"].iloc[-1]
    kept_from = pd.Timestamp(json.loads(done)["incidents"])
    for table, ended in (("anomalies", "ended_at"), ("incidents", "resolved_at")):
        tables = [home.table(table) for home in (twins.pruned, twins.whole)]
        mine, theirs = (each[each[ended].isna() | (each[ended] >= kept_from)].sort_values(list(each.columns[:2])) for each in tables)
        assert 3 < len(mine) < len(tables[1])
        pd.testing.assert_frame_equal(mine.reset_index(drop=True), theirs.reset_index(drop=True), check_exact=True)
    incidents = list(twins.pruned.table("incidents")["incident_id"])
    for table in ("incident_events", "alert_sends"):
        mine, theirs = (home.table(table).sort_values(list(home.table(table).columns[:5])) for home in (twins.pruned, twins.whole))
        theirs = theirs[theirs["incident_id"].isin(incidents)]
        pd.testing.assert_frame_equal(mine.reset_index(drop=True), theirs.reset_index(drop=True), check_exact=True)
    for table in ("clean_series", "anomaly_scores", "rule_violations"):
        mine, theirs = (home.table(table).sort_values(["series", "observed_at"]) for home in (twins.pruned, twins.whole))
        theirs = theirs[(theirs["observed_at"] >= first) & theirs["series"].isin(mine["series"])]
        pd.testing.assert_frame_equal(
            mine[mine["observed_at"] >= first].reset_index(drop=True), theirs.reset_index(drop=True), check_exact=True
        )


@pytest.mark.soak
def test_a_year_that_was_pruned_takes_less_than_twice_its_rows(twins, tmp_path, monkeypatch):
    monkeypatch.setattr(compaction, "LEAST_BYTES", 0)
    twins.pruned.warehouse.compact()
    copy = Warehouse(tmp_path / "fresh.duckdb", tmp_path / "published.duckdb")
    twins.pruned.warehouse.copy_to(copy.path)
    monkeypatch.setattr(compaction, "MOST_FREE", -1)
    assert copy.compact() is not None, "written anew"
    sizes = {name: path.stat().st_size for name, path in (("pruned", twins.pruned.warehouse.path), ("rows", copy.path))}
    assert sizes["pruned"] < 2 * sizes["rows"], sizes
    mine, theirs = twins.pruned.warehouse.tables(), twins.whole.warehouse.tables()
    assert all(mine[name] < 0.6 * theirs[name] for name in ("raw.shop", "clean_series", "anomaly_scores"))
