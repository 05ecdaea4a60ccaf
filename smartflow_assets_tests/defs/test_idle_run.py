"""What a run with nothing new does: how often it opens, writes and asks, and what the pages of its assets show."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import dagster as dg
import pytest

from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.core.detection import Scoring
from smartflow_assets.defs.assets import ASSETS
from smartflow_assets.defs.names import asset_key
from smartflow_assets.defs.partitions import SOURCES
from smartflow_assets_tests.end_to_end.conftest import opened
from smartflow_assets_tests.homes import START, WEB, Home, daily_series, write_rows

END = START + timedelta(days=3)


class Idle(NamedTuple):
    """A home after a run with news and one without, and what the second one did."""

    home: Home
    run_id: str
    done: Counter[str]
    exported: dict[str, int]


def exported(home: Home) -> dict[str, int]:
    return {path.name: path.stat().st_ino for path in (home.settings.exports / "web").iterdir()}


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Idle]:
    done = Counter[str]()
    with opened(tmp_path_factory.mktemp("idle")) as home, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SMARTFLOW_SERVE_URL", "https://quality.example.com/")
        home.write_source("web", WEB)
        write_rows(home.settings.data / "examples" / "web.csv", daily_series(3))
        assert home.run("web", END).is_success
        before = exported(home)

        def counted(kind: Any, name: str) -> None:
            original = getattr(kind, name)

            def counting(*arguments: Any, **options: Any) -> Any:
                done[name] += 1
                return original(*arguments, **options)

            patch.setattr(kind, name, counting)

        for name in ("_opened", "commit", "publish"):
            counted(Warehouse, name)
        counted(Scoring, "check")
        counted(type(home.instance), "has_dynamic_partition")
        outcome = home.run("web", END)
        assert outcome.is_success and outcome.facts["rows_in"] == 0
        yield Idle(home, outcome.run_id, done, before)


@pytest.mark.soak
def test_it_opens_the_warehouse_a_few_times_and_writes_it_once(idle: Idle) -> None:
    assert idle.done["_opened"] <= 30  # one or two for each stage
    assert idle.done["commit"] == 2  # its row of run_log, and what looks rest on
    assert idle.done["publish"] == 1
    assert idle.home.warehouse.snapshot_info().run_id == idle.run_id  # with that row in the copy
    assert idle.run_id in set(idle.home.warehouse.published_read("SELECT run_id FROM run_log")["run_id"])


def test_it_builds_no_model_and_asks_the_instance_for_no_partition(idle: Idle) -> None:
    assert idle.done["check"] == 0
    assert idle.done["has_dynamic_partition"] == 0


def test_it_writes_no_picture_and_no_export_anew(idle: Idle) -> None:
    logs = idle.home.instance.all_logs(idle.run_id)
    assert len(logs) <= 127
    assert not any("base64," in str(entry.dagster_event) for entry in logs)
    assert exported(idle.home) == idle.exported


def test_every_asset_is_materialised_and_shows_its_counts(idle: Idle) -> None:
    for asset in ASSETS:
        records = idle.home.instance.fetch_materializations(asset.key, limit=2).records
        newest, before = (record.asset_materialization.metadata for record in records)
        assert records[0].run_id == idle.run_id
        if asset.key != asset_key("anomaly_exports"):  # left as it is, so nobody counted
            assert newest["dagster/row_count"].value >= before["dagster/row_count"].value
    scores = idle.home.instance.fetch_materializations(asset_key("anomaly_scores"), limit=2).records
    newest, before = (record.asset_materialization.metadata for record in scores)
    assert newest["plot"] == dg.MetadataValue.dagster_run(scores[1].run_id) and "base64," in before["plot"].value


def test_the_incidents_lead_to_the_live_page(idle: Idle) -> None:
    assert idle.home.instance is not None
    event = idle.home.instance.get_latest_materialization_event(asset_key("incidents"))
    assert event and event.asset_materialization
    assert event.asset_materialization.metadata["live_page"].value == "https://quality.example.com/#/source/web"


def test_a_file_makes_a_source_a_partition(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home(tmp_path)
    monkeypatch.setenv("SMARTFLOW_HOME", str(tmp_path))
    home.write_source("shop", WEB)
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(SOURCES.name or "", ["gone"])
        for name, is_one in (("shop", True), ("gone", True), ("../sources/shop", False), ("other", False)):
            assert SOURCES.has_partition_key(name, dynamic_partitions_store=instance) is is_one
