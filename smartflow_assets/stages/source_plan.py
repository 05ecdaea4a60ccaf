"""What the next run of a source will do because its YAML changed: the file beside what is stored of the source."""

from dataclasses import replace
from datetime import datetime

from smartflow_assets.adapters.model_store import ModelStore
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.plan import Plan, compare, removal
from smartflow_assets.config.settings import Settings
from smartflow_assets.stages.bucket_resolution import made_under, with_bucket
from smartflow_assets.stages.configuration_log import last_configuration
from smartflow_assets.stages.maintenance.announcements import coming_prunings
from smartflow_assets.stages.metric_groups import metric_groups
from smartflow_assets.stages.model_ledger import standing_models, wanted_fingerprints
from smartflow_assets.stages.moved_times import coming_shift
from smartflow_assets.stages.replaced_rows import giving_way, once_counted
from smartflow_assets.stages.run import SourceRun


def plan_of(name: str, settings: Settings, catalogue: Catalogue, warehouse: Warehouse, now: datetime) -> Plan:
    """The plan of a source of the catalogue. SourceError when its file is broken."""
    source = catalogue.source(name)
    if not warehouse.is_begun():
        return compare(source, rows_made_under=None)
    run = with_bucket(SourceRun(source, settings, catalogue, warehouse, ModelStore(settings.models), now, "plan"))
    models = standing_models(warehouse, name).dropna(subset="fingerprint")
    wanted = wanted_fingerprints(run, metric_groups(run), models) if len(models) else set[str]()
    plan = compare(
        source,
        rows_made_under=made_under(warehouse, name),
        models=set(models["fingerprint"]),
        models_wanted=wanted,
        configuration=last_configuration(warehouse, name),
    )
    if replaced := giving_way(run.source, warehouse, settings.data):
        plan = replace(plan, effect="replace" if plan.effect in ("nothing", "first_run") else plan.effect, notes=(*plan.notes, replaced))
    plan = replace(plan, notes=(*plan.notes, *(each.told for each in coming_prunings(warehouse, name))))
    if buckets := once_counted(warehouse, name):
        note = f"equal rows count each by itself now, not once: {buckets:,} buckets hold some"
        plan = replace(plan, effect="rebuild", notes=(*plan.notes, note))
    if plan.effect == "first_run" or (shift := coming_shift(run.source, warehouse, settings.data)) is None:
        return plan
    return replace(plan, effect="rebuild" if shift.is_certain else plan.effect, notes=(*plan.notes, str(shift)))


def removals(catalogue: Catalogue, warehouse: Warehouse) -> list[Plan]:
    """A plan for each source that has clean rows and no file any more."""
    if not warehouse.is_begun():
        return []
    rows = warehouse.read("SELECT DISTINCT source FROM clean_series ORDER BY source")
    return [removal(str(name)) for name in rows["source"] if name not in catalogue.names]
