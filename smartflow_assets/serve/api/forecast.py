"""What is expected of a series beyond its newest bucket, by the stored model."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, Field

from smartflow_assets.serve import trials
from smartflow_assets.serve.access.caller import Caller, reads, service_of
from smartflow_assets.serve.api.answered import answered_beside
from smartflow_assets.serve.api.asked import SourceName, known_source
from smartflow_assets.serve.api.tried import values_of
from smartflow_assets.serve.problem import responses

router = APIRouter(tags=["data"])
MOST_BUCKETS = 200


class Forecast(BaseModel):
    """Columns, one entry for each bucket to come."""

    source: str = Field(examples=["web_traffic"])
    series: str = Field(examples=["requests"])
    metric: str | None = Field(examples=["requests"])
    unit: str = Field(examples=["requests"])
    model_id: str | None = Field(description="The model that says it.", examples=["8b8ffa6c761d1d10"])
    newest_at: datetime | None = Field(description="Start of the newest bucket of the source: the first one here comes after it.")
    origin_count: int = Field(
        description="Earlier forecasts that the range was measured on; 0: too few, and the range is that of one bucket.", examples=[60]
    )
    at: list[int] = Field(description="Start of each bucket, in milliseconds since 1970.", examples=[[1771372800000]])
    expected: list[float | None] = Field(examples=[[220.4]])
    lower: list[float | None] = Field(description="19 of 20 values of earlier forecasts lay between lower and upper.", examples=[[77.1]])
    upper: list[float | None] = Field(examples=[[363.7]])
    why_not: str | None = Field(description="Why there are no buckets, and when there will be.", examples=[None])


@router.get("/api/forecast/{source}", response_model=Forecast, responses=responses(404, 405))
async def forecast(
    request: Request,
    caller: Annotated[Caller, Depends(reads)],
    source: SourceName,
    series: Annotated[str, Query(description="Of this series.", min_length=1, max_length=500, examples=["requests"])],
    buckets: Annotated[
        int | None, Query(ge=1, le=MOST_BUCKETS, description="So many buckets; without it a season or two days, 48 to 200 buckets.")
    ] = None,
) -> Response:
    """What the stored model expects of the next buckets of a series, and within which range: as wide as earlier forecasts so far ahead
    were wrong. Nothing is trained and nothing written. No buckets where no model can say yet: `why_not` says when."""
    service = service_of(request)
    catalogue = service.catalogue()
    known_source(catalogue, source)

    async def work() -> dict[str, Any]:
        found = await values_of(service, service.trials, trials.forecast, source, series, buckets)
        return found | {"unit": catalogue.source(source).unit(found["metric"]) if found["metric"] else ""}

    return await answered_beside(request, service, work)
