"""`smartflow backup` and `smartflow restore`: what is put back is what was there."""

import json
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from smartflow_assets.adapters.warehouse.locks import AdvisoryLock
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets_tests.commands.conftest import Smartflow, in_folder, make_home

AS_OF = "2026-03-06T00:00:00Z"
STATE = ("sources", "warehouse", "dagster", "outbox")


@pytest.fixture(scope="module")
def with_backup(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home after one run, which holds a backup of itself in `kept`."""
    home = make_home(tmp_path_factory.mktemp("backed_up"))
    feed = home / "data" / "feeds" / "shop.csv"
    feed.write_text(feed.read_text().replace("2026-03-05T10:00:00Z,", "2026-03-05T10:00:00Z,9"))
    source = home / "data" / "sources" / "shop.yaml"
    source.write_text(source.read_text() + "alerts: {to: [file], max_age: 30 days}\n")
    with in_folder(home) as smartflow:
        assert smartflow("run", "shop", "--as-of", AS_OF).code == 0
        answer = smartflow("backup", str(home / "kept"))
        assert answer.code == 0, answer.err
    return home


@pytest.fixture
def home(with_backup: Path, copied: Callable[[Path], Path]) -> Path:
    return copied(with_backup)


@pytest.fixture
def backed_up(home: Path) -> Path:
    """The folder of a backup, made after one run."""
    return home / "kept"


def warehouse_of(home: Path) -> Warehouse:
    return Warehouse(home / "data/warehouse/smartflow.duckdb", home / "data/warehouse/analyst.duckdb")


def scores_of(home: Path) -> pd.DataFrame:
    return warehouse_of(home).read("SELECT * FROM anomaly_scores ORDER BY observed_at")


def history_of(home: Path) -> list[tuple[str, str]]:
    from smartflow_assets.defs.instance import open_instance

    with open_instance(home / "data" / "dagster") as instance:
        return [(run.run_id, run.status.value) for run in instance.get_runs()]


@pytest.mark.soak
def test_after_delete_and_restore_all_is_as_it_was(smartflow: Smartflow, home: Path, backed_up: Path) -> None:
    tables, scores, history = warehouse_of(home).tables(), scores_of(home), history_of(home)
    assert tables["anomaly_scores"] == 120 and len(history) == 1
    for name in STATE:
        shutil.rmtree(home / "data" / name)
    answer = smartflow("restore", str(backed_up))
    assert answer.code == 0, answer.err
    assert "note" not in answer.err
    assert warehouse_of(home).tables() == tables
    pd.testing.assert_frame_equal(scores_of(home), scores, check_exact=True)
    assert history_of(home) == history
    assert "120" in smartflow("sql", "SELECT count(*) AS n FROM anomaly_scores").out
    assert list((home / "data" / "outbox").iterdir()) != []
    assert "rows in 0  scored 0 " in smartflow("run", "shop", "--as-of", AS_OF).out  # models and watermarks are there
    assert warehouse_of(home).tables()["trained_models"] == tables["trained_models"]


@pytest.mark.soak
def test_a_home_with_rows_is_replaced_only_when_asked_and_what_was_there_is_kept(smartflow: Smartflow, home: Path, backed_up: Path) -> None:
    (home / "data/sources/late.yaml").write_text((home / "data/sources/shop.yaml").read_text().replace("shop\n", "late\n", 1))
    assert smartflow("run", "late", "--as-of", AS_OF).code == 0
    assert len(scores_of(home)) == 240
    refused = smartflow("restore", str(backed_up))
    assert refused.code == 1 and "is there already" in refused.err and "--replace" in refused.err
    assert len(scores_of(home)) == 240
    assert smartflow("restore", str(backed_up), "--replace").code == 0
    assert len(scores_of(home)) == 120 and not (home / "data/sources/late.yaml").exists() and len(history_of(home)) == 1
    (aside,) = (home / "data").glob("before-restore-*")
    assert (aside / "sources/late.yaml").exists()
    old = Warehouse(aside / "warehouse/smartflow.duckdb", aside / "none.duckdb")
    assert len(old.read("SELECT 1 AS one FROM anomaly_scores")) == 240


@pytest.mark.soak
def test_a_damaged_backup_changes_nothing(smartflow: Smartflow, home: Path, backed_up: Path) -> None:
    with (backed_up / "warehouse/smartflow.duckdb").open("r+b") as file:
        file.seek(20_000)
        byte = file.read(1)
        file.seek(20_000)
        file.write(bytes([byte[0] ^ 1]))
    shutil.rmtree(home / "data/warehouse")
    answer = smartflow("restore", str(backed_up))
    assert answer.code == 1 and "warehouse/smartflow.duckdb of the backup is damaged or gone" in answer.err
    assert not (home / "data/warehouse/smartflow.duckdb").exists()


def test_a_manifest_cannot_name_files_outside_the_backup(smartflow: Smartflow, home: Path, backed_up: Path) -> None:
    manifest = json.loads((backed_up / "backup.json").read_text())
    manifest["files"]["../data/feeds/shop.csv"] = "0" * 64
    (backed_up / "backup.json").write_text(json.dumps(manifest))
    assert "damaged or gone" in smartflow("restore", str(backed_up), "--replace").err


def test_what_cannot_be_backed_up_or_restored_says_why(smartflow: Smartflow, home: Path, backed_up: Path) -> None:
    assert "is not empty" in smartflow("backup", str(backed_up)).err
    assert "lies in the home" in smartflow("backup", str(home / "data" / "copy")).err
    assert not list(home.glob("*.part"))
    assert "is no backup" in smartflow("restore", str(home / "data")).err
    manifest = json.loads((backed_up / "backup.json").read_text())
    (backed_up / "backup.json").write_text(json.dumps(manifest | {"schema_version": 999}))
    assert "later than this one" in smartflow("restore", str(backed_up), "--replace").err


def test_a_run_under_way_is_not_disturbed(smartflow: Smartflow, home: Path, backed_up: Path) -> None:
    with AdvisoryLock(home / "data/warehouse/locks/run-abc.lock").exclusive(timedelta(seconds=1), "abc"):
        answer = smartflow("restore", str(backed_up), "--replace")
    assert answer.code == 1 and "a run is under way: run abc" in answer.err
    assert not list((home / "data").glob("before-restore-*"))


@pytest.mark.soak
@pytest.mark.parametrize("place", [0.3, 0.5, 0.7, 0.9])
def test_a_warehouse_with_a_damaged_block_is_not_backed_up(smartflow: Smartflow, home: Path, place: float) -> None:
    """Its rows are counted without a word: who counts reads no value."""
    live = home / "data/warehouse/smartflow.duckdb"
    blocks = bytearray(live.read_bytes())
    begin = int(place * len(blocks))
    blocks[begin : begin + 300_000] = bytes(each ^ 0xFF for each in blocks[begin : begin + 300_000])
    live.write_bytes(blocks)
    answer = smartflow("backup", "elsewhere")
    assert answer.code == 1 and "the warehouse is damaged" in answer.err and str(live) in answer.err
    assert "smartflow restore DIR --replace" in answer.err and not list(home.glob("elsewhere*"))
    looked_at = smartflow("doctor")
    assert looked_at.code == 1 and "fail  warehouse: the warehouse is damaged" in looked_at.out


def test_sources_says_that_what_it_reads_is_not_there(smartflow: Smartflow, home: Path) -> None:
    (home / "data/warehouse/analyst.duckdb").unlink()
    answer = smartflow("sources")
    assert answer.code == 0 and "there is no published copy, which is what this list reads" in answer.err


@pytest.mark.soak
def test_a_run_makes_no_new_warehouse_beside_the_published_copy_of_one_that_is_gone(
    smartflow: Smartflow, home: Path, backed_up: Path
) -> None:
    live, published = home / "data/warehouse/smartflow.duckdb", home / "data/warehouse/analyst.duckdb"
    live.unlink()
    copy = published.read_bytes()
    asking = (["incidents"], ["incidents", "list", "--state", "all"], ["feedback", "list"], ["quarantine"], ["plan"], ["report"])
    changing = (["incidents", "ack", "353d71d4"], ["reset", "shop", "--yes"], ["prune", "--dry-run"], ["prune"], ["backup", "elsewhere"])
    for command in (["run"], ["run", "shop"], ["train", "shop"], *asking, *changing):
        answer = smartflow(*command)
        assert answer.code == 1, command
        assert "the warehouse is gone; its published copy" in answer.err and "smartflow restore DIR" in answer.err
    looked_at = smartflow("doctor")
    assert looked_at.code == 1 and "fail  warehouse: the warehouse is gone" in looked_at.out
    assert not live.exists() and published.read_bytes() == copy
    assert "success" in smartflow("sources").out, "it reads the copy"
    assert smartflow("restore", str(backed_up), "--replace").code == 0
    assert warehouse_of(home).tables()["anomaly_scores"] == 120
    (aside,) = (home / "data").glob("before-restore-*")
    assert (aside / "warehouse/analyst.duckdb").read_bytes() == copy
