"""How an HTTP server is asked: moments as parameters, and from one page to the next.

How many rows a page holds is an ordinary parameter of the server; an answer without rows is the end, since a short page in the
middle is no rare thing.
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, model_validator

from smartflow_assets.adapters.staging.contract import is_format
from smartflow_assets.core.declared import Declared
from smartflow_assets.core.temporal.notation import Duration


class MomentParameter(Declared):
    """A parameter that takes a time."""

    parameter: str = Field(min_length=1, description="Name of the parameter.", examples=["from", "updated_since"])
    format: Annotated[str, AfterValidator(is_format)] = Field(
        default="iso",
        examples=["iso", "unix", "%Y-%m-%d"],
        description="iso (2026-03-01T09:35:00Z), unix (seconds), unix_ms, or a pattern of strftime in the zone of read.time.",
    )

    def written(self, at: datetime, timezone: str) -> str:
        """The moment as the server reads it, never later than it is."""
        if self.format == "iso":
            return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        if self.format in ("unix", "unix_ms"):
            unit = timedelta(seconds=1) if self.format == "unix" else timedelta(milliseconds=1)
            return str((at - datetime(1970, 1, 1, tzinfo=UTC)) // unit)
        return at.astimezone(ZoneInfo(timezone)).strftime(self.format)


class SinceParameter(MomentParameter):
    """From when on rows are asked for."""

    start: datetime | Duration | None = Field(
        default=None,
        examples=["2024-01-01", "90 days"],
        description="What the first run asks for: a date, or so long before now. Default: the parameter is left out.",
    )

    def first(self, now: datetime, timezone: str) -> datetime | None:
        """From when on the first run asks."""
        if isinstance(self.start, timedelta):
            return now - self.start
        return self.start.replace(tzinfo=ZoneInfo(timezone)) if self.start and self.start.tzinfo is None else self.start


class Paging(Declared):
    """From one page to the next."""

    by: Literal["page", "offset", "cursor", "link"] = Field(
        description="page: a number that counts up; offset: how many rows to leave out; cursor: a value that each page gives "
        "for the next one; link: each page gives the address of the next one."
    )
    parameter: str | None = Field(default=None, min_length=1, description="The parameter that takes the number or the cursor.")
    next: str | None = Field(
        default=None,
        min_length=1,
        examples=["meta.next_cursor", "links.next", "data.-1.id"],
        description="Where in the answer the next cursor or address stands; -1 is the last of a list. An address may also stand "
        "in the header Link, which is the default.",
    )
    first: int | None = Field(default=None, ge=0, description="Number of the first page. Default: 1, for an offset 0.")

    @model_validator(mode="after")
    def _keys_fit(self) -> Self:
        if (self.by != "link") != (self.parameter is not None):
            raise ValueError("by: link takes no parameter" if self.parameter else f"by: {self.by} needs parameter")
        if self.by == "cursor" and self.next is None:
            raise ValueError("by: cursor needs next, where in the answer the cursor stands")
        if self.by in ("page", "offset") and self.next is not None:
            raise ValueError(f"by: {self.by} takes no next")
        if self.by not in ("page", "offset") and self.first is not None:
            raise ValueError(f"by: {self.by} takes no first")
        return self

    @property
    def begin(self) -> int:
        """The number of the first page."""
        return self.first if self.first is not None else int(self.by == "page")


def value_at(answer: Any, path: str) -> Any:
    """What lies at a dotted path of parsed JSON; None when nothing does.

    >>> value_at({"data": [{"id": 7}, {"id": 9}]}, "data.-1.id"), value_at({}, "meta.next")
    (9, None)
    """
    for name in path.split("."):
        if isinstance(answer, dict):
            answer = answer.get(name)
        elif isinstance(answer, list) and name.lstrip("-").isdigit() and -len(answer) <= int(name) < len(answer):
            answer = answer[int(name)]
        else:
            return None
    return answer
