"""Rows in, verdicts out, with the stored model; nothing is written."""

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
from smartflow_assets.serve.submissions import remarks

router = APIRouter(tags=["trials"])
MOST_ROWS = 10_000
_ROW = {"timestamp": "2026-02-18T00:00:00Z", "value": 900}


class ToPredict(BaseModel):
    """Rows of a source, as its feed has them: the time, dimensions and metrics by the names of their columns."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"source": "web_traffic", "rows": [_ROW]}]})
    source: str = Field(pattern="^[a-z][a-z0-9_]{0,47}$", description="The source.")
    rows: list[dict[str, Any]] = Field(min_length=1, max_length=MOST_ROWS, description=f"1 to {MOST_ROWS:,} rows.")


class PredictedRow(BaseModel):
    """What a run would say of one series in one bucket."""

    series: str = Field(examples=["requests"])
    metric: str = Field(examples=["requests"])
    at: datetime = Field(description="Start of the bucket.", examples=["2026-02-18T00:00:00Z"])
    rows: list[int] = Field(description="Places of the rows in it, from 0.", examples=[[0]])
    value: float | None = Field(examples=[900])
    expected: float | None = Field(examples=[220])
    lower: float | None = Field(examples=[77])
    upper: float | None = Field(examples=[363])
    score: float | None = Field(description="Anomaly score, 0 to 1; null where no model has judged.", examples=[0.9987])
    threshold: float | None = Field(description="Anomaly score from which a row is anomalous.", examples=[0.9937])
    is_anomaly: bool = Field(examples=[True])
    severity: str | None = Field(description="info, warning or critical; null of what is calm.", examples=["warning"])
    rules: dict[str, str] = Field(description="Rules that it breaks, and how.")
    state: str = Field(description="scored, warming_up (no model judges it yet), missing or held (by the contract).", examples=["scored"])
    explanation: str = Field(examples=["900 requests, usually 77 to 363 (537 above)"])


class UnreadRow(BaseModel):
    """A row without a verdict, and why."""

    row: int = Field(description="Its place, from 0.", examples=[3])
    reason: str = Field(examples=["timestamp: 'soon' is not a time"])


class Predicted(BaseModel):
    """Verdicts in order of series and time."""

    source: str
    model_id: str | None = Field(description="The model that judged; null where none did.", examples=["8b8ffa6c761d1d10"])
    rows: list[PredictedRow]
    unread: list[UnreadRow]
    notes: list[str] = Field(description="What else there is to know, such as a gap before the rows.")


@router.post("/api/predict", response_model=Predicted, responses=responses(404, 405, 413))
async def predict(request: Request, caller: Annotated[Caller, Depends(operates)], asked: Annotated[ToPredict, Body()]) -> Response:
    """Say of rows what a run would say once they are ingested, by the stored model and the rules. Nothing is written. A bucket is judged as
    if it were over; rows ahead of what is stored are judged as after an outage, at most 1,000 buckets ahead."""
    service = service_of(request)
    catalogue = service.catalogue()
    known_source(catalogue, asked.source)
    odd = remarks.of_columns(asked.rows, catalogue.source(asked.source))
    found = await values_of(service, service.trials, trials.predict, asked.source, asked.rows)
    return Response(as_json({**found, "notes": [*odd, *found["notes"]]}), media_type="application/json")
