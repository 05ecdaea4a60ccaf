"""Rows that cannot be read: how many are held of each file as it is now, and the incident when they are too many.

Both are asked of the tables, not of the run: what is in quarantine stays said until the rows can be read, are dropped, or are in the
file no more, however many runs without anything new come in between.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from smartflow_assets.adapters.message_stories import of_incidents
from smartflow_assets.adapters.readers.feed import FeedReader
from smartflow_assets.adapters.scans.plain_text import printable
from smartflow_assets.adapters.sql_quoting import quoted
from smartflow_assets.adapters.staging.bad_rows import KIND, Unreadable
from smartflow_assets.adapters.warehouse.quarantine import HELD_COUNTS
from smartflow_assets.adapters.warehouse.tables import raw_table
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.adapters.warehouse.writes import DropHeld
from smartflow_assets.config.source import Source
from smartflow_assets.core.incidents import readability
from smartflow_assets.core.incidents.alert_planning import Advance
from smartflow_assets.core.incidents.event_log import READABILITY

OF_ORIGINS = """
SELECT held.origin AS origin, held.bad_count AS bad_count, held.reason AS reason, coalesce(loads.row_count, 0) AS row_count
FROM (
    SELECT origin, count(*) AS bad_count, mode({kind}) AS reason FROM quarantined_records
    WHERE source = ? AND state = 'held' AND {which} GROUP BY origin
) AS held
LEFT JOIN (
    SELECT origin, arg_max(row_count, rowid) AS row_count FROM ingestions WHERE source = ? AND reached_at IS NULL GROUP BY origin
) AS loads USING (origin)
ORDER BY bad_count DESC, origin
"""


def held_counts(warehouse: Warehouse) -> dict[str, int]:
    """Rows in quarantine of each source that has any, those included that are in their file no more, and those that a contract diverts."""
    rows = warehouse.read(HELD_COUNTS)
    return {str(source): int(count) for source, count in zip(rows["source"], rows["n"], strict=True)}


def held_by_origin(warehouse: Warehouse, source: str) -> list[Unreadable]:
    """All that is held of a source, by origin. Where an origin has some of the rows no more `row_count` is 0, since there is no whole that
    they would be a share of."""
    current = {each.origin: each for each in _unreadable(warehouse, source, "row_number > 0")}
    held = _unreadable(warehouse, source, "TRUE")
    return [each if each == current.get(each.origin) else replace(each, row_count=0) for each in held]


def of_source(warehouse: Warehouse, source: Source) -> list[Unreadable]:
    """What is held of each origin of a source as it is now, the most rows first."""
    found, raw = _unreadable(warehouse, source.name, "row_number > 0"), raw_table(source.name)
    if not found or not isinstance(source.read, FeedReader) or not warehouse.has_table(raw):
        return found
    stored = warehouse.read(f"SELECT _origin, count(*) AS n FROM {quoted(raw)} GROUP BY _origin").set_index("_origin")["n"]
    return [replace(each, row_count=max(each.row_count, int(stored.get(each.origin, 0)))) for each in found]  # no load has all its pages


def _unreadable(warehouse: Warehouse, source: str, which: str) -> list[Unreadable]:
    rows = warehouse.read(OF_ORIGINS.format(kind=KIND, which=which), [source, source])
    return [
        Unreadable(str(row["origin"]), int(row["bad_count"]), int(row["row_count"]), printable(str(row["reason"])))
        for row in rows.to_dict("records")
    ]


def told_together(found: Sequence[Unreadable]) -> str:
    """The worst of some origins in a sentence, and how many there are beside it; empty for none."""
    if not found:
        return ""
    worst, *others = sorted(found, key=lambda each: each.share, reverse=True)
    return f"{worst}" + (f", and {len(others)} more like it" if others else "")


def watch(warehouse: Warehouse, source: Source, *, now: datetime, run_id: str) -> Advance | None:
    """Open, extend or end the incident of a source's unreadable rows; None where there is none and has been none."""
    found, limit = of_source(warehouse, source), source.on_bad_rows.warn_above
    history = warehouse.read("SELECT * FROM incident_events WHERE source = ? AND cause = ?", [source.name, READABILITY])
    if not found and history.empty:
        return None
    return readability.watch(
        history,
        finding=told_together([each for each in found if each.share > limit]),
        calm=f"of no file more than {limit} of the rows are in quarantine now",
        sends=of_incidents(warehouse, "alert_sends", history["incident_id"].unique()),
        source=source.name,
        policy=source.alert_policy,
        now=now,
        run_id=run_id,
    )


def drop_held(warehouse: Warehouse, source: str, origin: str | None, *, run_id: str) -> int:
    """A person needs these rows no more: of one origin or of all. -> how many were held."""
    return warehouse.commit(run_id, [DropHeld(source, origin)]).row_counts.get("quarantined_records", 0)
