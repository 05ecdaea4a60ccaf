"""A new level that a person accepts: learnt from there on, no longer flagged, kept by the trainings that follow."""

import shutil
from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest

from smartflow_assets.adapters.model_store import ModelStore
from smartflow_assets.core.detection import FittedModels
from smartflow_assets.stages.model_ledger import rollback
from smartflow_assets.stages.scheduling.training_requests import TrainingRequest, open_requests, request_training
from smartflow_assets_tests.homes import Home, daily_series, write_rows
from smartflow_assets_tests.stages.test_model_ledger import HOUR, SOURCE, day, models, run_of, scores, train, watch

MOVED = 20  # the day of the migration
DAYS = 30


def moved(folder: Path, *, nightly: float = 0, level: float = 0) -> Home:
    """Thirty days; since the migration a load in the third hour of each night, or another level."""
    home = Home(folder)
    home.write_source("web", SOURCE)
    home.write_channels("file: {type: file}\n")
    rows = daily_series(DAYS, step=HOUR)
    rows.loc[rows.index >= 24 * MOVED, "value"] += level
    rows.loc[(rows.index >= 24 * MOVED) & (rows.index % 24 == 2), "value"] += nightly
    write_rows(home.settings.data / "examples" / "web.csv", rows)
    return home


def accept(home: Home, now: datetime, since: datetime | None = None) -> TrainingRequest:
    """What `smartflow models train web --since … --now` does."""
    request = request_training(
        "web", "new level since the migration", warehouse=home.warehouse, now=now, requested_by="ana", baseline_from=since or day(MOVED)
    )
    train(home, now)
    return request


def context_from(home: Home) -> pd.Timestamp:
    row = models(home).iloc[-1]
    assert row["status"] == "current"
    return FittedModels.from_parts(ModelStore(home.settings.models).load({str(name): value for name, value in row.items()})).context_from


def flagged(home: Home, since: datetime, until: datetime) -> int:
    return int(scores(home, since, until)["is_anomaly"].sum())


@pytest.mark.soak
def test_what_a_person_has_accepted_is_no_longer_flagged(tmp_path):
    alone = moved(tmp_path / "alone", nightly=600)
    watch(alone, day(MOVED))
    watch(alone, day(MOVED + 2))
    assert flagged(alone, day(MOVED), day(MOVED + 2)) == 2  # both nights
    accepted = Home(shutil.copytree(alone.folder, tmp_path / "accepted"))
    train(alone, day(MOVED + 2), "schedule")
    accept(accepted, day(MOVED + 2))
    for home in (alone, accepted):
        watch(home, day(DAYS))
    assert flagged(alone, day(MOVED + 2), day(DAYS)) >= 1
    assert flagged(accepted, day(MOVED + 2), day(DAYS)) == 0


@pytest.mark.soak
def test_a_shift_that_was_accepted_is_no_anomaly_once_its_rows_are_scored_again(tmp_path):
    home = moved(tmp_path, level=500)
    watch(home, day(MOVED))
    watch(home, day(MOVED + 2))
    shift = home.table("anomalies", f"started_at >= '{day(MOVED)}'")
    assert len(shift) == 1 and flagged(home, day(MOVED), day(MOVED + 2)) >= 5
    accept(home, day(MOVED + 2))
    watch(home, day(MOVED + 2), since=day(MOVED), until=day(MOVED + 2))
    again = scores(home, day(MOVED), day(MOVED + 2))
    assert not again["is_anomaly"].any() and again["state"].tolist() == ["warming_up"] * 36 + ["scored"] * 12
    assert home.count("anomalies", f"started_at >= '{day(MOVED)}'") == 0
    watch(home, day(DAYS))
    assert flagged(home, day(MOVED + 2), day(DAYS)) == 0


@pytest.fixture(scope="module")
def two_days_later(tmp_path_factory) -> Path:
    """Another level since two days, and a model of the level before."""
    home = moved(tmp_path_factory.mktemp("moved"), level=500)
    watch(home, day(MOVED + 2))
    return home.folder


@pytest.mark.soak
def test_later_trainings_begin_at_the_baseline_too(tmp_path, two_days_later):
    home = Home(shutil.copytree(two_days_later, tmp_path, dirs_exist_ok=True))
    accept(home, day(MOVED + 2))
    watch(home, day(MOVED + 4))
    train(home, day(MOVED + 4), "schedule")
    home.write_source("web", SOURCE + "scale: standard\n")
    watch(home, day(MOVED + 5))
    found = models(home)
    assert found["trained_because"].tolist() == ["first training", "request: new level since the migration", "schedule", "settings changed"]
    assert found["baseline_from"].isna().tolist() == [True, False, False, False]
    assert (found["baseline_from"][1:] == pd.Timestamp(day(MOVED))).all() and (found["trained_from"][1:] >= pd.Timestamp(day(MOVED))).all()
    assert found["row_count"].tolist()[1:] == [48, 96, 96]
    assert home.table("trained_models", "changed_by = 'ana' AND change = 'trained'")["model_id"].tolist() == [found["model_id"][1]]
    assert context_from(home) == pd.Timestamp(day(MOVED))


@pytest.mark.soak
def test_a_rollback_past_the_baseline_takes_it_back(tmp_path, two_days_later):
    home = Home(shutil.copytree(two_days_later, tmp_path, dirs_exist_ok=True))
    accept(home, day(MOVED + 2))
    rollback(run_of(home, day(MOVED + 2)), None, reason="it was only a test", by_whom="ana")
    train(home, day(MOVED + 3), "schedule")
    assert pd.isna(models(home)["baseline_from"].iloc[-1]) and models(home)["trained_from"].iloc[-1] < pd.Timestamp(day(MOVED))


@pytest.mark.soak
def test_a_baseline_with_too_few_rows_waits_and_is_taken_by_a_later_training(tmp_path):
    home = moved(tmp_path, level=500)
    watch(home, day(MOVED + 1))
    request = accept(home, day(MOVED + 1))  # 24 rows of 36
    assert models(home)["trained_because"].tolist() == ["first training"] and open_requests(home.warehouse) == [request]
    watch(home, day(MOVED + 2))
    train(home, day(MOVED + 2), "schedule")
    assert models(home)["trained_because"].tolist() == ["first training", "request: new level since the migration"]
    assert open_requests(home.warehouse) == [] and context_from(home) == pd.Timestamp(day(MOVED))


@pytest.mark.parametrize("since", [MOVED, 0.5])
@pytest.mark.soak
def test_a_first_training_keeps_to_a_baseline_as_well(tmp_path, since):
    home = moved(tmp_path, level=500)
    watch(home, day(0.2))  # too little for a model
    request_training("web", "what was before is of another system", warehouse=home.warehouse, now=day(1), baseline_from=day(since))
    watch(home, day(DAYS), is_retraining=True)
    found = models(home)
    assert found["trained_because"].tolist() == ["request: what was before is of another system"]
    assert context_from(home) == pd.Timestamp(day(since))
    assert (scores(home, day(0), day(since))["state"] == "warming_up").all()
    assert (scores(home, day(DAYS - 2), day(DAYS))["state"] == "scored").all()


def told(home: Home) -> list[str]:
    """What the incidents since the migration have said."""
    return list(
        home.warehouse.read(
            "SELECT send.event FROM alert_sends AS send JOIN incidents USING (incident_id) WHERE opened_at >= ? AND status <> 'skipped' "
            "ORDER BY send.happened_at",
            [day(MOVED)],
        )["event"]
    )


@pytest.mark.soak
def test_whoever_accepts_a_level_ends_its_incident_at_once_with_a_word_of_who_it_was(tmp_path, two_days_later):
    home = Home(shutil.copytree(two_days_later, tmp_path, dirs_exist_ok=True))
    since = f"opened_at >= '{day(MOVED)}'"
    assert home.table("incidents", since)["state"].tolist() == ["open"] and told(home) == ["opened"]
    accept(home, day(MOVED + 2))
    watch(home, day(MOVED + 2))
    [incident] = home.table("incidents", since).to_dict("records")
    assert incident["resolved_reason"] == f"a new level since {day(MOVED).day} {day(MOVED):%B}, accepted by ana"
    watch(home, day(DAYS))
    assert told(home) == ["opened", "resolved"]


def test_what_began_days_after_the_accepted_level_goes_on(tmp_path, two_days_later):
    home = Home(shutil.copytree(two_days_later, tmp_path, dirs_exist_ok=True))
    accept(home, day(MOVED + 2), since=day(MOVED - 4))
    watch(home, day(MOVED + 2))
    assert home.table("incidents", f"opened_at >= '{day(MOVED)}'")["state"].tolist() == ["open"]


@pytest.mark.soak
def test_a_level_that_nobody_accepts_is_closed_after_a_week(tmp_path, two_days_later):
    home = Home(shutil.copytree(two_days_later, tmp_path, dirs_exist_ok=True))
    for days in range(3, 10):
        watch(home, day(MOVED + days))
        assert "resolved" not in told(home) or "back to normal" not in home.table("incidents")["resolved_reason"].iloc[-1]
    watch(home, day(DAYS))
    [incident] = home.table("incidents", f"opened_at >= '{day(MOVED)}'").to_dict("records")
    assert incident["resolved_reason"].startswith(f"a new level since {day(MOVED).day} {day(MOVED):%B}: ")
    assert incident["resolved_reason"].endswith(" % higher") and told(home) == ["opened", "resolved"]
