"""The causes that incidents may have, as far as they have fixed names: what a route may ask for.

`event_log.Cause` and `watched.Kind` name most of them; the rest are the steps that may fail, which `defs` makes: a test holds the two
together.
"""

from typing import get_args

from smartflow_assets.core.incidents.event_log import DELIVERY, Cause
from smartflow_assets.core.incidents.watched import DAEMON, Kind
from smartflow_assets.core.nearest_name import nearest_name

STEPS = (
    "raw_records",
    "schema_checks",
    "drift_checks",
    "data_profile",
    "clean_series",
    "series_features",
    "rule_violations",
    "trained_models",
    "anomaly_scores",
    "record_anomalies",
    "anomalies",
    "detection_quality",
    "incidents",
    "alert_sends",
    "analyst_snapshot",
    "anomaly_exports",
)
"""The steps whose failure is an incident of their name."""
NAMES = (*get_args(Cause), DAEMON)
"""Causes that stand alone, but for the steps."""
KINDS = tuple(f"{kind}:" for kind in ("check", "load", DELIVERY, "remediation", *get_args(Kind)) if kind != DAEMON)
"""How causes begin that name something, such as `check:rows_arrive_in_time`."""


def checked_cause(pattern: str) -> str:
    """The pattern of a route, where some cause may fit it; ValueError that names the nearest, or all, otherwise.

    >>> checked_cause("check:*"), checked_cause("*")
    ('check:*', '*')
    >>> checked_cause("freshnes")
    Traceback (most recent call last):
    ValueError: there is no cause 'freshnes'; did you mean freshness?
    """
    known = (*NAMES, *STEPS)
    begin = next((pattern[:at] for at, sign in enumerate(pattern) if sign in "*?["), None)
    if begin is None:
        is_known = pattern in known or any(pattern.startswith(kind) for kind in KINDS)
    else:
        is_known = any(name.startswith(begin) for name in (*known, *KINDS)) or any(begin.startswith(kind) for kind in KINDS)
    if is_known:
        return pattern
    word, colon, _ = pattern.partition(":")
    near = nearest_name(f"{word}:", KINDS) if colon else nearest_name(pattern, known)
    kinds = ", ".join(f"{kind}…" for kind in dict.fromkeys(KINDS))
    every = f"known are {', '.join(NAMES)}, {kinds}, and the steps that may fail: {', '.join(STEPS)}"
    raise ValueError(f"there is no cause {pattern!r}; " + (f"did you mean {near}{'…' if colon else ''}?" if near else every))
