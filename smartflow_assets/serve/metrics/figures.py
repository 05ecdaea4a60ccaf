"""Figures of the published copy: all SQL of the metrics.

It is asked at each scrape, so nothing here reads the rows of series: ledgers, incidents and messages say all of it, and they are
pruned. Each question of a span is bounded by the clock or by the newest row of its source.
"""

from datetime import datetime, timedelta

from smartflow_assets.adapters import send_ledger
from smartflow_assets.adapters.warehouse.pauses import PAUSES
from smartflow_assets.adapters.warehouse.published_copy import Snapshot
from smartflow_assets.adapters.warehouse.quarantine import HELD_COUNTS
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.core.incidents.watched import OF_NO_SOURCE
from smartflow_assets.core.severity import SEVERITIES
from smartflow_assets.serve.metrics.declarations import RUN_STATUSES, SEND_STATUSES, WAITS
from smartflow_assets.serve.metrics.readings import Readings
from smartflow_assets.serve.queries.events import published_at
from smartflow_assets.stages.alerting import UNDELIVERED
from smartflow_assets.stages.scheduling.due_sources import last_runs, monitoring_due

DAY = timedelta(days=1)


def read_figures(published: Snapshot, readings: Readings, catalogue: Catalogue, now: datetime) -> None:
    """Takes down what the published copy says. WarehouseError when it lacks a table."""
    for read in (_copy, _last_runs, _runs_of_the_day, _freshness, _anomalies, _incidents):
        read(published, readings, now)
    _due(published, readings, catalogue)
    _messages(published, readings, catalogue, now)


_COPY = """
SELECT published_at, (SELECT free_blocks / nullif(total_blocks, 0) FROM pragma_database_size() WHERE database_name = current_database())
  AS free_ratio FROM snapshot_info
"""


def _copy(published: Snapshot, readings: Readings, now: datetime) -> None:
    for row in published.rows(_COPY):
        readings.add("smartflow_published_timestamp_seconds", _seconds(row["published_at"]))
        readings.add("smartflow_warehouse_free_ratio", row["free_ratio"])


_LAST_RUNS = """
SELECT source, status, coalesce(ended_at, started_at) AS ended_at, epoch(ended_at - started_at) AS seconds, lag_seconds, looks.looked_at
FROM (SELECT source, arg_max(status, started_at) AS status, max_by(ended_at, started_at) AS ended_at, max(started_at) AS started_at,
             arg_max(lag_seconds, started_at) AS lag_seconds FROM run_log WHERE started_at <= ? GROUP BY source) AS runs
FULL JOIN (SELECT source, max(looked_at) AS looked_at FROM source_looks WHERE looked_at <= ? GROUP BY source) AS looks USING (source)
WHERE source <> '*'
"""


def _last_runs(published: Snapshot, readings: Readings, now: datetime) -> None:
    for row in published.rows(_LAST_RUNS, [now, now]):
        source, ended_at = row["source"], row["ended_at"]
        readings.add("smartflow_source_last_run_timestamp_seconds", _seconds(ended_at), source=source)
        if row["status"] is not None:
            readings.add("smartflow_source_last_run_success", row["status"] == "success", source=source)
        readings.add("smartflow_source_last_run_duration_seconds", row["seconds"], source=source)
        readings.add("smartflow_source_lag_seconds", row["lag_seconds"], source=source)
        looked_at = max((each for each in (ended_at, row["looked_at"]) if each is not None), default=None)
        readings.add("smartflow_source_last_look_timestamp_seconds", _seconds(looked_at), source=source)


_RUNS_OF_THE_DAY = """
SELECT source, status, count(*) AS runs, coalesce(sum(rows_in), 0) AS rows_in, coalesce(sum(rows_scored), 0) AS rows_scored
FROM run_log WHERE started_at > ? AND started_at <= ? AND source <> '*' GROUP BY source, status
"""


def _runs_of_the_day(published: Snapshot, readings: Readings, now: datetime) -> None:
    rows_in, rows_scored = dict[str, int](), dict[str, int]()
    for row in published.rows(_RUNS_OF_THE_DAY, [now - DAY, now]):
        source = row["source"]
        if row["status"] in RUN_STATUSES:
            readings.add("smartflow_runs_last_day", row["runs"], source=source, status=row["status"])
        rows_in[source] = rows_in.get(source, 0) + int(row["rows_in"])
        rows_scored[source] = rows_scored.get(source, 0) + int(row["rows_scored"])
    for name, counts in (("smartflow_rows_in_last_day", rows_in), ("smartflow_rows_scored_last_day", rows_scored)):
        for source, count in counts.items():
            readings.add(name, count, source=source)
        readings.zero(name, source=readings.of_sources)
    readings.zero("smartflow_runs_last_day", source=readings.of_sources, status=RUN_STATUSES)


_PAUSED = f"SELECT source FROM ({PAUSES}) WHERE coalesce(until_at > ?, TRUE)"
_NEWEST_ROW = "max(least(last_at, ingested_at))"  # a row that is dated ahead of the clock says no more than that it came
_SILENT = "SELECT DISTINCT source FROM incidents WHERE cause = 'freshness' AND state <> 'resolved'"


def _freshness(published: Snapshot, readings: Readings, now: datetime) -> None:
    for row in published.rows(f"SELECT source, {_NEWEST_ROW} AS newest_at FROM ingestions GROUP BY source"):
        readings.add("smartflow_source_newest_row_timestamp_seconds", _seconds(row["newest_at"]), source=row["source"])
    for row in published.rows("SELECT source, max(trained_at) AS at FROM trained_models WHERE trained_at <= ? GROUP BY source", [now]):
        readings.add("smartflow_source_model_trained_timestamp_seconds", _seconds(row["at"]), source=row["source"])
    for row in published.rows(HELD_COUNTS):
        readings.add("smartflow_source_quarantined_rows", row["n"], source=row["source"])
    for row in published.rows(_SILENT):
        readings.add("smartflow_source_silent", 1, source=row["source"])
    for row in published.rows(_PAUSED, [now]):
        readings.add("smartflow_source_paused", 1, source=row["source"])
    for name in ("smartflow_source_quarantined_rows", "smartflow_source_silent", "smartflow_source_paused"):
        readings.zero(name, source=readings.of_sources)


_NEWEST_ANOMALIES = f"""
SELECT anomalies.source AS source, coalesce(severity, 'info') AS severity, count(*) AS n FROM anomalies
JOIN (SELECT source, {_NEWEST_ROW} AS newest_at FROM ingestions GROUP BY source) AS data ON data.source = anomalies.source
WHERE started_at > newest_at - INTERVAL 1 DAY GROUP BY ALL
"""


def _anomalies(published: Snapshot, readings: Readings, now: datetime) -> None:
    for row in published.rows(_NEWEST_ANOMALIES):
        readings.add("smartflow_anomalies_last_day", row["n"], source=row["source"], severity=row["severity"])
    for row in published.rows("SELECT coalesce(severity, 'info') AS severity, count(*) AS n FROM anomalies GROUP BY ALL"):
        readings.add("smartflow_anomalies", row["n"], severity=row["severity"])
    readings.zero("smartflow_anomalies_last_day", source=readings.of_sources, severity=SEVERITIES)
    readings.zero("smartflow_anomalies", severity=SEVERITIES)


_OPEN = """
SELECT source, coalesce(severity, 'info') AS severity, count(*) AS n, count(*) FILTER (state = 'open') AS of_nobody
FROM marts.open_incidents GROUP BY ALL
"""
_SNOOZED = "SELECT coalesce(severity, 'info') AS severity, count(*) AS n FROM incidents WHERE snoozed_until > ? GROUP BY ALL"


def _incidents(published: Snapshot, readings: Readings, now: datetime) -> None:
    unacknowledged = dict.fromkeys(SEVERITIES, 0)
    for row in published.rows(_OPEN):
        readings.add("smartflow_incidents_open", row["n"], source=row["source"], severity=row["severity"])
        unacknowledged[row["severity"]] += row["of_nobody"]
    for severity, count in unacknowledged.items():
        readings.add("smartflow_incidents_unacknowledged", count, severity=severity)
    for row in published.rows(_SNOOZED, [now]):
        readings.add("smartflow_incidents_snoozed", row["n"], severity=row["severity"])
    readings.zero("smartflow_incidents_open", source=[*readings.of_sources, OF_NO_SOURCE], severity=SEVERITIES)
    readings.zero("smartflow_incidents_snoozed", severity=SEVERITIES)


def _due(published: Snapshot, readings: Readings, catalogue: Catalogue) -> None:
    """By the clock of the copy: of looks after it nothing is known here, and on an idle home every source would seem to be due."""
    if (at := published_at(published)) is not None:
        paused = {each["source"] for each in published.rows(_PAUSED, [at])}
        due = monitoring_due(catalogue, last_runs(published, at), at)
        readings.add("smartflow_sources_due", len({*due} - paused))


_MESSAGES = """
SELECT channel, status, count(*) AS n FROM marts.alert_log WHERE is_newest AND happened_at > ? AND happened_at <= ? GROUP BY channel, status
"""


def _messages(published: Snapshot, readings: Readings, catalogue: Catalogue, now: datetime) -> None:
    for row in published.rows(_MESSAGES, [now - DAY, now]):
        readings.add("smartflow_messages_last_day", row["n"], channel=row["channel"], status=row["status"])
    for (channel, wait), count in send_ledger.waiting_counts(published, catalogue.channels, now).items():
        readings.add("smartflow_messages_waiting", count, channel=channel, wait=wait)
    for row in published.rows(UNDELIVERED):
        if row["standing"] == "given up":
            readings.add("smartflow_messages_given_up", row["n"], channel=row["channel"])
    readings.zero("smartflow_messages_last_day", channel=readings.channels, status=SEND_STATUSES)
    readings.zero("smartflow_messages_waiting", channel=readings.channels, wait=WAITS)
    readings.zero("smartflow_messages_given_up", channel=readings.channels)


def _seconds(moment: datetime | None) -> float | None:
    """A moment as Prometheus writes it: seconds since 1970."""
    return None if moment is None else moment.timestamp()
