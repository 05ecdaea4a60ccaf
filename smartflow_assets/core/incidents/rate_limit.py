"""The rate limit of a channel: so many messages on the wire in any span of time, by the clock of who sends them.

Only the arithmetic of moments; `bundling` decides with it what goes alone and what goes together.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from pydantic import ConfigDict, Field

from smartflow_assets.core.declared import Declared
from smartflow_assets.core.temporal.notation import Duration, format_duration


class RateLimit(Declared):
    """At most so many messages in any span; what is more goes together in one, and later."""

    model_config = ConfigDict(hide_input_in_errors=True)

    messages: int = Field(ge=1, description="How many at most.")
    per: Duration = Field(gt=timedelta(0), description="In any span so long, such as 1h.")

    def room(self, sent_at: Sequence[datetime], now: datetime) -> int:
        """How many may go out now, after messages at these moments."""
        return max(0, self.messages - sum(now - self.per < moment <= now for moment in sent_at))

    def room_at(self, sent_at: Sequence[datetime], now: datetime) -> datetime:
        """When the next may go out: now, or when the span has room again."""
        recent = sorted(moment for moment in sent_at if now - self.per < moment <= now)
        return now if len(recent) < self.messages else recent[-self.messages] + self.per

    def held_back(self, since: datetime, sent_at: Sequence[datetime], now: datetime) -> bool:
        """Whether a message that has waited since then found no room at some moment before now."""
        past = sorted(moment for moment in sent_at if moment < now)
        filled = zip(past, past[self.messages - 1 :], strict=False)  # the first and the last of each so many
        return any(last - first < self.per and since < first + self.per for first, last in filled)

    def __str__(self) -> str:
        return f"at most {self.messages} in {format_duration(self.per)}"
