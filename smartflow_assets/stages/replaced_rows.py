"""Stored rows that mean something else now, or give way to others: what `smartflow plan` says of them before it happens."""

from collections.abc import Sequence
from pathlib import Path

from smartflow_assets.adapters.ingest import known_contents
from smartflow_assets.adapters.sql_quoting import quoted
from smartflow_assets.adapters.warehouse.tables import raw_table
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.config.source import Source

NAMED = 3


def once_counted(warehouse: Warehouse, source: str) -> int:
    """The buckets that were made while equal rows were counted once, before version 9 of the warehouse."""
    found = warehouse.read("SELECT count(*) AS n FROM clean_series WHERE source = ? AND repair = 'deduplicated'", [source])
    return int(found["n"].iloc[0])


def giving_way(source: Source, warehouse: Warehouse, data: Path) -> str:
    """What is said of stored rows that come from what `read` does not name any more; empty when there are none."""
    strangers = sorted(origin for origin in known_contents(warehouse, source.name) if not source.read.covers(origin, source.name, data))
    if not strangers or not warehouse.has_table(raw_table(source.name)):
        return ""
    raw = quoted(raw_table(source.name))
    count = int(warehouse.read(f"SELECT count(*) AS n FROM {raw} WHERE list_contains(?, _origin)", [strangers])["n"].iloc[0])
    return (
        f"{count:,} stored rows of {_named(strangers)}, which read does not name any more, give way where the times overlap"
        if count
        else ""
    )


def _named(origins: Sequence[str]) -> str:
    more = f" and {len(origins) - NAMED:,} more" if len(origins) > NAMED else ""
    return ", ".join(origins[:NAMED]) + more
