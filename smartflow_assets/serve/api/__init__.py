"""The routes, one subject a file: what is asked for and answered. Questions to the warehouse are in `serve.queries`."""

from smartflow_assets.serve.api import (
    anomalies,
    channels,
    checks,
    configure,
    data,
    deliveries,
    export,
    forecast,
    health,
    incidents,
    links,
    metrics,
    predict,
    preview,
    sources,
    status,
    stream,
    submit,
    views,
)

_READING = (health, status, sources, data, forecast, anomalies, incidents, deliveries, checks, export, stream, metrics)
_ACTING = (submit, predict, preview, configure, channels, views, links)
ROUTERS = tuple(each.router for each in (*_READING, *_ACTING))
