"""`smartflow models`: what is stored, which one judges, and how a person changes that."""

import getpass
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from smartflow_assets.adapters.warehouse.locks import AdvisoryLock
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets_tests.commands.conftest import Smartflow, make_home
from smartflow_assets_tests.homes import START, Home, daily_series, write_rows
from smartflow_assets_tests.stages.test_model_ledger import watch

HOUR = timedelta(hours=1)
YAML = """\
name: web
read: {type: csv, path: examples/web.csv, time: timestamp}
metrics: [{name: requests, column: value, aggregate: sum}]
time_bucket: {every: 1h, settle: 0s}
schedule: manual
"""


def day(number: float) -> str:
    return (START + timedelta(days=number)).isoformat()


def warehouse_of(home: Path) -> Warehouse:
    return Warehouse(home / "data/warehouse/smartflow.duckdb", home / "data/warehouse/analyst.duckdb")


def scores(home: Path) -> pd.DataFrame:
    return warehouse_of(home).read(f"SELECT * FROM anomaly_scores WHERE observed_at >= '{day(10)}' ORDER BY observed_at")


def history(home: Path) -> list[list[str]]:
    rows = warehouse_of(home).published_read("SELECT change, reason, changed_by FROM marts.model_history ORDER BY current_from")
    return rows.fillna("").to_numpy().tolist()


def listed(out: str) -> dict[str, str]:
    """The line of each model in what `list` prints."""
    return {found[1]: line for line in out.splitlines() if (found := re.match(r"\S+ +([0-9a-f]{16}) ", line))}


@pytest.fixture(scope="module")
def twelve_days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve days of a source, the last two scored by its first model."""
    home = make_home(tmp_path_factory.mktemp("watched"))
    rows = daily_series(12, step=HOUR)
    rows["value"] += (rows.index % 24 == 9) * (rows.index / 2)  # what there is to learn changes from week to week
    write_rows(home / "data" / "examples" / "web.csv", rows)
    stages = Home(home)
    stages.write_source("web", YAML)
    for until in (10, 12):
        watch(stages, START + timedelta(days=until))
    stages.warehouse.publish("test", is_forced=True)
    return home


@pytest.fixture
def watched(twelve_days: Path, copied: Callable[[Path], Path]) -> Path:
    return copied(twelve_days)


@pytest.mark.soak
def test_after_a_rollback_rows_scored_again_have_the_scores_of_before_to_the_bit(smartflow: Smartflow, watched: Path) -> None:
    before = scores(watched)
    assert len(before) == 48 and (before["state"] == "scored").all()
    assert smartflow("train", "web").code == 0
    assert smartflow("run", "web", "--since", day(10), "--as-of", day(12)).code == 0
    assert (scores(watched)["raw_score"] != before["raw_score"]).any()
    answer = smartflow("models", "rollback", "web", "--reason", "flags the backup", "--rescore-from", day(10))
    assert answer.code == 0, answer.err
    first = before["model_id"][0]
    assert re.search(rf"web: {first} of .* judges all metrics from now on in place of [0-9a-f]{{16}}\n", answer.out)
    pd.testing.assert_frame_equal(scores(watched), before, check_exact=True)
    assert history(watched)[-1] == ["rolled_back", "flags the backup", getpass.getuser()]


@pytest.mark.soak
def test_a_model_is_listed_with_what_it_learnt_why_and_whether_it_can_be_used(smartflow: Smartflow, watched: Path) -> None:
    smartflow("train", "web")
    first, second = listed(smartflow("models", "list", "web").out)
    assert smartflow("models", "rollback", "web", "--reason", "worse").code == 0
    lines = listed(smartflow("models", "list", "web").out)
    assert re.fullmatch(
        rf"\* +{first} +current +2026-03-12 00:00 +2026-03-02 00:00 +2026-03-0\d \d\d:00 +\d+ +auto +\d+ KiB +yes +"
        rf"first training; rolled back by {getpass.getuser()}: worse",
        lines[first],
    )
    assert re.search(r" retired .* 288 +auto +\d+ KiB +yes +by hand$", lines[second])
    for path in (watched / "data/warehouse/models/web" / second).iterdir():
        path.write_bytes(path.read_bytes() + b" ")
    (watched / "data/sources/web.yaml").write_text(YAML + "scale: standard\n")
    assert "trained under other settings than the YAML's" in listed(smartflow("models", "list", "web").out)[first]
    (watched / "data/sources/web.yaml").write_text(YAML)
    assert "is not the one that was trained: its hash differs" in listed(smartflow("models", "list", "web").out)[second]
    answer = smartflow("models", "promote", "web", second)
    assert answer.code == 1 and "cannot be used: the stored model is not the one that was trained" in answer.err
    assert re.search(r"^\* +auto +2026-03-12 00:00 .* worse$", smartflow("show", "web").out, re.M)


@pytest.mark.soak
def test_a_promotion_takes_any_stored_model(smartflow: Smartflow, watched: Path) -> None:
    smartflow("train", "web")
    first, second = listed(smartflow("models", "list", "web").out)
    answer = smartflow("models", "promote", "web", first)
    assert answer.code == 0 and f"web: {first} of 2026-03-12 00:00 judges all metrics from now on in place of {second}\n" in answer.out
    assert "rows that have a score keep it; `smartflow run web --since TIME` scores them again" in answer.err
    assert history(watched)[-1] == ["promoted", "", getpass.getuser()]
    for asked, sentence in ((first, "is the current one already"), ("f" * 16, f"there is no model '{'f' * 16}'")):
        answer = smartflow("models", "promote", "web", asked)
        assert answer.code == 1 and sentence in answer.err


@pytest.mark.soak
def test_a_training_that_is_asked_for_waits_for_one_and_says_why(smartflow: Smartflow, watched: Path) -> None:
    answer = smartflow("models", "train", "web", "--reason", "the sale is over")
    assert answer.code == 0 and "web: asked for" in answer.out
    assert warehouse_of(watched).published_read("SELECT state, requested_by FROM training_requests").to_numpy().tolist() == [
        ["open", getpass.getuser()]
    ]
    assert smartflow("train", "web").code == 0
    assert history(watched)[-1] == ["trained", "request: the sale is over", getpass.getuser()]
    assert smartflow("train", "web").code == 0
    assert history(watched)[-1] == ["trained", "by hand", ""]


@pytest.mark.soak
def test_a_candidate_is_stored_beside_the_current_model(smartflow: Smartflow, watched: Path) -> None:
    answer = smartflow("models", "train", "web", "--reason", "to compare with", "--candidate")
    assert answer.code == 0 and "models 1" in answer.out
    current, candidate = listed(smartflow("models", "list", "web").out).values()
    assert " current " in current and " candidate " in candidate and candidate.endswith("candidate: to compare with")
    assert [change for change, *_ in history(watched)] == ["trained"]


@pytest.mark.soak
def test_a_new_baseline_is_learnt_from_at_once(smartflow: Smartflow, watched: Path) -> None:
    answer = smartflow("models", "train", "web", "--since", day(10), "--reason", "new level since the migration", "--now")
    assert answer.code == 0 and re.search(r"web +ok +models 1 +rows learnt from 48 ", answer.out), answer.out
    assert history(watched)[-1][:2] == ["trained", "request: new level since the migration"]
    assert smartflow("train", "web").code == 0
    assert [line.split()[7:9] for line in listed(smartflow("models", "list", "web").out).values()][1:] == [["2026-03-13", "23:00"]] * 2
    answer = smartflow("models", "train", "web", "--since", day(11.5), "--reason", "newer", "--now")
    assert answer.code == 0 and f"there is too little history to learn from since {day(11.5)}; the request stays open" in answer.err


REFUSED = (
    (("list", "wep"), 2, "there is no source 'wep'. Did you mean web?"),
    (("rollback", "web"), 1, "web: no model was current before this one."),
    (("rollback", "web", "--series", "cpu"), 1, "web: no model judges 'cpu'. --series takes '*'."),
    (("rollback", "web", "--rescore-from", "yesterday"), 2, "--rescore-from: 'yesterday' is not a time"),
    (("train", "web", "--reason", "x", "--since", "2999-01-01"), 2, "--since 2999-01-01 is not in the past"),
    (("train", "web", "--reason", "x", "--since", "2026-03-10", "--candidate"), 2, "a candidate takes no --since"),
    (("train", "web", "--reason", " ", "--candidate"), 2, "--reason is empty"),
    (("promote", "shop", "f" * 16), 1, f"shop: there is no model '{'f' * 16}'. `smartflow models list shop` shows them."),
)


@pytest.mark.soak
def test_what_cannot_be_done_is_said_in_one_line(smartflow: Smartflow, watched: Path) -> None:
    before = history(watched)
    for arguments, code, sentence in REFUSED:
        answer = smartflow("models", *arguments)
        assert answer.code == code and sentence in answer.err and answer.err.count("\n") == 1, answer.err
    assert history(watched) == before


def test_a_copy_that_was_published_before_an_upgrade_is_waited_for(smartflow: Smartflow, watched: Path) -> None:
    with duckdb.connect(str(watched / "data/warehouse/analyst.duckdb")) as copy:
        copy.execute("UPDATE snapshot_info SET schema_version = 4; DROP VIEW marts.model_history")
    answer = smartflow("show", "web")
    assert answer.code == 0 and "metrics" in answer.out
    assert answer.err == "note: what is published is of before the upgrade; the next run publishes it anew\n"


def test_a_source_without_a_model_says_when_there_will_be_one(smartflow: Smartflow, home: Path) -> None:
    assert smartflow("models", "list", "shop").out == (
        "shop has no model yet: the first one is trained by a run, when there is enough history\n"
    )


@pytest.mark.soak
def test_a_model_is_not_changed_while_a_run_works_on_the_source(smartflow: Smartflow, watched: Path, monkeypatch) -> None:
    smartflow("train", "web")
    monkeypatch.setattr("smartflow_assets.defs.resources.SOURCE_LOCK_PATIENCE", timedelta(0))
    with AdvisoryLock(watched / "data/warehouse/locks/web.lock").exclusive(timedelta(0), holder="a run"):
        answer = smartflow("models", "rollback", "web")
    assert answer.code == 1 and "web.lock is held by run a run" in answer.err
    assert smartflow("models", "rollback", "web").code == 0
