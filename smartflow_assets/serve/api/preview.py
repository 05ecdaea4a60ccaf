"""What other settings would have found in the last weeks; nothing is written."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from smartflow_assets.serve import trials
from smartflow_assets.serve.access.caller import Caller, operates, service_of
from smartflow_assets.serve.answers import as_json
from smartflow_assets.serve.api.asked import known_source
from smartflow_assets.serve.api.tried import values_of
from smartflow_assets.serve.problem import responses

router = APIRouter(tags=["trials"])
CHANGES = {"sensitivity": "high", "rules.0.at_least": 3}
Changes = Annotated[
    dict[str, Any],
    Field(max_length=50, description="Values by dotted path, as POST /api/configure takes them; null takes a key or a rule out."),
]


class ToPreview(BaseModel):
    """Changes of a source that are not made."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"source": "web_traffic", "changes": CHANGES, "days": 28}]})
    source: str = Field(pattern="^[a-z][a-z0-9_]{0,47}$", description="The source.")
    changes: Changes
    days: float = Field(default=28, ge=1, le=366, description="So many days before the newest row of the source.")
    series: list[str] = Field(default=[], max_length=100, description="List anomalies and limits of these series alone; counts are of all.")


class Counts(BaseModel):
    """What some settings come to."""

    anomaly_count: int = Field(examples=[8])
    alert_count: int = Field(description="Incidents that people would have been told of.", examples=[8])
    alerts_per_week: float = Field(examples=[2.0])
    by_severity: dict[str, int] = Field(examples=[{"info": 0, "warning": 3, "critical": 5}])


class PreviewedAnomaly(BaseModel):
    """An anomaly that the changed settings find; `is_new` where the present ones find none at that time."""

    series: str = Field(examples=["requests"])
    metric: str = Field(examples=["requests"])
    started_at: datetime
    ended_at: datetime
    severity: str = Field(examples=["warning"])
    rules: list[str] = Field(examples=[["promo_surge"]])
    detectors: list[str] = Field(examples=[["seasonal"]])
    value: float | None
    expected: float | None
    anomaly_score: float | None
    explanation: str
    is_new: bool


class Limit(BaseModel):
    """A line that a rule draws through a series."""

    series: str
    rule: str
    value: float


class Previewed(BaseModel):
    """Both sides of a change."""

    source: str
    from_: datetime = Field(alias="from")
    to: datetime
    before: Counts
    after: Counts
    anomalies: list[PreviewedAnomaly]
    is_complete: bool = Field(description="False where there are more than 500 anomalies: the newest are listed.")
    thresholds: list[Limit]
    method: str = Field(description="stored: what is stored decides; learnt_anew: detectors had to learn, which takes a while.")
    notes: list[str]
    diff: str = Field(description="What the YAML would say.")
    hash: str = Field(description="Of the YAML as it is; POST /api/configure takes it as `expected_hash`.")


@router.post("/api/rules/preview", response_model=Previewed, responses=responses(404, 405, 413))
async def preview(request: Request, caller: Annotated[Caller, Depends(operates)], asked: Annotated[ToPreview, Body()]) -> Response:
    """How many anomalies, and messages a week, rules, thresholds, sensitivity or detectors would have led to, and which anomalies. A change
    of rules and thresholds is answered from what is stored; other detectors learn first. Nothing is written."""
    service = service_of(request)
    known_source(service.catalogue(), asked.source)
    given = (asked.source, asked.changes, asked.days, asked.series)
    found = await values_of(service, service.trials, trials.preview, *given, True)
    if trials.TAKES_LONG in found:  # in a process of its own, so that sliders go on
        found = await values_of(service, service.learning, trials.preview, *given, False)
    return Response(as_json(found), media_type="application/json")
