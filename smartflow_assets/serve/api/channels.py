"""Channels: which there are, and a message that tries one."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response

from smartflow_assets.core.nearest_name import did_you_mean
from smartflow_assets.serve.access.audit import audited
from smartflow_assets.serve.access.caller import Caller, operates, reads, service_of
from smartflow_assets.serve.answers import as_json
from smartflow_assets.serve.problem import Problem, responses

router = APIRouter(tags=["messages"])
Name = Annotated[str, Path(max_length=100, description="A channel of data/channels.yaml.", examples=["ops_email"])]


@router.get("/api/channels", responses=responses(405))
def channels(request: Request, caller: Annotated[Caller, Depends(reads)]) -> Response:
    """Each channel with its type, the sources that send to it, and the environment variables that it needs and that are not set; no
    address and no secret."""
    service = service_of(request)
    catalogue = service.catalogue()
    items = list[dict[str, Any]]()
    for name in sorted({*catalogue.channels, *catalogue.channel_errors}):
        channel = catalogue.channels.get(name)
        items.append(
            {
                "channel": name,
                "type": getattr(channel, "type", None),
                "missing": channel.missing(service.environment) if channel else [],
                "problem": str(catalogue.channel_errors[name]) if name in catalogue.channel_errors else None,
                "sources": [source for source in catalogue.names if name in catalogue.alert_policy(source).all_channels],
            }
        )
    return Response(as_json({"items": items, "next": None}), media_type="application/json")


@router.post("/api/channels/{name}/test", responses=responses(404, 405, 409))
def try_channel(request: Request, caller: Annotated[Caller, Depends(operates)], name: Name) -> Response:
    """Send one message that says it is a test, as `smartflow channels test` does: `{"sent": false, "error": …}` where it was not taken."""
    from smartflow_assets.stages.channel_trials import try_channel as tried

    service = service_of(request)
    catalogue = service.catalogue()
    if name not in catalogue.channels:
        remedy = did_you_mean(name, catalogue.channels, "GET /api/channels lists them.")
        raise Problem(404, f"there is no channel {name!r} that can be used", remedy=remedy)
    with audited(request, caller, "try_channel", target=name):
        error = tried(name, catalogue.channels[name], service.settings, now=service.now(), environment=service.environment)
    return Response(as_json({"channel": name, "sent": error is None, "error": error}), media_type="application/json")
