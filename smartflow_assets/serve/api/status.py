"""How the home stands as a whole, and who asks."""

from datetime import datetime, timedelta
from importlib.metadata import version
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, Field

from smartflow_assets.config.name_prefix import prefix_of
from smartflow_assets.serve.access.caller import Caller, caller_of, reads, service_of
from smartflow_assets.serve.answers import as_json
from smartflow_assets.serve.api.answered import answered
from smartflow_assets.serve.api.asked import Sources, known_sources
from smartflow_assets.serve.problem import responses
from smartflow_assets.serve.queries import state
from smartflow_assets.stages.heartbeat import last_beat
from smartflow_assets.stages.message_background import ui_address

router = APIRouter(tags=["state"])


class Heartbeat(BaseModel):
    """Whether Dagster's daemon ticks: `none` where it never did or was stopped on purpose."""

    state: str = Field(description="none, alive or dead", examples=["alive"])
    seen_at: datetime | None = None


class Status(BaseModel):
    """How the home stands."""

    state: str = Field(
        description="ok, warning or critical: the worst of what is open; never_run; copy_missing: there are rows, and no published copy",
        examples=["ok"],
    )
    remedy: str | None = Field(description="What makes the copy anew where it is missing; no figure is known then", examples=[None])
    now: datetime
    version: str
    source_count: int
    point_count: int | None
    judged_count: int | None = Field(
        description="Points that were judged: those that detectors scored, and every value of a metric with a rule"
    )
    anomaly_count: int | None
    anomaly_rate: float | None = Field(description="Anomalous points among those that were judged, 0 to 1", examples=[0.004])
    open_incidents: dict[str, int] | None = Field(examples=[{"critical": 1, "warning": 0, "info": 2}])
    published_at: datetime | None
    last_run_at: datetime | None
    heartbeat: Heartbeat
    dagster_url: str | None
    prefix: str


@router.get("/api/me", responses=responses(405), summary="Who am I?")
def me(request: Request) -> dict[str, Any]:
    """Name and role of who asks; role is null where a token is needed first."""
    caller = caller_of(request)
    return {"name": caller.name, "role": caller.role, "is_open": caller.token is None and caller.role is not None}


@router.get("/api/status", response_model=Status, responses=responses(405))
def status(request: Request, caller: Annotated[Caller, Depends(reads)]) -> Response:
    """One look at everything; never older than the published copy."""
    service = service_of(request)
    beat = last_beat(service.settings)
    told: dict[str, Any] = {
        "state": "never_run",
        "remedy": None,
        "now": service.now(),
        "version": version("smartflow"),
        "source_count": len(service.catalogue().names),
        "point_count": 0,
        "judged_count": 0,
        "anomaly_count": 0,
        "anomaly_rate": None,
        "open_incidents": {},
        "published_at": None,
        "last_run_at": None,
        "heartbeat": {"state": "none" if beat is None else "dead" if beat.is_dead else "alive", "seen_at": beat.at if beat else None},
        "dagster_url": ui_address(service.environment),
        "prefix": prefix_of(service.environment),
    }
    if service.is_copy_lost:
        told |= {"state": "copy_missing", "remedy": "`smartflow run` makes the published copy anew, also where nothing is new."}
        told |= dict.fromkeys(("point_count", "judged_count", "anomaly_count", "open_incidents"))
    elif service.published.generation:
        with service.published.snapshot() as snapshot:
            totals, opened = service.totals(snapshot)
        told |= totals | {"open_incidents": {each: opened.get(each, 0) for each in ("critical", "warning", "info")}}
        told["state"] = next((each for each in ("critical", "warning") if opened.get(each)), "ok")
    return Response(as_json(told), media_type="application/json")


@router.get("/api/stats", responses=responses(404, 405))
def stats(
    request: Request,
    caller: Annotated[Caller, Depends(reads)],
    source: Sources = None,
    days: Annotated[int, Query(ge=1, le=400, description="So many days back from the newest data.")] = 30,
) -> Response:
    """Anomalies by day, source and severity; messages by channel and status."""

    sources = known_sources(service_of(request), source)

    def build(snapshot: Any) -> dict[str, Any]:
        newest = state.newest_day(snapshot, sources)
        if newest is None:
            return {"from": None, "to": None, "by_day": [], "sends": []}
        start = newest - timedelta(days=days)
        return {
            "from": start,
            "to": newest,
            "by_day": state.by_day(snapshot, start, newest, sources),
            "sends": state.sends(snapshot, start, sources),
        }

    return answered(request, service_of(request), build)
