"""When the newest days are compared with those before them, what is read, and that runs that cut the data otherwise find the same."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from smartflow_assets.stages import contracts, drift, ingestion
from smartflow_assets_tests.homes import Home, write_rows

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
STAGES = (ingestion.raw_records, contracts.schema_checks, drift.drift_checks)
SHOP = """
name: shop
read: {type: csv, path: examples/shop.csv, time: at}
metrics: [{name: amount}]
time_bucket: {every: 1h, settle: 0s}
drift: {reference: 14 days, current: 7 days}
"""


def rows(days: int, *, begin: datetime = BEGIN, shift: float = 0.0, a_day: int = 60, seed: int = 3) -> pd.DataFrame:
    """Amounts and kinds of a shop whose rows have nothing to do with each other; `shift`: added to all amounts."""
    rng, count = np.random.default_rng(seed), days * a_day
    return pd.DataFrame(
        {
            "at": pd.date_range(begin, periods=count, freq=timedelta(days=1) / a_day).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "amount": (rng.lognormal(3, 0.4, count) + shift).round(2),
            "kind": rng.choice(["a", "b"], count),
        }
    )


def compare(home: Home, frame: pd.DataFrame, day: int, text: str = SHOP) -> drift.Compared:
    home.write_source("shop", text)
    write_rows(home.settings.data / "examples/shop.csv", frame)
    now = BEGIN + timedelta(days=day, hours=2)
    return home.run_stages("shop", now, STAGES, run_id=f"day {day}")["drift_checks"]


@pytest.mark.soak
def test_a_day_is_compared_once_when_a_later_one_has_rows(home):
    whole = rows(23)
    assert compare(home, whole[: 20 * 60], 20).summary == "too little history: 21 days are needed"
    found = compare(home, whole[: 21 * 60 + 5], 21)
    assert found.report is not None and found.report.window.current_to == BEGIN + timedelta(days=21)
    assert not found.standing["is_drifted"].any() and set(found.standing["column_name"]) == {"amount", "kind", "*"}
    again = compare(home, whole[: 21 * 60 + 20], 21)
    assert again.report is None and again.summary == "compared up to 2026-01-22; no later day has ended"
    assert len(again.standing) == len(found.standing) == home.count("drift_checks")
    assert compare(home, whole[: 22 * 60 + 1], 22).report is not None


def test_a_shift_is_told_with_its_numbers_until_it_is_over(home):
    shifted = pd.concat([rows(21), rows(7, begin=BEGIN + timedelta(days=21), shift=12, seed=4)])
    found = compare(home, shifted, 28)
    drifted = found.standing[found.standing["is_drifted"]]
    assert set(drifted["column_name"]) == {"amount"} and "median of amount" in drifted["message"].iloc[0]
    back = pd.concat([shifted, rows(30, begin=BEGIN + timedelta(days=28), seed=5)])
    assert not compare(home, back, 57).standing["is_drifted"].any()


@pytest.mark.soak
def test_what_is_read_is_bounded_and_the_same_whichever_runs_brought_it(home, tmp_path, monkeypatch):
    whole = rows(22, a_day=1000)
    read = list[int]()
    original = drift.find_drift

    def find_drift(sample, **given):
        read.append(len(sample))
        assert sum(given["counts"].values()) == 21 * 1000
        return original(sample, **given)

    monkeypatch.setattr(drift, "find_drift", find_drift)
    text = SHOP.replace("current: 7 days", "current: 7 days, sample_rows: 500")
    at_once = compare(home, whole, 21, text).standing
    assert read[0] < 5000
    other = Home(tmp_path / "other")
    for day in (5, 11, 21):
        in_parts = compare(other, whole[: day * 1000 + 1], day, text).standing
    pd.testing.assert_frame_equal(
        *(
            each.drop(columns=["checked_at", "run_id"]).sort_values(["column_name", "test"], ignore_index=True)
            for each in (at_once, in_parts)
        )
    )


@pytest.mark.parametrize("said", ["drift: off", "drift: {columns: [kind]}"])
def test_a_source_says_what_is_compared(home, said):
    text = SHOP[: SHOP.index("drift:")] + said + "\n"
    found = compare(home, rows(40), 39, text)
    if said.endswith("off"):
        assert (found.report, found.summary) == (None, "drift is off")
    else:
        assert set(found.standing["column_name"]) == {"kind"}


@pytest.mark.soak
def test_a_sensitive_column_is_not_compared_and_blocked_rows_are_not_looked_at(home):
    text = SHOP + "contract: {columns: {kind: {sensitive: true}, amount: {max: 1000, severity: critical}}}\n"
    compare(home, rows(22), 22, text)
    strange = pd.concat([rows(22), rows(2, begin=BEGIN + timedelta(days=22), shift=5000)])
    assert compare(home, strange, 24, text).report is None  # no day has ended with rows that are let through
    found = compare(home, pd.concat([strange, rows(1, begin=BEGIN + timedelta(days=24))]), 25, text)
    assert set(found.standing["column_name"]) == {"amount"} and not found.standing["is_drifted"].any()
