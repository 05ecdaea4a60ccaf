"""What every action is: a frozen model of its settings and one verb, `carry_out`, which asks `Hands` for what it wants.

The hands belong to the stage: they know the warehouse, hold the lock of the source, and say what was before and after. So an action of
another package needs to know none of it, and may as well do something of its own, such as asking a scheduler to send a file again.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from smartflow_assets.core.declared import Declared
from smartflow_assets.core.preparation.cleaning import Remedied
from smartflow_assets.core.remediation.matter import Matter


@dataclass(frozen=True)
class Done:
    """What an action came to: in a sentence, with what it changed as small numbers and texts, by name. `is_done` is False where there
    was nothing to do, which the sentence then says."""

    said: str
    before: Mapping[str, Any] = field(default_factory=dict[str, Any])
    after: Mapping[str, Any] = field(default_factory=dict[str, Any])
    is_done: bool = True


class Hands(Protocol):
    """What an action may ask for. Each raises SmartflowError where it cannot be done."""

    @property
    def source(self) -> str:
        """The source that the action is for."""
        ...

    @property
    def now(self) -> datetime:
        """The clock of the run."""
        ...

    def ask_for_training(self, reason: str) -> Done:
        """A request to learn the source anew, as `smartflow models train` makes one."""
        ...

    def read_anew(self, since: datetime | None) -> Done:
        """Read what the origin has from a time on (None: all of it) as if it had not been read, and ask for a run that works on it."""
        ...

    def repair(self, how: Remedied, matter: Matter) -> Done:
        """Let these values stand in the buckets of the matter's time that have none, between some that have."""
        ...

    def block_load(self, matter: Matter, reason: str) -> Done:
        """Keep the rows of the load that brought the newest rows of the matter's time out of everything downstream."""
        ...

    def pause(self, lasting: timedelta | None) -> Done:
        """No run by the schedule, for so long or until somebody undoes it."""
        ...

    def ask_for_run(self, source: str) -> Done:
        """A run of a source, by the next tick of the schedule."""
        ...


class BaseAction(Declared, ABC, frozen=True):
    """An action; `type` and the parameters come with each."""

    type: str

    @property
    def label(self) -> str:
        """What the action is called: one of a label is done once for each incident, and counted for its limit."""
        return self.type

    @abstractmethod
    def describe(self) -> str:
        """What it does, as a sentence goes on after "it would"."""

    @abstractmethod
    def carry_out(self, matter: Matter, hands: Hands) -> Done:
        """Do it. Whatever it raises is an incident of its own, and stops nothing else."""
