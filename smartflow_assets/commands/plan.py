"""`smartflow plan`: what the next run of a source will do because its YAML changed, before it does it."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from smartflow_assets.commands import home, terminal
from smartflow_assets.core.errors import SourceError

if TYPE_CHECKING:
    from smartflow_assets.adapters.warehouse.warehouse import Warehouse
    from smartflow_assets.config.catalogue import Catalogue
    from smartflow_assets.config.plan import Plan
    from smartflow_assets.config.settings import Settings

EXAMPLES = """
smartflow plan
smartflow plan web_traffic
"""
STYLES = {"rebuild": "yellow", "removal": "yellow", "retrain": "cyan", "first_run": "green", "nothing": ""}


def plan(sources: home.SourceNames = None) -> None:
    """Show what changed settings will do: rows made anew, models trained anew, or nothing but the next run.

    Compares each YAML file with what the stored rows and models were made under. Nothing is changed.
    """
    settings = home.open_home()
    from smartflow_assets.adapters.warehouse.warehouse import Warehouse
    from smartflow_assets.config.catalogue import Catalogue

    catalogue, warehouse = Catalogue.load(settings), Warehouse(settings.warehouse_file, settings.published_file)
    failed = []
    for name in home.named(sources or [], catalogue):
        try:
            _tell(_plan(name, settings, catalogue, warehouse))
        except SourceError as error:
            failed.append(error)
    if not sources and settings.warehouse_file.exists():
        from smartflow_assets.config.plan import removal

        rows = warehouse.read("SELECT DISTINCT source FROM clean_series ORDER BY source")
        for name in rows["source"]:
            if name not in catalogue.names:
                _tell(removal(str(name)))
    if failed:
        for error in failed[:-1]:
            terminal.error(str(error))
        raise failed[-1]


def _tell(plan: "Plan") -> None:
    first, *changes = str(plan).splitlines()
    terminal.result(first, style=STYLES[plan.effect])
    for change in changes:
        terminal.result(change)


def _plan(name: str, settings: "Settings", catalogue: "Catalogue", warehouse: "Warehouse") -> "Plan":
    from smartflow_assets.adapters.model_store import ModelStore
    from smartflow_assets.config.plan import compare
    from smartflow_assets.stages.bucket_resolution import made_under, with_bucket
    from smartflow_assets.stages.metric_groups import fingerprint, metric_groups
    from smartflow_assets.stages.run import SourceRun

    source = catalogue.source(name)
    if not settings.warehouse_file.exists():
        return compare(source, rows_made_under=None)
    run = with_bucket(SourceRun(source, settings, catalogue, warehouse, ModelStore(settings.models), datetime.now(UTC), "plan"))
    stored = warehouse.read("SELECT DISTINCT fingerprint FROM trained_models WHERE source = ?", [name])["fingerprint"].dropna()
    wanted = {fingerprint(run, group) for group in metric_groups(run)} if len(stored) else set()
    return compare(run.source, rows_made_under=made_under(warehouse, name), models=set(stored), models_wanted=wanted)


COMMANDS = (("plan", plan, EXAMPLES),)
