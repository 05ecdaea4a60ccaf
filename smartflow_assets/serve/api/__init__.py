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
    sources,
    status,
    stream,
    submit,
)

ROUTERS = tuple(
    each.router for each in (health, status, sources, data, anomalies, incidents, deliveries, checks, export, stream, submit, links)
)
