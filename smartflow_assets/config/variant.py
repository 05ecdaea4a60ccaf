"""The same source with other settings, to try them before they are written down: `sensitivity=high`, or another YAML file.

Only detection and alerts can differ: the rows are those that are stored, so a variant reads what the source reads.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from smartflow_assets.config.problems import InvalidFileError
from smartflow_assets.config.settings import Settings
from smartflow_assets.config.source import Source
from smartflow_assets.config.source_file import build_source, merged
from smartflow_assets.config.yaml_file import YamlFile, read_yaml
from smartflow_assets.core.errors import SourceError

_EXAMPLES = "Write it as sensitivity=high, threshold.score=0.99, metrics.0.direction=drop or 'detectors=[{type: mad}]'."


def variant(source: Source, settings: Settings, changes: Sequence[str] = (), *, file: Path | None = None) -> Source:
    """The source as its own YAML, or `file`, says it, with `changes` (`key=value`; dots lead into a key) put into it.

    SourceError, with what was asked for, when a change cannot be read or the result is no valid source.
    """

    def put_all(values: dict[str, Any]) -> None:
        for change in changes:
            _put(values, change, source.name)

    return changed(
        source,
        settings,
        put_all if changes else None,
        file=file,
        asked=f"with {', '.join(changes)}" if changes else str(file or source.file),
    )


def changed(
    source: Source, settings: Settings, change: Callable[[dict[str, Any]], None] | None, *, asked: str, file: Path | None = None
) -> Source:
    """The source after `change` has changed the values of its YAML in place; `asked` says in errors what was tried."""
    written = read_yaml(file or Path(source.file))
    values = merged({}, written.values) | {"name": source.name}
    if change is not None:
        values = deepcopy(values)  # lists of what was read are kept for the next reader
        change(values)
    defaults = read_yaml(settings.defaults_file) if settings.defaults_file.exists() else None
    try:
        built = build_source(YamlFile(Path(source.file), values, {} if change else written.lines), defaults=defaults)
    except InvalidFileError as error:
        first = error.problems[0]
        raise SourceError(first.what, source=source.name, where=asked, remedy=first.remedy) from error
    made = built.model_copy(update={"read": source.read})
    made._files = source._files
    return made


def _put(values: dict[str, Any], change: str, source: str) -> None:
    """Put `key.key=value` into the values of a file; the value is YAML."""
    path, sign, text = change.partition("=")
    if not (sign and path.strip()):
        raise SourceError(f"{change!r} is not key=value", source=source, remedy=_EXAMPLES)
    try:
        value = YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        raise SourceError(f"the value of {change!r} is not YAML", source=source, remedy=_EXAMPLES) from error
    *parts, last = path.strip().split(".")
    holder: Any = values
    for part in parts:
        holder = _item(holder, part, change, source)
    if isinstance(holder, list):
        _item(holder, last, change, source)
        holder[int(last)] = value
    else:
        holder[last] = value


def _item(holder: Any, part: str, change: str, source: str) -> Any:
    """What lies under a key, or at a place of a list; a key without values becomes one."""
    if isinstance(holder, list):
        if not part.isdigit() or int(part) >= len(holder):
            raise SourceError(f"{change!r}: {part} is no place in a list of {len(holder)}, counted from 0", source=source, remedy=_EXAMPLES)
        return holder[int(part)]
    if not isinstance(holder.get(part), dict | list):
        holder[part] = {}
    return holder[part]
