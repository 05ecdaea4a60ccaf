"""What many routes are asked with: times, sources, pages of lists."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Path, Query

from smartflow_assets.adapters.warehouse.published_copy import Snapshot
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.core.incidents.watched import OF_NO_SOURCE
from smartflow_assets.core.nearest_name import did_you_mean
from smartflow_assets.core.severity import SEVERITIES
from smartflow_assets.core.temporal.notation import parse_moment
from smartflow_assets.serve.problem import Problem
from smartflow_assets.serve.queries.lists import decoded
from smartflow_assets.serve.queries.series import stored_series
from smartflow_assets.serve.queries.state import stored_sources
from smartflow_assets.serve.service import Service

SourceName = Annotated[str, Path(description="Name of a source.", pattern="^[a-z][a-z0-9_]{0,47}$", examples=["web_traffic"])]
Sources = Annotated[list[str] | None, Query(description="Only of these sources.", max_length=200, examples=[["web_traffic"]])]
Series = Annotated[str | None, Query(description="Only of this series.", max_length=500, examples=["requests"])]
Severities = Annotated[list[str] | None, Query(description="info, warning or critical.", max_length=3, examples=[["critical"]])]
From = Annotated[
    str | None, Query(alias="from", description="From this time on; UTC without a zone.", max_length=64, examples=["2026-03-01T09:00:00Z"])
]
To = Annotated[str | None, Query(description="Before this time.", max_length=64, examples=["2026-03-02T09:00:00Z"])]
Limit = Annotated[int, Query(description="So many items at most.", ge=1, le=500)]
Cursor = Annotated[str | None, Query(description="`next` of the page before.", max_length=1000)]
_EARLIEST, _LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


def moment(text: str | None, field: str) -> datetime | None:
    """The time that was given. Problem 422 when it is none."""
    if not text:
        return None
    try:
        found = parse_moment(text)
        if _EARLIEST <= found <= _LATEST:
            return found
    except (ValueError, OverflowError):
        pass
    raise Problem(
        422, f"{field}: {text[:64]!r} is not a time", field=field, remedy="Write it as 2026-03-01T09:35:00Z, between 1900 and 2200."
    )


def span(from_: str | None, to: str | None) -> tuple[datetime | None, datetime | None]:
    """From when, until when. Problem 422 where it ends before it begins."""
    start, end = moment(from_, "from"), moment(to, "to")
    if start and end and start >= end:
        raise Problem(422, "`from` is not before `to`", field="from")
    return start, end


def known_source(catalogue: Catalogue, name: str) -> str:
    """The name, if there is such a source. Problem 404 where there is none."""
    if name not in catalogue.names:
        raise _stranger(catalogue, name)
    return name


def known_sources(service: Service, names: list[str] | None) -> list[str] | None:
    """The names, each of a source that has a file or of which something is stored, or `*`. Problem 404 for a stranger."""
    if not names:
        return None
    strangers = sorted({*names} - {*service.catalogue().names, OF_NO_SOURCE})
    if strangers and service.published.generation:
        with service.published.snapshot() as snapshot:
            strangers = sorted({*strangers} - {*stored_sources(snapshot)})
    if strangers:
        raise _stranger(service.catalogue(), strangers[0])
    return names


def _stranger(catalogue: Catalogue, name: str) -> Problem:
    remedy = did_you_mean(name, catalogue.names, "GET /api/sources lists them.")
    return Problem(404, f"there is no source {name[:60]!r}", field="source", remedy=remedy)


def known_series(snapshot: Snapshot, names: list[str] | None, sources: list[str] | None) -> list[str] | None:
    """The names, each of a series of which something is stored of these sources, or of any. Problem 404 for a stranger."""
    if names:
        known = stored_series(snapshot, sources)
        for name in names:
            if name not in known:
                remedy = did_you_mean(name, known, "GET /api/data/SOURCE lists those of a source.")
                raise Problem(404, f"there is no series {name[:120]!r}", source=", ".join(sources or ()), field="series", remedy=remedy)
    return names


def severities(given: list[str] | None) -> list[str] | None:
    """Problem 422 for a word that is none."""
    for each in given or ():
        if each not in SEVERITIES:
            raise Problem(422, f"severity: {each[:20]!r} is none", field="severity", remedy=f"There are {', '.join(SEVERITIES)}.")
    return given


def cursor(text: str | None, *kinds: type) -> list[Any] | None:
    """The sort key in a cursor of ours, whose parts are of these kinds. Problem 422 for another text."""
    if text is None:
        return None
    try:
        key = decoded(text)
        if len(key) == len(kinds):
            return [kind(part) if kind is not datetime else parse_moment(part) for part, kind in zip(key, kinds, strict=True)]
    except (ValueError, TypeError, OverflowError):
        pass
    raise Problem(422, "cursor: it is none of ours", field="cursor", remedy="Give `next` of the page before, as it was.")


def owned(catalogue: Catalogue, names: list[str] | None, owner: str | None, tag: str | None) -> list[str] | None:
    """The sources asked for by name, owner (a part of it) and tag (`key` or `key=value`); None for all."""
    if not owner and not tag:
        return names
    key, _, value = (tag or "").partition("=")
    return [
        name
        for name, source in catalogue.sources.items()
        if (names is None or name in names)
        and (not owner or (source.owner and owner.lower() in source.owner.lower()))
        and (not key or (key in source.tags and (not value or source.tags[key] == value)))
    ]
