"""`smartflow prune`: let old rows, models and run history go."""

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smartflow_assets.commands import home, terminal

if TYPE_CHECKING:
    from smartflow_assets.config.settings import Settings
    from smartflow_assets.stages.maintenance.retention import Pruned

EXAMPLES = """
smartflow prune --older-than "90 days" --dry-run
smartflow prune --older-than 30d
"""


def prune(
    older_than: Annotated[str, typer.Option("--older-than", metavar="DURATION", help="Such as 30d, 12 weeks.", show_default=False)],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    as_of: home.AsOf = None,
) -> None:
    """Delete rows, incidents, ledgers and Dagster's runs that are older than a duration. They do not come back.

    Rows that models learn from stay as long as `training.window` reaches. Open incidents stay, and the newest run of each source. A source
    whose YAML file is gone goes altogether once its last run is older. Nothing is judged anew, nobody is told anything; a file that still
    holds pruned rows does not bring them back. The freed space of the warehouse is used again by what comes.
    """
    settings = home.open_home()
    age = home.duration(older_than, "--older-than")
    before = (home.clock(as_of) or datetime.now(UTC)) - age
    if dry_run:
        with tempfile.TemporaryDirectory(prefix="smartflow-prune-") as folder:
            trial = settings.with_state_in(Path(folder))
            from smartflow_assets.adapters.warehouse.warehouse import Warehouse

            Warehouse(settings.warehouse_file, settings.published_file).copy_to(trial.warehouse_file)
            _tell(_prune_rows(trial, before))
        terminal.say("nothing was deleted; Dagster's history was not counted")
        return
    pruned = _prune_rows(settings, before)
    from smartflow_assets.adapters.warehouse.warehouse import Warehouse
    from smartflow_assets.config.home import share_of
    from smartflow_assets.defs.instance import open_instance
    from smartflow_assets.defs.run_history import prune_runs
    from smartflow_assets.defs.settling_in import AS_LONG_AS_IT_TAKES, settle_in

    Warehouse(settings.warehouse_file, settings.published_file, share=share_of(settings)).publish("prune", is_forced=True)
    with open_instance(settings.dagster_home) as instance, terminal.progress(None, "Dagster's history") as advance:
        settle_in(instance, settings, patience=AS_LONG_AS_IT_TAKES)
        runs = prune_runs(instance, settings, before=before, told=lambda run_id: advance(1, run_id))
    _tell(pruned)
    terminal.result(f"{terminal.count(runs, 'run')} of Dagster's history")


def _prune_rows(settings: "Settings", before: datetime) -> "list[Pruned]":
    from smartflow_assets.adapters.model_store import ModelStore
    from smartflow_assets.adapters.warehouse.warehouse import Warehouse
    from smartflow_assets.config.catalogue import Catalogue
    from smartflow_assets.stages.maintenance import retention

    warehouse = Warehouse(settings.warehouse_file, settings.published_file)
    sources = retention.stored_sources(warehouse)
    done = []
    with terminal.progress(len(sources), "pruning") as advance:
        for pruned in retention.prune(warehouse, ModelStore(settings.models), Catalogue.load(settings), before=before):
            advance(1, pruned.source)
            done.append(pruned)
    return done


def _tell(done: "list[Pruned]") -> None:
    rows = [(pruned.source, name, f"{count:,}") for pruned in done for name, count in pruned.rows.items()]
    if rows:
        terminal.table(["source", "table", "rows"], rows, right=["rows"])
    else:
        terminal.result("nothing is that old")
    for pruned in done:
        if pruned.is_gone:
            terminal.note(f"{pruned.source} has no YAML file any more: all of it went")
        elif pruned.learnt_from:
            since = f"{pruned.learnt_from:%Y-%m-%d %H:%M}"
            terminal.note(f"{pruned.source}: rows from {since} on stay, its models learn from them (training.window)")


COMMANDS = (("prune", prune, EXAMPLES),)
