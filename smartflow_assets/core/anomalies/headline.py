"""An anomaly in a few words: what was seen, beside what is usual.

    1,600 requests, usually 430 to 560 (1,040 above)

The usual range is the one reference of all messages, and what is said of the distance is the distance from its nearer end, reckoned
with the numbers as they are shown, so that a reader who checks it finds the same. What has no distance has words of its own: silence,
a value that no longer moves, a broken rule, strange records. What is known of an anomaly is found by `grouping`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import isfinite
from typing import NamedTuple

import pandas as pd

from smartflow_assets.core.anomalies.explanation import when
from smartflow_assets.core.anomalies.past import Past
from smartflow_assets.core.text_format import as_shown, each, lasting, number


class Usual(NamedTuple):
    """What was usual at the time of a value; NaN where a number is not known. `expected` is said where no range is."""

    expected: float
    lower: float
    upper: float

    def __str__(self) -> str:
        """The range as it is said, empty when nothing is known.

        >>> nan = float("nan")
        >>> str(Usual(495, 430, 560)), str(Usual(nan, 1, nan)), str(Usual(5, nan, nan)), str(Usual(nan, nan, nan))
        ('430 to 560', 'at least 1', '5', '')
        """
        low, high = number(self.lower), number(self.upper)
        if isfinite(self.lower) and isfinite(self.upper):
            return low if low == high else f"{low} to {high}"
        if isfinite(self.lower):
            return f"at least {low}"
        if isfinite(self.upper):
            return f"at most {high}"
        return number(self.expected) if isfinite(self.expected) else ""

    def beyond(self, value: float) -> float:
        """How far a value lies above (or, negative, below) what was usual; 0 inside the range, NaN where nothing is known."""
        has_range = isfinite(self.lower) or isfinite(self.upper)
        low, high = (self.lower, self.upper) if has_range else (self.expected, self.expected)
        return value - high if value > high else value - low if value < low else 0.0 if str(self) and isfinite(value) else float("nan")

    def distance(self, value: float, unit: str = "") -> str:
        """How far a value lies beyond what was usual, as it is said; empty inside the range.

        >>> Usual(495, 430, 560).distance(1600.4), Usual(495, 430, 560).distance(80, "EUR"), Usual(495, 430, 560).distance(560.2)
        ('1,040 above', '350 EUR below', 'just above')
        """
        if not abs(self.beyond(value)) > 0:
            return ""
        shown = Usual(*map(as_shown, self)).beyond(as_shown(value))
        word = "above" if self.beyond(value) > 0 else "below"
        return f"{measured(abs(shown), unit)} {word}" if shown else f"just {word}"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a headline is made of: the value at its strangest, what was usual there, and who found it."""

    value: float
    usual: Usual
    unit: str
    started_at: pd.Timestamp
    ended_at: pd.Timestamp
    detectors: Sequence[str]
    is_joint: bool  # the strongest of them looks at several metrics together
    rules: Mapping[str, str]  # name to message, the reason first
    contributions: Mapping[str, float]
    note: str  # of the strangest of several records
    sentence: str = ""  # all that is to be said, where it is known


class Said(NamedTuple):
    """A headline, since when it holds, and the rule whose reason it is."""

    text: str
    since: pd.Timestamp
    rule: str = ""


def said(seen: Seen, past: Past | None, *, flat_rules: Mapping[str, float], step: timedelta, timezone: str) -> Said:
    """The headline of an anomaly. Silence and flat runs begin before anybody can find them, so they say since when.

    `flat_rules`: rules that find a value which no longer moves, with how much it may move all the same.
    """
    if seen.sentence:
        return Said(seen.sentence, seen.started_at)
    if seen.note:
        return Said(of_records(seen.value, seen.contributions), seen.started_at)
    if not isfinite(seen.value):
        since = past.silent_since(seen.started_at) if past else seen.started_at
        return Said(of_silence(when(since, since, step, timezone), seen.usual), since)
    is_beyond = bool(seen.usual.distance(seen.value))
    is_by_rule = bool(seen.rules) and not (seen.detectors and is_beyond)  # what the range shows needs no other reason
    flat = next((name for name in seen.rules if name in flat_rules), None) if is_by_rule else None
    if past and not is_by_rule and seen.value == 0 and "zero_run" in seen.detectors:
        run = past.flat_run(seen.started_at, seen.ended_at - step, 0.0)
        if run is not None and run.value == 0:
            text = of_zero_run(seen.unit, run.last_at + step - run.since, seen.usual)
            return Said(text, min(run.since, seen.started_at))
    if past and (flat or "flatline" in seen.detectors[: 1 if is_beyond else None]):
        run = past.flat_run(seen.started_at, seen.ended_at - step, flat_rules[flat] if flat else 0.0)
        if run is not None:
            text = of_flat_run(run.value, seen.unit, run.last_at + step - run.since, run.changes_each)
            return Said(text, min(run.since, seen.started_at))
    if is_by_rule:
        rule, message = next(iter(seen.rules.items()))
        return Said(of_rule(rule, message, seen.value, seen.usual), seen.started_at, rule)
    oddity = "odd beside the other metrics" if seen.is_joint else "odd in its course"
    return Said(of_value(seen.value, seen.usual, seen.unit, oddity), seen.started_at)


def measured(value: float, unit: str) -> str:
    """A value with its unit."""
    return f"{number(value)} {unit}" if unit and isfinite(value) else number(value)


def of_value(value: float, usual: Usual, unit: str = "", oddity: str = "odd in its course") -> str:
    """The value beside what was usual. `oddity` is what is strange of a value that is usual by itself.

    >>> of_value(1600, Usual(495, 430, 560), "requests"), of_value(0, Usual(495, 430, 560), "requests")
    ('1,600 requests, usually 430 to 560 (1,040 above)', '0 requests, usually 430 to 560')
    >>> of_value(500, Usual(495, 430, 560)), of_value(9, Usual(*[float("nan")] * 3))
    ('500, inside the usual 430 to 560 but odd in its course', '9')
    """
    text = measured(value, unit)
    if not str(usual):
        return text
    if not (distance := usual.distance(value)):
        return f"{text}, inside the usual {usual} but {oddity}" if isfinite(usual.lower + usual.upper) else f"{text}, usually {usual}"
    return f"{text}, usually {usual}" + (f" ({distance})" if value else "")


def of_silence(since: str, usual: Usual) -> str:
    """No value, since when, and what was usual.

    >>> of_silence("Tue 14:05 CET", Usual(495, 430, 560))
    'no value since Tue 14:05 CET, usually 430 to 560'
    """
    return f"no value since {since}" + (f", usually {usual}" if str(usual) else "")


def of_flat_run(value: float, unit: str, length: timedelta, changes_each: timedelta | None) -> str:
    """A value that has stopped moving, for how long, and how often it usually does.

    >>> of_flat_run(279, "requests", timedelta(minutes=25), timedelta(minutes=5))
    'flat at 279 requests for 25 min (usually changes each 5 min)'
    """
    return f"flat at {measured(value, unit)} for {lasting(length)}" + (f" (usually changes {each(changes_each)})" if changes_each else "")


def of_zero_run(unit: str, length: timedelta, usual: Usual) -> str:
    """Zeros where there are hardly any, for how long, and what was usual.

    >>> of_zero_run("EUR", timedelta(days=10), Usual(1000, 430, 4537))
    '0 EUR for 10 days, usually 430 to 4,537'
    """
    return f"{measured(0.0, unit)} for {lasting(length)}" + (f", usually {usual}" if str(usual) else "")


def of_rule(name: str, message: str, value: float, usual: Usual) -> str:
    """A broken rule's own reason, and what was usual where the value is beyond that too.

    >>> of_rule("outage", "0 is below 1 for 15 min", 0, Usual(495, 430, 560)), of_rule("hot", "91 is above 90", 91, Usual(80, 60, 99))
    ('outage: 0 is below 1 for 15 min, usually 430 to 560', 'hot: 91 is above 90')
    """
    return f"{name}: {message}" + (f", usually {usual}" if usual.distance(value) else "")


def of_records(count: float, contributions: Mapping[str, float]) -> str:
    """How many single records are strange, and the two columns that say most of it.

    >>> of_records(3, {"records:amount": 0.7, "records:account": 0.2, "records:channel": 0.1})
    '3 strange records: amount, account'
    """
    columns = [name.partition(":")[2] for name in sorted(contributions, key=lambda name: -contributions[name])][:2]
    return f"{number(count)} strange record{'' if count == 1 else 's'}: {', '.join(columns)}"


def of_group(worst: str, said: str, count: int) -> str:
    """A group of series by the one that is worst, and how many others there are.

    >>> of_group("revenue{region=eu}", "0, usually 120 to 180", 20)
    'revenue{region=eu} 0, usually 120 to 180, and 19 more'
    """
    return f"{worst} {said}" + (f", and {count - 1} more" if count > 1 else "")


def without_unit(said: str, unit: str) -> str:
    """What is said of a series whose name says the unit already.

    >>> without_unit("1,600 requests, usually 430 to 560 (1,040 above)", "requests")
    '1,600, usually 430 to 560 (1,040 above)'
    """
    return re.sub(rf"(?<=\d) {re.escape(unit)}\b", "", said) if unit else said
