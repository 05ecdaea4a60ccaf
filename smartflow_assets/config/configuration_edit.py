"""Changes of a source's YAML by dotted paths: applied to a copy, checked as a whole, shown as a diff, and written as one or not at all.

What may be changed is in `allowed_changes`; comments, order and quotes stay (`yaml_file.edited`). A preview takes the source that would
come of it; `stages.configuration_changes` writes.
"""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path
from typing import Any

from ruamel.yaml.comments import CommentedMap, CommentedSeq

from smartflow_assets.adapters.secret_references import redact_all
from smartflow_assets.config.allowed_changes import ForbiddenChange, Place, check_change, check_parts, value_at
from smartflow_assets.config.catalogue import Catalogue, checked_source, defaults_of, source_files
from smartflow_assets.config.problems import InvalidFileError
from smartflow_assets.config.settings import Settings
from smartflow_assets.config.source import Source
from smartflow_assets.config.source_file import merged
from smartflow_assets.config.yaml_file import edited, parsed_yaml
from smartflow_assets.core.errors import NotThereError, SourceError

_NULLABLE = ("threshold", "ignore_small_changes", "suppress_for", "remind_every")  # null is a value of theirs: none


@dataclass(frozen=True)
class Edit:
    """What a change makes of a source: its file before and after as text, and the source as it would be. Nothing is written yet."""

    source: Source
    file: Path
    before: str
    after: str
    values_before: Mapping[str, Any]
    values_after: Mapping[str, Any]

    @property
    def is_change(self) -> bool:
        """Whether the file says anything else then."""
        return self.before != self.after

    @property
    def diff(self) -> str:
        """The lines that change, without those beside them, which nobody asked for; values of the environment are left out."""
        lines = unified_diff(
            self.before.splitlines(), self.after.splitlines(), self.file.name, f"{self.file.name}, proposed", n=0, lineterm=""
        )
        return redact_all("\n".join(lines), os.environ)

    @property
    def hash(self) -> str:
        """Of the file as it is now: what `expected_hash` is compared with."""
        return hash_of(self.before)

    @property
    def hash_after(self) -> str:
        """Of the file once it is written."""
        return hash_of(self.after)


def hash_of(text: str) -> str:
    """What a file says, in 16 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def source_file(settings: Settings, name: str) -> Path:
    """The YAML file of a source."""
    found = next((path for path in source_files(settings) if path.stem == name), None)
    if found is None:
        raise NotThereError("there is no such source", source=name, where=str(settings.sources))
    return found


def proposed(settings: Settings, catalogue: Catalogue, name: str, changes: Mapping[str, Any]) -> Edit:
    """What these changes (dotted path -> value, None takes it out) make of a source. A place behind the end of a list adds to it.

    ForbiddenChange for a path or a value that is not allowed; SourceError (an InvalidFileError with all problems) where the file would
    not be valid as a whole.
    """
    catalogue.source(name)  # its own error when it cannot be used as it is
    file = source_file(settings, name)
    text = file.read_text(encoding="utf-8-sig")
    defaults, error = defaults_of(settings)
    if error is not None:
        raise error
    places = {check_change(path, value, name): value for path, value in changes.items()}
    before = parsed_yaml(file, text)
    whole = merged(defaults.values if defaults else {}, before.values)
    after = edited(text, _putting(places, whole, name)) if places else text
    file_after = parsed_yaml(file, after)
    whole_after = merged(defaults.values if defaults else {}, file_after.values)
    check_parts(whole_after, [place for place, value in places.items() if value is not None], name)
    if _kept(before.values) != _kept(file_after.values):
        raise ForbiddenChange("the change would touch what may not be changed here", source=name, remedy="Edit the YAML.")
    try:
        source = checked_source(file_after, defaults, catalogue.channels, catalogue.channel_errors)
    except InvalidFileError as broken:
        folder = f"{file.parent}{os.sep}"  # of no interest to whoever asks from outside
        told = [
            SourceError(each.what, source=name, where=each.where.replace(folder, ""), remedy=each.remedy or "Nothing was changed.")
            for each in broken.problems
        ]
        raise InvalidFileError(told) from None
    return Edit(
        source,
        file,
        text,
        after,
        *({path: value_at(values, check_change(path, None, name)) for path in changes} for values in (whole, whole_after)),
    )


def _kept(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """What no change may touch, as far as the keys of the file go."""
    touched = (
        "description",
        "tags",
        "sensitivity",
        "threshold",
        "direction",
        "ignore_small_changes",
        "scale",
        "ensemble",
        "detectors",
        "rules",
    )
    kept = {key: value for key, value in values.items() if key not in (*touched, "metrics", "alerts")}
    kept["alerts"] = {key: value for key, value in (values.get("alerts") or {}).items() if key in ("to", "routes")}
    metrics = values.get("metrics") or []
    kept["metrics"] = [
        {key: value for key, value in metric.items() if key not in touched} if isinstance(metric, Mapping) else {"name": metric}
        for metric in metrics
    ]
    return kept


def _putting(places: Mapping[Place, Any], whole: Mapping[str, Any], source: str) -> Callable[[CommentedMap], None]:
    """Put all values; what goes out of a list goes last and from its end, so that places mean those of the file as it is."""

    def put_all(tree: CommentedMap) -> None:
        removed = [place for place, value in places.items() if value is None and isinstance(place[-1], int)]
        for place, value in places.items():
            if place not in removed:
                _put(tree, place, value, whole, source)
        for place in sorted(removed, key=lambda each: each[-1], reverse=True):
            _put(tree, place, None, whole, source)
            if value_at(tree, place[:-1]) == []:  # what ruamel writes of a list whose last line went is no YAML
                value_at(tree, place[:-2])[place[-2]] = CommentedSeq()

    return put_all


def _put(tree: CommentedMap, place: Place, value: Any, whole: Mapping[str, Any], source: str) -> None:
    holder: Any = tree
    for depth, part in enumerate(place[:-1]):
        below = place[: depth + 1]
        holder = _opened(holder, part, place[depth + 1], value_at(whole, below), below, source, is_removal=value is None)
        if holder is None:
            return
    last = place[-1]
    if isinstance(last, int):
        if not isinstance(holder, list):
            raise _misplaced(place, "is not in a list", source)
        if last > len(holder) or (value is None and last == len(holder)):
            raise _misplaced(place, f"is no place in a list of {len(holder)}, counted from 0", source)
        if value is None:
            del holder[last]
        elif last == len(holder):
            holder.append(value)
        else:
            holder[last] = value
    elif not isinstance(holder, dict):
        raise _misplaced(place, "is not the key of a mapping", source)
    elif value is None:
        if last in holder:
            del holder[last]
        elif last in _NULLABLE and value_at(whole, place) is not None:
            holder[last] = None  # the defaults say it: null takes it out
    else:
        holder[last] = value


def _opened(holder: Any, part: str | int, next_part: str | int, inherited: Any, at: Place, source: str, *, is_removal: bool) -> Any:
    """What lies under a part of a path, as ruamel holds it; a list that the defaults say comes into the file, since lists replace each
    other. None where there is nothing to take out."""
    if isinstance(part, int):
        if not isinstance(holder, list) or part >= len(holder):
            raise _misplaced(at, f"is no place in a list of {len(holder) if isinstance(holder, list) else 0}, counted from 0", source)
        if isinstance(holder[part], str) and at[-2:-1] == ("metrics",):
            holder[part] = CommentedMap({"name": str(holder[part])})
            holder[part].fa.set_flow_style()
        return holder[part]
    if not isinstance(holder, dict):
        raise _misplaced(at, "is not the key of a mapping", source)
    there = holder.get(part)
    if isinstance(there, dict | list):
        return there
    if isinstance(next_part, int):
        if not isinstance(inherited, list) and inherited not in (None, "auto"):
            raise _misplaced(at, "is no list", source)
        holder[part] = CommentedSeq(deepcopy(inherited) if isinstance(inherited, list) else [])
        return holder[part]
    if is_removal and not isinstance(inherited, Mapping):
        return None
    holder[part] = CommentedMap()
    holder[part].fa.set_flow_style()
    return holder[part]


def _misplaced(place: Sequence[str | int], what: str, source: str) -> SourceError:
    path = ".".join(map(str, place))
    return SourceError(f"{path} {what}", source=source, where=path, remedy="GET /api/configuration shows what there is.")
