"""Numbers and lengths of time as people say them.

Rules, explanations, incidents and plots put numbers into sentences; they take the form from here, so that one value reads
the same in a violation, a mail and a plot.
"""
from datetime import timedelta
from math import isfinite

from smartflow_assets.core.durations import format_duration


def number(value: float | None) -> str:
    """Three significant digits, never fewer than the integer part has, no trailing zeros.

    >>> number(1600.0), number(3.14159), number(0.000123456), number(-12345.6), number(2.5e12), number(float("nan"))
    ('1600', '3.14', '0.000123', '-12346', '2.5e+12', 'no value')
    """
    if value is None or not isfinite(value):
        return "no value" if value is None or value != value else "infinity" if value > 0 else "-infinity"
    if value == 0:
        return "0"
    if abs(value) >= 1e12 or abs(value) < 1e-6:
        return f"{value:.3g}"
    if abs(value) >= 100:
        return f"{value:.0f}"
    digits = 2 if abs(value) >= 1 else 8
    text = f"{value:.{digits}f}" if abs(value) >= 10 else f"{float(f'{value:.3g}'):.{digits}f}"
    return text.rstrip("0").rstrip(".")


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
    return f"{100 * ratio:+.0f} %" if round(100 * ratio) else "0 %"


def last(window: timedelta) -> str:
    """A trailing window.

    >>> last(timedelta(days=1)), last(timedelta(hours=1)), last(timedelta(days=7))
    ('the last day', 'the last hour', 'the last 7 days')
    """
    single = {timedelta(days=1): "day", timedelta(hours=1): "hour", timedelta(minutes=1): "minute", timedelta(days=7): "7 days"}
    return f"the last {single.get(window, format_duration(window))}"
