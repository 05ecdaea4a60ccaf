"""Maintenance windows: times in which things are expected to break, once or again and again.

What begins in one is told only if it outlasts it; what is over by then was nothing but the maintenance. A window is of the time of the
data: rows of 02:30 that come at 04:00 belong to a window from 02:00 to 03:00. Whether and when that is told is planned in `alert_planning`.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, model_validator

from smartflow_assets.core.declared import Declared
from smartflow_assets.core.temporal.notation import Duration, format_duration
from smartflow_assets.core.temporal.schedule import Schedule, latest_slot
from smartflow_assets.core.temporal.time_zone import TimeZone

_MOMENTS, _APART = 600, timedelta(hours=29, minutes=11, seconds=13)  # over two years, at all hours and on all days of the week


def _checked_cron(text: str) -> str:
    if len(text.split()) != 5:
        raise ValueError(f"{text!r} is no cron line; write five fields, such as '0 2 * * sun'")
    return text


class MaintenanceWindow(Declared):
    """Once (`from`, `until`) or again and again (`cron`, `lasting`).

    >>> window = MaintenanceWindow.model_validate({"cron": "0 2 * * sun", "lasting": "2h", "timezone": "Europe/Berlin"})
    >>> window.end_of(datetime(2026, 3, 1, 1, 30, tzinfo=UTC))
    datetime.datetime(2026, 3, 1, 3, 0, tzinfo=datetime.timezone.utc)
    """

    from_: datetime | None = Field(default=None, alias="from", description="When it begins.", examples=["2026-12-01T22:00"])
    until: datetime | None = Field(default=None, description="When it is over.", examples=["2026-12-02T02:00"])
    cron: Annotated[Schedule, AfterValidator(_checked_cron)] | None = Field(
        default=None, description="When it begins each time, as a cron line.", examples=["0 2 * * sun"]
    )
    lasting: Duration | None = Field(
        default=None, gt=timedelta(0), le=timedelta(days=31), description="How long it lasts each time.", examples=["2h"]
    )
    timezone: TimeZone | None = Field(default=None, description="In which its times are read. Default: that of the source.")
    why: str = Field(
        default="", max_length=200, description="What is done then; it stands beside what nobody was told.", examples=["backup"]
    )

    @model_validator(mode="after")
    def _leaves_time(self) -> Self:
        """Nobody would ever be told of anything, and nothing would say so."""
        if self.cron is not None and self.lasting is not None and self.from_ is None and self.until is None and self._covers_all_time():
            raise ValueError(
                f"a maintenance window that begins by {self.cron!r} and lasts {format_duration(self.lasting)} is never over, so nobody "
                "would be told of anything; let it be shorter than the time until it begins again, or write `to: []` to tell nobody"
            )
        return self

    def _covers_all_time(self) -> bool:
        """Whether next to no moment of two years lies outside of it."""
        begin = datetime(2024, 1, 1, tzinfo=UTC)
        return all(self.end_of(begin + number * _APART) is not None for number in range(_MOMENTS))

    @model_validator(mode="after")
    def _is_once_or_again(self) -> Self:
        once, again = (self.from_, self.until), (self.cron, self.lasting)
        if (None in once and None in again) or (any(once) and any(again)):
            raise ValueError("a maintenance window needs from and until, or cron and lasting: {cron: '0 2 * * sun', lasting: 2h}")
        if self.from_ is not None and self.until is not None and self._first(self.from_) >= self._last(self.until):
            raise ValueError("a maintenance window begins (from) before it ends (until)")
        return self

    def end_of(self, at: datetime) -> datetime | None:
        """When the window is over in which a moment lies; None where it lies in none."""
        if self.from_ is not None and self.until is not None:
            is_in = self._first(self.from_) <= at < self._last(self.until)
            return self._last(self.until) if is_in else None
        assert self.cron is not None and self.lasting is not None
        begin = latest_slot(self.cron, "", at, self.timezone or "UTC")
        assert begin is not None
        return begin + self.lasting if at < begin + self.lasting else None

    def _first(self, given: datetime) -> datetime:
        return min(self._moments(given))

    def _last(self, given: datetime) -> datetime:
        return max(self._moments(given))

    def _moments(self, given: datetime) -> tuple[datetime, ...]:
        """A time without a zone is two moments where clocks are turned back, so that a window covers both."""
        if given.tzinfo:
            return (given.astimezone(UTC),)
        zone = ZoneInfo(self.timezone or "UTC")
        return tuple(given.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))


def window_of(windows: Sequence[MaintenanceWindow], at: datetime) -> tuple[MaintenanceWindow, datetime] | None:
    """The window in which a moment lies, of several the one that is over last, and when that is; None where it lies in none."""
    ends = [(end, -index) for index, window in enumerate(windows) if (end := window.end_of(at)) is not None]
    if not ends:
        return None
    end, index = max(ends)
    return windows[-index], end
