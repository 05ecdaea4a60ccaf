"""Prune: which rows of a table are old, and what has to stay of them.

A ledger that says what is known (`ingestions`, `run_log`, `trained_models`, `detection_quality`, `configurations`, `source_looks`) keeps
the newest row of each matter, however old. `writes` finds the windows that a step has not processed: its old rows become one row for each
table and operation, which says the same; loads that moved rows have one of their own. `PRUNABLE` is the order in which tables can be
pruned.
"""

import duckdb

from smartflow_assets.adapters.sql_quoting import quoted, quoted_column
from smartflow_assets.adapters.warehouse.row_writes import Change, has_table
from smartflow_assets.adapters.warehouse.tables import raw_table
from smartflow_assets.adapters.warehouse.writes import Prune

KEPT_RECORD_MODELS = 5
"""How many models of single records stay: the newest of a source."""
_OF_GONE_INCIDENTS = "happened_at < $before AND incident_id NOT IN (SELECT incident_id FROM incidents WHERE source = $source)"
_OLD = {
    "clean_series": "observed_at < $before",
    "series_features": "observed_at < $before",
    "anomaly_scores": "observed_at < $before",
    "detector_scores": "observed_at < $before",
    "rule_violations": "observed_at < $before",
    "record_scores": "observed_at < $before",
    "record_anomalies": "observed_at < $before",
    "anomalies": "ended_at < $before",
    "incidents": "state = 'resolved' AND resolved_at < $before",
    "incident_events": _OF_GONE_INCIDENTS,
    "alert_sends": _OF_GONE_INCIDENTS,
    "quarantined_records": "quarantined_at < $before",
    "ingestions": "ingested_at < $before AND reached_at IS NULL AND (origin, ingested_at) NOT IN "
    "(SELECT (origin, max(ingested_at)) FROM ingestions WHERE source = $source GROUP BY origin)",
    "trained_models": "model_id IN (SELECT model_id FROM trained_models WHERE source = $source GROUP BY model_id "
    "HAVING max(changed_at) < $before AND arg_max(status, changed_at) <> 'current') AND model_id NOT IN "
    "(SELECT coalesce(arg_max(replaced_model_id, changed_at), '') FROM trained_models "
    "WHERE source = $source AND status = 'current' GROUP BY series)",
    "record_models": "learnt_at < $before AND model_id NOT IN (SELECT model_id FROM record_models WHERE source = $source "
    f"ORDER BY learnt_to DESC LIMIT {KEPT_RECORD_MODELS})",
    "training_requests": "happened_at < $before AND request_id IN "
    "(SELECT request_id FROM training_requests WHERE source = $source AND state = 'answered')",
    "detection_quality": "measured_at < $before AND measured_at < (SELECT max(measured_at) FROM detection_quality WHERE source = $source)",
    "configurations": "held_from < $before AND rowid < (SELECT max(rowid) FROM configurations WHERE source = $source)",
    "run_log": "started_at < $before AND (job, started_at) NOT IN "
    "(SELECT (job, max(started_at)) FROM run_log WHERE source = $source GROUP BY job, status)",
    "source_looks": "looked_at < $before AND rowid NOT IN (SELECT max(rowid) FROM source_looks WHERE source = $source GROUP BY outcome)",
}
PRUNABLE = (*_OLD, "writes")
"""The tables that `Prune` takes beside raw tables, in the order in which they are pruned."""

_OLD_WRITES = """
CREATE TEMP TABLE old_writes AS
WITH own AS (SELECT rowid AS id, * FROM writes WHERE source = $source),
     newest AS (SELECT table_name, max(written_at) AS newest_at,
                       max(written_at) FILTER (WHERE operation NOT IN ('rewrite', 'prune')) AS processed_at,
                       max(written_at) FILTER (WHERE operation = 'delete') AS deleted_at
                FROM own GROUP BY table_name)
SELECT own.*, coalesce(written_at <= deleted_at, FALSE) OR operation IN ('left', 'delete') AS is_void
FROM own JOIN newest USING (table_name)
WHERE written_at < $before AND written_at <> newest_at AND written_at IS DISTINCT FROM processed_at
  AND written_at IS DISTINCT FROM deleted_at
"""


def prune(connection: duckdb.DuckDBPyConnection, write: Prune) -> list[Change]:
    """Applies the Prune inside the open transaction."""
    if write.table == "writes":
        return [Change(write.source, "writes", "prune", None, write.before, _shorten_writes(connection, write))]
    bound: dict[str, object] = {"before": write.before, "source": write.source}
    if write.table == raw_table(write.source):
        if not has_table(connection, write.table):
            return []
        condition = f"{quoted_column(write.time_column)} < $before"
        del bound["source"]
    else:
        condition = f"source = $source AND {_OLD[write.table]}"
    ((count,),) = connection.execute(f"DELETE FROM {quoted(write.table)} WHERE {condition}", bound).fetchall()
    return [Change(write.source, write.table, "prune", None, write.before, count)] if count else []


def _shorten_writes(connection: duckdb.DuckDBPyConnection, write: Prune) -> int:
    """Replaces old rows of `writes` by one for each table and operation; returns by how many rows the table shrank."""
    connection.execute(_OLD_WRITES, {"source": write.source, "before": write.before}).fetchall()
    ((before,),) = connection.execute("DELETE FROM writes WHERE rowid IN (SELECT id FROM temp.old_writes)").fetchall()
    ((after,),) = connection.execute(
        """
        INSERT INTO writes (source, table_name, operation, from_at, to_at, row_count, fingerprint, run_id, written_at)
        SELECT any_value(source), table_name, operation, min(from_at), max(to_at), sum(row_count), arg_max(fingerprint, written_at),
               arg_max(run_id, written_at), max(written_at)
        FROM temp.old_writes WHERE NOT is_void GROUP BY table_name, operation, CASE operation WHEN 'load' THEN fingerprint END
        """
    ).fetchall()
    connection.execute("DROP TABLE temp.old_writes").fetchall()
    return before - after
