"""When people are told, and who: the `alerts:` block of a source.

Only the settings; `lifecycle` and `alert_planning` act by them. Everything is measured in the time of the data, except `max_age`, which
compares the data with the clock.
"""

from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field

from smartflow_assets.core.severity import RANK, Severity
from smartflow_assets.core.temporal.notation import Duration


class AlertPolicy(BaseModel):
    """Who is told of which incidents, and when an incident is over."""

    model_config = ConfigDict(frozen=True, extra="forbid")

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
        description="What comes back so soon after it was over is the same incident; its message says since when it is there again.",
    )
    max_age: Duration = Field(
        default=timedelta(days=1), description="What ended longer ago than this when it is found is recorded, but nobody is told."
    )

    def is_worth_telling(self, severity: Severity) -> bool:
        """Whether incidents of this severity send messages."""
        return RANK[severity] >= RANK[self.min_severity]
