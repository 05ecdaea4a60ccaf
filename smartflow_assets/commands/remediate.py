"""`smartflow remediate`: what is due by `remediate:` of a source, an action by hand, and taking back what one lets stand."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from smartflow_assets.commands import home, terminal
from smartflow_assets.commands.caller import caller

if TYPE_CHECKING:
    from smartflow_assets.core.remediation.base import BaseAction
    from smartflow_assets.stages.run import SourceRun

EXAMPLES = """
smartflow remediate shop --dry-run
smartflow remediate shop
smartflow remediate shop reingest
smartflow remediate shop pause --with lasting=6h
smartflow remediate shop fill --since 2026-03-01 --until 2026-03-03
smartflow remediate shop --undo pause
"""
RUN_ID = "remediate"
STYLES = {"failed": "red", "skipped": "yellow", "dry": "cyan"}


class Format(StrEnum):
    """How the rows are printed."""

    table = "table"
    json = "json"


def remediate(
    name: home.SourceName,
    action: Annotated[
        str | None,
        typer.Argument(
            metavar="ACTION",
            help="Do this now, whatever is wrong: retrain, reingest, fill, hold_last, quarantine, pause, run, or one of a package.",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    settings_of_action: Annotated[
        list[str] | None,
        typer.Option("--with", metavar="KEY=VALUE", help="With ACTION, a key of it, such as lasting=6h.", show_default=False),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since", metavar="TIME", help="With ACTION, for rows from this time on: a gap is filled only as far.", show_default=False
        ),
    ] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="TIME", help="With ACTION, before this time.", show_default=False)] = None,
    series: Annotated[str, typer.Option("--series", metavar="SERIES", help="With ACTION, for this series alone.", show_default=False)] = "",
    undo: Annotated[
        str | None,
        typer.Option(
            "--undo",
            metavar="ID",
            help="Take back what stands: the beginning of its id, or its action, for all of them.",
            show_default=False,
        ),
    ] = None,
    format: Annotated[Format, typer.Option("--format", "-f", help="How to print the rows.")] = Format.table,
) -> None:
    """Do what `remediate:` of the source says about what is wrong now. With ACTION, do that by hand: no limit holds for it.

    Each is a row of the table remediations, with what was before and after; marts.remediation_log tells them with their incidents. A run
    does the same by itself, so that what it has done is not due here. Waits for a run of the source that is under way. Exit code 1 when
    an action failed.
    """
    if action is None and (since or until or series or settings_of_action):
        raise terminal.UsageError("--since, --until, --series and --with go with an ACTION")
    if undo is not None and (action or dry_run):
        raise terminal.UsageError("--undo goes alone")
    span = home.span(since, until)
    source = _source(name)
    if action is None and undo is None and not source.source.remediate:
        terminal.note(f"{name} has no `remediate`, in its YAML or in data/defaults.yaml; an ACTION does without")
    from smartflow_assets.stages import remediation

    chosen = None if action is None else _action(action, settings_of_action or [])
    if series:
        _refuse_stranger(series, remediation.known_series(source), name)
    if undo is not None:
        _undo(source, undo)
        return
    if dry_run:
        due = [] if chosen else remediation.due_now(source)
        rows = [
            {
                "action": each.action.label,
                "status": each.status,
                "message": each.why or f"it would {each.action.describe()}",
                "reason": each.matter.title,
            }
            for each in due
        ]
        if chosen:
            rows = [{"action": chosen.label, "status": "dry", "message": f"it would {chosen.describe()}", "reason": "by hand"}]
        _print(rows, format)
        return
    from smartflow_assets.defs.resources import SOURCE_LOCK_PATIENCE, source_lock

    with source_lock(source.settings, name).exclusive(SOURCE_LOCK_PATIENCE, holder=RUN_ID):
        if chosen is None:
            done = list(remediation.remediations(source).rows)
        else:
            done = [remediation.by_hand(source, chosen, remediation.wish_of(source, f"asked for by {caller()}", *span, series), caller())]
    source.warehouse.publish(RUN_ID, is_forced=True)
    _print(done, format)
    for row in done:
        if row["status"] == "failed":
            terminal.error(f"{name}: {row['action']}: {row['error']}")
    if any(row["status"] == "failed" for row in done):
        raise typer.Exit(1)


def _print(rows: Sequence[Mapping[str, Any]], format: Format) -> None:
    from smartflow_assets.core.json_value import json_value

    if format == Format.json:
        kept = ("remediation_id", "incident_id", "action", "status", "message", "reason", "before", "after", "error")
        told = [{key: json_value(row.get(key)) for key in kept} for row in rows]
        terminal.result(
            json.dumps([each | {key: json.loads(each[key]) for key in ("before", "after") if each[key]} for each in told], indent=2)
        )
    elif rows:
        columns = ["action", "status", "message", "reason"]
        terminal.table(columns, [[row[column] for column in columns] for row in rows], styles=STYLES)
    else:
        terminal.result("nothing is due")


def _undo(source: "SourceRun", wanted: str) -> None:
    from smartflow_assets.core.nearest_name import did_you_mean
    from smartflow_assets.stages import remediation

    standing = remediation.undoable(source.warehouse, source.name, source.now)
    found = [row for row in standing if wanted == row["action"] or (wanted and row["remediation_id"].startswith(wanted))]
    if not found:
        names = [name for row in standing for name in (row["action"], row["remediation_id"])]
        told = [f"{row['action']} ({row['remediation_id']})" for row in standing]
        listed = f"What stands: {', '.join(told)}." if told else "Nothing stands that could be taken back."
        raise terminal.UsageError(f"no remedy of {source.name} that stands is called {wanted}", remedy=did_you_mean(wanted, names, listed))
    for row in found:
        remediation.undo(source.warehouse, row, by_whom=caller(), now=source.now, run_id=RUN_ID)
        becomes = "its schedule holds again" if row["is_pause"] is True else "the next run takes its values out again"
        terminal.result(f"{source.name}: {row['action']} of {row['happened_at']:%Y-%m-%d %H:%M} is taken back; {becomes}")
    source.warehouse.publish(RUN_ID, is_forced=True)


def _action(name: str, given: Sequence[str]) -> "BaseAction":
    """The action of that name with these keys. UsageError for another, in the words that a YAML gets."""
    from pydantic import ValidationError

    from smartflow_assets.config.problems import problems_of
    from smartflow_assets.core.nearest_name import did_you_mean
    from smartflow_assets.core.remediation import ACTIONS

    if name not in ACTIONS:
        raise terminal.UsageError(f"there is no action {name}", remedy=did_you_mean(name, ACTIONS, f"There are {', '.join(ACTIONS)}."))
    if strange := next((each for each in given if "=" not in each), None):
        raise terminal.UsageError(f"--with {strange}: write KEY=VALUE")
    values = dict(each.split("=", 1) for each in given)
    try:
        return ACTIONS[name].model_validate(values)
    except ValidationError as error:
        first = problems_of(error, name=name, files=(), values=values, schema=ACTIONS[name].model_json_schema())[0]
        raise terminal.UsageError(f"--with: {first.what}", remedy=first.remedy) from None


def _refuse_stranger(series: str, known: Sequence[str], source: str) -> None:
    from smartflow_assets.core.nearest_name import did_you_mean

    if series not in known:
        listed = f"There are {', '.join(known[:20])}{' …' if len(known) > 20 else ''}." if known else "It has none yet."
        raise terminal.UsageError(f"{source} has no series {series!r}", remedy=did_you_mean(series, known, listed))


def _source(name: str) -> "SourceRun":
    """The source at hand, without a run of Dagster."""
    settings = home.open_home()
    from smartflow_assets.adapters.model_store import ModelStore
    from smartflow_assets.config.catalogue import Catalogue
    from smartflow_assets.defs.resources import open_warehouse
    from smartflow_assets.stages.bucket_resolution import with_bucket
    from smartflow_assets.stages.run import SourceRun

    catalogue = Catalogue.load(settings)
    home.named([name], catalogue)
    now = datetime.now(UTC)
    run_id = f"{RUN_ID} {now.isoformat()}"  # what was said of one call is said anew of the next
    return with_bucket(
        SourceRun(catalogue.source(name), settings, catalogue, open_warehouse(settings), ModelStore(settings.models), now, run_id)
    )


COMMANDS = (("remediate", remediate, EXAMPLES),)
