"""The home that a command works on, and the sources that it was asked for.

The home is the folder of SMARTFLOW_HOME, else the current one. A home without data/sources is refused before anything is
created in it: a command run in the wrong folder must leave nothing behind.
"""

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from smartflow_assets.commands.terminal import UsageError
from smartflow_assets.core.errors import SmartflowError, SourceError
from smartflow_assets.core.nearest_name import did_you_mean
from smartflow_assets.core.temporal.notation import parse_moment

if TYPE_CHECKING:
    from smartflow_assets.config.catalogue import Catalogue
    from smartflow_assets.config.settings import Settings

AS_OF = "--as-of"


def open_home() -> "Settings":
    """Where everything lies. SmartflowError when the folder is no home."""
    from smartflow_assets.config.settings import HOME_VARIABLE, Settings

    settings = Settings.from_environment(os.environ)
    if not settings.sources.is_dir():
        named = f"{HOME_VARIABLE}={os.environ[HOME_VARIABLE]}" if os.environ.get(HOME_VARIABLE) else "the current folder"
        raise SmartflowError(
            f"{settings.home} ({named}) is no SmartFlow home: it has no data/sources",
            remedy=f"Change to the folder that holds data/, or name it: {HOME_VARIABLE}=/path/to/it smartflow … A new home is a folder "
            "with data/sources in it; for `smartflow demo` copy the project's data folder there.",
        )
    os.environ[HOME_VARIABLE] = str(settings.home)  # what a run imports later looks there too
    return settings


def named(asked: Sequence[str], catalogue: "Catalogue") -> list[str]:
    """The sources asked for, each once, in their order; all, broken ones too, when none is named. UsageError for a stranger."""
    known = list(catalogue.names)
    if not known:
        remedy = "Add a file such as data/sources/orders.yaml; docs/own-source.md shows how."
        raise SourceError("data/sources holds no source", remedy=remedy)
    for name in asked:
        if name not in known:
            listed = f"The sources are {', '.join(known[:20])}{' …' if len(known) > 20 else ''}."
            hint = did_you_mean(name, known, listed, cutoff=0.5)
            raise UsageError(f"there is no source {name!r}", remedy=hint)
    return list(dict.fromkeys(asked)) or known


def moment(text: str | None, option: str) -> datetime | None:
    """The time that an option was given; one without a zone is UTC. UsageError when it is none."""
    if not text:
        return None
    try:
        return parse_moment(text)
    except ValueError:
        remedy = "Write it as 2026-03-01, 2026-03-01T09:35 or 2026-03-01T09:35+01:00."
        raise UsageError(f"{option}: {text!r} is not a time", remedy=remedy) from None


def span(
    since: str | None, until: str | None, options: tuple[str, str] = ("--since", "--until")
) -> tuple[datetime | None, datetime | None]:
    """The times that two options were given. UsageError when one is none, or the first is not before the second: that holds no row."""
    start, end = moment(since, options[0]), moment(until, options[1])
    if start and end and start >= end:
        raise UsageError(f"{options[0]} {since} is not before {options[1]} {until}", remedy="Exchange them, or name a later end.")
    return start, end


def clock(text: str | None) -> datetime | None:
    """The clock that `--as-of` was given. UsageError when it is no time, or later than the clock on the wall."""
    from smartflow_assets.config.run_clock import refuse_future

    given = moment(text, AS_OF)
    try:
        return given and refuse_future(given, AS_OF, datetime.now(UTC))
    except SourceError as error:
        raise UsageError(error.what, remedy=error.remedy) from None


def duration(text: str, option: str) -> timedelta:
    """The length of time that an option was given. UsageError when it is none."""
    from smartflow_assets.core.temporal.notation import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None


def _complete_source(incomplete: str) -> list[str]:
    from smartflow_assets.config.settings import Settings

    return sorted(path.stem for path in Settings.from_environment(os.environ).sources.glob(f"{incomplete}*.yaml"))


SourceNames = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="SOURCE",
        help="Names of sources; all of them when none is named.",
        autocompletion=_complete_source,
        show_default=False,
    ),
]
SourceName = Annotated[str, typer.Argument(metavar="SOURCE", help="Name of a source.", autocompletion=_complete_source, show_default=False)]
AsOf = Annotated[
    str | None,
    typer.Option(
        AS_OF,
        metavar="TIME",
        help="The clock of the whole run, for replays of the past: 2026-03-01T09:35, UTC without a zone.",
        show_default=False,
    ),
]
