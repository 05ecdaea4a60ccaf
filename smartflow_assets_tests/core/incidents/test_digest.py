"""The moments of a digest and of a rate limit, against a count of minutes."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from smartflow_assets.core.incidents.digest import Digest
from smartflow_assets.core.incidents.rate_limit import RateLimit

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_a_digest_of_the_day_goes_with_what_was_there_before_it() -> None:
    digest = Digest(at="08:00")
    assert digest.after(MONDAY + 8 * HOUR - timedelta(seconds=1)) == MONDAY + 8 * HOUR
    assert digest.after(MONDAY + 8 * HOUR) == MONDAY + 32 * HOUR, "what comes at its very moment goes with the next"
    assert digest.before(MONDAY + 8 * HOUR) == MONDAY - 16 * HOUR


def test_a_digest_of_the_week_goes_on_its_day_in_its_zone() -> None:
    digest = Digest(every="week", on="mon", at="08:00", timezone="Europe/Berlin")
    assert digest.after(MONDAY) == MONDAY + 7 * HOUR
    assert digest.after(MONDAY + 7 * HOUR) == MONDAY + timedelta(days=7) + 7 * HOUR
    summer = datetime(2026, 3, 30, tzinfo=UTC)  # the night before, clocks went forward
    assert digest.after(summer) == summer + 6 * HOUR
    assert digest.named(summer + 6 * HOUR, MONDAY) == "Mon 08:00"


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"at": "8 am"}, "no time of the day"),
        ({"at": "24:00"}, "no time of the day"),
        ({"at": "08:00", "every": "week"}, "needs `on: mon`"),
        ({"at": "08:00", "on": "mon"}, "goes with `every: week`"),
        ({"at": "08:00", "timezone": "Mars"}, "not a time zone"),
    ],
)
def test_a_digest_that_cannot_be_is_refused_with_the_reason(settings: dict, reason: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Digest.model_validate(settings)
    assert reason in str(refused.value)


@given(
    st.integers(0, 60 * 24 * 400),
    st.sampled_from(["UTC", "Europe/Berlin", "America/Sao_Paulo", "Pacific/Apia", "Asia/Kathmandu"]),
    st.sampled_from([None, "mon", "wed", "sun"]),
)
def test_slots_follow_each_other_without_a_gap(minutes: int, zone: str, on: str | None) -> None:
    digest = Digest.model_validate({"every": "week" if on else "day", "on": on, "at": "02:30", "timezone": zone})
    moment = MONDAY + timedelta(minutes=minutes)
    slot = digest.after(moment)
    assert digest.before(moment + timedelta(microseconds=1)) <= moment < slot <= moment + timedelta(days=7 if on else 1, hours=1)
    assert digest.before(slot) <= moment and digest.after(slot - timedelta(microseconds=1)) == slot


@given(st.lists(st.integers(0, 120)), st.integers(1, 4), st.integers(1, 30), st.integers(0, 120))
@settings(max_examples=300)
def test_a_limit_counts_like_a_clock_of_minutes(minutes: list[int], messages: int, per: int, minute: int) -> None:
    limit = RateLimit.model_validate({"messages": messages, "per": f"{per}min"})
    minutes = sorted(minutes)
    sent_at, now = [MONDAY + timedelta(minutes=one) for one in minutes], MONDAY + timedelta(minutes=minute)

    def room(at: int) -> int:
        return messages - sum(at - per < one <= at for one in minutes if one <= minute)

    assert limit.room(sent_at, now) == max(0, room(minute))
    ready = next(at for at in range(minute, 500) if room(at) > 0)
    if room(minute) > 0 or sum(minute - per < one <= minute for one in minutes) >= messages:
        assert limit.room_at(sent_at, now) == MONDAY + timedelta(minutes=ready)
    since = min(minutes, default=0)
    was_full = any(messages <= sum(at - per < one <= at and one < minute for one in minutes) for at in range(since, minute + per))
    assert limit.held_back(MONDAY + timedelta(minutes=since), sent_at, now) == was_full
