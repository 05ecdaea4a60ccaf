"""The app: every route, behind the guard, with errors that say what to do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import Depends, FastAPI

from smartflow_assets.serve import problem
from smartflow_assets.serve.access.guard import Guard
from smartflow_assets.serve.api import ROUTERS
from smartflow_assets.serve.api.known_parameters import only_known_parameters
from smartflow_assets.serve.feed.watcher import Watcher
from smartflow_assets.serve.metrics.exposition import Exposition, HomeCollector
from smartflow_assets.serve.metrics.traffic import Traffic
from smartflow_assets.serve.page_files import page_files
from smartflow_assets.serve.service import Service
from smartflow_assets.serve.submissions.clerk import Clerk

_ABOUT = (
    "What SmartFlow knows, as JSON: series with their bands, anomalies, incidents, checks; and what may be done about it. Times are "
    "ISO 8601 in UTC. A list has `items` and, where there is more, `next`: ask again with `cursor=` that. Errors are problem+json."
)


def create_app(service: Service) -> FastAPI:
    """The app of one home. It watches the published copy and files what is sent as long as it runs, and closes the service with it."""
    watcher, clerk = Watcher(service), Clerk(service)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        watcher.start()
        if not service.access.is_reading_only:
            clerk.start()
        try:
            yield
        finally:
            watcher.end()
            clerk.end()
            await asyncio.to_thread(watcher.join, 5)
            service.close()

    app = FastAPI(
        title="SmartFlow",
        version=version("smartflow"),
        description=_ABOUT,
        docs_url=None,
        redoc_url=None,
        root_path=service.access.root_path,
        lifespan=lifespan,
        dependencies=[Depends(only_known_parameters)],
        generate_unique_id_function=lambda route: route.name,
    )
    traffic = Traffic(service.listeners)
    home = HomeCollector(service.settings, service.environment, service.catalogue, service.published.snapshot)
    app.state.service, app.state.exposition = service, Exposition(home, traffic)
    problem.install(app)
    for router in ROUTERS:
        app.include_router(router)
    app.router.default = page_files()  # a mount would answer for routes that are asked by a method which they do not take
    app.add_middleware(Guard, access=service.access, record=traffic.record)
    return app
