"""Reset: the rows of a source go, with all that was made of them; the ledger of its runs stays."""

from smartflow_assets.adapters.model_store import ModelStore
from smartflow_assets.adapters.warehouse.tables import TABLES, raw_table
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.adapters.warehouse.writes import Delete
from smartflow_assets.stages.record_models import remove_models

OF_INCIDENTS = ("incidents", "incident_events", "alert_sends", "feedback")
KEPT = ("writes", "run_log", "training_requests", "api_audit")
"""What is known of the runs, by what earlier windows were told, and who did what, stays."""
OF_RAW = ("ingestions", "quarantined_records")
"""What the warehouse deletes with the raw table."""


def forget(warehouse: Warehouse, models: ModelStore, source: str, *, keep_incidents: bool = False) -> dict[str, int]:
    """Delete all of a source in one commit, but for its runs and, when asked, its incidents. Returns the rows that went, by table."""
    kept = (*KEPT, *OF_RAW, *(OF_INCIDENTS if keep_incidents else ()))
    names = [spec.name for spec in TABLES.values() if spec.has_source and spec.name not in kept]
    counts = warehouse.commit("reset", [Delete(raw_table(source), source), *(Delete(name, source) for name in names)]).row_counts
    models.remove(source)
    remove_models(models, source)
    return {name: count for name, count in counts.items() if count}
