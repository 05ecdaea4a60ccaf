"""Which model judges: why each was trained, back to the one before with equal scores to the bit, and who changed it."""

import json
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from smartflow_assets.adapters import model_store
from smartflow_assets.adapters.model_store import ModelStore
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.core.detection import DetectionSettings
from smartflow_assets.core.detection.fitted_models import FORM
from smartflow_assets.core.errors import SourceError
from smartflow_assets.stages import modelling
from smartflow_assets.stages.maintenance.retention import prune
from smartflow_assets.stages.metric_groups import metric_groups
from smartflow_assets.stages.model_ledger import current_model, promote, rollback, stored_models
from smartflow_assets.stages.run import SourceRun
from smartflow_assets.stages.source_plan import plan_of
from smartflow_assets_tests.homes import START, Home, daily_series, write_rows

SOURCE = """
name: web
read: {type: csv, path: examples/web.csv, time: timestamp}
metrics: [{name: requests, column: value, aggregate: sum}]
time_bucket: {every: 1h, settle: 0s}
training: {window: 30 days}
alerts: {to: [file], max_age: 3650 days}
"""
HOUR, DAYS = timedelta(hours=1), 16


def day(number: float) -> datetime:
    return START + timedelta(days=number)


def run_of(home: Home, now: datetime, **options: Any) -> SourceRun:
    return home.source_run("web", now, f"run at {now:%m-%dT%H:%M}", **options)


def watch(home: Home, now: datetime, **options: Any) -> None:
    home.run_stages("web", now, **options)


def train(home: Home, now: datetime, reason: str = "by hand") -> None:
    modelling.trained_models(run_of(home, now, is_retraining=True, reason=reason))


def scores(home: Home, since: datetime, until: datetime) -> pd.DataFrame:
    return home.table("anomaly_scores", f"observed_at >= '{since}' AND observed_at < '{until}'").sort_values(
        ["observed_at", "series"], ignore_index=True
    )


def rows_of(days: float = DAYS) -> pd.DataFrame:
    rows = daily_series(days, step=HOUR)
    rows["value"] += (rows.index % 24 == 9) * (rows.index / 2)  # what there is to learn changes from week to week
    return rows


def make(folder: Path) -> Home:
    home = Home(folder)
    home.write_source("web", SOURCE)
    home.write_channels("file: {type: file}\n")
    write_rows(home.settings.data / "examples" / "web.csv", rows_of())
    return home


@pytest.fixture
def web(tmp_path: Path) -> Home:
    return make(tmp_path)


@pytest.fixture(scope="module")
def ten_days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with its first model, run once for all that begin there."""
    home = make(tmp_path_factory.mktemp("ten_days"))
    watch(home, day(10))
    return home.folder


@pytest.fixture
def watched(ten_days: Path, tmp_path: Path) -> Home:
    return Home(shutil.copytree(ten_days, tmp_path, dirs_exist_ok=True))


def models(home: Home) -> pd.DataFrame:
    return stored_models(home.warehouse, "web")


@pytest.mark.soak
def test_each_model_says_why_it_was_trained(watched):
    watch(watched, day(11))  # the stored model is used
    train(watched, day(11), "schedule")
    watched.write_source("web", SOURCE + "detectors: [{type: mad}, {type: seasonal}]\n")
    watch(watched, day(12))
    found = models(watched)
    assert found["trained_because"].tolist() == ["first training", "schedule", "settings changed"]
    assert found["status"].tolist() == ["retired", "retired", "current"]
    assert found["reason"].tolist()[:2] == [f"replaced by {after}" for after in found["model_id"][1:]]
    assert found["replaced_model_id"].tolist()[2] == found["model_id"].tolist()[1]


@pytest.mark.parametrize("said", ["sensitivity: high", "threshold: {score: 0.9}", "direction: spike", "ignore_small_changes: 5%"])
def test_where_the_flag_lies_costs_no_training_and_holds_from_the_next_run_on(watched, said):
    watched.write_source("web", f"{SOURCE}{said}\n")
    run = run_of(watched, day(10.5))
    (group,) = metric_groups(run)
    model = current_model(run, group).model
    assert model is not None and model.model_id == models(watched)["model_id"][0]
    assert model.fitted.settings == group.settings != DetectionSettings()
    assert plan_of("web", watched.settings, Catalogue.load(watched.settings), watched.warehouse, day(10.5)).effect == "nothing"


@pytest.mark.parametrize("said", ["threshold: {false_alerts: 1 per week}", "scale: standard", "ensemble: {combine: max}"])
def test_what_is_learnt_from_costs_a_training(watched, said):
    watched.write_source("web", f"{SOURCE}{said}\n")
    run = run_of(watched, day(10.5))
    (group,) = metric_groups(run)
    assert current_model(run, group).missing == "settings changed"
    assert plan_of("web", watched.settings, Catalogue.load(watched.settings), watched.warehouse, day(10.5)).effect == "retrain"


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (lambda folder: folder.joinpath("arrays.npz").write_bytes(b"forged"), "is not the one that was trained: its hash differs"),
        (lambda folder: folder.rename(folder.with_name("moved")), "is gone"),
    ],
)
@pytest.mark.soak
def test_a_model_whose_files_are_not_sound_is_trained_anew_and_says_so(watched, caplog, harm, why):
    harm(watched.settings.models / "web" / models(watched)["model_id"][0])
    watch(watched, day(10.5))
    assert models(watched)["trained_because"].tolist() == ["first training", f"artefact unusable: the stored model {why}"]
    assert "It is trained anew." in caplog.text and why in caplog.text
    assert scores(watched, day(10), day(10.5))["model_id"].unique().tolist() == [models(watched)["model_id"][1]]


@pytest.mark.soak
def test_a_model_of_another_version_is_trained_anew_and_says_so(watched, monkeypatch):
    monkeypatch.setattr("smartflow_assets.core.detection.fitted_models.FORM", 99)
    watch(watched, day(10.5))
    assert (
        models(watched)["trained_because"].tolist()[1] == f"artefact unusable: the stored model has form {FORM}, this version reads form 99"
    )


def rewritten(folder: Path, change: Callable[[dict[str, Any]], object]) -> str:
    """The artefact with other parameters, and its hash: as if another version had written it."""
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest["parameters"])
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return model_store._hash(folder)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda p: p.pop("cuts"), "KeyError: 'cuts'"),
        (lambda p: p["detectors"].popitem(), "KeyError: "),  # a guard that came later
        (lambda p: [facts.update(old_name=1) for facts in p["series"].values()], "TypeError: "),
        (lambda p: p["settings"].update(unknown=1), "ValidationError: "),
    ],
    ids=["a part", "a detector", "a fact", "a setting"],
)
@pytest.mark.soak
def test_a_model_that_cannot_be_read_for_whatever_reason_is_trained_anew_and_says_so(watched, change, why):
    model_id = models(watched)["model_id"][0]
    sha256 = rewritten(watched.settings.models / "web" / model_id, change)
    watched.warehouse.release()
    with duckdb.connect(str(watched.settings.warehouse_file)) as file:
        file.execute("UPDATE trained_models SET sha256 = ?", [sha256])
    answers = watched.run_stages("web", day(10.5))
    assert f"artefact unusable: the stored model cannot be read ({why}" in models(watched)["trained_because"].tolist()[1]
    assert answers["trained_models"].note.startswith(
        "trained anew, since what was stored is of no use: all metrics: the stored model cannot be read"
    )
    assert scores(watched, day(10), day(10.5))["model_id"].unique().tolist() == [models(watched)["model_id"][1]]


@pytest.mark.soak
def test_after_a_rollback_the_scores_are_those_of_the_model_before_to_the_bit(watched):
    watch(watched, day(12))  # the first model scores two days
    before = scores(watched, day(10), day(12))
    assert (before["state"] == "scored").all() and len(before) == 48
    train(watched, day(12))
    watch(watched, day(12), since=day(10), until=day(12))
    other = scores(watched, day(10), day(12))
    assert (other["raw_score"] != before["raw_score"]).any() and not set(other["model_id"]) & set(before["model_id"])
    (done,) = rollback(run_of(watched, day(12) + HOUR), None, reason="flags the backup", by_whom="ana")
    assert done.model_id == before["model_id"][0] and done.replaced_model_id == other["model_id"][0]
    watch(watched, day(12), since=day(10), until=day(12))
    pd.testing.assert_frame_equal(scores(watched, day(10), day(12)), before, check_exact=True)
    watch(watched, day(13))
    assert scores(watched, day(12), day(13))["model_id"].unique().tolist() == [done.model_id]


@pytest.mark.soak
def test_every_change_is_an_audit_row_that_analysts_see(watched):
    train(watched, day(11), "schedule")
    first, second = models(watched)["model_id"]
    rollback(run_of(watched, day(11)), None, reason="flags the backup", by_whom="ana")
    promote(run_of(watched, day(11)), second, reason="the backup is over", by_whom="bo")
    watched.warehouse.publish("test", is_forced=True)
    history = watched.warehouse.published_read("SELECT * FROM marts.model_history")
    assert history[["model_id", "change", "reason", "changed_by", "replaced_model_id"]].fillna("").to_numpy().tolist() == [
        [first, "trained", "first training", "", ""],
        [second, "trained", "schedule", "", first],
        [first, "rolled_back", "flags the backup", "ana", second],
        [second, "promoted", "the backup is over", "bo", first],
    ]
    assert history["current_from"].is_monotonic_increasing and history["current_from"].is_unique  # on a clock that stands still
    assert history["current_until"].tolist()[:-1] == history["current_from"].tolist()[1:] and pd.isna(history["current_until"].iloc[-1])


@pytest.mark.soak
def test_the_next_training_makes_a_current_model_as_ever(watched):
    train(watched, day(11))
    first, _ = models(watched)["model_id"]
    rollback(run_of(watched, day(11)), None, reason="worse", by_whom="ana")
    train(watched, day(12), "schedule")
    found = models(watched)
    assert found["status"].tolist() == ["retired", "retired", "current"] and found["replaced_model_id"].iloc[2] == first
    watch(watched, day(13))
    assert scores(watched, day(12), day(13))["model_id"].unique().tolist() == [found["model_id"][2]]


@pytest.mark.soak
def test_rollbacks_go_back_one_by_one_and_end_with_a_sentence(watched):
    for number in (11, 12):
        watch(watched, day(number))
        train(watched, day(number))
    first, second, third = models(watched)["model_id"]
    for expected in (second, first):
        assert [done.model_id for done in rollback(run_of(watched, day(12)), "*", reason="worse", by_whom="ana")] == [expected]
    with pytest.raises(SourceError, match=r"web: no model was current before this one\. `smartflow models list web` shows"):
        rollback(run_of(watched, day(12)), None, reason="worse", by_whom="ana")
    promote(run_of(watched, day(12)), third, reason="better after all", by_whom="ana")
    assert rollback(run_of(watched, day(12)), None, reason="no", by_whom="ana")[0].model_id == first  # a promotion is undone


def test_what_cannot_be_gone_back_to_is_refused_and_nothing_changes(watched):
    train(watched, day(11))
    first, second = models(watched)["model_id"]
    kept = (watched.settings.models / "web" / first).rename(watched.settings.models / "away")
    with pytest.raises(SourceError, match=rf"web: the model {first} of 2026-03-12 00:00 cannot be used: the stored model is gone\. "):
        rollback(run_of(watched, day(11)), None, reason="worse", by_whom="ana")
    kept.rename(watched.settings.models / "web" / first)
    watched.write_source("web", SOURCE + "scale: standard\n")
    run, other = run_of(watched, day(11)), "cannot be used: trained under other settings than the YAML's"
    with pytest.raises(SourceError, match=other):
        rollback(run, None, reason="worse", by_whom="ana")
    with pytest.raises(SourceError, match=other):
        promote(run, first, reason="worse", by_whom="ana")
    for model_id, sentence in ((second, "is the current one already"), ("nonesuch", "there is no model 'nonesuch'")):
        with pytest.raises(SourceError, match=sentence):
            promote(run_of(watched, day(11)), model_id, reason="x", by_whom="")
    assert models(watched)["status"].tolist() == ["retired", "current"]
    watched.write_source("web", SOURCE)
    assert rollback(run_of(watched, day(11)), None, reason="worse", by_whom="ana")[0].model_id == first


@pytest.mark.soak
def test_the_files_that_a_rollback_needs_outlive_those_in_between(web, monkeypatch):
    monkeypatch.setattr(modelling, "KEPT_MODELS", 1)
    watch(web, day(10))
    for hours in range(1, 5):
        train(web, day(10) + hours * HOUR)
    ids = models(web)["model_id"].tolist()
    assert {path.name for path in (web.settings.models / "web").iterdir()} == set(ids[-2:])
    assert rollback(run_of(web, day(11)), None, reason="worse", by_whom="ana")[0].model_id == ids[-2]


@pytest.mark.soak
def test_two_groups_of_metrics_go_back_together_or_one_by_its_name(web):
    peak = "\n  - {name: peak, column: value, aggregate: max, sensitivity: high}"
    web.write_source(
        "web",
        SOURCE.replace(
            "metrics: [{name: requests, column: value, aggregate: sum}]",
            f"metrics:\n  - {{name: requests, column: value, aggregate: sum}}{peak}",
        ),
    )
    watch(web, day(10))
    train(web, day(11))
    done = rollback(run_of(web, day(11)), "peak", reason="worse", by_whom="ana")
    assert [each.label for each in done] == ["peak"]
    with pytest.raises(SourceError, match=r"no model was current before this one for peak.*--series rolls back 'peak' or 'requests' alone"):
        rollback(run_of(web, day(11)), None, reason="worse", by_whom="ana")
    with pytest.raises(SourceError, match=r"no model judges 'pek'\. --series takes 'peak' or 'requests'"):
        rollback(run_of(web, day(11)), "pek", reason="worse", by_whom="ana")
    train(web, day(12))
    assert {each.label for each in rollback(run_of(web, day(12)), None, reason="worse", by_whom="ana")} == {"peak", "requests"}


@pytest.mark.soak
def test_a_model_whose_rows_were_pruned_is_refused_since_it_would_score_otherwise(web):
    web.write_source("web", SOURCE.replace("30 days", "4 days"))
    for number in (12, 13, 16):
        watch(web, day(number))
        train(web, day(number))
    ids, stored = models(web)["model_id"].tolist(), (ModelStore(web.settings.models), Catalogue.load(web.settings))
    list(prune(web.warehouse, *stored, before=day(9)))  # where the training of day 13 begins
    assert rollback(run_of(web, day(16)), None, reason="worse", by_whom="ana")[0].model_id == ids[2]
    with pytest.raises(SourceError, match="cannot be used: rows that its state is rebuilt from were pruned"):
        rollback(run_of(web, day(16)), None, reason="worse", by_whom="ana")


@pytest.mark.soak
def test_pruned_ledgers_keep_the_model_that_a_rollback_goes_back_to(watched):
    for number in (11, 12, 13):
        train(watched, day(number))
    ids = models(watched)["model_id"].tolist()
    list(prune(watched.warehouse, ModelStore(watched.settings.models), Catalogue.load(watched.settings), before=day(15)))
    assert models(watched)["model_id"].tolist() == ids[-2:]
    assert rollback(run_of(watched, day(15)), None, reason="worse", by_whom="ana")[0].model_id == ids[-2]


@pytest.mark.soak
def test_a_candidate_judges_nothing_until_it_is_promoted(watched):
    modelling.trained_models(run_of(watched, day(11), is_retraining=True, candidate="to compare with"))
    first, second = models(watched)["model_id"]
    assert models(watched)[["status", "trained_because"]].to_numpy().tolist() == [
        ["current", "first training"],
        ["candidate", "candidate: to compare with"],
    ]
    watch(watched, day(12))
    assert scores(watched, day(10), day(12))["model_id"].unique().tolist() == [first]
    promote(run_of(watched, day(12)), second, reason="better", by_whom="ana")
    watch(watched, day(13))
    assert scores(watched, day(12), day(13))["model_id"].unique().tolist() == [second]
    assert models(watched)["status"].tolist() == ["retired", "current"]
    assert rollback(run_of(watched, day(13)), None, reason="worse", by_whom="ana")[0].model_id == first


@pytest.mark.soak
def test_a_training_on_an_older_clock_is_current_all_the_same(web):
    watch(web, day(12))
    train(web, day(12))
    train(web, day(11))
    found = models(web).set_index("trained_at")
    assert found.loc[pd.Timestamp(day(11)), "status"] == "current" and (found["status"] == "current").sum() == 1
