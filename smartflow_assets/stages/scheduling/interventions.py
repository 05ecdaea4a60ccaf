"""What remedies say to the schedule: sources that are paused, and sources of which a run was asked for. Both are rows of `remediations`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import pandas as pd

from smartflow_assets.adapters.warehouse.pauses import PAUSES
from smartflow_assets.adapters.warehouse.warehouse import Warehouse

_ASKED = """
SELECT run_of, arg_max(source, happened_at) AS source FROM remediations AS asked
WHERE run_of IS NOT NULL AND status = 'done' AND undone_at IS NULL AND NOT EXISTS (
    FROM run_log WHERE run_log.source = run_of AND job = 'monitor_source' AND started_at >= asked.happened_at) GROUP BY run_of
"""


@dataclass(frozen=True)
class Interventions:
    """Until when each paused source is paused, None for until a person says so; and each source of which a run was asked for, with the
    source whose remedy did."""

    paused: Mapping[str, datetime | None] = field(default_factory=dict)
    asked: Mapping[str, str] = field(default_factory=dict)

    def told(self, sources: Iterable[str]) -> str:
        """The paused ones among some sources, in words; empty without any.

        >>> Interventions({"shop": None, "web": None}).told(["web", "taxi"])
        'paused: web'
        """
        named = [
            f"{name} until {self.paused[name]:%Y-%m-%d %H:%M} UTC" if self.paused[name] else name for name in sources if name in self.paused
        ]
        return f"paused: {', '.join(named)}" if named else ""


def interventions(warehouse: Warehouse, now: datetime) -> Interventions:
    """What holds at `now`."""
    with warehouse.reading():
        pauses, asked = warehouse.read(PAUSES), warehouse.read(_ASKED)
    ends = {str(name): None if pd.isna(at) else at.to_pydatetime() for name, at in zip(pauses["source"], pauses["until_at"], strict=True)}
    return Interventions(
        {name: until for name, until in ends.items() if until is None or until > now},
        {str(name): str(by) for name, by in zip(asked["run_of"], asked["source"], strict=True)},
    )
