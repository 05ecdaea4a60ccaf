"""Prune: which rows of a table are old, and what has to stay of them.

`tables.py` says of each table by which column its rows grow old and as what they are kept. Beyond that stays what is still needed: a
ledger that says what is known keeps the newest row of each matter, an incident all that was said of it and of those it was told
with. `writes` finds the windows that a step has not processed: its old rows become one row for each table and operation, which says the
same; loads that moved rows have one of their own. `PRUNABLE` is the order in which tables can be pruned.
"""

import duckdb

from smartflow_assets.adapters.sql_quoting import quoted, quoted_column
from smartflow_assets.adapters.warehouse.going_on import GOING_ON
from smartflow_assets.adapters.warehouse.row_writes import Change, has_table
from smartflow_assets.adapters.warehouse.tables import TABLES
from smartflow_assets.adapters.warehouse.writes import Prune

KEPT_RECORD_MODELS = 5
"""How many models of single records stay: the newest of a source."""

# An incident goes with those that people were told of together, once all are over and none has a message on its way.
_STANDING = f"""
SELECT unnest([incident_id, coalesce(group_id, incident_id)]) FROM incidents
WHERE source = $source AND ({GOING_ON} OR NOT coalesce(resolved_at < $before, FALSE))
UNION ALL
SELECT unnest([incident_id, coalesce(group_id, incident_id)]) FROM incidents JOIN (
    SELECT incident_id FROM alert_sends WHERE source = $source GROUP BY incident_id, idempotency_key, channel
    HAVING NOT bool_or(status IN ('sent', 'skipped') OR (status = 'failed' AND due_at IS NULL))
) USING (incident_id) WHERE source = $source
"""
_OF_THEIR_INCIDENT = ("incident_events", "alert_sends")  # whatever their age: a replay writes them late
_OF_GONE_INCIDENTS = "incident_id NOT IN (SELECT incident_id FROM incidents WHERE source = $source)"
# A window of a server is asked for once; what is known of a server is how far it was read, by each way of asking it.
_FEED = "regexp_extract(origin, '^(.*) since (start|[0-9TZ:-]+)$', 1)"
_KNOWN_INGESTIONS = f"""
WITH own AS (SELECT rowid AS id, {_FEED} AS feed, * FROM ingestions WHERE source = $source),
     ends AS (SELECT * FROM own WHERE content_hash IN (SELECT content_hash FROM own WHERE reached_at IS NOT NULL))
SELECT max(id) FROM own WHERE feed = '' GROUP BY origin
UNION ALL SELECT max(id) FROM ends GROUP BY feed, content_hash
UNION ALL SELECT arg_max(id, reached_at) FROM ends WHERE reached_at IS NOT NULL GROUP BY feed, content_hash
UNION ALL SELECT id FROM own WHERE origin IN (SELECT origin FROM quarantined_records WHERE source = $source)
"""
_KEPT_MODELS = """
SELECT arg_max(replaced_model_id, changed_at) FROM trained_models WHERE source = $source AND status = 'current' GROUP BY series
UNION ALL
SELECT arg_min(model_id, changed_at) FROM trained_models
WHERE source = $source AND status = 'current' AND baseline_from IS NOT NULL GROUP BY series, baseline_from
"""  # when a level was accepted, the first model that has it says
_ALSO = {  # what must hold beside the age of a row
    "quarantined_records": "NOT ends_with(origin, ' since start') AND origin NOT IN (SELECT origin FROM ingestions WHERE source = $source "
    f"AND ingested_at >= $before) AND NOT EXISTS (SELECT 1 FROM incidents WHERE source = $source AND {GOING_ON} "
    "AND cause IN ('readability', 'check:every_row_was_readable'))",
    "incidents": f"state = 'resolved' AND coalesce(group_id, incident_id) NOT IN ({_STANDING}) AND incident_id NOT IN ({_STANDING})",
    "incident_events": _OF_GONE_INCIDENTS,
    "alert_sends": _OF_GONE_INCIDENTS,
    "ingestions": f"rowid NOT IN ({_KNOWN_INGESTIONS})",
    "trained_models": "model_id IN (SELECT model_id FROM trained_models WHERE source = $source GROUP BY model_id "
    "HAVING max(changed_at) < $before AND arg_max(status, changed_at) <> 'current') "
    f"AND model_id NOT IN (SELECT coalesce(id, '') FROM ({_KEPT_MODELS}) AS kept(id))",
    "record_models": "model_id NOT IN (SELECT model_id FROM record_models WHERE source = $source "
    f"ORDER BY learnt_to DESC LIMIT {KEPT_RECORD_MODELS})",
    "training_requests": "request_id IN (SELECT request_id FROM training_requests WHERE source = $source AND state = 'answered')",
    "configurations": "rowid < (SELECT max(rowid) FROM configurations WHERE source = $source)",
}
PRUNABLE = ("incidents", *(name for name, spec in TABLES.items() if spec.kept and name not in ("incidents", "writes")), "writes")
"""The tables that `Prune` takes beside raw tables, in the order in which they are pruned."""

PRUNED_TO = """
WITH own AS (SELECT * FROM writes WHERE source = ? AND table_name = ?)
SELECT max(to_at) AS pruned_to FROM own WHERE operation = 'prune' AND written_at > coalesce(
    (SELECT max(written_at) FROM own WHERE operation = 'delete'), TIMESTAMPTZ '1970-01-01')
"""
"""The time up to which a table of a source was pruned since it last began anew; null when it was not."""

# A rebuild of the clean rows parts the scores that people have been told of from those after it.
_OLD_WRITES = """
CREATE TEMP TABLE old_writes AS
WITH own AS (SELECT rowid AS id, * FROM writes WHERE source = $source),
     rebuilt AS (SELECT max(written_at) AS rebuilt_at FROM own WHERE table_name = 'clean_series' AND operation = 'delete'),
     newest AS (SELECT table_name, max(written_at) AS newest_at,
                       max(written_at) FILTER (WHERE operation NOT IN ('rewrite', 'prune')) AS processed_at,
                       max(written_at) FILTER (WHERE operation = 'delete') AS deleted_at
                FROM own GROUP BY table_name)
SELECT own.*, coalesce(written_at < rebuilt_at, FALSE) AS is_of_before,
       operation IN ('left', 'delete')
       OR coalesce(written_at <= deleted_at, FALSE) AND NOT (table_name = 'anomaly_scores' AND operation = 'replace') AS is_void
FROM own JOIN newest USING (table_name), rebuilt
WHERE written_at < $before AND written_at <> newest_at AND written_at IS DISTINCT FROM processed_at
  AND written_at IS DISTINCT FROM deleted_at
"""


def prune(connection: duckdb.DuckDBPyConnection, write: Prune) -> list[Change]:
    """Applies the Prune inside the open transaction."""
    if write.table == "writes":
        return [Change(write.source, "writes", "prune", None, write.before, _shorten_writes(connection, write))]
    bound: dict[str, object] = {"before": write.before, "source": write.source}
    if write.table == f"raw.{write.source}":  # what belongs to no source, *, has no such table
        if not has_table(connection, write.table):
            return []
        condition = f"{quoted_column(write.time_column)} < $before"
        del bound["source"]
    else:
        condition = f"source = $source AND {_old(connection, write, bound)}"
    ((count,),) = connection.execute(f"DELETE FROM {quoted(write.table)} WHERE {condition}", bound).fetchall()
    return [Change(write.source, write.table, "prune", None, write.before, count)] if count else []


def _old(connection: duckdb.DuckDBPyConnection, write: Prune, bound: dict[str, object]) -> str:
    """The condition that a row of the source is to go."""
    kept = TABLES[write.table].kept
    assert kept is not None, f"rows of {write.table} stay"
    parts = [] if write.table in _OF_THEIR_INCIDENT else [f"{quoted_column(kept.by)} < $before"]
    if kept.newest_of:
        groups = ", ".join(map(quoted_column, kept.newest_of))
        newest = f"SELECT arg_max(rowid, {quoted_column(kept.by)}) FROM {quoted(write.table)} WHERE source = $source GROUP BY {groups}"
        parts.append(f"rowid NOT IN ({newest})")
    if write.table in _ALSO:
        parts.append(_ALSO[write.table])
    condition = " AND ".join(parts)
    if "$before" not in condition:
        del bound["before"]
    if write.over:
        bound["over"] = list(write.over)
        condition = f"({condition} OR series IN (SELECT unnest($over)))"
    return condition


def _shorten_writes(connection: duckdb.DuckDBPyConnection, write: Prune) -> int:
    """Replaces old rows of `writes` by one for each table and operation; returns by how many rows the table shrank."""
    connection.execute(_OLD_WRITES, {"source": write.source, "before": write.before}).fetchall()
    ((before,),) = connection.execute("DELETE FROM writes WHERE rowid IN (SELECT id FROM temp.old_writes)").fetchall()
    ((after,),) = connection.execute(
        """
        INSERT INTO writes (source, table_name, operation, from_at, to_at, row_count, fingerprint, run_id, written_at)
        SELECT any_value(source), table_name, operation, min(from_at), max(to_at), sum(row_count), arg_max(fingerprint, written_at),
               arg_max(run_id, written_at), max(written_at)
        FROM temp.old_writes WHERE NOT is_void GROUP BY table_name, operation, is_of_before, CASE operation WHEN 'load' THEN fingerprint END
        """
    ).fetchall()
    connection.execute("DROP TABLE temp.old_writes").fetchall()
    return before - after
