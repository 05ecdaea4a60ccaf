"""Tables as files, as `smartflow export` writes them."""

import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse

from smartflow_assets.adapters.files.exports import EXPORTS, statement
from smartflow_assets.serve.access.caller import Caller, reads, service_of
from smartflow_assets.serve.api.asked import From, To, known_series, known_source, span
from smartflow_assets.serve.problem import responses

router = APIRouter(tags=["data"])
_TYPES = {"csv": "text/csv; charset=utf-8", "json": "application/json"}
_BLOCK = 1 << 16


@router.get(
    "/api/export/{what}",
    responses=responses(404, 405) | {200: {"content": {"text/csv": {}, "application/json": {}}, "description": "The file."}},
    response_class=StreamingResponse,
)
def export(
    request: Request,
    caller: Annotated[Caller, Depends(reads)],
    what: Literal["scores", "anomalies", "incidents"],
    source: Annotated[str | None, Query(max_length=48, description="Only of this source.")] = None,
    series: Annotated[list[str] | None, Query(description="Only these series.", max_length=100, examples=[["cpu"]])] = None,
    q: Annotated[str | None, Query(description="Only series whose name holds this, in any case.", max_length=200)] = None,
    only_anomalies: Annotated[bool, Query(description="Of scores: only anomalous rows. Of incidents: only those of anomalies.")] = False,
    from_: From = None,
    to: To = None,
    format: Annotated[Literal["csv", "json"], Query(description="The form of the file.")] = "csv",
) -> StreamingResponse:
    """A table as CSV or JSON. Scores without a `from` are those of the last 90 days before `to`, or before now; the others are whole."""
    service = service_of(request)
    if source:
        known_source(service.catalogue(), source)
    if series:
        with service.published.snapshot() as snapshot:
            known_series(snapshot, series, [source] if source else None)
    start, end = span(from_, to)
    if what == "scores" and start is None:
        start = service.newest_time(source, end) - timedelta(days=90)
    query = statement(
        EXPORTS[what], source=source or "", series=series or (), text=q or "", only_anomalies=only_anomalies, since=start, until=end
    )
    folder = tempfile.TemporaryDirectory(prefix=".smartflow-")
    try:
        file = Path(folder.name) / "rows"
        service.warehouse.published_export(query, file, format)
        size = file.stat().st_size
    except BaseException:
        folder.cleanup()
        raise

    def blocks() -> Iterator[bytes]:
        with folder, file.open("rb") as rows:
            while block := rows.read(_BLOCK):
                yield block

    name = "-".join(filter(None, (source, what, "anomalies" if only_anomalies and what == "scores" else "")))
    headers = {"Content-Disposition": f'attachment; filename="{name}.{format}"', "Content-Length": str(size)}
    return StreamingResponse(blocks(), media_type=_TYPES[format], headers=headers)
