"""When people are told, and who: the `alerts:` block of a source.

Only the settings; `lifecycle` and `alert_planning` act by them. Everything is measured in the time of the data, except `max_age`, which
compares the data with the clock, and what says how often people are told (`suppress_for`, `remind_every`), which is of the clock alone.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, WithJsonSchema

from smartflow_assets.core.declared import Declared
from smartflow_assets.core.incidents.maintenance import MaintenanceWindow, window_of
from smartflow_assets.core.incidents.routes import Route, channels_of
from smartflow_assets.core.severity import RANK, Severity
from smartflow_assets.core.temporal.notation import Duration

NEVER = timedelta(0)
LONGEST_PATIENCE = timedelta(days=1)
"""So long at most does what comes and goes belong together."""
_OFF: tuple[Any, ...] = ("off", False, 0, "0")  # YAML 1.1 reads a bare `off` as false


def _or_never(value: Any) -> Any:
    return NEVER if not isinstance(value, timedelta) and value in _OFF else value


_OR_OFF = WithJsonSchema({"anyOf": [{"enum": ["off"]}, {"type": "string", "pattern": r"^\s*(\d+(\.\d+)?\s*[A-Za-z]+\s*)+$"}]})


class AlertPolicy(Declared):
    """Who is told of which incidents, and when an incident is over."""

    to: tuple[str, ...] = Field(
        default=(), description="Names of channels of data/channels.yaml; none: incidents are recorded, nobody is told."
    )
    min_severity: Severity = Field(default="warning", description="Incidents below this are recorded only.")
    resolve_after: Duration = Field(
        default=timedelta(minutes=15),
        description="An incident is over after so much calm in closed buckets, at least one bucket, with values inside the range that was "
        "usual before it; a gap is not calm.",
    )
    new_level_after: Duration = Field(
        default=timedelta(days=7),
        gt=timedelta(0),
        description="Values that stay outside of that range for so long, calm by their scores, are a new level: the incident ends with "
        "these words.",
    )
    reopen_within: Duration = Field(
        default=timedelta(hours=1),
        description="What comes back so soon after it was over is the same incident, and people hear that it is over no sooner than that "
        "after it began. Each time that it comes back both are twice as long, up to a day; 0s: at once.",
    )
    max_age: Duration = Field(
        default=timedelta(days=1), description="What ended longer ago than this when it is found is recorded, but nobody is told."
    )
    routes: tuple[Route, ...] = Field(
        default=(),
        description="Who else hears of what: the first route that fits an incident decides in the place of `to`.",
        examples=[[{"severity": "critical", "hours": "22:00-06:00", "to": "pager"}, {"tags": {"domain": "web"}, "to": "web_team"}]],
    )
    min_points: int = Field(
        default=1,
        ge=1,
        le=1000,
        description="People are told once an anomaly has so many buckets in a row; what is over before is recorded.",
    )
    suppress_for: Duration | None = Field(
        default=None,
        gt=timedelta(0),
        description="Whoever was told of a series hears of it again only after so long, or when it is worse, whatever it does in between.",
    )
    group_within: Annotated[Duration, BeforeValidator(_or_never), _OR_OFF] = Field(
        default=timedelta(minutes=10),
        description="What begins so near to what begins in other sources is told with it, in one message: in two sources that have a tag, "
        "a reference or an origin in common, or in three and more. off: this source is told by itself.",
        examples=["10min", "off"],
    )
    remind_every: Duration | None = Field(
        default=None,
        ge=timedelta(minutes=5),
        description="How often people are reminded of what is open and acknowledged by nobody. Default: never.",
    )
    maintenance: tuple[MaintenanceWindow, ...] = Field(
        default=(),
        description="Times in which things are expected to break: what begins in one is told only if it outlasts it.",
        examples=[[{"cron": "0 2 * * sun", "lasting": "2h", "why": "backup"}, {"from": "2026-12-01T22:00", "until": "2026-12-02T02:00"}]],
    )

    def patience(self, returns: int) -> timedelta:
        """How soon an incident that has come back so often must come again to be the same: `reopen_within`, and twice as long after each
        return, up to LONGEST_PATIENCE.

        >>> [str(AlertPolicy().patience(returns)) for returns in (0, 1, 2, 4, 5, 99)]
        ['1:00:00', '2:00:00', '4:00:00', '16:00:00', '1 day, 0:00:00', '1 day, 0:00:00']
        """
        return max(self.reopen_within, min(self.reopen_within * 2 ** min(returns, 30), LONGEST_PATIENCE))

    @property
    def longest_patience(self) -> timedelta:
        """What `patience` comes to in the end."""
        return max(self.reopen_within, LONGEST_PATIENCE) if self.reopen_within else NEVER

    def is_worth_telling(self, severity: Severity) -> bool:
        """Whether incidents of this severity send messages."""
        return RANK[severity] >= RANK[self.min_severity]

    def of_source(self, name: str, tags: Mapping[str, str], owner: str | None, timezone: str) -> Self:
        """The policy as it holds for one source: without routes that are for others, and with times in its zone."""
        routes = [route.of_source(name, tags, owner, timezone) for route in self.routes]
        windows = [window.model_copy(update={"timezone": window.timezone or timezone}) for window in self.maintenance]
        return self.model_copy(update={"routes": tuple(route for route in routes if route is not None), "maintenance": tuple(windows)})

    def channels(self, severity: Severity, cause: str, series: str, at: datetime) -> tuple[str, ...]:
        """The channels that hear of such an incident when it is told at a moment."""
        return channels_of(self.routes, self.to, severity, cause, series, at)

    def without(self, channel: str) -> Self:
        """The policy as if there were no such channel."""
        routes = [route.model_copy(update={"to": tuple(name for name in route.to if name != channel)}) for route in self.routes]
        return self.model_copy(update={"to": tuple(name for name in self.to if name != channel), "routes": tuple(routes)})

    @property
    def all_channels(self) -> tuple[str, ...]:
        """Every channel that it names, each once."""
        return tuple(dict.fromkeys([*self.to, *(name for route in self.routes for name in route.to)]))

    def maintained(self, opened_at: datetime) -> tuple[MaintenanceWindow, datetime] | None:
        """The window that something began in, and when that is over."""
        return window_of(self.maintenance, opened_at)
