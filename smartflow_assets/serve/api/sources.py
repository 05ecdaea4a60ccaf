"""The sources: what their files say, and how each stands."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response

from smartflow_assets.adapters.readers import InboxReader, SyntheticReader
from smartflow_assets.adapters.warehouse.published_copy import Snapshot
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.serve.access.caller import Caller, reads, service_of
from smartflow_assets.serve.answers import as_json
from smartflow_assets.serve.api.answered import answered
from smartflow_assets.serve.api.asked import Sources, known_sources, owned
from smartflow_assets.serve.problem import responses
from smartflow_assets.serve.queries import state
from smartflow_assets.stages.message_background import page_of

router = APIRouter(tags=["state"])
_SHOWN = (
    "series_count",
    "last_run_at",
    "last_run_status",
    "last_looked_at",
    "last_observed_at",
    "record_count",
    "judged_count",
    "anomaly_count",
    "anomaly_rate",
    "open_incidents",
    "worst_severity",
    "snoozed_incidents",
    "model_trained_at",
    "is_paused",
    "paused_until",
)
_COUNTS = ("series_count", "record_count", "judged_count", "anomaly_count", "open_incidents", "snoozed_incidents")


@router.get("/api/sources", responses=responses(404, 405))
def sources(
    request: Request,
    caller: Annotated[Caller, Depends(reads)],
    source: Sources = None,
    owner: Annotated[str | None, Query(max_length=100, description="A part of who answers for it.")] = None,
    tag: Annotated[str | None, Query(max_length=100, description="A tag: key, or key=value.")] = None,
) -> Response:
    """Every source that has a file, by name; `problem` says why one cannot be used. Where the published copy is missing counts are null."""
    service = service_of(request)
    catalogue = service.catalogue()
    wanted = owned(catalogue, known_sources(service, source), owner, tag)
    names = [name for name in catalogue.names if wanted is None or name in wanted]

    def build(snapshot: Snapshot | None) -> dict[str, Any]:
        health = state.health(snapshot) if snapshot else {}
        return {"items": [_item(catalogue, name, health.get(name, {}), service.environment) for name in names], "next": None}

    if not service.published.generation:
        told = build(None)
        if service.is_copy_lost:
            told["items"] = [each | dict.fromkeys(_COUNTS) for each in told["items"]]
        return Response(as_json(told), media_type="application/json")
    return answered(request, service, build)


def _item(catalogue: Catalogue, name: str, health: dict[str, Any], environment: Any) -> dict[str, Any]:
    told: dict[str, Any] = {"source": name, "problem": None, "description": None, "owner": None, "runbook": None, "tags": {}, "metrics": []}
    told |= {"timezone": "UTC", "bucket_seconds": health.get("bucket_seconds"), "is_live": False, "takes_rows": False, "schedule": None}
    told |= {column: health.get(column, 0 if column in _COUNTS else None) for column in _SHOWN}
    told["dagster_url"] = page_of(name, environment)
    if name in catalogue.broken:
        return told | {"problem": str(catalogue.broken[name])}
    each = catalogue.sources[name]
    if each.is_bucket_given:
        told["bucket_seconds"] = each.time_bucket.every.total_seconds()
    return told | {
        "description": each.description,
        "owner": each.owner,
        "runbook": each.runbook,
        "tags": dict(each.tags),
        "timezone": each.calendar.timezone,
        "schedule": str(each.schedule),
        "is_live": isinstance(each.read, InboxReader | SyntheticReader),
        "takes_rows": isinstance(each.read, InboxReader),
        "metrics": [{"metric": metric.name, "unit": metric.unit} for metric in each.metrics],
    }
