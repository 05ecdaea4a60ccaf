"""Planted anomalies: where they lie, what they change, and what is left alone."""

from collections import Counter
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from smartflow_assets.core.evaluation.anomaly_injection import LEAST_CHANGE, PLANTED, SIZED, plant

STEP = timedelta(minutes=5)
DAY = 288
START = pd.Timestamp("2026-03-02", tz="UTC")
SINCE, UNTIL = START + timedelta(days=10), START + timedelta(days=38)


def rows(days: int = 40, *, names: tuple[str, ...] = ("load",), **more: np.ndarray) -> pd.DataFrame:
    parts = []
    for place, name in enumerate(names):
        values = 500 + 200 * np.sin(np.arange(days * DAY) * 2 * np.pi / DAY) + np.random.default_rng(place).normal(0, 10, days * DAY)
        times = pd.date_range(START, periods=days * DAY, freq=STEP)
        parts.append(pd.DataFrame({"series": name, "observed_at": times, "value": more.get(name, values)}))
    return pd.concat(parts).sort_values(["observed_at", "series"], ignore_index=True)


def changed(before: pd.DataFrame, after: pd.DataFrame) -> pd.Series:
    return before["value"].ne(after["value"]) & ~(before["value"].isna() & after["value"].isna())


def test_what_is_changed_is_what_is_labelled_and_lies_in_time():
    before = rows(names=("load", "other", "third"))
    after, labels = plant(before, SINCE, UNTIL, period=DAY, seed=3)
    inside = pd.Series(False, index=before.index)
    for label in labels.itertuples():
        inside |= before["series"].eq(label.series) & before["observed_at"].between(label.started_at, label.ended_at)
    assert len(labels) >= 12 and not (changed(before, after) & ~inside).any()
    assert changed(before, after)[inside].mean() > 0.9
    assert labels["started_at"].min() >= SINCE and labels["ended_at"].max() < UNTIL
    assert (labels.groupby("series")["started_at"].diff().dropna() > 57 * STEP).all()
    assert inside.mean() < 0.05  # denser ones would become usual


def test_types_and_sizes_come_up_equally_often():
    _, labels = plant(rows(names=("a", "b", "c", "d", "e", "f")), SINCE, UNTIL, period=DAY, sizes=(0.5, 1.0))
    counts = Counter(zip(labels["type"], labels["size"].fillna(0), strict=True))
    assert set(labels["type"]) == set(PLANTED)
    assert max(counts.values()) - min(counts.values()) <= 1
    assert {size for kind, size in counts if kind in SIZED} == {0.5, 1.0}


@pytest.mark.parametrize("kind", PLANTED)
def test_each_type_does_what_it_is_called(kind):
    before = rows()
    after, labels = plant(before, SINCE, UNTIL, period=DAY, types=(kind,), sizes=(1.0,))
    width = float(np.subtract(*before["value"].quantile([0.99, 0.01])))
    assert len(labels) >= 4
    for label in labels.itertuples():
        at = before["observed_at"].between(label.started_at, label.ended_at)
        old, new = before.loc[at, "value"].to_numpy(), after.loc[at, "value"].to_numpy()
        change = (new - old) / width
        if kind == "spike":
            assert at.sum() == 1 and abs(change[0]) >= LEAST_CHANGE
        elif kind == "level":
            assert change == pytest.approx(np.ones(len(change)))
        elif kind == "dropout":
            assert (change < 0).all() and (new >= 0).all()
        elif kind == "flat":
            assert np.ptp(new) == 0
        elif kind == "half_volume":
            assert new == pytest.approx(old / 2)
        elif kind == "zero_run":
            assert (new == 0).all() and (old > 0).all()
        elif kind == "burst":
            assert change.std() > 0.3
        else:
            assert new == pytest.approx(before["value"].to_numpy()[np.flatnonzero(at) - DAY // 2])
        assert 12 <= at.sum() <= 57 or kind == "spike"


def test_the_same_seed_plants_the_same():
    one, other, third = (plant(rows(), SINCE, UNTIL, period=DAY, seed=seed)[1] for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(one, other)
    assert not one["started_at"].equals(third["started_at"])


def test_known_labels_and_missing_rows_are_left_alone():
    before = rows()
    known = pd.DataFrame({"series": ["load"], "started_at": [SINCE], "ended_at": [SINCE + timedelta(days=14)]})
    before.loc[before["observed_at"] > SINCE + timedelta(days=20), "value"] = np.nan
    after, labels = plant(before, SINCE, UNTIL, period=DAY, known=known, seed=5)
    assert len(labels) > 0
    assert labels["started_at"].min() > SINCE + timedelta(days=14) + 10 * STEP
    assert labels["ended_at"].max() <= SINCE + timedelta(days=20)
    assert after["value"].isna().equals(before["value"].isna())


def test_counts_stay_counts():
    values = np.random.default_rng(0).poisson(3, 40 * DAY).astype(float)
    after, labels = plant(rows(load=values), SINCE, UNTIL, period=DAY, types=("dropout", "level", "burst"))
    assert len(labels) and (after["value"] >= 0).all() and (after["value"] == after["value"].round()).all()


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (np.full(40 * DAY, 7.0), "level"),
        (np.repeat(np.random.default_rng(0).normal(size=80), DAY // 2), "flat"),
        (500 + 200 * np.sin(np.arange(40 * DAY) * 4 * np.pi / DAY), "context"),  # twelve hours before it was the same
        (np.random.default_rng(0).poisson(3, 40 * DAY).astype(float), "zero_run"),  # one in twenty is zero by chance
        (np.random.default_rng(0).normal(size=40 * DAY), "zero_run"),  # zero is in the middle
    ],
)
def test_what_nobody_could_see_is_not_planted(values, kind):
    before = rows(load=values)
    after, labels = plant(before, SINCE, UNTIL, period=DAY, types=(kind,))
    assert labels.empty and after["value"].equals(before["value"])


def test_what_a_series_cannot_have_leaves_its_turn_to_others():
    still = np.repeat(np.random.default_rng(0).normal(100, 10, 80), DAY // 2)
    _, labels = plant(rows(names=("load", "other"), load=still), SINCE, UNTIL, period=DAY, types=("flat", "level"), sizes=(1.0,))
    assert list(labels["series"]) == ["load"] * 5 + ["other"] * 5
    assert set(labels["type"][:5]) == {"level"} and "flat" in set(labels["type"][5:])


def test_a_series_that_is_too_short_gets_none_and_a_short_one_one():
    assert plant(rows(11), START + timedelta(days=10.5), UNTIL, period=DAY)[1].empty
    assert len(plant(rows(11), SINCE, UNTIL, period=DAY)[1]) == 1
