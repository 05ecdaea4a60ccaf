"""The routes, one subject a file: what is asked for and answered. Questions to the warehouse are in `serve.queries`."""

from smartflow_assets.serve.api import (
    anomalies,
    checks,
    data,
    deliveries,
    export,
    health,
    incidents,
    links,
    metrics,
    sources,
    status,
    stream,
    submit,
)

_ALL = (health, status, sources, data, anomalies, incidents, deliveries, checks, export, stream, submit, links, metrics)
ROUTERS = tuple(each.router for each in _ALL)
