"""SQL that reads text as times, numbers and other types, and yields null where the text is none.

Only expressions over one column of text, here called `c`; `stage` decides which column is what and
what becomes of a null. The session's time zone must be that of the time column.
"""

from smartflow_assets.adapters.sql_quoting import quoted_text
from smartflow_assets.adapters.staging.contract import TimeColumn

LARGEST = 1e150  # the square of a larger number is no number any more: nothing can be computed from it
FIRST_YEAR, END_YEAR = 1900, 2200  # a time outside is a placeholder such as 0001-01-01, and would make millions of buckets
_NO_CLOCK = ("UTC", "Etc/UTC", "GMT")
_NAMES_OFFSET = "':.*([Zz]|[+-][0-9:]+|[A-Za-z]{3,})$'"
_NO_SECONDS = "'^([^:]*:[0-9]{2})(\\s*[Zz+-])'"
_GROUPED = "'[-+]?[0-9]{1,3}([.][0-9]{3})+(,[0-9]+)?'"


def moment(c: str, time: TimeColumn) -> str:
    """The text as TIMESTAMPTZ, within the years that are believed."""
    text = f"trim({c})"
    if time.format in ("unix", "unix_ms"):
        microseconds = f"TRY_CAST({text} AS DOUBLE) * {1_000_000 if time.format == 'unix' else 1_000}"
        at = f"CASE WHEN abs({microseconds}) < 1e16 THEN timezone('UTC', make_timestamp(CAST(round({microseconds}) AS BIGINT))) END"
    elif time.format == "iso":
        with_seconds = f"regexp_replace({text}, {_NO_SECONDS}, '\\1:00\\2')"  # DuckDB 1.5 wants them before an offset; 2.0 does not
        at = f"coalesce(TRY_CAST({text} AS TIMESTAMPTZ), TRY_CAST({with_seconds} AS TIMESTAMPTZ))"
    else:
        at = f"CAST(TRY_STRPTIME({text}, {quoted_text(time.format)}) AS TIMESTAMPTZ)"
    first, end = (f"TIMESTAMPTZ '{year}-01-01 00:00:00+00'" for year in (FIRST_YEAR, END_YEAR))
    return f"CASE WHEN {at} >= {first} AND {at} < {end} THEN {at} END"


def wall_clock(c: str, time: TimeColumn) -> str | None:
    """The time as the clock on the wall showed it, as TIMESTAMP; null where the text names an offset itself. None for a zone
    whose clock is never set, or a format in which every time is unmistakable."""
    text = f"trim({c})"
    if time.timezone in _NO_CLOCK or time.format in ("unix", "unix_ms") or "%z" in time.format or "%Z" in time.format:
        return None
    if time.format != "iso":
        return f"CAST(TRY_STRPTIME({text}, {quoted_text(time.format)}) AS TIMESTAMP)"
    return f"CASE WHEN NOT regexp_matches({text}, {_NAMES_OFFSET}) THEN TRY_CAST({text} AS TIMESTAMP) END"


def number(c: str, decimal: str) -> str:
    """The text as a finite DOUBLE; `inf`, `NaN` and anything beyond 1e150 are no numbers."""
    text = c
    if decimal == ",":
        is_plain = f"NOT contains({c}, '.') OR regexp_full_match(trim({c}), {_GROUPED})"
        text = f"CASE WHEN {is_plain} THEN replace(replace({c}, '.', ''), ',', '.') END"
    value = f"TRY_CAST({text} AS DOUBLE)"
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


def expected_time(time: TimeColumn) -> str:
    """How a time should look, in words."""
    names = {"iso": "a time such as 2026-03-01 09:35", "unix": "seconds since 1970", "unix_ms": "milliseconds since 1970"}
    return names.get(time.format, f"the format {time.format}")
