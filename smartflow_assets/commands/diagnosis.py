"""A line of `smartflow doctor`."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Diagnosis:
    """How bad, about what, what was found and what to do."""

    level: Literal["ok", "warn", "fail"]
    about: str
    what: str
    remedy: str = ""


Diagnoses = Iterable[Diagnosis]
