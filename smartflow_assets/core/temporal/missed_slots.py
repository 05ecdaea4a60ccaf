"""When a cron line should have ticked again, also where nobody says in which time zone it is read.

Of a schedule in another code location Dagster's history has the cron lines and the times of its ticks, and not its zone. But a tick lies on
a slot, so the zones in which it does are those that may be meant: the latest of their next slots is one that no zone excuses. Of a moment
that is no slot in any zone all may be meant.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from zoneinfo import ZoneInfo

_OFFSETS = tuple(timezone(timedelta(minutes=15 * step)) for step in range(-4 * 12, 4 * 14 + 1))  # of all zones there are
_OF_DAYS, _DAYLIGHT_SAVING = timedelta(hours=20), timedelta(hours=1)


def next_slot(cron: str | Sequence[str], after: datetime, zone: str | None) -> datetime | None:
    """The first slot later than `after`, by several cron lines the first of all; None where there is no such day. Where the
    zone is not known: the latest that it may be.

    >>> next_slot("0 6 * * *", datetime(2026, 3, 1, 6, tzinfo=UTC), "UTC").isoformat()
    '2026-03-02T06:00:00+00:00'
    >>> next_slot("0 9 * * 1-5", datetime(2026, 3, 6, 14, tzinfo=UTC), None).isoformat()  # a Friday in New York
    '2026-03-09T15:00:00+00:00'
    """
    return _next((cron,) if isinstance(cron, str) else tuple(cron), after.astimezone(UTC), zone)


@lru_cache(maxsize=4096)
def _next(crons: tuple[str, ...], after: datetime, zone: str | None) -> datetime | None:
    from croniter import croniter

    if zone is not None:
        return _first(crons, after.astimezone(ZoneInfo(zone)))
    meant = [offset for offset in _OFFSETS if any(croniter.match(cron, after.astimezone(offset)) for cron in crons)]
    found = [slot for offset in meant or _OFFSETS if (slot := _first(crons, after.astimezone(offset))) is not None]
    latest = max(found, default=None)
    return latest and latest + (_DAYLIGHT_SAVING if latest - after > _OF_DAYS else timedelta(0))


def _first(crons: Sequence[str], after: datetime) -> datetime | None:
    from croniter import croniter
    from croniter.croniter import CroniterBadDateError

    try:
        return min(croniter(cron, after).get_next(datetime).astimezone(UTC) for cron in crons)
    except CroniterBadDateError:
        return None
