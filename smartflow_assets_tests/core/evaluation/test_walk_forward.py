"""Settings tried on clean rows: as detection does it, trained at moments, never with what comes later."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from smartflow_assets.core.detection import DetectionSettings, MetricGroup, Scoring, fit_models
from smartflow_assets.core.evaluation.walk_forward import TrialData, first_training, trainings, walk_forward
from smartflow_assets.core.temporal.calendar import Calendar

STEP = timedelta(hours=1)
START = pd.Timestamp("2026-03-02", tz="UTC")
ROWS = 24 * 30


def trial_data(*, window: timedelta = timedelta(days=60), names: tuple[str, ...] = ("cpu",), **values: np.ndarray) -> TrialData:
    """Thirty days of hours of each series, a daily wave with noise."""
    parts = []
    for place, name in enumerate(names):
        wave = 100 + 20 * np.sin(np.arange(ROWS) * 2 * np.pi / 24) + np.random.default_rng(place).normal(size=ROWS)
        parts.append(
            pd.DataFrame(
                {
                    "series": name,
                    "metric": name,
                    "observed_at": pd.date_range(START, periods=ROWS, freq=STEP),
                    "value": values.get(name, wave),
                }
            )
        )
    rows = pd.concat(parts).sort_values(["observed_at", "series"], ignore_index=True)
    return TrialData(rows, STEP, window, Calendar())


def group(*types: str, metrics: tuple[str, ...] = ("cpu",), **more: object) -> MetricGroup:
    settings = DetectionSettings.model_validate({"detectors": [{"type": name} for name in types], **more})
    return MetricGroup(", ".join(metrics), metrics, settings)


def at(day: int) -> pd.Timestamp:
    return START + timedelta(days=day)


def test_with_one_training_it_is_what_detection_says():
    here, both = trial_data(), group("seasonal", "isolation_forest")
    rows = here.rows
    fitted = fit_models(rows[rows["observed_at"] < at(10)], both.settings, features=here.features, step=STEP)
    expected = Scoring(fitted).score(rows, features=here.features).scores
    expected = expected[expected["observed_at"] >= at(10)].reset_index(drop=True)
    found = walk_forward(here, [both], [at(10)], at(30))
    pd.testing.assert_frame_equal(found.drop(columns="metric"), expected)


def test_no_verdict_depends_on_later_rows():
    here = trial_data()
    changed = here.rows["value"].where(here.rows["observed_at"] < at(20), 500.0)
    later = TrialData(here.rows.assign(value=changed), STEP, here.window, here.calendar)
    moments = [at(10), at(15)]
    before, after = (walk_forward(each, [group("isolation_forest")], moments, at(20)) for each in (here, later))
    pd.testing.assert_frame_equal(before, after)


def test_a_later_training_has_learnt_what_came_between():
    values = trial_data().rows["value"].to_numpy().copy()
    values[24 * 12 :] = np.where(np.arange(ROWS)[24 * 12 :] % 2, 160, 40)  # from the twelfth day on it jumps to and fro
    here, forest = trial_data(cpu=values), group("isolation_forest", ensemble={"combine": "any"})
    once = walk_forward(here, [forest], [at(10)], at(30))
    twice = walk_forward(here, [forest], [at(10), at(20)], at(30))
    late = once["observed_at"] >= at(20)
    assert once["is_anomaly"][late].mean() > 0.5 > 0.1 > twice["is_anomaly"][late].mean()
    assert once["raw_score"][~late].equals(twice["raw_score"][~late])


def test_the_window_bounds_what_is_learnt_from():
    short, long = (walk_forward(trial_data(window=timedelta(days=days)), [group("isolation_forest")], [at(20)], at(30)) for days in (5, 20))
    assert not short["raw_score"].equals(long["raw_score"])


def test_metrics_may_have_settings_of_their_own_and_joint_detectors_see_all():
    here = trial_data(names=("cpu", "memory"))
    found = walk_forward(here, [group("mad"), group("mahalanobis", metrics=("memory",))], [at(10)], at(30))
    assert found.groupby("series")["raw_score"].max().gt(0).to_dict() == {"cpu": True, "memory": True}
    assert set(found["metric"]) == {"cpu", "memory"} and len(found) == 2 * 24 * 20


def test_progress_adds_up_to_the_judged_rows():
    told: list[int] = []
    walk_forward(
        trial_data(names=("cpu", "memory")), [group("mad", metrics=("cpu", "memory"))], [at(10), at(20)], at(30), report=told.append
    )
    assert sum(told) == 2 * 24 * 20 and len(told) == 4


@pytest.mark.parametrize(("least", "day"), [(36, 10), (24 * 15, 15)])
def test_the_first_training_is_after_a_third_and_after_enough(least, day):
    assert first_training(trial_data().rows, STEP, least) == at(day)


@pytest.mark.parametrize(("every", "most", "days"), [(1, 4, [10, 15, 20, 25]), (10, 4, [10, 20]), (90, 4, [10]), (1, 1, [10])])
def test_trainings_are_as_often_as_asked_but_no_more_than_so_many(every, most, days):
    assert trainings(at(10), at(30), timedelta(days=every), most) == [at(day) for day in days]
