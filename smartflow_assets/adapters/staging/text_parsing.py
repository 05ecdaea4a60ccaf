"""SQL that reads text as times, numbers and other types, and yields null where the text is none.

Only expressions over one column of text, here called `c`; `stage` decides which column is what and
what becomes of a null. The session's time zone must be that of the time column.
"""

import re
from collections.abc import Sequence

from smartflow_assets.adapters.scans.delimited import with_point
from smartflow_assets.adapters.sql_quoting import quoted_text
from smartflow_assets.adapters.staging.contract import UTC_NAMES, TimeReading

LARGEST = 1e150  # the square of a larger number is no number any more: nothing can be computed from it
FIRST_YEAR, END_YEAR = 1900, 2200  # a time outside is a placeholder such as 0001-01-01, and would make millions of buckets
_NAMES_OFFSET = "'([Tt ][0-9]{1,2}|:).*([Zz]|[+-][0-9:]+|[A-Za-z]{3,})$'"
_NO_SECONDS = "'^([^:]*:[0-9]{2})(\\s*[Zz+-])'"
_CLOCK = re.compile("%-?[HIMSTXcfpsRr]")  # a format with one of these has a time of day


def moment(c: str, time: TimeReading) -> str:
    """The text as TIMESTAMPTZ, within the years that are believed, by the first format that fits."""
    return _first([_moment(f"trim({c})", each) for each in time.formats])


def is_local(c: str, time: TimeReading) -> str:
    """True for a time that names no offset, so that the zone says which moment it is. Where `moment` is null it means nothing."""
    text = f"trim({c})"
    return _of_its_format(text, time, [_is_local(text, each) for each in time.formats])


def is_day(c: str, time: TimeReading) -> str:
    """True for a date without a time of day."""
    text = f"trim({c})"
    return _of_its_format(text, time, [_is_day(text, each) for each in time.formats])


def wall_clock(c: str, time: TimeReading) -> str | None:
    """The time as the clock on the wall showed it, as TIMESTAMP; null where the text names an offset itself. None for a zone
    whose clock is never set, or formats in which every time is unmistakable."""
    text = f"trim({c})"
    if time.zone in UTC_NAMES or all(_is_local(text, each) == "FALSE" for each in time.formats):
        return None
    return _of_its_format(text, time, [_wall_clock(text, each) for each in time.formats])


def _moment(text: str, form: str) -> str:
    if form in ("unix", "unix_ms"):
        microseconds = f"TRY_CAST({text} AS DOUBLE) * {1_000_000 if form == 'unix' else 1_000}"
        at = f"CASE WHEN abs({microseconds}) < 1e16 THEN timezone('UTC', make_timestamp(CAST(round({microseconds}) AS BIGINT))) END"
    elif form == "iso":
        with_seconds = f"regexp_replace({text}, {_NO_SECONDS}, '\\1:00\\2')"  # DuckDB 1.5 wants them before an offset; 2.0 does not
        at = f"coalesce(TRY_CAST({text} AS TIMESTAMPTZ), TRY_CAST({with_seconds} AS TIMESTAMPTZ))"
    else:
        at = f"CAST(TRY_STRPTIME({text}, {quoted_text(form)}) AS TIMESTAMPTZ)"
    first, end = (f"TIMESTAMPTZ '{year}-01-01 00:00:00+00'" for year in (FIRST_YEAR, END_YEAR))
    return f"CASE WHEN {at} >= {first} AND {at} < {end} THEN {at} END"


def _is_local(text: str, form: str) -> str:
    if form == "iso":
        return f"NOT regexp_matches({text}, {_NAMES_OFFSET})"
    return "FALSE" if form in ("unix", "unix_ms") or "%z" in form or "%Z" in form else "TRUE"


def _is_day(text: str, form: str) -> str:
    if form == "iso":
        return f"NOT regexp_matches({text}, '[:Tt ]')"
    return "FALSE" if form in ("unix", "unix_ms") or _CLOCK.search(form) else "TRUE"


def _wall_clock(text: str, form: str) -> str:
    if _is_local(text, form) == "FALSE":
        return "CAST(NULL AS TIMESTAMP)"
    if form == "iso":
        return f"CASE WHEN {_is_local(text, form)} THEN TRY_CAST({text} AS TIMESTAMP) END"
    return f"CAST(TRY_STRPTIME({text}, {quoted_text(form)}) AS TIMESTAMP)"


def _of_its_format(text: str, time: TimeReading, values: Sequence[str]) -> str:
    """What holds for the format that reads the text."""
    if len(set(values)) == 1:
        return values[0]
    cases = (f"WHEN {_moment(text, form)} IS NOT NULL THEN {value}" for form, value in zip(time.formats, values, strict=True))
    return f"CASE {' '.join(cases)} END"


def _first(values: Sequence[str]) -> str:
    return values[0] if len(values) == 1 else f"coalesce({', '.join(values)})"


def joined(date: str, clock: str) -> str:
    """A date and a time of day from two columns as one text; null when one of them is empty. Excel has no dates without a time and no
    times without a date: what it adds, midnight and the days around 1900, is left out."""
    day = f"regexp_replace(trim({date}), '[ T]00:00(:00([.]0+)?)?$', '')"
    return f"{day} || ' ' || regexp_replace(trim({clock}), '^(1899-12-3[01]|1900-01-0[01])[ T]', '')"


def number(c: str, decimal: str) -> str:
    """The text as a finite DOUBLE; `inf`, `NaN` and anything beyond 1e150 are no numbers."""
    value = f"TRY_CAST({with_point(c, decimal)} AS DOUBLE)"
    return f"CASE WHEN abs({value}) <= {LARGEST} THEN {value} END"


def type_tests(c: str, decimal: str) -> dict[str, str]:
    """For each type that an undeclared column may have, narrowest first, the SQL that is true where a value fits."""
    return {
        "BOOLEAN": f"lower({c}) IN ('true', 'false')",
        "BIGINT": f"regexp_full_match({c}, '-?(0|[1-9][0-9]{{0,17}})')",
        "DOUBLE": f"({number(c, decimal)}) IS NOT NULL",
        "DATE": f"TRY_STRPTIME({c}, '%Y-%m-%d') IS NOT NULL",
        "TIMESTAMPTZ": f"contains({c}, ':') AND TRY_CAST(trim({c}) AS TIMESTAMPTZ) IS NOT NULL",
    }


def is_code(c: str) -> str:
    """True for 00123 and for 19 digits and more, which would not be the same any more as numbers."""
    return f"regexp_full_match({c}, '0[0-9]+|[0-9]{{19,}}')"


def expected_time(time: TimeReading) -> str:
    """How a time should look, in words."""
    names = {"iso": "a time such as 2026-03-01 09:35", "unix": "seconds since 1970", "unix_ms": "milliseconds since 1970"}
    return " or ".join(names.get(each, f"the format {each}") for each in time.formats)
