"""`smartflow contract`: the contract of a source as a suite of Great Expectations, out and in, and how its columns have changed."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smartflow_assets.commands import home, terminal
from smartflow_assets.commands.caller import caller
from smartflow_assets.commands.target_file import in_folder
from smartflow_assets.core.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ruamel.yaml.comments import CommentedMap

    from smartflow_assets.adapters.expectations.suite import Suite
    from smartflow_assets.config.source import Source
    from smartflow_assets.stages.schema_changes import OpenChange

HELP = "The contract of a source: as an ExpectationSuite of Great Expectations, out and in; and changes of its columns, to see and accept."
EXPORT_EXAMPLES = """
smartflow contract export shop
smartflow contract export shop --out shop_suite.json
"""
DIFF_EXAMPLES = """
smartflow contract diff shop
"""
ACCEPT_EXAMPLES = """
smartflow contract accept shop --dry-run
smartflow contract accept shop
smartflow contract accept shop total
"""
IMPORT_EXAMPLES = """
smartflow contract import shop shop_suite.json --dry-run
smartflow contract import shop shop_suite.json
"""


def export_contract(
    name: home.SourceName,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="File to write, replaced as a whole; default: stdout.", show_default=False),
    ] = None,
) -> None:
    """Write the contract of a source as the JSON of an ExpectationSuite, which Great Expectations 1.x reads.

    What it has no word for, such as the rows that a value is unique among, stands in the meta of the suite, and comes back with `import`.
    """
    import json

    source = _source(name)
    from smartflow_assets.adapters.expectations.suite import suite_of

    if source.contract is None:
        raise SourceError(
            "there is no contract to write", source=name, where=source.file, remedy="Give it a key `contract`; see docs/quality.md."
        )
    if out is not None:
        in_folder(out)
    suite = suite_of(source.contract, name)
    text = json.dumps(suite, indent=2, ensure_ascii=False)
    if out is None:
        terminal.result(text)
        return
    from smartflow_assets.config.yaml_file import replace_file

    replace_file(out, f"{text}\n")
    terminal.say(f"{terminal.count(len(suite['expectations']), 'expectation')} of {name} written to {out}")


def import_contract(
    name: home.SourceName,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="ExpectationSuite of Great Expectations, as JSON.", show_default=False)],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change in the YAML, and write nothing.")] = False,
) -> None:
    """Put the expectations of a suite into the contract of a source. Comments and all other keys of the YAML stay.

    What has a short word in a contract is written so; any other expectation is listed by its type. A value that the contract has
    for the same word is replaced. What cannot be taken over is named, and the rest is written.
    """
    source = _source(name)
    from smartflow_assets.adapters.expectations.suite import read_suite
    from smartflow_assets.commands.yaml_change import show_change
    from smartflow_assets.config.contract_edit import KEY, put_contract
    from smartflow_assets.config.yaml_file import edit_yaml, read_yaml
    from smartflow_assets.core.contracts.shorthand import with_expectations

    path = Path(source.file)
    before = read_yaml(path).values.get(KEY) or {}
    suite = read_suite(file, before.get("unique_within", "source"))
    for each in suite.unreadable:
        terminal.note(f"not taken over: {each}")
    values = with_expectations(before, suite.expectations, suite.settings)
    if not show_change(path, lambda tree: put_contract(tree, values)):
        terminal.result(f"{name}: the contract says all of it already")
        return
    _tell(suite, is_unique_in_source=values.get("unique_within", "source") == "source")
    if dry_run:
        terminal.say("nothing is written; without --dry-run this goes into the file")
        return
    edit_yaml(path, lambda tree: put_contract(tree, values))
    terminal.say(f"written to {path}; `smartflow validate` checks it")


def diff_contract(name: home.SourceName) -> None:
    """Show which columns are gone, renamed or of another type since they were accepted, and what the contract would say after them.

    A column that is new is accepted by itself. What is listed stands until a later load has the columns as before, or `accept`.
    """
    source = _source(name)
    changes = _open_changes(source)
    if not changes:
        terminal.result(f"{name}: the columns are as they were accepted")
        return
    for each in changes:
        terminal.result(f"{name}: {each.change}, since {each.seen_at:%Y-%m-%d %H:%M} (load {each.load_id})")
    _contract_after(source, changes)


def accept_contract(
    name: home.SourceName,
    columns: Annotated[
        list[str] | None,
        typer.Argument(metavar="COLUMN…", help="Only changes of these columns; default: all that stand.", show_default=False),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and write nothing.")] = False,
) -> None:
    """Take changes of columns as they are: from now on the columns are as after them, and the contract is asked of these. Comments and all
    other keys of the YAML stay. A load that the changes blocked goes through with the next run, unless it breaks anything else.
    """
    from datetime import UTC, datetime

    from smartflow_assets.config.yaml_file import edit_yaml
    from smartflow_assets.core.nearest_name import did_you_mean
    from smartflow_assets.defs.resources import open_warehouse
    from smartflow_assets.stages.schema_changes import accept

    source = _source(name)
    changes = _open_changes(source)
    of_columns = {each.change.column: each for each in changes}
    for column in columns or ():
        if column not in of_columns:
            listed = f"Changed are {', '.join(of_columns)}." if of_columns else "No change of a column stands."
            raise terminal.UsageError(f"no change of a column {column} of {name} stands", remedy=did_you_mean(column, of_columns, listed))
    chosen = [each for each in changes if not columns or each.change.column in columns]
    if not chosen:
        terminal.result(f"{name}: the columns are as they were accepted")
        return
    for each in chosen:
        terminal.result(f"{name}: {each.change}")
    change = _contract_after(source, chosen)
    if dry_run:
        terminal.say("nothing is written; without --dry-run this is accepted")
        return
    if change is not None:
        edit_yaml(Path(source.file), change)
    warehouse = open_warehouse(home.open_home())
    accept(warehouse, name, chosen, by_whom=caller(), now=datetime.now(UTC), run_id="contract accept")
    warehouse.publish("contract accept", is_forced=True)
    terminal.say(f"{terminal.count(len(chosen), 'change')} accepted" + (f", and {source.file} edited" if change is not None else ""))
    gone = {each.change.name_before or each.change.column for each in chosen if each.change.kind in ("removed", "renamed")}
    named = gone & {*source.dimensions, *(metric.source_column.column for metric in source.metrics)}
    if named:
        terminal.note(f"{name}: metrics or dimensions name {', '.join(sorted(map(str, named)))}, which is gone; correct {source.file}")


def _open_changes(source: "Source") -> "Sequence[OpenChange]":
    from smartflow_assets.defs.resources import open_warehouse
    from smartflow_assets.stages.schema_changes import column_history

    warehouse = open_warehouse(home.open_home())
    return column_history(warehouse, source.name).open if warehouse.is_begun() else ()


def _contract_after(source: "Source", changes: "Sequence[OpenChange]") -> "Callable[[CommentedMap], None] | None":
    """Print what the changes make of the contract in the YAML, and give what does it; None where it stays as it is."""
    from smartflow_assets.commands.yaml_change import show_change
    from smartflow_assets.config.contract_edit import KEY, put_contract
    from smartflow_assets.config.yaml_file import read_yaml
    from smartflow_assets.core.contracts.accepted_changes import with_changes

    path = Path(source.file)
    before = read_yaml(path).values.get(KEY)
    if not before:
        return None
    values = with_changes(before, [each.change for each in changes])

    def change(tree: "CommentedMap") -> None:
        put_contract(tree, values)

    return change if show_change(path, change) else None


def _tell(suite: "Suite", *, is_unique_in_source: bool) -> None:
    """What a reader of the diff may not see in it."""
    blocking = sum(each.severity == "critical" for each in suite.expectations)
    if blocking:
        terminal.note(
            f"{terminal.count(blocking, 'expectation')} of severity critical, as Great Expectations writes it where nobody has said "
            "otherwise: a breach will keep the rows of its load out of everything downstream"
        )
    if suite.unscoped_count and is_unique_in_source:
        terminal.note(
            "uniqueness holds for all stored rows of the source now; `unique_within: batch` asks it of each load alone, as the suite did"
        )


def _source(name: str) -> "Source":
    settings = home.open_home()
    from smartflow_assets.config.catalogue import Catalogue

    catalogue = Catalogue.load(settings)
    home.named([name], catalogue)
    return catalogue.source(name)


COMMANDS = (
    ("export", export_contract, EXPORT_EXAMPLES),
    ("import", import_contract, IMPORT_EXAMPLES),
    ("diff", diff_contract, DIFF_EXAMPLES),
    ("accept", accept_contract, ACCEPT_EXAMPLES),
)
