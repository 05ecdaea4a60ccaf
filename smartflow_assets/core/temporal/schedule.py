"""When a source is due: a duration, a cron line, or never by itself.

Slots are computed from the clock alone, so that nothing is stored and a missed tick is caught up: a source is due when its
newest slot is later than its last run. Slots of durations are shifted by a hash of the source's name, so that a thousand
sources of five minutes do not start in the same second.
"""

import hashlib
import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import AfterValidator

from smartflow_assets.core.temporal.notation import parse_duration

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MANUAL = "manual"
_RANDOM = re.compile(r"(^|[\s,])R(\(|/|\s|,|$)", re.IGNORECASE)  # an extension of croniter: another slot at each look


def _checked(text: str) -> str:
    from croniter import croniter

    if text == MANUAL:
        return text
    if len(text.split()) == 5 and croniter.is_valid(text) and not _RANDOM.search(text):
        if not _has_slots(text):
            raise ValueError(f"{text!r} names a day that no month has, so it never comes")
        return text
    try:
        every = parse_duration(text)
    except ValueError:
        raise ValueError(f"{text!r} is no schedule; write a duration such as 5min, a cron line such as '0 6 * * *', or manual") from None
    if every < timedelta(minutes=1):
        raise ValueError(f"{text!r} is too short; the shortest schedule is 1min")
    return text


def _has_slots(cron: str) -> bool:
    from croniter import croniter
    from croniter.croniter import CroniterBadDateError

    try:
        croniter(cron, EPOCH).get_next(datetime)
    except CroniterBadDateError:  # 31 April
        return False
    return True


Schedule = Annotated[str, AfterValidator(_checked)]


def latest_slot(schedule: str, name: str, now: datetime, timezone: str = "UTC") -> datetime | None:
    """The newest moment not after `now` at which a source of this name was due; None for `manual`. Cron lines are read in `timezone`.

    >>> latest_slot("1h", "web", datetime(2026, 3, 1, 9, 59, tzinfo=UTC)) <= datetime(2026, 3, 1, 9, 59, tzinfo=UTC)
    True
    """
    if schedule == MANUAL:
        return None
    if len(schedule.split()) == 5:
        from zoneinfo import ZoneInfo

        from croniter import croniter

        local = now.astimezone(ZoneInfo(timezone)) + timedelta(seconds=1)
        return croniter(schedule, local).get_prev(datetime).astimezone(UTC)
    every = parse_duration(schedule)
    shift = timedelta(seconds=int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) % int(every.total_seconds()))
    return EPOCH + shift + ((now - EPOCH - shift) // every) * every
