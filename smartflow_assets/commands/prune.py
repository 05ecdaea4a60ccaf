"""`smartflow prune`: let old rows, models and run history go."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from smartflow_assets.commands import home, terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from smartflow_assets.adapters.warehouse.warehouse import Warehouse
    from smartflow_assets.config.settings import Settings
    from smartflow_assets.stages.maintenance.announcements import Pruned

EXAMPLES = """
smartflow prune --dry-run
smartflow prune
smartflow prune --announced
smartflow prune --older-than "90 days"
"""


def prune(
    older_than: Annotated[
        str,
        typer.Option("--older-than", metavar="DURATION", help="Such as 30d, 12 weeks, in the place of `retention:`.", show_default=False),
    ] = "",
    announced: Annotated[
        bool, typer.Option("--announced", help="As the daemon does it each night, for cron: what is much is announced two weeks before.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    as_of: home.AsOf = None,
) -> None:
    """Delete rows, incidents, ledgers and Dagster's runs that `retention:` does not keep, or all that are older than a duration. They do
    not come back.

    The daemon does so each day, and announces what is much two weeks before; by hand it goes at once, unless --announced is given. What
    is needed stays: rows that models learn from or that results look back on, what is open, messages that wait. With --older-than only
    those of `training.window` stay, open incidents, and the newest run of each source. A source whose YAML file is gone goes altogether
    once its last run is older. Nothing is judged anew, nobody is told anything; a file that still holds pruned rows does not bring them
    back. A warehouse that is mostly free blocks after it is rewritten.
    """
    if announced and (older_than or dry_run):
        raise typer.BadParameter("--announced goes with neither --older-than nor --dry-run")
    settings = home.open_home()
    now = home.clock(as_of) or datetime.now(UTC)
    before = now - home.duration(older_than, "--older-than") if older_than else None
    from smartflow_assets.defs.resources import open_warehouse

    warehouse = open_warehouse(settings)
    is_begun = warehouse.is_begun()
    if dry_run:
        _tell(_pruned(settings, warehouse, before, now, is_dry=True) if is_begun else [])
        terminal.say("nothing was deleted; Dagster's history was not counted")
        return
    from smartflow_assets.defs.instance import open_instance
    from smartflow_assets.defs.pruning import prune_home
    from smartflow_assets.defs.run_history import prune_runs
    from smartflow_assets.defs.settling_in import AS_LONG_AS_IT_TAKES, settle_in
    from smartflow_assets.stages.incident_pages import remove_pages

    if before is None:
        with open_instance(settings.dagster_home) as instance, terminal.progress(None, "pruning") as advance:
            settle_in(instance, settings, patience=AS_LONG_AS_IT_TAKES)
            done = prune_home(instance, settings, now=now, run_id="prune", is_at_once=not announced, told=lambda text: advance(1, text))
        _tell(done.sources)
        terminal.result(f"{terminal.count(done.runs, 'run')} and {terminal.count(done.ticks, 'tick')} of Dagster's history")
        rewritten, problems = done.rewritten, done.problems
    else:
        pruned, rewritten, problems = _pruned(settings, warehouse, before, now), warehouse.compact("prune"), []
        warehouse.publish("prune", is_forced=True)
        remove_pages(settings, warehouse)
        with open_instance(settings.dagster_home) as instance, terminal.progress(None, "Dagster's history") as advance:
            settle_in(instance, settings, patience=AS_LONG_AS_IT_TAKES)
            runs = prune_runs(instance, settings, before=lambda source: before, told=lambda run_id: advance(1, run_id))
        _tell(pruned)
        terminal.result(f"{terminal.count(runs, 'run')} of Dagster's history")
    if rewritten:
        terminal.result(
            f"the warehouse was rewritten: {rewritten.size / 1024**2:,.0f} MiB, of which {rewritten.free / 1024**2:,.0f} were free"
        )
    for problem in problems:
        terminal.error(problem)
    if problems:
        raise typer.Exit(1)


def _pruned(
    settings: "Settings", warehouse: "Warehouse", before: datetime | None, now: datetime, *, is_dry: bool = False
) -> "list[Pruned]":
    from smartflow_assets.adapters.model_store import ModelStore
    from smartflow_assets.config.catalogue import Catalogue
    from smartflow_assets.stages.maintenance import retention

    models, catalogue = ModelStore(settings.models), Catalogue.load(settings)

    def pruning() -> "Iterator[Pruned]":
        if before is not None:
            return retention.prune(warehouse, models, catalogue, before=before, is_dry=is_dry)
        return retention.prune_by_settings(warehouse, models, catalogue, now=now, run_id=retention.RUN_ID, is_dry=is_dry)

    done = []
    with terminal.progress(len(retention.stored_sources(warehouse)), "pruning") as advance:
        for pruned in pruning():
            advance(1, pruned.source)
            done.append(pruned)
    return done


def _tell(done: "list[Pruned]") -> None:
    rows = [(pruned.source, name, f"{count:,}") for pruned in done if pruned.due_at is None for name, count in pruned.rows.items()]
    if rows:
        terminal.table(["source", "table", "rows"], rows, right=["rows"])
    else:
        terminal.result("nothing is pruned yet" if any(pruned.due_at is not None for pruned in done) else "nothing is that old")
    for pruned in done:
        if pruned.due_at is not None or (pruned.problem and pruned.is_left):
            terminal.note(str(pruned))
        elif pruned.is_gone:
            terminal.note(f"{pruned.source} has no YAML file any more: all of it went")
        elif pruned.learnt_from:
            since = f"{pruned.learnt_from:%Y-%m-%d %H:%M}"
            terminal.note(f"{pruned.source}: rows from {since} on stay, its models learn from them (training.window)")
        elif pruned.held_by:
            terminal.note(f"{pruned.source}: some rows stay longer than `retention:` says, since {pruned.held_by}")


COMMANDS = (("prune", prune, EXAMPLES),)
