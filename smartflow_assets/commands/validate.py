"""`smartflow validate` and `smartflow config-schema`: what a YAML file may say, and what is wrong with those that are there."""

import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smartflow_assets.commands import home, terminal
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
            metavar="FILE", help="Source files; all of data/sources, defaults and channels when none is named.", show_default=False
        ),
    ] = None,
) -> None:
    """Check source files: every problem of every file, a line each with file, line, field and what was probably meant.

    Exit code 1 when there is a problem. Nothing is read but YAML, nothing is run.
    """
    settings = home.open_home()
    from smartflow_assets.config.catalogue import Catalogue

    catalogue = Catalogue.load(settings)
    problems = list(_problems_of_files(files, catalogue) if files else _problems_of_all(catalogue))
    for problem in dict.fromkeys(map(_line, problems)):
        terminal.result(problem)
    checked = len(files or catalogue.names)
    if problems:
        terminal.say(f"{terminal.count(len(problems), 'problem')} in {terminal.count(checked, 'source file')}")
        raise typer.Exit(1)
    terminal.say(f"{terminal.count(checked, 'source file')} without a problem")


def _problems_of_all(catalogue: "Catalogue") -> Iterator[SourceError]:
    for errors in (catalogue.channel_errors, catalogue.broken):
        for name in sorted(errors):
            yield from getattr(errors[name], "problems", (errors[name],))


def _problems_of_files(files: Sequence[Path], catalogue: "Catalogue") -> Iterator[SourceError]:
    """The same for single files, wherever they lie."""
    from smartflow_assets.config.catalogue import cross_check
    from smartflow_assets.config.problems import InvalidFileError
    from smartflow_assets.config.source_file import build_source
    from smartflow_assets.config.yaml_file import read_yaml

    defaults = read_yaml(catalogue.settings.defaults_file) if catalogue.settings.defaults_file.exists() else None
    for path in files:
        try:
            yield from cross_check(
                build_source(read_yaml(path.absolute()), defaults=defaults), path, catalogue.channels, catalogue.channel_errors
            )
        except InvalidFileError as error:
            yield from error.problems
        except SourceError as error:
            yield error


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
    output.write_text(f"{text}\n", encoding="utf-8")
    terminal.say(f"wrote {output}")


COMMANDS = (("validate", validate, VALIDATE_EXAMPLES), ("config-schema", config_schema, SCHEMA_EXAMPLES))
