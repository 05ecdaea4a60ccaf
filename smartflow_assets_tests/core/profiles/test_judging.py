"""What is unusual beside the weeks before: faults are found, and are not learnt from."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from smartflow_assets.core.profiles.figures import Figure
from smartflow_assets.core.profiles.judging import Stretches, judge
from smartflow_assets.core.temporal.calendar import Calendar
from smartflow_assets.core.temporal.notation import Frequency
from smartflow_assets.core.temporal.time_grid import TimeGrid

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
BEGIN = datetime(2026, 1, 5, tzinfo=UTC)
"""The stretch that the tests look at ends 38 days later."""


def judged(
    rows: np.ndarray,
    every: timedelta,
    shares: Mapping[str, np.ndarray] | None = None,
    until: int | None = None,
    spread: np.ndarray | None = None,
) -> pd.DataFrame:
    """Verdicts on rows, bucket by bucket, on shares of categories of `kind` (NaN where one did not come), and on the spread of `amount`,
    with the `place` of each."""
    stretches = Stretches(TimeGrid(every, Calendar()))
    first = int(stretches.grid.number([pd.Timestamp(BEGIN)])[0])
    at = stretches.grid.start(np.arange(first, first + len(rows)))
    spreads = {} if spread is None else {(str(Figure("spread", "amount")), ""): spread}
    series = {
        ("row_count", ""): rows,
        **spreads,
        **{(str(Figure("category_share", "kind")), name): own for name, own in (shares or {}).items()},
    }
    frames = [
        pd.DataFrame(
            {"series": f"{metric}{category}", "metric": metric, "category": category, "observed_at": at, "value": values.astype(float)}
        )
        for (metric, category), values in series.items()
    ]
    figures = pd.concat(frames).dropna(subset="value").assign(is_judged=True)
    end = len(rows) if until is None else until
    figures = figures[figures["observed_at"] < stretches.grid.start(np.array([first + end]))[0]]
    found = judge(
        figures.reset_index(drop=True),
        stretches,
        first=first,
        since=first,
        until=first + end,
        categories=10,
        budget=Frequency(1, "quarter"),
    )
    return found.assign(place=stretches.grid.number(found["observed_at"]) - first)


def strange(found: pd.DataFrame, series: str = "row_count") -> list[int]:
    return found.loc[found["is_anomaly"] & (found["series"] == series), "place"].tolist()


@pytest.mark.parametrize("wrong", [2, 3])
def test_days_that_were_wrong_are_not_what_is_expected_of_the_right_ones_after_them(wrong: int):
    rows = np.full(110, 240)
    rows[90 : 90 + wrong] = 480
    found = judged(rows, DAY)
    assert strange(found) == list(range(90, 90 + wrong))
    after = found[found["place"] >= 90 + wrong]
    assert after["expected"].tolist() == [240.0] * len(after)


def test_hours_after_two_days_of_half_the_rows_are_as_usual():
    rows = np.random.default_rng(1).poisson(40, 24 * 37)
    rows[24 * 30 : 24 * 32] //= 2
    hits = strange(judged(rows, HOUR))
    assert hits and hits[0] > 24 * 30 and hits[-1] < 24 * 32 + 6


def test_a_level_that_stays_is_usual_after_some_days():
    rows = np.random.default_rng(1).poisson(40, 24 * 37)
    rows[24 * 29 :] = (1.5 * rows[24 * 29 :]).astype(int)
    hits = strange(judged(rows, HOUR))
    assert hits[0] >= 24 * 29 and hits[-1] < 24 * 34


def ids(rng: np.random.Generator, hours: int, of: int, an_hour: int) -> dict[str, np.ndarray]:
    """Shares of `an_hour` values of `of` different ones."""
    drawn = rng.integers(0, of, (hours, an_hour))
    counted = {int(each): (drawn == each).mean(axis=1) for each in np.unique(drawn)}
    return {f"{each:08d}": np.where(share > 0, share, np.nan) for each, share in counted.items()}


def test_values_of_a_column_with_many_different_ones_are_no_categories():
    rng = np.random.default_rng(2)
    shares = ids(rng, 24 * 37, 60, 2)
    found = judged(np.full(24 * 37, 5), HOUR, shares)
    assert set(found["series"]) == {"row_count"}


def test_a_new_category_of_a_column_with_few_is_found_whenever_the_others_came():
    rng = np.random.default_rng(3)
    shares = ids(rng, 24 * 37, 3, 40)
    gold = np.full(24 * 37, np.nan)
    gold[24 * 34 : 24 * 35] = 0.3
    found = judged(
        np.full(24 * 37, 40), HOUR, {**{name: share * np.where(gold > 0, 0.7, 1.0) for name, share in shares.items()}, "gold": gold}
    )
    hits = strange(found, "category_share(kind)gold")
    assert set(range(24 * 34, 24 * 35)) <= set(hits) and hits[-1] < 24 * 35 + 6


def test_a_column_that_turns_into_ids_is_one_of_categories_no_more():
    rng = np.random.default_rng(4)
    shares = ids(rng, 24 * 37, 3, 40)
    later = {name: np.where(np.arange(24 * 37) >= 24 * 34, share, np.nan) for name, share in ids(rng, 24 * 37, 200, 2).items()}
    later = {name: share for name, share in later.items() if np.isfinite(share).any()}
    found = judged(np.full(24 * 37, 40), HOUR, {**shares, **later})
    assert found.loc[found["series"] != "row_count", "place"].max() < 24 * 34 + 10


def test_verdicts_do_not_depend_on_a_category_that_comes_later():
    rng = np.random.default_rng(5)
    shares = ids(rng, 24 * 37, 3, 40)
    gold = np.full(24 * 37, np.nan)
    gold[24 * 34 :] = 0.3
    whole = judged(np.full(24 * 37, 40), HOUR, {**shares, "gold": gold})
    part = judged(np.full(24 * 37, 40), HOUR, shares, until=24 * 33)
    same = whole[(whole["place"] < 24 * 33) & ~whole["series"].str.endswith("gold")].reset_index(drop=True)
    pd.testing.assert_frame_equal(
        part.sort_values(["series", "place"], ignore_index=True), same.sort_values(["series", "place"], ignore_index=True)
    )


def test_a_category_that_grew_by_the_absence_of_another_is_not_told():
    rng = np.random.default_rng(6)
    shares = ids(rng, 24 * 37, 3, 40)
    gone, other, third = shares
    is_gone = (np.arange(24 * 37) >= 24 * 34) & (np.arange(24 * 37) < 24 * 35)
    left = 1 - np.nan_to_num(shares[gone])
    rows = np.where(is_gone, np.round(40 * left), 40)
    found = judged(rows, HOUR, {name: np.where(is_gone, np.nan if name == gone else share / left, share) for name, share in shares.items()})
    assert strange(found, f"category_share(kind){gone}") and strange(found)
    assert not strange(found, f"category_share(kind){other}") and not strange(found, f"category_share(kind){third}")


def test_a_spread_of_few_rows_wanders_and_is_not_told_while_one_of_a_day_is():
    quiet, found_at = list[int](), list[int]()
    for seed in range(4):
        rng = np.random.default_rng(seed)
        rows = np.tile(np.where(np.arange(24) < 6, 4, 60), 37)
        amounts = [rng.lognormal(7, 1.2, count) for count in rows]
        spread = np.array([np.subtract(*np.quantile(each, [0.75, 0.25])) for each in amounts])
        quiet += strange(judged(rows, HOUR, spread=spread), "spread(amount)")
        spread[24 * 33 : 24 * 34] *= 2.5
        found_at += strange(judged(rows, HOUR, spread=spread), "spread(amount)")[:1]
    assert quiet == []
    assert len(found_at) == 4 and all(24 * 33 <= place < 24 * 34 for place in found_at)
