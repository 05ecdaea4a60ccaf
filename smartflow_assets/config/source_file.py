"""One source from its YAML file, with data/defaults.yaml below it; or all that is wrong with it.

A key of the file wins over the same key of the defaults; where both hold keys with values they are joined, lists are
replaced. Keys of the design that this version does not have yet are refused by name, never ignored.
"""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from smartflow_assets.config.problems import InvalidFileError, dotted, place, problems_of
from smartflow_assets.config.readable_schema import ReadableSchema
from smartflow_assets.config.source import Source
from smartflow_assets.config.yaml_file import Location, YamlFile, read_yaml
from smartflow_assets.core.errors import SourceError

UNAVAILABLE: tuple[tuple[str, ...], ...] = (
    ("contract",),
    ("drift",),
    ("remediate",),
    ("alerts", "suppress_for"),
    ("alerts", "group_within"),
    ("alerts", "remind_every"),
)
"""Keys of the design that are not built yet; `*` is any item of a list. The issue that builds one takes it out of here."""


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
    problems = []
    for location in _unavailable(values):
        what = f"`{dotted(location)}:` is not available in this version"
        problems.append(SourceError(what, source=name, where=place(files, location), remedy="Take it out."))
        _remove(values, location)
    source = None
    try:
        source = Source.model_validate(values)
    except ValidationError as error:
        problems += problems_of(error, name=name, files=files, values=values, schema=source_schema())
    if source is None or problems:
        raise InvalidFileError(sorted(problems, key=lambda problem: _line(problem, file)))
    source._files = files
    return source


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


def _unavailable(values: dict[str, Any]) -> list[Location]:
    """Where keys stand that are not built yet."""
    return [location for pattern in UNAVAILABLE for location in _matches(values, pattern, ())]


def _matches(values: Any, pattern: tuple[str, ...], at: Location) -> list[Location]:
    if not pattern:
        return [at]
    if pattern[0] == "*":
        items = enumerate(values) if isinstance(values, list) else ()
        return [found for index, item in items for found in _matches(item, pattern[1:], (*at, index))]
    if isinstance(values, Mapping) and pattern[0] in values:
        return _matches(values[pattern[0]], pattern[1:], (*at, pattern[0]))
    return []


def _remove(values: Any, location: Location) -> None:
    """Take out a key, and what held nothing else: `threshold: {false_alerts: …}` is one problem, not two."""
    holder = values
    for part in location[:-1]:
        holder = holder[part]
    holder.pop(location[-1])
    if not holder and len(location) > 1 and isinstance(location[-2], str):
        _remove(values, location[:-1])


def _line(problem: SourceError, file: YamlFile) -> tuple[bool, int]:
    """Sort key: the file's own problems by line, then those of the defaults."""
    path, _, line = problem.where.rpartition(", line ")
    return path != str(file.path), int(line) if line.isdigit() else 0
