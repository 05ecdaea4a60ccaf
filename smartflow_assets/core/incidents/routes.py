"""Who hears of what: the routes of `alerts:`, tried in their order.

A route says what it is for and to which channels that goes. The first that fits decides, and with `go_on: true` those after it
are tried as well; where none fits, it is `alerts.to`. What a route says of the source is settled once, when its YAML is read (`of_source`);
what is left depends on the incident and on the hour at which people are told.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, time
from fnmatch import fnmatchcase
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from smartflow_assets.core.declared import Declared
from smartflow_assets.core.incidents.known_causes import checked_cause
from smartflow_assets.core.severity import Severity
from smartflow_assets.core.temporal.time_zone import TimeZone

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOURS = re.compile(r"\s*(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})\s*")


def _as_many(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _checked_hours(text: str) -> str:
    read_hours(text)
    return text


def _checked_days(text: str) -> str:
    read_days(text)
    return text


def _not_none(given: Any) -> Any:
    if given in ((), [], {}):
        raise ValueError("an empty list is for nothing; name what the route is for, or leave the key out")
    return given


def _checked_causes(patterns: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(checked_cause(pattern) for pattern in patterns)


Words = Annotated[tuple[str, ...], BeforeValidator(_as_many)]
"""One text or a list of them."""
Named = Annotated[Words, BeforeValidator(_not_none)]
"""Likewise, at least one."""
Hours = Annotated[str, AfterValidator(_checked_hours)]
Days = Annotated[str, AfterValidator(_checked_days)]


def read_hours(text: str) -> tuple[time, time]:
    """`"22:00-06:00"`: from when until when, over midnight where the first is the later; ValueError for anything else.

    >>> read_hours("08:00-18:30")
    (datetime.time(8, 0), datetime.time(18, 30))
    """
    found = _HOURS.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no time of day; write from when until when, such as 08:00-18:00 or 22:00-06:00")
    from_hour, from_minute, to_hour, to_minute = (int(part) for part in found.groups())
    try:
        begin, end = time(from_hour, from_minute), time(0 if (to_hour, to_minute) == (24, 0) else to_hour, to_minute)
    except ValueError:
        raise ValueError(f"{text!r} has an hour that no day has") from None
    if begin == end:
        raise ValueError(f"{text!r} begins when it ends; leave hours out to mean the whole day")
    return begin, end


def read_days(text: str) -> frozenset[int]:
    """`"mon-fri"` or `"sat, sun"`: the days of the week, Monday is 0; ValueError for anything else.

    >>> sorted(read_days("fri-mon"))
    [0, 4, 5, 6]
    """
    days = set[int]()
    for part in text.lower().split(","):
        ends = [end.strip() for end in part.split("-")]
        if not all(end in DAYS for end in ends) or len(ends) > 2:
            raise ValueError(f"{text!r} is no list of days; write {', '.join(DAYS)}, alone, with commas or as mon-fri")
        first, last = DAYS.index(ends[0]), DAYS.index(ends[-1])
        days |= {day % 7 for day in range(first, last + 1 + 7 * (last < first))}
    return frozenset(days)


class Route(Declared):
    """What it is for, every key that is given, and to whom that goes.

    >>> Route(severity="critical", hours="22:00-06:00", to="pager").to
    ('pager',)
    """

    severity: Annotated[tuple[Severity, ...], BeforeValidator(_as_many), BeforeValidator(_not_none)] = Field(
        default=(), description="Only these severities.", examples=["critical", ["warning", "critical"]]
    )
    cause: Annotated[Named, AfterValidator(_checked_causes)] = Field(
        default=(),
        description="Only incidents of these causes (anomaly, volume, profile, freshness, readability, removal, run, `check:<name>`, "
        "`load:<id>`, `delivery:<channel>`, `remediation:<action>`, or a step that failed); * stands for anything.",
        examples=["freshness", ["check:*", "load:*"]],
    )
    series: Named = Field(default=(), description="Only these series; * stands for anything.", examples=["revenue*"])
    source: Named = Field(default=(), description="Only these sources; * stands for anything. For data/defaults.yaml.", examples=["shop_*"])
    tags: Annotated[dict[str, str], BeforeValidator(_not_none)] = Field(
        default_factory=dict, description="Only sources with all of these tags.", examples=[{"tier": "critical"}]
    )
    owner: Named = Field(default=(), description="Only sources of these owners; * stands for anything.", examples=["team:web"])
    hours: Hours | None = Field(
        default=None, description="Only when people are told at this time of day.", examples=["08:00-18:00", "22:00-06:00"]
    )
    days: Days | None = Field(default=None, description="Only when people are told on these days.", examples=["mon-fri", "sat, sun"])
    timezone: TimeZone | None = Field(default=None, description="In which hours and days are read. Default: that of the source.")
    to: Words = Field(description="Names of channels of data/channels.yaml; [] for nobody.")
    go_on: bool = Field(default=False, description="Whether the routes after it are tried as well.")

    @model_validator(mode="after")
    def _is_for_something(self) -> Self:
        known = self.model_fields_set - {"to", "go_on", "timezone"}
        if not known:
            raise ValueError(
                "a route needs what it is for (severity, cause, series, source, tags, owner, hours or days); all else is alerts.to"
            )
        return self

    def of_source(self, name: str, tags: Mapping[str, str], owner: str | None, timezone: str) -> "Route | None":
        """What is left of it for one source; None where it is not for that."""
        is_for = (
            (not self.source or _is_any(name, self.source))
            and all(tags.get(key) == value for key, value in self.tags.items())
            and (not self.owner or (owner is not None and _is_any(owner, self.owner)))
        )
        return self.model_copy(update={"timezone": self.timezone or timezone}) if is_for else None

    def fits(self, severity: Severity, cause: str, series: str, at: datetime) -> bool:
        """Whether it is for such an incident, told at such a moment."""
        return (
            (not self.severity or severity in self.severity)
            and (not self.cause or _is_any(cause, self.cause))
            and (not self.series or _is_any(series, self.series))
            and self._is_at(at.astimezone(ZoneInfo(self.timezone or "UTC")))
        )

    def _is_at(self, local: datetime) -> bool:
        """Whether it is for this moment. Hours over midnight belong to the day on which they begin."""
        day = local.weekday()
        if self.hours is not None:
            begin, end = read_hours(self.hours)
            moment = local.time()
            is_over_midnight = end <= begin
            if not (begin <= moment or moment < end if is_over_midnight else begin <= moment < end):
                return False
            day = (day - 1) % 7 if is_over_midnight and moment < end else day
        return self.days is None or day in read_days(self.days)


def channels_of(
    routes: Sequence[Route], otherwise: Sequence[str], severity: Severity, cause: str, series: str, at: datetime
) -> tuple[str, ...]:
    """The channels that hear of such an incident at such a moment, each once.

    >>> routes = [Route(cause="freshness", to="data"), Route(severity="critical", to="pager")]
    >>> [channels_of(routes, ["mail"], "critical", cause, "", datetime(2026, 3, 1)) for cause in ("freshness", "anomaly")]
    [('data',), ('pager',)]
    """
    found, is_any = list[str](), False
    for route in routes:
        if route.fits(severity, cause, series, at):
            found, is_any = [*found, *route.to], True
            if not route.go_on:
                break
    return tuple(dict.fromkeys(found if is_any else otherwise))


def _is_any(text: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(text, pattern) for pattern in patterns)
