"""Why an interval of rows is an anomaly, in one line that an analyst can read.

    1,600 requests, usually 430 to 560 (1,040 above). Tue 09:35 UTC; highest in 28 days. Rule promo_surge: 1,600 is 3.2 x the median
    500 of the last day; limit 2.5. Last similar incident 3 weeks earlier, lasted 25 min. Found by: seasonal 48 %, range excess 31 %.

First the headline, which is the title of an incident too; then what an owner asks: when, for how long, which rule, whose rows, when
before; at the end the shares of the detectors, for engineers. `explain` writes it, `read` takes it apart again. The words of the
headline are in `headline`, the numbers are found by `grouping`; times are those of the source's own zone.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from smartflow_assets.core.text_format import clock, contributor, day, earlier, lasting, zone

_MOST_RULES = 2
_MOST_CONTRIBUTORS = 3
_SMALLEST_SHARE = 0.05
_AGAIN, _FOUND_BY = "Last similar incident ", "Found by: "
_AFTER_SLICES = re.compile(f"(?={_AGAIN}|{_FOUND_BY})")
_DAY = timedelta(days=1)


class Explanation(NamedTuple):
    """The parts of an explanation; `details` and `found_by` may be empty."""

    headline: str
    details: str
    found_by: str


def read(text: str) -> Explanation:
    """An explanation in its parts.

    >>> read("5 orders, usually 52 to 68 (47 below). Tue 10:00 UTC. Found by: seasonal 60 %, iqr 40 %.")
    Explanation(headline='5 orders, usually 52 to 68 (47 below)', details='Tue 10:00 UTC.', found_by='seasonal 60 %, iqr 40 %')
    """
    headline, _, rest = text.partition(". ")
    details, _, found_by = rest.rpartition(_FOUND_BY) if _FOUND_BY in rest else (rest, "", "")
    return Explanation(headline.removesuffix("."), details.strip(), found_by.removesuffix("."))


def with_slices(text: str, sentence: str) -> str:
    """An explanation that also says whose rows it was, before it speaks of earlier incidents and of detectors.

    >>> with_slices("5 orders. Tue 10:00 UTC. Found by: seasonal 60 %.", "Of the change, 75 % came from region=EU")
    '5 orders. Tue 10:00 UTC. Of the change, 75 % came from region=EU. Found by: seasonal 60 %.'
    """
    if not sentence:
        return text
    before, *after = _AFTER_SLICES.split(text, maxsplit=1)
    return _sentences([before.rstrip(), sentence, *after])


def when(started_at: datetime, ended_at: datetime, step: timedelta, timezone: str) -> str:
    """The interval in local time with its zone: `Tue 09:35 CET`, or `Tue 23:50 to Wed 00:10 CET` when it lasted longer than a
    bucket, with dates where a weekday no longer says which. Buckets of a day or more are named by their date alone."""
    start, end = (moment.astimezone(ZoneInfo(timezone)) for moment in (started_at, ended_at))
    if step >= _DAY:
        last = end - timedelta(hours=12)  # the end is the next midnight, give or take a clock change
        return day(start) + (f" to {day(last)}" if last.date() > start.date() else "")
    if ended_at - started_at <= step:
        return f"{start:%a} {clock(start, step)} {zone(start)}"
    is_long = ended_at - started_at >= timedelta(days=6)
    first, last = ((f"{day(local) if is_long else f'{local:%a}'} {clock(local, step)}") for local in (start, end))
    last = clock(end, step) if end.date() == start.date() else last
    return f"{first}{'' if zone(start) == zone(end) else f' {zone(start)}'} to {last} {zone(end)}"


def explain(
    headline: str,
    *,
    started_at: datetime,
    ended_at: datetime,
    worst_at: datetime | None,
    point_count: int,
    record: str,
    rules: Mapping[str, str],
    contributions: Mapping[str, float],
    step: timedelta,
    timezone: str,
    note: str = "",
    similar: tuple[timedelta, timedelta] | None = None,
    special_day: str = "",
) -> str:
    """One line for one anomaly.

    `worst_at` is when the value of the headline was seen, None where that says nothing; `record` says what the value is the highest of,
    or is empty; `rules` are rule names with their message; `contributions` are shares (0 to 1) of the surprise by detector; `note` is
    what is said of the strangest of several records, in place of them; `similar` is how long before the last similar incident began,
    and how long it lasted; `special_day` is the holiday or event on which the worst was, or is empty.
    """
    moment = when(started_at, ended_at, step, timezone) + (f", {point_count} buckets" if point_count > 1 else "")
    if point_count > 1 and worst_at is not None and worst_at != started_at:
        moment += f", the worst{_at(worst_at, started_at, step, timezone)}"
    moment += f", on {special_day}" if special_day else ""
    parts = [headline.replace(". ", ".\N{NO-BREAK SPACE}"), moment + (f"; {record}" if record else "")]  # what `read` splits at
    parts += [f"Rule {name}: {message}" for name, message in list(rules.items())[:_MOST_RULES]]
    if len(rules) > _MOST_RULES:
        parts.append(f"Also {', '.join(list(rules)[_MOST_RULES:])}")
    if similar:
        parts.append(f"{_AGAIN}{earlier(similar[0])}, lasted {lasting(similar[1])}")
    if note:
        return _sentences([*parts, f"The strangest: {note}"])
    shares = [(contributor(name), share) for name, share in contributions.items() if share >= _SMALLEST_SHARE]
    if shares:
        parts.append(_FOUND_BY + ", ".join(f"{name} {100 * share:.0f} %" for name, share in shares[:_MOST_CONTRIBUTORS]))
    return _sentences(parts)


def _at(moment: datetime, started_at: datetime, step: timedelta, timezone: str) -> str:
    """A moment of an interval whose beginning has been told: ` at 09:35`, ` on Tue 3 Mar at 09:35`, ` on Tue 3 Mar`."""
    local, first = (each.astimezone(ZoneInfo(timezone)) for each in (moment, started_at))
    on = f" on {day(local)}" if local.date() != first.date() else ""
    return on if step >= _DAY else f"{on} at {clock(local, step)}"


def _sentences(parts: Iterable[str]) -> str:
    return " ".join(part if part.endswith((".", "!", "?")) else part + "." for part in parts)
