"""`smartflow plan`: what the next run of a source will do because its YAML changed, before it does it."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from smartflow_assets.commands import home, terminal
from smartflow_assets.core.errors import SourceError

if TYPE_CHECKING:
    from smartflow_assets.config.plan import Plan

EXAMPLES = """
smartflow plan
smartflow plan web_traffic
"""
STYLES = {"rebuild": "yellow", "removal": "yellow", "retrain": "cyan", "replace": "yellow", "first_run": "green", "nothing": ""}


def plan(sources: home.SourceNames = None) -> None:
    """Show what changed settings will do: rows made anew, models trained anew, or nothing but the next run.

    Compares each YAML file, with the defaults below it, with what it said when a run last came through, and names each key that has
    changed: its old and its new value, and what comes of it. Nothing is changed.
    """
    settings = home.open_home()
    from smartflow_assets.adapters.warehouse.warehouse import Warehouse
    from smartflow_assets.config.catalogue import Catalogue
    from smartflow_assets.stages.source_plan import plan_of, removals

    catalogue, warehouse = Catalogue.load(settings), Warehouse(settings.warehouse_file, settings.published_file)
    failed, unknown = [], []
    for name in home.named(sources or [], catalogue):
        try:
            found = plan_of(name, settings, catalogue, warehouse, datetime.now(UTC))
            _tell(found)
            unknown += [] if found.is_all_known else [name]
        except SourceError as error:
            failed.append(error)
    if not sources:
        for each in removals(catalogue, warehouse):
            _tell(each)
    if unknown:
        terminal.note(
            f"what the YAML of {', '.join(unknown)} said before is kept from the next run on; until then only what makes rows "
            "anew is named key by key"
        )
    if failed:
        for error in failed[:-1]:
            terminal.error(str(error))
        raise failed[-1]


def _tell(plan: "Plan") -> None:
    first, *changes = str(plan).splitlines()
    terminal.result(first, style=STYLES[plan.effect])
    for change in changes:
        terminal.result(change)


COMMANDS = (("plan", plan, EXAMPLES),)
