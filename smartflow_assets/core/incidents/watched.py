"""What is watched beside our own runs: how the causes of its incidents are written, and how they are said.

Checks and runs of other projects on the same Dagster instance, schedules and sensors, and the daemon that ticks. Their incidents are of
no source (`*`). Which of them somebody asks for is settled in `config.alerts_for`; what was seen of them, in `defs`.
"""

from typing import Literal, NamedTuple

Kind = Literal["check", "run", "materialization", "schedule", "sensor", "daemon"]
"""What a watched matter is. A materialization is a run that somebody asked for by its assets."""
OF_NO_SOURCE = "*"
"""What stands in the place of a source where an incident is of none."""
DAEMON = "daemon"
OVERDUE_MINUTES = 10
"""A schedule that should have ticked longer ago than this has missed it."""
FAILED_TICKS = 3
"""So many failed ticks in a row are no hiccup."""


class Matter(NamedTuple):
    """One thing that is watched. `name`: the asset of a check or a materialization, the job, schedule or sensor; `check` and
    `partition` of a check, where it has one.

    >>> Matter("check", "shop/orders", "not_null", "2026-03-01").cause
    'check:shop/orders/not_null[2026-03-01]'
    """

    kind: Kind
    name: str = ""
    check: str = ""
    partition: str = ""

    @property
    def cause(self) -> str:
        """The cause of its incident."""
        if self.kind == "daemon":
            return DAEMON
        if self.kind != "check":
            return f"{self.kind}:{self.name}"
        return f"check:{self.name}/{self.check}" + (f"[{self.partition}]" if self.partition else "")

    def __str__(self) -> str:
        if self.kind == "daemon":
            return "Dagster's daemon"
        if self.kind == "check":
            return f"check {self.check} of {self.name}" + (f" [{self.partition}]" if self.partition else "")
        return f"{self.kind}{' of' if self.kind in ('run', 'materialization') else ''} {self.name}"


def matter_of(cause: str) -> Matter | None:
    """The matter of an incident of no source; None for any other, such as a run of several sources of ours that failed as a whole.

    >>> str(matter_of("check:shop/orders/not_null[2026-03-01]")), str(matter_of("schedule:nightly")), matter_of("run")
    ('check not_null of shop/orders [2026-03-01]', 'schedule nightly', None)
    """
    kind, _, name = cause.partition(":")
    match kind:
        case "daemon":
            return Matter("daemon")
        case "run" | "materialization" | "schedule" | "sensor" if name:
            return Matter(kind, name)
        case "check" if "/" in name:
            path, _, partition = name.partition("[")
            asset, _, check = path.rpartition("/")
            return Matter("check", asset, check, partition.removesuffix("]"))
        case _:
            return None
