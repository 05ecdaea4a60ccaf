"""One source from its YAML file, with data/defaults.yaml below it; or all that is wrong with it.

A key of the file wins over the same key of the defaults; where both hold keys with values they are joined, lists are
replaced.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from smartflow_assets.config.problems import InvalidFileError, broken_at, problems_of
from smartflow_assets.config.readable_schema import ReadableSchema
from smartflow_assets.config.source import Source
from smartflow_assets.config.yaml_file import Location, YamlFile, read_yaml
from smartflow_assets.core.errors import SourceError

_MOST_ROUNDS = 10
_STAND_IN_SOURCE: Mapping[str, Any] = {"name": "source", "read": {"type": "csv", "path": "-", "time": "-"}}
_STAND_INS: Mapping[Location, Any] = {(key,): value for key, value in _STAND_IN_SOURCE.items()}


def read_source(path: Path, *, defaults: YamlFile | None = None) -> Source:
    """The source that a file describes. InvalidFileError, with all problems found, when there are any."""
    try:
        file = read_yaml(path)
    except SourceError as error:
        raise InvalidFileError([error]) from error
    return build_source(file, defaults=defaults)


def build_source(file: YamlFile, *, defaults: YamlFile | None = None) -> Source:
    """The source of a file that was read; InvalidFileError with all problems found when it cannot be used."""
    files = (file,) if defaults is None else (file, defaults)
    values = merged(defaults.values if defaults else {}, file.values)
    name = file.path.stem
    source, problems = _validated(values, name, files)
    if source is None or problems:
        raise InvalidFileError(by_line(problems, file))
    source._files = files
    return source


def problems_of_defaults(defaults: YamlFile) -> list[SourceError]:
    """What is wrong with the defaults by themselves, whatever a source adds to them. What they say of `read` is a part, for sources to
    complete."""
    try:
        build_source(YamlFile(defaults.path, {**defaults.values, **_STAND_IN_SOURCE}, defaults.lines))
    except InvalidFileError as error:
        return list(error.problems)
    return []


def by_line(problems: Iterable[SourceError], file: YamlFile) -> list[SourceError]:
    """The file's own problems by line, then those of the defaults."""
    return sorted(problems, key=lambda problem: _line(problem, file))


def _validated(values: dict[str, Any], name: str, files: Sequence[YamlFile]) -> tuple[Source | None, list[SourceError]]:
    """The source of some values, or all that is wrong with them.

    Whether parts go together is asked only of values that are right by themselves. So what is wrong is taken out, and what is left is asked
    again; what depends on the part that was taken out is not told.
    """
    problems, mended = list[SourceError](), list[Location]()
    for _ in range(_MOST_ROUNDS):
        try:
            source = Source.model_validate(values)
        except ValidationError as error:
            problems += problems_of(error, name=name, files=files, values=values, schema=source_schema(), told_below=mended)
            broken = list(broken_at(error, values, source_schema()))
            mended += [_holder(location) for location, kind in broken if location and kind != "extra_forbidden"]
            before, values = values, deepcopy(values)
            for location, kind in sorted(broken, key=lambda each: tuple(map(_order, each[0])), reverse=True):
                _mend(values, location, kind)
            if values == before:
                break
        else:
            if not problems:
                return source, []
            break
    return None, list({str(problem): problem for problem in problems}.values())


def _holder(location: Location) -> Location:
    """What depends on a broken part: what holds it, or holds the list that it stands in."""
    return (location[:-2] if isinstance(location[-1], int) else location[:-1]) or location[:1]


def _order(part: str | int) -> tuple[int, str]:
    return (part, "") if isinstance(part, int) else (0, part)


def _mend(values: dict[str, Any], location: Location, kind: str) -> None:
    """Take out what is wrong at a location, with what holds it if a key is missing there. What others name gets a stand-in: the source,
    where it reads, a metric. A problem of the whole is told with one of detection, behind which others hide."""
    location = location[:-1] if kind == "missing" and len(location) > 1 else location
    if not location:
        for key in ("detectors", "ensemble"):
            values.pop(key, None)
        return
    if location in _STAND_INS:
        values[str(location[0])] = _STAND_INS[location]
        return
    holder: Any = values
    with suppress(KeyError, IndexError, TypeError):  # it went with what held it
        for part in location[:-1]:
            holder = holder[part]
        broken = holder.pop(location[-1])
        if location[0] == "metrics" and len(location) == 2 and isinstance(broken, dict) and isinstance(broken.get("name"), str):
            holder.insert(location[1], {"name": broken["name"]})


@lru_cache(maxsize=1)
def source_schema() -> dict[str, Any]:
    """The JSON schema of a source file, with which editors complete keys and show what they mean."""
    schema = Source.model_json_schema(schema_generator=ReadableSchema)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "SmartFlow source"}


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`above` over `below`; keys with values are joined, all else is replaced. Neither is changed.

    >>> merged({"alerts": {"to": ["file"], "max_age": "1d"}, "rules": [1]}, {"alerts": {"max_age": "2d"}, "rules": []})
    {'alerts': {'to': ['file'], 'max_age': '2d'}, 'rules': []}
    """
    result = {key: merged(value, {}) if isinstance(value, Mapping) else value for key, value in below.items()}
    for key, value in above.items():
        if isinstance(value, Mapping):
            under = result.get(key)
            result[key] = merged(under if isinstance(under, Mapping) else {}, value)
        else:
            result[key] = value
    return result


def _line(problem: SourceError, file: YamlFile) -> tuple[bool, int]:
    """Sort key: the file's own problems by line, then those of the defaults."""
    path, _, line = problem.where.rpartition(", line ")
    return path != str(file.path), int(line) if line.isdigit() else 0
