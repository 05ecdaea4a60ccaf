"""Why an interval of rows is an anomaly, in one line that an analyst can read.

    Tue 09:35: 1600 requests, expected 430 to 560 (+223 %); highest in 28 days. Rule promo_surge: 1600 is 3.2 x the median
    500 of the last day; limit 2.5. Surprise: seasonal 48 %, range excess 31 %.

Only the words are made here, from numbers that `grouping` has found; times are those of the source's own zone.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from smartflow_assets.core.temporal.notation import format_duration
from smartflow_assets.core.text_format import contributor, earlier, lasting, number, percent

_MOST_RULES = 2
_MOST_CONTRIBUTORS = 3
_SMALLEST_SHARE = 0.05


def headline(value: float, expected: float, lower: float, upper: float, unit: str = "") -> str:
    """The value beside what was expected; NaN where a number is not known.

    >>> headline(1600, 495, 430, 560, "requests"), headline(float("nan"), 495, 430, 560), headline(9, *[float("nan")] * 3)
    ('1600 requests, expected 430 to 560 (+223 %)', 'no value, expected 430 to 560', '9')
    """
    text = number(value) + (f" {unit}" if unit and value == value else "")
    if lower == lower and upper == upper:
        text += f", expected {number(lower)} to {number(upper)}"
    elif expected == expected:
        text += f", expected {number(expected)}"
    return text + _deviation(value, expected)


def records_headline(count: float, contributions: Mapping[str, float]) -> str:
    """How many single records are strange, and the two columns that say most of it.

    >>> records_headline(3, {"records:amount": 0.7, "records:account": 0.2, "records:channel": 0.1})
    '3 strange records: amount, account'
    """
    columns = [name.partition(":")[2] for name in sorted(contributions, key=lambda name: -contributions[name])][:2]
    return f"{number(count)} strange record{'' if count == 1 else 's'}: {', '.join(columns)}"


def _deviation(value: float, expected: float) -> str:
    if value != value or expected != expected or expected == 0:
        return ""
    ratio = (value - expected) / abs(expected)
    return f" ({percent(ratio)})" if abs(ratio) < 10 else f" ({number(value / expected)} x)" if value / expected > 0 else ""


def when(started_at: datetime, ended_at: datetime, step: timedelta, timezone: str) -> str:
    """The interval in local time: `Tue 09:35`, or `Tue 23:50 to Wed 00:10` when it lasted longer than a bucket. The zone is
    named unless it is UTC; buckets of a day or more are named by their date."""
    zone = ZoneInfo(timezone)
    start, end = started_at.astimezone(zone), ended_at.astimezone(zone)
    if step >= timedelta(days=1):
        last = (end - timedelta(hours=12)).date()  # the end is the next midnight, give or take a clock change
        return f"{start:%a} {start.day} {start:%b}" + (f" to {last:%a} {last.day} {last:%b}" if last > start.date() else "")
    clock = "%H:%M:%S" if step < timedelta(minutes=1) else "%H:%M"
    text = f"{start:%a} {start.strftime(clock)}"
    if ended_at - started_at > step:
        text += f" to {end.strftime(clock)}" if end.date() == start.date() else f" to {end:%a} {end.strftime(clock)}"
        if ended_at - started_at >= timedelta(days=6):  # a weekday alone no longer says which
            text += f" ({format_duration(timedelta(hours=(ended_at - started_at) // timedelta(hours=1)))})"
    return text if timezone == "UTC" else f"{text} {start:%Z}"


def explain(
    *,
    started_at: datetime,
    ended_at: datetime,
    peak_at: datetime,
    point_count: int,
    value: float,
    expected: float,
    lower: float,
    upper: float,
    record: str,
    rules: Mapping[str, str],
    contributions: Mapping[str, float],
    unit: str,
    step: timedelta,
    timezone: str,
    note: str = "",
    similar: tuple[timedelta, timedelta] | None = None,
) -> str:
    """One line for one anomaly.

    `value` and the band are those of the peak, NaN where unknown; `record` says what the value is the highest of, or is
    empty; `rules` are rule names with their message; `contributions` are shares (0 to 1) of the surprise by detector; `note` is
    what is said of the strangest of several records, in place of them;
    `similar` is how long before the last similar incident began, and how long it lasted.
    """
    at_peak = ""
    if point_count > 1 and peak_at != started_at:
        at_peak = f" at {when(peak_at, peak_at + step, step, timezone)}"
    moment = when(started_at, ended_at, step, timezone) + (f", {point_count} points" if point_count > 1 else "")
    parts = [f"{moment}: {headline(value, expected, lower, upper, unit)}{at_peak}" + (f"; {record}" if record else "")]
    parts += [f"Rule {name}: {message}" for name, message in list(rules.items())[:_MOST_RULES]]
    if len(rules) > _MOST_RULES:
        parts.append(f"Also {', '.join(list(rules)[_MOST_RULES:])}")
    again = [f"Last similar incident {earlier(similar[0])}, lasted {lasting(similar[1])}"] if similar else []
    if note:
        return _sentences([*parts, f"The strangest: {note}", *again])
    shares = [(contributor(name), share) for name, share in contributions.items() if share >= _SMALLEST_SHARE]
    if shares:
        parts.append("Surprise: " + ", ".join(f"{name} {100 * share:.0f} %" for name, share in shares[:_MOST_CONTRIBUTORS]))
    return _sentences([*parts, *again])


def _sentences(parts: Iterable[str]) -> str:
    return " ".join(part if part.endswith((".", "!", "?")) else part + "." for part in parts)
