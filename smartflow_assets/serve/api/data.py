"""Series as a chart shows them."""

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response

from smartflow_assets.adapters.warehouse.published_copy import Snapshot
from smartflow_assets.serve.access.caller import Caller, reads, service_of
from smartflow_assets.serve.api.answered import answered
from smartflow_assets.serve.api.asked import Cursor, From, SourceName, To, cursor, known_series, known_source, span
from smartflow_assets.serve.problem import Problem, responses
from smartflow_assets.serve.queries import series as asked
from smartflow_assets.serve.queries.lists import encoded

router = APIRouter(tags=["data"])
_WEEK = timedelta(days=7)


@router.get("/api/data/{source}", responses=responses(404, 405))
def data(
    request: Request,
    caller: Annotated[Caller, Depends(reads)],
    source: SourceName,
    series: Annotated[list[str] | None, Query(description="Only these series.", max_length=100, examples=[["cpu"]])] = None,
    metric: Annotated[str | None, Query(description="Only of this metric.", max_length=200)] = None,
    q: Annotated[
        str | None, Query(description="Only those whose name holds this, in any case.", max_length=200, examples=["web-0"])
    ] = None,
    from_: From = None,
    to: To = None,
    last: Annotated[int | None, Query(ge=1, le=10_000, description="The newest so many buckets, in place of from and to.")] = None,
    points: Annotated[int, Query(ge=10, le=5_000, description="So many points for each series at most.")] = 400,
    limit: Annotated[int, Query(ge=1, le=100, description="So many series at most.")] = 20,
    cursor_: Annotated[Cursor, Query(alias="cursor")] = None,
) -> Response:
    """Values, bands and scores of the series of a source: by default of the newest week of its data. Columns, not rows; `at` is in
    milliseconds since 1970. Where more buckets lie in the window than points may be, a point is a stretch of them,
    its value the strangest."""
    service = service_of(request)
    catalogue = service.catalogue()
    known_source(catalogue, source)
    start, end = span(from_, to)
    if last is not None and (start or end):
        raise Problem(422, "`last` stands in the place of `from` and `to`", field="last")
    [after] = cursor(cursor_, str) or [""]
    declared = catalogue.sources.get(source)

    def build(snapshot: Snapshot) -> dict[str, Any]:
        newest = asked.newest_at(snapshot, source)
        told: dict[str, Any] = {"source": source, "timezone": declared.calendar.timezone if declared else "UTC"}
        if newest is None:
            return told | {
                "from": start,
                "to": end,
                "bucket_seconds": None,
                "resolution_seconds": None,
                "series": [],
                "incidents": [],
                "next": None,
            }
        known_series(snapshot, series, [source])
        bucket = declared.time_bucket.every if declared and declared.is_bucket_given else asked.bucket_of(snapshot, source)
        until = end or (newest + bucket)
        begin = start or (until - last * bucket if last else until - _WEEK)
        window = asked.window(begin, until, bucket, points)
        found = asked.names(snapshot, source, window, series=series, metric=metric, text=q, after=after, limit=limit + 1)
        shown = found[:limit]
        columns = asked.points(snapshot, source, window, bucket, [each["series"] for each in shown]) if shown else {}
        units = declared.units if declared else {}
        return told | {
            "from": begin,
            "to": until,
            "bucket_seconds": bucket.total_seconds(),
            "resolution_seconds": window.resolution.total_seconds(),
            "series": [each | {"unit": units.get(each["metric"], "")} | columns[each["series"]] for each in shown],
            "incidents": asked.incidents_in(snapshot, source, window),
            "next": encoded([shown[-1]["series"]]) if len(found) > limit else None,
        }

    return answered(request, service, build)
