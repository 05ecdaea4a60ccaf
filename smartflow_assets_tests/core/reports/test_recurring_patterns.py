"""What comes back is found, and chance is not taken for it."""

import random
from datetime import UTC, datetime, timedelta

from smartflow_assets.core.reports.recurring_patterns import Begun, recurring

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)


def spread(count: int, seed: int) -> list[Begun]:
    chosen = random.Random(seed)
    return [Begun("shop", MONDAY + timedelta(minutes=chosen.randrange(35 * 1440)), "anomaly") for _ in range(count)]


def test_each_monday_at_nine_is_found_among_others() -> None:
    mondays = [Begun("shop", MONDAY + timedelta(days=7 * week, hours=9, minutes=20), "anomaly") for week in range(5)]
    said = [str(each) for each in recurring([*mondays, *spread(5, 1)])]
    assert any(each.startswith("shop: 5 of 10 incidents begin from 09:00 to 10:00") for each in said)


def test_chance_is_rarely_taken_for_a_pattern() -> None:
    assert sum(bool(recurring(spread(40, seed))) for seed in range(100)) <= 6


def test_one_night_in_which_much_broke_does_not_come_back() -> None:
    assert recurring([Begun(f"s{number}", MONDAY + timedelta(minutes=number), "run") for number in range(20)]) == []


def test_three_incidents_are_no_pattern() -> None:
    assert recurring([Begun("shop", MONDAY + timedelta(days=7 * week), "anomaly") for week in range(3)]) == []


def test_a_cause_that_stands_out_is_named() -> None:
    often = [Begun("shop", MONDAY + timedelta(days=day, hours=day % 24), "freshness") for day in range(20)]
    rest = [Begun("shop", MONDAY + timedelta(days=3, hours=hour), cause) for hour, cause in enumerate(("anomaly", "run", "profile"))]
    assert "shop: 20 of 23 incidents are of cause freshness" in [str(each) for each in recurring([*often, *rest])]
