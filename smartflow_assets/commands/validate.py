"""`smartflow validate` and `smartflow config-schema`: what a YAML file may say, and what is wrong with those that are there."""

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smartflow_assets.commands import home, terminal
from smartflow_assets.commands.target_file import not_of_home
from smartflow_assets.core.errors import SmartflowError, SourceError

if TYPE_CHECKING:
    from smartflow_assets.config.catalogue import Catalogue

VALIDATE_EXAMPLES = """
smartflow validate
smartflow validate data/sources/web_traffic.yaml
git diff --name-only main -- data/sources | xargs smartflow validate
"""
SCHEMA_EXAMPLES = """
smartflow config-schema -o data/sources/source.schema.json
smartflow config-schema | jq '.properties | keys'
"""


def validate(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FILE",
            help="Source files; all of data/sources, defaults, channels and home.yaml when none is named.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Check source files: every problem of every file, a line each with file, line, field and what was probably meant.

    What files name of each other is checked as well: channels, labels, other sources, the module of a function. Exit code 1 when there is
    a problem. Nothing is read but YAML, nothing is run.
    """
    settings = home.open_home()
    from smartflow_assets.config.catalogue import Catalogue, source_files

    catalogue = Catalogue.load(settings)
    problems = [] if files else _problems_of_shared_files(catalogue)
    for path in files or source_files(settings):
        problems += _problems_of(path.absolute(), catalogue)
    for error in catalogue.broken.values() if not files else ():  # two files of one name: each by itself may be right
        problems += _told(error)
    lines = list(dict.fromkeys(map(_line, problems)))
    for line in lines:
        terminal.result(line)
    checked = len(files or catalogue.names)
    if lines:
        holders = {problem.where.partition(", line ")[0] or problem.source for problem in problems}
        terminal.say(f"{terminal.count(len(lines), 'problem')} in {terminal.count(len(holders), 'file')}")
        raise typer.Exit(1)
    terminal.say(f"{terminal.count(checked, 'source file')} without a problem")


def _problems_of_shared_files(catalogue: "Catalogue") -> list[SourceError]:
    """What is wrong with channels, defaults and the settings of the home."""
    from smartflow_assets.config.catalogue import home_error, unknown_channels_of_home
    from smartflow_assets.config.source_file import problems_of_defaults
    from smartflow_assets.config.yaml_file import read_yaml

    found = [problem for name in sorted(catalogue.channel_errors) for problem in _told(catalogue.channel_errors[name])]
    if catalogue.settings.defaults_file.exists():
        try:
            found += problems_of_defaults(read_yaml(catalogue.settings.defaults_file))
        except SourceError as error:
            found += _told(error)
    error = home_error(catalogue.settings)
    found += unknown_channels_of_home(catalogue)
    return found if error is None else [*found, *_told(error)]


def _problems_of(path: Path, catalogue: "Catalogue") -> list[SourceError]:
    """What is wrong with one source file, wherever it lies, by itself and beside the others."""
    from smartflow_assets.config.catalogue import checked_source, defaults_of
    from smartflow_assets.config.references import missing_references
    from smartflow_assets.config.source_file import by_line
    from smartflow_assets.config.yaml_file import read_yaml

    found, (defaults, unreadable) = list[SourceError](), defaults_of(catalogue.settings)
    problems = [] if unreadable is None else [unreadable]
    try:
        file = read_yaml(path)
    except SourceError as error:
        return [*problems, *_told(error)]
    try:
        checked_source(file, defaults, catalogue.channels, catalogue.channel_errors)
    except SourceError as error:
        found += _told(error)
    return [*problems, *by_line([*found, *missing_references(file, defaults, catalogue.settings.data, catalogue.names)], file)]


def _told(error: SourceError) -> Sequence[SourceError]:
    """The problems that an error holds, or itself."""
    return getattr(error, "problems", (error,))


def _line(problem: SourceError) -> str:
    """`data/sources/shop.yaml:14: what is wrong. What to do`, as editors and terminals make it a link."""
    file, _, line = problem.where.partition(", line ")
    if file:
        relative = os.path.relpath(file)
        file = file if relative.startswith("..") else relative
    at = ":".join(filter(None, (file, line)))
    text = re.sub(r"\s+", " ", str(SmartflowError(problem.what, remedy=problem.remedy)))
    return f"{at}: {text}" if at else f"{problem.source}: {text}"


def config_schema(
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write it there.", show_default=False)] = None,
) -> None:
    """Print the JSON schema of a source file, with which editors complete keys and show what they mean.

    A file refers to it in its first line: `# yaml-language-server: $schema=source.schema.json`.
    """
    from smartflow_assets.config.catalogue import json_schema

    text = json.dumps(json_schema(), indent=2, ensure_ascii=False)
    if output is None:
        terminal.result(text)
        return
    not_of_home(output).write_text(f"{text}\n", encoding="utf-8")
    terminal.say(f"wrote {output}")


COMMANDS = (("validate", validate, VALIDATE_EXAMPLES), ("config-schema", config_schema, SCHEMA_EXAMPLES))
