"""Routes against a model of a few lines: which channels hear of an incident, at which hour."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from smartflow_assets.core.incidents.alert_policy import AlertPolicy
from smartflow_assets.core.incidents.routes import DAYS, Route, channels_of

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
minutes = st.integers(0, 24 * 60 - 1)


@given(begin=minutes, end=minutes, day=st.sets(st.sampled_from(range(7)), min_size=1), at=st.integers(0, 14 * 24 * 60))
def test_hours_over_midnight_belong_to_the_day_on_which_they_begin(begin: int, end: int, day: set[int], at: int):
    if begin == end:
        return
    written = f"{begin // 60:02}:{begin % 60:02}-{end // 60:02}:{end % 60:02}"
    route = Route.model_validate({"hours": written, "days": ", ".join(DAYS[each] for each in day), "to": "a"})
    length = (end - begin) % (24 * 60)
    spells = [(each * 24 * 60 + begin, each * 24 * 60 + begin + length) for each in range(-1, 16) if each % 7 in day]
    assert route.fits("info", "anomaly", "", MONDAY + timedelta(minutes=at)) == any(first <= at < last for first, last in spells)


def test_hours_are_those_of_the_source_in_summer_and_winter():
    route = Route(hours="08:00-18:00", to="day").of_source("shop", {}, None, "Europe/Berlin")
    assert route is not None
    local = [datetime(2026, month, 2, hour, tzinfo=ZoneInfo("Europe/Berlin")) for month in (1, 7) for hour in (7, 8, 17, 18)]
    assert [route.fits("info", "run", "", at.astimezone(UTC)) for at in local] == [False, True, True, False] * 2


def test_the_first_route_that_fits_decides_and_goes_on_only_where_it_says_so():
    policy = AlertPolicy.model_validate(
        {
            "to": ["mail"],
            "routes": [
                {"severity": "critical", "to": "pager", "go_on": True},
                {"cause": ["check:*", "freshness"], "to": ["data", "mail"]},
                {"severity": ["warning", "critical"], "series": "revenue*", "to": ["sales", "pager"]},
                {"cause": "load:*", "to": []},
            ],
        }
    )
    heard = {
        (severity, cause, series): policy.channels(severity, cause, series, MONDAY)
        for severity, cause, series in (
            ("critical", "anomaly", "revenue{region=eu}"),
            ("critical", "freshness", ""),
            ("warning", "check:values_are_usual", ""),
            ("critical", "anomaly", "cpu"),
            ("info", "anomaly", "cpu"),
            ("warning", "load:3f0a", ""),
        )
    }
    assert list(heard.values()) == [("pager", "sales"), ("pager", "data", "mail"), ("data", "mail"), ("pager",), ("mail",), ()]
    assert policy.all_channels == ("mail", "pager", "data", "sales")
    assert policy.without("pager").channels("critical", "anomaly", "cpu", MONDAY) == ()


def test_a_policy_keeps_the_routes_that_are_for_its_source():
    policy = AlertPolicy.model_validate(
        {
            "to": ["mail"],
            "routes": [
                {"source": "shop_*", "to": "shop"},
                {"tags": {"tier": "critical", "domain": "web"}, "to": "web"},
                {"owner": "team:*", "to": "team"},
            ],
        }
    )

    def told(name: str, tags: dict[str, str], owner: str | None) -> tuple[str, ...]:
        return policy.of_source(name, tags, owner, "UTC").channels("warning", "anomaly", "x", MONDAY)

    assert told("shop_eu", {}, None) == ("shop",)
    assert told("web", {"tier": "critical", "domain": "web", "more": "x"}, "team:web") == ("web",)
    assert told("web", {"tier": "critical"}, "team:web") == ("team",)
    assert told("web", {"tier": "critical"}, "anna@example.com") == told("web", {}, None) == ("mail",)


@pytest.mark.parametrize(
    ("route", "said"),
    [
        ({"to": "mail"}, "needs what it is for"),
        ({"to": "mail", "timezone": "UTC", "go_on": True}, "needs what it is for"),
        ({"severity": "critical"}, "Field required"),
        ({"hours": "8-18", "to": "a"}, "no time of day"),
        ({"hours": "25:00-26:00", "to": "a"}, "an hour that no day has"),
        ({"hours": "08:00-08:00", "to": "a"}, "begins when it ends"),
        ({"days": "monday to friday", "to": "a"}, "no list of days"),
        ({"severity": "fatal", "to": "a"}, "info"),
    ],
)
def test_a_route_that_says_nothing_or_nonsense_is_refused_with_a_sentence(route: dict, said: str):
    with pytest.raises(ValidationError, match=said):
        Route.model_validate(route)


@given(
    hours=st.lists(st.tuples(minutes, minutes).filter(lambda pair: pair[0] != pair[1]), max_size=4),
    go_on=st.lists(st.booleans(), min_size=4, max_size=4),
    at=minutes,
)
def test_whoever_hears_is_named_by_a_route_or_by_to_and_each_once(hours: list[tuple[int, int]], go_on: list[bool], at: int):
    routes = [
        Route(hours=f"{b // 60:02}:{b % 60:02}-{e // 60:02}:{e % 60:02}", to=("all", f"r{number}"), go_on=go_on[number])
        for number, (b, e) in enumerate(hours)
    ]
    moment = MONDAY + timedelta(minutes=at)

    def is_at(b: int, e: int) -> bool:
        return b <= at < e if b < e else at >= b or at < e

    expected: list[str] = []
    for number, (b, e) in enumerate(hours):
        if is_at(b, e):
            expected += ["all", f"r{number}"]
            if not go_on[number]:
                break
    found = channels_of(routes, ["mail"], "info", "anomaly", "", moment)
    assert found == tuple(dict.fromkeys(expected)) if expected else found == ("mail",)
    assert moment.time() == time(at // 60, at % 60)
