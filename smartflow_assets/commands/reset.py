"""`smartflow reset`: forget the rows of a source and what was made of them, so that the next run reads all anew."""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from smartflow_assets.commands import home, terminal

if TYPE_CHECKING:
    from smartflow_assets.adapters.warehouse.warehouse import Warehouse
    from smartflow_assets.config.settings import Settings

EXAMPLES = """
smartflow reset web_traffic
smartflow reset web_traffic --keep-incidents --yes
"""


def reset(
    name: home.SourceName,
    keep_incidents: Annotated[
        bool, typer.Option("--keep-incidents", help="Keep its incidents, what was said of them, and the messages that were sent.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Forget the rows of a source and what was made of them: series, scores, anomalies, incidents, models. The next run reads all anew.

    What its files or its server do not hold any more is lost. The YAML file stays, and so does the history of its runs; nobody is told
    again of what lies before the reset.
    """
    settings = home.open_home()
    from smartflow_assets.adapters.warehouse.warehouse import Warehouse
    from smartflow_assets.config.catalogue import Catalogue
    from smartflow_assets.stages.ingestion import stored_rows

    catalogue = Catalogue.load(settings)
    home.named([name], catalogue)
    warehouse = Warehouse(settings.warehouse_file, settings.published_file)
    rows = stored_rows(warehouse, name) if warehouse.is_begun() else 0
    kept = "its incidents stay" if keep_incidents else "its incidents go too"
    question = f"{name}: forget {terminal.count(rows, 'stored row')} and all that was made of them; {kept}?"
    if not yes and not typer.confirm(question):
        terminal.say("nothing was forgotten")
        raise typer.Exit(1)
    for table, count in _forget(settings, warehouse, name, keep_incidents=keep_incidents).items():
        terminal.result(f"{table}: {terminal.count(count, 'row')}")
    terminal.say(f"the next run reads {name} anew")


def _forget(settings: "Settings", warehouse: "Warehouse", name: str, *, keep_incidents: bool) -> dict[str, int]:
    """Waits for a run of the source that is under way."""
    if not warehouse.is_begun():
        return {}
    from smartflow_assets.adapters.model_store import ModelStore
    from smartflow_assets.defs.resources import source_lock
    from smartflow_assets.stages.incident_pages import remove_pages
    from smartflow_assets.stages.maintenance.resetting import forget

    with source_lock(settings, name).exclusive(timedelta(seconds=60), holder="smartflow reset"):
        counts = forget(warehouse, ModelStore(settings.models), name, keep_incidents=keep_incidents)
    warehouse.publish("reset", is_forced=True)
    remove_pages(settings, warehouse)
    return counts


COMMANDS = (("reset", reset, EXAMPLES),)
