"""The published copy where a step of a run expects the warehouse: it is only read, takes no lock and blocks nobody.

For trials: what would be flagged by other settings, which model judges. A write is refused, so that a trial cannot leave a trace.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import NoReturn

import duckdb

from smartflow_assets.adapters.warehouse import migrations, publishing
from smartflow_assets.adapters.warehouse.engine import READ_ONLY
from smartflow_assets.adapters.warehouse.tables import SCHEMA_VERSION
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.adapters.warehouse.writes import Write
from smartflow_assets.core.errors import WarehouseError

_ATTEMPTS = 5


class PublishedWarehouse(Warehouse):
    """The same questions, answered by the copy."""

    @property
    def generation(self) -> str:
        """Which copy lies there now: another one has another name; empty where there is none."""
        return publishing.generation(self.published)

    def commit(self, run_id: str, writes: Sequence[Write]) -> NoReturn:
        """Refused."""
        raise WarehouseError("the published copy is only read", where=str(self.published))

    @contextmanager
    def _readable(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with ExitStack() as stack:
            yield self._attached(stack)

    def _may_linger(self) -> bool:
        return False  # a copy is replaced at any time, and nobody is kept from it

    def _attached(self, stack: ExitStack) -> duckdb.DuckDBPyConnection:
        """The copy, opened; one that was replaced while DuckDB looked it up is tried again."""
        for attempt in range(1, _ATTEMPTS + 1):
            generation = self.generation
            if not generation:
                raise publishing.not_published(self.published)
            try:
                connection = stack.enter_context(self._opened(self.published, READ_ONLY))
                publishing.require_whole(connection, "warehouse", self.published)
            except WarehouseError as error:
                if attempt == _ATTEMPTS or self.generation == generation:
                    raise publishing.copy_error(error, error.__cause__, self.published) from error.__cause__
                continue
            version = migrations.found_version(connection)
            if version != SCHEMA_VERSION:
                raise WarehouseError(
                    f"the published copy has schema version {version}, this SmartFlow reads {SCHEMA_VERSION}",
                    where=str(self.published),
                    remedy="The next run makes a new one: `smartflow run`.",
                )
            return connection
        raise AssertionError("the loop returns or raises")
