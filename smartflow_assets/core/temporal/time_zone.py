"""The name of a time zone as a field of a model: checked once, with one sentence for a name that is none."""

from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator


def known_zone(name: str) -> str:
    """The name, when the IANA database has it; ValueError otherwise.

    >>> known_zone("Europe/Berlin")
    'Europe/Berlin'
    """
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"{name!r} is not a time zone; write a name such as UTC, Europe/Berlin or America/New_York") from None
    return name


TimeZone = Annotated[str, AfterValidator(known_zone)]
"""IANA name of a zone, such as Europe/Berlin."""
