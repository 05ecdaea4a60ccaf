"""What of a source's YAML may be changed from outside, over HTTP: a list of what is allowed, and all else is refused.

How rows are judged, who hears when, and what people call the source. Nothing of it names a path, an address, SQL, a function or a channel,
and no value can: rules and detectors are the built-in ones, since one of a package may take anything. `configuration_edit` applies changes.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from smartflow_assets.adapters.secret_references import REFERENCE
from smartflow_assets.core import detectors, rules
from smartflow_assets.core.errors import SourceError
from smartflow_assets.core.incidents.alert_policy import AlertPolicy

Place = tuple[str | int, ...]
ITEM, KEY = "#", "*"  # a place in a list, any key of a mapping
OF_DETECTION: tuple[tuple[str, ...], ...] = (
    ("sensitivity",),
    ("threshold",),
    ("threshold", "score"),
    ("threshold", "false_alerts"),
    ("direction",),
    ("ignore_small_changes",),
    ("scale",),
    ("ensemble",),
    ("ensemble", "combine"),
    ("ensemble", "at_least"),
    ("ensemble", "members"),
    ("detectors",),
    ("detectors", ITEM),
    ("detectors", ITEM, KEY),
    ("rules",),
    ("rules", ITEM),
    ("rules", ITEM, KEY),
)
OF_ALERTS = tuple(key for key in AlertPolicy.model_fields if key not in ("to", "routes"))  # which name channels
ALLOWED: tuple[tuple[str, ...], ...] = (
    ("description",),
    ("tags",),
    ("tags", KEY),
    *OF_DETECTION,
    *(("metrics", ITEM, *path) for path in OF_DETECTION),
    *(("alerts", key) for key in OF_ALERTS),
)
BUILT_IN: Mapping[str, frozenset[str]] = {
    "rules": frozenset(str(kind.model_fields["type"].default) for kind in rules.BUILT_IN),
    "detectors": frozenset(str(kind.model_fields["type"].default) for kind in detectors.BUILT_IN),
}
LONGEST_TEXT, MOST_VALUES, DEEPEST = 2000, 500, 4
_KEY = re.compile(r"[A-Za-z_][\w.-]{0,63}")
_REMEDY = "Over HTTP detection, rules, alerts (but to and routes), description and tags may be changed; edit the YAML for all else."


class ForbiddenChange(SourceError):
    """A change that nobody may make over HTTP, whoever asks."""


def parsed_path(path: str, source: str) -> Place:
    """`rules.0.above` as its parts; places in lists are counted from 0.

    >>> parsed_path("metrics.1.threshold.score", "shop")
    ('metrics', 1, 'threshold', 'score')
    """
    parts = path.split(".")
    if not 1 <= len(parts) <= 6 or not all((part.isdecimal() and len(part) < 5) or _KEY.fullmatch(part) for part in parts):
        raise ForbiddenChange(
            f"{path[:80]!r} is no path of a key", source=source, where=path[:80], remedy="Write one such as rules.0.above."
        )
    return tuple(int(part) if part.isdecimal() else part for part in parts)


def check_change(path: str, value: Any, source: str) -> Place:
    """The parts of a path that may be changed to such a value. ForbiddenChange for any other."""
    place = parsed_path(path, source)
    if not any(_is_of(place, allowed) for allowed in ALLOWED):
        raise ForbiddenChange(f"{path} may not be changed here", source=source, where=path, remedy=_REMEDY)
    _check_value(value, path, source)
    return place


def check_parts(values: Mapping[str, Any], changed: Sequence[Place], source: str) -> None:
    """Whether what was changed holds built-in rules and detectors alone, given all values after the change."""
    for place in changed:
        depth = next((at for at, part in enumerate(place) if part in BUILT_IN), None)
        if depth is None:
            continue
        kind = str(place[depth])
        items = value_at(values, place[: depth + 1])
        if len(place) > depth + 1 and isinstance(items, list):
            items = items[int(place[depth + 1]) :][:1]
        for item in items if isinstance(items, list) else ():
            named = item.get("type") if isinstance(item, Mapping) else None
            if named not in BUILT_IN[kind]:
                where = ".".join(map(str, place))
                what = f"{where}: {str(named)[:60]!r} is none of the built-in {kind}, which alone may be written here"
                raise ForbiddenChange(what, source=source, where=where, remedy=f"Take one of {', '.join(sorted(BUILT_IN[kind]))}.")


def _is_of(place: Place, allowed: Sequence[str]) -> bool:
    return len(place) == len(allowed) and all(
        isinstance(part, int) if want == ITEM else isinstance(part, str) if want == KEY else part == want
        for part, want in zip(place, allowed, strict=True)
    )


def value_at(values: Any, place: Place) -> Any:
    """What stands at a place; None where nothing does."""
    found = values
    for part in place:
        is_item = isinstance(found, list) and isinstance(part, int) and part < len(cast(list[Any], found))
        if not is_item and not (isinstance(found, Mapping) and part in found):
            return None
        found = cast(Any, found)[part]
    return found


def _check_value(value: Any, path: str, source: str) -> None:
    def refused(why: str) -> ForbiddenChange:
        return ForbiddenChange(
            f"{path}: {why}", source=source, where=path, remedy="Write plain texts, numbers, truth values and lists of them."
        )

    for number, (depth, each) in enumerate(_parts(value, 0)):
        if number >= MOST_VALUES or depth > DEEPEST:
            raise refused("the value holds too much")
        if isinstance(each, str):
            if REFERENCE.search(each) or "${" in each:
                raise refused("a value from the environment cannot be named here")
            if each.lstrip().startswith("!") or not each.isprintable() or len(each) > LONGEST_TEXT:
                raise refused("a text is one line without a tag")
        elif isinstance(each, int | float) and not isinstance(each, bool) and not (math.isfinite(each) and abs(each) < 1e15):
            raise refused("a number is finite")
        elif each is not None and not isinstance(each, bool | int | float):
            raise refused(f"a value of type {type(each).__name__} cannot be written")


def _parts(value: Any, depth: int) -> Iterator[tuple[int, Any]]:
    """Every key and every value that holds no others, with how deep it stands."""
    if isinstance(value, Mapping) and depth <= DEEPEST:
        for key, item in value.items():
            yield depth, str(key) if isinstance(key, str) and _KEY.fullmatch(key) else object()
            yield from _parts(item, depth + 1)
    elif isinstance(value, list | tuple) and depth <= DEEPEST:
        for item in value:
            yield from _parts(item, depth + 1)
    else:
        yield depth, value
