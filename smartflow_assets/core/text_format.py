"""Numbers, lengths of time and moments as people say them.

Rules, explanations, incidents and plots put numbers into sentences; they take the form from here, so that one value reads
the same in a violation, a mail and a plot.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from math import isfinite

_WHOLE = {timedelta(days=1): "day", timedelta(hours=1): "hour", timedelta(minutes=1): "minute"}


def number(value: float | None) -> str:
    """Three significant digits, never fewer than the integer part has, no trailing zeros; thousands are set apart.

    >>> number(1600.0), number(3.14159), number(0.000123456), number(-12345.6), number(2.5e12), number(float("nan"))
    ('1,600', '3.14', '0.000123', '-12,346', '2.5e+12', 'no value')
    """
    if value is None or not isfinite(value):
        return "no value" if value is None or value != value else "infinity" if value > 0 else "-infinity"
    if value == 0:
        return "0"
    if abs(value) >= 1e12 or abs(value) < 1e-6:
        return f"{value:.3g}"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    digits = 2 if abs(value) >= 1 else 8
    text = f"{value:.{digits}f}" if abs(value) >= 10 else f"{float(f'{value:.3g}'):.{digits}f}"
    return text.rstrip("0").rstrip(".")


def as_shown(value: float) -> float:
    """The value that `number` shows: what people reckon with when they check a difference.

    >>> as_shown(1600.4), as_shown(3.14159)
    (1600.0, 3.14)
    """
    return float(number(value).replace(",", "")) if isfinite(value) else value


def contributor(name: str) -> str:
    """A detector, or a column of one that judges several, as people read it.

    >>> contributor("range_excess"), contributor("mahalanobis:cpu_load")
    ('range excess', 'cpu_load in mahalanobis')
    """
    detector, _, column = name.partition(":")
    return f"{column} in {detector.replace('_', ' ')}" if column else detector.replace("_", " ")


def percent(ratio: float) -> str:
    """A change of a ratio, signed: 1.86 is `+186 %`.

    >>> percent(1.86), percent(-0.041), percent(0)
    ('+186 %', '-4 %', '0 %')
    """
    return f"{100 * ratio:+,.0f} %" if round(100 * ratio) else "0 %"


def last(window: timedelta) -> str:
    """A trailing window.

    >>> last(timedelta(days=1)), last(timedelta(minutes=90)), last(timedelta(days=7))
    ('the last day', 'the last 1 h 30 min', 'the last 7 days')
    """
    return f"the last {_WHOLE.get(window, lasting(window))}"


def each(length: timedelta) -> str:
    """How often something comes.

    >>> each(timedelta(hours=1)), each(timedelta(minutes=5))
    ('each hour', 'each 5 min')
    """
    return f"each {_WHOLE.get(length, lasting(length))}"


def lasting(length: timedelta) -> str:
    """A length of time as two units at most.

    >>> lasting(timedelta(minutes=25)), lasting(timedelta(hours=2, minutes=5)), lasting(timedelta(days=3, seconds=9))
    ('25 min', '2 h 5 min', '3 days')
    """
    left, parts = int(length.total_seconds()), list[str]()
    for unit, seconds in (("days", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, seconds)
        if count:
            parts.append("1 day" if (count, unit) == (1, "days") else f"{count} {unit}")
        elif parts:
            break
    return " ".join(parts[:2]) or "0 s"


def earlier(length: timedelta) -> str:
    """How long before, in the unit that people would say.

    >>> earlier(timedelta(days=22)), earlier(timedelta(days=1, hours=3)), earlier(timedelta(hours=5)), earlier(timedelta(minutes=40))
    ('3 weeks earlier', '1 day earlier', '5 hours earlier', '40 minutes earlier')
    """
    for unit, span, least in (("week", timedelta(days=7), 2), ("day", timedelta(days=1), 1), ("hour", timedelta(hours=1), 1)):
        if length >= least * span:
            count = length // span
            return f"{count} {unit}{'s' if count != 1 else ''} earlier"
    return f"{max(1, length // timedelta(minutes=1))} minutes earlier"


def names(these: Sequence[str], noun: str) -> str:
    """Names as they are said together; more than three are counted.

    >>> names(["a"], "source"), names(["a", "b", "c"], "source"), names(["a", "b", "c", "d"], "source"), names([], "source")
    ('a', 'a, b and c', '4 sources', '')
    """
    if len(these) > 3:
        return f"{len(these):,} {noun}s"
    return " and ".join(filter(None, (", ".join(these[:-1]), *these[-1:])))


def day(local: datetime) -> str:
    """A date as it is said.

    >>> day(datetime(2026, 3, 3))
    'Tue 3 Mar'
    """
    return f"{local:%a} {local.day} {local:%b}"


def clock(local: datetime, step: timedelta) -> str:
    """The time of the day, with seconds where buckets are that short.

    >>> clock(datetime(2026, 3, 3, 14, 5), timedelta(minutes=5)), clock(datetime(2026, 3, 3, 14, 5), timedelta(seconds=10))
    ('14:05', '14:05:00')
    """
    return f"{local:%H:%M:%S}" if step < timedelta(minutes=1) else f"{local:%H:%M}"


def zone(local: datetime) -> str:
    """The abbreviation of the zone; zones without one are named by their distance from UTC.

    >>> from zoneinfo import ZoneInfo
    >>> zone(datetime(2026, 3, 3, tzinfo=ZoneInfo("Europe/Berlin"))), zone(datetime(2026, 3, 3, tzinfo=ZoneInfo("America/Sao_Paulo")))
    ('CET', 'UTC-03')
    """
    name = f"{local:%Z}"
    return f"UTC{name}" if name.startswith(("+", "-")) else name
