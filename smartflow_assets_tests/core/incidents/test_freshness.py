"""What `freshness` in a YAML may say, and what it then makes of a silence."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from smartflow_assets.core.incidents.freshness import Freshness
from smartflow_assets.core.series.arrivals import MissedArrivals

HOUR = timedelta(hours=1)
SHORT, UNUSUAL, LONG = MissedArrivals(2, 3), MissedArrivals(3, 3), MissedArrivals(12, 3)


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("auto", "auto"),
        ("off", "off"),
        (False, "off"),  # what YAML makes of a bare off
        ({"delay": "3 days"}, {"delay": "3 days"}),
        ({"warn_after": "90 min"}, {"warn_after": "90min"}),
        ({"warn_after": "15min", "error_after": "1h"}, {"warn_after": "15min", "error_after": "1h"}),
    ],
)
def test_it_reads_what_people_write_and_writes_it_back(given: Any, written: Any) -> None:
    policy = Freshness.model_validate(given)
    assert policy.model_dump(mode="json") == written and Freshness.model_validate(written) == policy


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("sometimes", "neither auto nor off"),
        ({"warn_after": "2h", "error_after": "1h"}, "error_after must not be shorter"),
        ({"warn_after": "0s"}, "greater than"),
        ({"delay": "-1h"}, "not a duration"),
        ({"after": "1h"}, "Extra inputs"),
        ({"mode": "given"}, "must be given"),
    ],
)
def test_what_makes_no_sense_is_refused(given: Any, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Freshness.model_validate(given)


@pytest.mark.parametrize(
    ("given", "age", "missed", "severity"),
    [
        ("auto", HOUR, SHORT, None),
        ("auto", HOUR, UNUSUAL, "warning"),
        ("auto", HOUR, LONG, "critical"),
        ("off", 99 * HOUR, LONG, None),
        ({"warn_after": "2h", "error_after": "3h"}, 2 * HOUR, LONG, None),
        ({"warn_after": "2h", "error_after": "3h"}, 2.5 * HOUR, SHORT, "warning"),
        ({"warn_after": "2h", "error_after": "3h"}, 4 * HOUR, SHORT, "critical"),
        ({"error_after": "3h"}, 2.5 * HOUR, LONG, None),
    ],
)
def test_how_bad_a_silence_is(given: Any, age: timedelta, missed: MissedArrivals, severity: str | None) -> None:
    assert Freshness.model_validate(given).severity(age, missed) == severity


def test_editors_are_told_of_the_words_and_of_the_keys() -> None:
    schema = TypeAdapter(Freshness).json_schema()
    words, keys = schema["anyOf"]
    assert words == {"enum": ["auto", "off"]} and set(keys["properties"]) == {"warn_after", "error_after", "delay"}
