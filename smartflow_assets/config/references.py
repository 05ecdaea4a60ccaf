"""What a source names and is not there: files of the data folder, the module of a reader's function, other sources.

Asked by `smartflow validate` alone. A run asks when it needs them, since each may come later, and then says the same. Nothing is imported:
that would run what a person only wants to have checked.
"""

from collections.abc import Collection, Iterator, Mapping
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from smartflow_assets.config.problems import dotted, place
from smartflow_assets.config.source_file import merged
from smartflow_assets.config.yaml_file import Location, YamlFile
from smartflow_assets.core.errors import SourceError
from smartflow_assets.core.nearest_name import did_you_mean

_FILES: tuple[Location, ...] = (("labels",), ("read", "ca_file"))


def missing_references(file: YamlFile, defaults: YamlFile | None, data: Path, sources: Collection[str]) -> Iterator[SourceError]:
    """A problem for each file, module and source that the source of a YAML file names and that is not there; `data` is the data folder,
    `sources` are the names of all that have a file."""
    files = (file,) if defaults is None else (file, defaults)
    values = merged(defaults.values if defaults else {}, file.values)
    for location in _FILES:
        named = _at(values, location)
        if isinstance(named, str) and not (data / named).is_file():
            near = [path.relative_to(data).as_posix() for path in (data / named).parent.glob("*") if path.is_file()]
            remedy = did_you_mean(named, near, "Make it, or take the key out.")
            what = f"`{dotted(location)}`: there is no file {named} in {data}"
            yield SourceError(what, source=file.path.stem, where=place(files, location), remedy=remedy)
    function = _at(values, ("read", "function"))
    if isinstance(function, str) and ":" in function and (missing := _missing_module(function.partition(":")[0])):
        yield SourceError(
            f"`read.function`: there is no module {missing}",
            source=file.path.stem,
            where=place(files, ("read", "function")),
            remedy="Install it beside SmartFlow, or set PYTHONPATH to its folder.",
        )
    for location, named in _named_sources(values):
        if named not in (*sources, file.path.stem):
            what, near = f"`{dotted(location)}`: there is no source {named}", f"The sources are {', '.join(sorted(sources))}."
            yield SourceError(what, source=file.path.stem, where=place(files, location), remedy=did_you_mean(named, sources, near))


def _named_sources(values: Mapping[str, Any]) -> Iterator[tuple[Location, str]]:
    """The sources that remedies run and that columns of the contract refer to."""
    for holder, below in ((("remediate",), ("do", "source")), (("contract", "references"), ("source",))):
        entries = _at(values, holder)
        for index, entry in enumerate(entries if isinstance(entries, list) else ()):
            if isinstance(named := _at(entry, below), str) and named:
                yield (*holder, index, *below), named


def _at(values: Any, location: Location) -> Any:
    for part in location:
        values = values.get(part) if isinstance(values, Mapping) else None
    return values


def _missing_module(name: str) -> str:
    """The part of a dotted name from which on there is no module; empty where there is one."""
    path, parts = None, name.split(".")
    for step in range(1, len(parts) + 1):
        found = PathFinder.find_spec(".".join(parts[:step]), path)
        if found is None:
            return ".".join(parts[:step])
        path = list(found.submodule_search_locations or [])
    return ""
