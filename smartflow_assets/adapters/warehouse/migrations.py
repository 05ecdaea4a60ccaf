"""Making the tables, and making an older file's tables today's.

A file carries the version of its schema in `snapshot_info`. New tables and columns need no code here: they are in
`tables.py`. What cannot be said there is a function, with a test: in STEPS before tables are completed (a column that is renamed),
in FILLS after it (what a new column holds in old rows). DuckDB 1.5 commits no change of a table whose rows were changed before.
"""

from collections.abc import Callable, Mapping

import duckdb

from smartflow_assets.adapters.sql_quoting import quoted, quoted_column
from smartflow_assets.adapters.warehouse.marts import MARTS
from smartflow_assets.adapters.warehouse.row_writes import single
from smartflow_assets.adapters.warehouse.tables import SCHEMA_VERSION, TABLES
from smartflow_assets.core.errors import WarehouseError


def _date_model_changes(connection: duckdb.DuckDBPyConnection) -> None:
    """Version 4 knew a model's training and that it was retired, not when: that was when the next one of its series was trained."""
    connection.execute(
        """
        UPDATE trained_models AS model SET change = CASE status WHEN 'retired' THEN 'replaced' ELSE 'trained' END,
            changed_at = CASE status WHEN 'retired' THEN coalesce((
                SELECT min(later.trained_at) FROM trained_models AS later WHERE later.source = model.source
                AND later.series = model.series AND later.trained_at > model.trained_at), trained_at + INTERVAL 1 SECOND)
            ELSE trained_at END
        """
    ).fetchall()


def _measure_deviations(connection: duckdb.DuckDBPyConnection) -> None:
    """Version 6 knew what an anomaly's value and the expected one were, not how far and which way they lay apart: what comes later is
    compared with that."""
    connection.execute(
        """
        UPDATE anomalies SET deviation = value - expected,
            direction = CASE WHEN value > expected THEN 'spike' WHEN value < expected THEN 'drop' END
        """
    ).fetchall()


def _name_the_evidence(connection: duckdb.DuckDBPyConnection) -> None:
    """Version 12 measured quality by labels alone."""
    connection.execute("UPDATE detection_quality SET evidence = 'labels'").fetchall()


STEPS: Mapping[int, Callable[[duckdb.DuckDBPyConnection], None]] = {}
"""What turns the tables of a file of this version into those of the next."""
FILLS: Mapping[int, Callable[[duckdb.DuckDBPyConnection], None]] = {4: _date_model_changes, 6: _measure_deviations, 12: _name_the_evidence}
"""What the columns that came after this version hold in the rows that are there."""


def found_version(connection: duckdb.DuckDBPyConnection) -> int | None:
    """The version of the open file; None for an empty one. `WarehouseError` for a newer one and for a stranger's file."""
    try:
        version = single(connection, "SELECT max(schema_version) FROM snapshot_info")
    except duckdb.CatalogException:
        tables = single(connection, "SELECT count(*) FROM duckdb_tables() WHERE database_name = current_database()")
        if tables:
            raise WarehouseError(
                f"the file has {tables} tables but no snapshot_info, so it is not SmartFlow's",
                remedy="Move it away, or set SMARTFLOW_HOME to another folder.",
            ) from None
        return None
    if version > SCHEMA_VERSION:
        raise WarehouseError(
            f"the file has schema version {version}, this SmartFlow knows {SCHEMA_VERSION}",
            remedy="Upgrade SmartFlow, or take the copy that was made before the file was upgraded.",
        )
    return version


def upgrade(connection: duckdb.DuckDBPyConnection, version: int | None) -> None:
    """Creates or completes tables, comments and views, inside the caller's transaction."""
    older_versions = range(SCHEMA_VERSION if version is None else version, SCHEMA_VERSION)
    for older in older_versions:
        if older in STEPS:
            STEPS[older](connection)
    for schema in ("raw", "marts"):
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    for spec in TABLES.values():
        connection.execute(spec.ddl())
        for column in spec.columns if version is not None else ():
            connection.execute(f"ALTER TABLE {quoted(spec.name)} ADD COLUMN IF NOT EXISTS {quoted_column(column.name)} {column.type}")
        for comment in spec.comments():
            connection.execute(comment)
    for older in older_versions:
        if older in FILLS:
            FILLS[older](connection)
    create_views(connection)
    if version is None:
        connection.execute("INSERT INTO snapshot_info (schema_version) VALUES (?)", [SCHEMA_VERSION]).fetchall()
    else:
        connection.execute("UPDATE snapshot_info SET schema_version = ?", [SCHEMA_VERSION]).fetchall()


def create_views(connection: duckdb.DuckDBPyConnection) -> None:
    for mart in MARTS.values():
        for statement in mart.statements():
            connection.execute(statement)
