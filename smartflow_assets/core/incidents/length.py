"""How long an incident lasted: one answer for messages, lists, pages and reports.

What is wrong in a series is over with its last anomalous bucket; the calm by which that was known is no part of it. What has no
buckets, such as a step, a check, a load or a silence, lasts until it is resolved, and so does a group of which one is such.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from smartflow_assets.core.incidents.event_log import GROUP, OF_SERIES


def lasted_until(causes: Iterable[str | None], opened_at: datetime, last_seen_at: datetime | None, resolved_at: datetime) -> datetime:
    """When a resolved incident was last there. `causes` are its own and those of its members, `last_seen_at` is the end of the last
    anomalous bucket of all of them.

    >>> first, last, calm = (datetime(2026, 11, day) for day in (11, 12, 13))
    >>> lasted_until(["anomaly"], first, last, calm).day, lasted_until(["freshness", "anomaly"], first, last, calm).day
    (12, 13)
    """
    own = {*causes} - {GROUP, None}
    is_of_series = bool(own) and own <= {*OF_SERIES}
    if not is_of_series or last_seen_at is None or last_seen_at <= opened_at:  # a bucket has a length: older homes kept other moments
        return resolved_at
    return min(last_seen_at, resolved_at)


def last_there(incident: Mapping[str, Any]) -> datetime:
    """When an incident, or what is told with it, was last there. `incident`: its row, with what MEMBERS of `told_together` says of it."""
    seen = [moment for name in ("last_seen_at", "members_seen_at") if (moment := incident.get(name)) is not None]
    return max(seen, default=incident["opened_at"])


def end_of(incident: Mapping[str, Any]) -> datetime:
    """`lasted_until` of such a row, which is resolved."""
    members = incident.get("member_causes")
    causes = [incident["cause"], *(() if members is None else members)]
    return lasted_until(causes, incident["opened_at"], last_there(incident), incident["resolved_at"])
