"""Views for analysts, in the schema `marts`: questions that people ask, answered in one table each.

They hold no rows. They are created with the warehouse and again before every publish, so the copy always has the current
ones. Days are UTC days, whatever the reader's session says.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from smartflow_assets.adapters.sql_quoting import quoted, quoted_text
from smartflow_assets.adapters.warehouse.pauses import PAUSES
from smartflow_assets.adapters.warehouse.told_together import MEMBERS, is_told_by_itself


@dataclass(frozen=True)
class Mart:
    """A view, what it answers, and a query to start from."""

    name: str
    description: str
    example: str
    sql: str

    def statements(self) -> Iterator[str]:
        yield f"CREATE OR REPLACE VIEW {quoted(self.name)} AS {self.sql}"
        yield f"COMMENT ON VIEW {quoted(self.name)} IS {quoted_text(f'{self.description} Example: {self.example}')}"


_IS_TOLD_BY_ITSELF = is_told_by_itself()
_IS_ONE_OF_ITS_SOURCE = is_told_by_itself("leader.source = incidents.source")

_HAS_A_FILE = "source NOT IN (SELECT source FROM configurations GROUP BY source HAVING arg_max(is_gone, rowid))"
_IS_ANOMALY = "coalesce(scores.is_anomaly, FALSE) OR broken.rules IS NOT NULL"
JUDGED = """
WITH newest AS (SELECT source, arg_max(configuration, rowid) AS configuration FROM configurations WHERE NOT is_gone GROUP BY source),
     rules AS (SELECT source, rule->>'metric' AS metric
               FROM (SELECT source, unnest(from_json(configuration->'rules', '["JSON"]')) AS rule FROM newest)
               UNION
               SELECT source, metric->>'name'
               FROM (SELECT source, unnest(from_json(configuration->'metrics', '["JSON"]')) AS metric FROM newest)
               WHERE json_array_length(metric->'rules') > 0),
     with_value AS (SELECT source, metric, count(value) AS n FROM clean_series GROUP BY source, metric),
     scored AS (SELECT source, metric, count(*) AS n FROM anomaly_scores WHERE state = 'scored' GROUP BY source, metric),
     by_metric AS (SELECT source, CASE WHEN EXISTS (FROM rules WHERE rules.source = with_value.source
                                                    AND coalesce(rules.metric, with_value.metric) = with_value.metric)
                                       THEN with_value.n ELSE coalesce(scored.n, 0) END AS n
                   FROM with_value LEFT JOIN scored USING (source, metric)),
     found AS (SELECT source, count(*) AS n
               FROM (SELECT source, series, observed_at FROM anomaly_scores WHERE is_anomaly AND state = 'scored'
                     UNION SELECT source, series, observed_at FROM rule_violations) GROUP BY source)
SELECT source, coalesce(found.n, 0) AS anomalous_count,
       CAST(greatest(sum(by_metric.n), coalesce(found.n, 0)) AS BIGINT) AS judged_count
FROM by_metric LEFT JOIN found USING (source) GROUP BY source, found.n
"""
"""Points that were judged and those of them that are anomalous: detectors judge what they score, rules every value of their metrics. A
bucket without a value, which the rule `missing` finds, counts as judged once it is found."""
_ALL = (
    Mart(
        "marts.anomalies_latest",
        "Anomalies in the last 7 days of the data of each source that has a file, newest first, with the incident that each belongs to.",
        "SELECT source, series, started_at, severity, explanation FROM marts.anomalies_latest LIMIT 20",
        f"""
        SELECT anomalies.*, owners.incident_id, incidents.state AS incident_state
        FROM anomalies
        JOIN (SELECT source, max(observed_at) AS newest_at FROM clean_series GROUP BY source) AS sources USING (source)
        LEFT JOIN (SELECT anomaly_id, max(incident_id) AS incident_id
                   FROM (SELECT unnest(anomaly_ids) AS anomaly_id, incident_id FROM incident_events)
                   GROUP BY anomaly_id) AS owners USING (anomaly_id)
        LEFT JOIN incidents USING (incident_id)
        WHERE anomalies.ended_at >= sources.newest_at - INTERVAL 7 DAY AND {_HAS_A_FILE}
        ORDER BY anomalies.started_at DESC, anomalies.source, anomalies.series
        """,
    ),
    Mart(
        "marts.anomaly_history",
        "Anomalies counted by day (UTC), source, series, metric, type and severity.",
        "SELECT day, sum(anomaly_count) AS anomalies FROM marts.anomaly_history GROUP BY day ORDER BY day",
        """
        SELECT CAST(started_at AT TIME ZONE 'UTC' AS DATE) AS day, source, series, metric, anomaly_type, severity,
               count(*) AS anomaly_count, sum(point_count) AS point_count, max(anomaly_score) AS highest_score
        FROM anomalies GROUP BY ALL
        """,
    ),
    Mart(
        "marts.open_incidents",
        "Incidents that are not resolved nor snoozed, worst first, with the last message that went out; those that people are told of by "
        "another one that is open are counted with it (member_count, itself left out).",
        "SELECT series, member_count, title, severity, opened_at, last_sent_at FROM marts.open_incidents",
        f"""
        SELECT incidents.*, coalesce(members.member_count, 0) AS member_count,
               sends.last_sent_at, coalesce(sends.sent_count, 0) AS sent_count
        FROM incidents
        LEFT JOIN (SELECT incident_id, member_count FROM {MEMBERS}) AS members USING (incident_id)
        LEFT JOIN (SELECT incident_id, max(happened_at) AS last_sent_at, count(*) AS sent_count
                   FROM alert_sends WHERE status = 'sent' GROUP BY incident_id) AS sends USING (incident_id)
        WHERE incidents.state IN ('open', 'acknowledged') AND {_IS_TOLD_BY_ITSELF}
        ORDER BY CASE incidents.severity WHEN 'critical' THEN 0 WHEN 'warning' THEN 1 ELSE 2 END, incidents.opened_at
        """,
    ),
    Mart(
        "marts.source_health",
        "One row for each source that has a file: its last run, when it was looked at last (by a run, or by the schedule, which found "
        "nothing to do), how far its data goes, what is open, what is snoozed and until when the first, whether a remedy has paused its "
        "schedule; how many points were judged (judged_count: those that detectors scored, and every value of a metric that has a rule), "
        "how many of them are anomalous, and the share of these (anomaly_rate).",
        "SELECT source, last_run_status, last_observed_at, anomaly_rate, open_incidents FROM marts.source_health",
        f"""
        SELECT sources.source, runs.last_run_at, runs.last_run_status,
               greatest(runs.last_run_at, looks.looked_at) AS last_looked_at, series.last_observed_at,
               coalesce(series.record_count, 0) AS record_count, coalesce(found.anomaly_count, 0) AS anomaly_count,
               coalesce(judged.judged_count, 0) AS judged_count, coalesce(judged.anomalous_count, 0) AS anomalous_count,
               judged.anomalous_count / nullif(judged.judged_count, 0) AS anomaly_rate,
               coalesce(unresolved.open_incidents, 0) AS open_incidents,
               coalesce(snoozed.snoozed_incidents, 0) AS snoozed_incidents, snoozed.snoozed_until, models.model_trained_at,
               pauses.source IS NOT NULL AND coalesce(pauses.until_at > now(), TRUE) AS is_paused, pauses.until_at AS paused_until
        FROM (SELECT source FROM run_log UNION SELECT source FROM ingestions UNION SELECT source FROM clean_series) AS sources
        LEFT JOIN (SELECT source, max(coalesce(ended_at, started_at)) AS last_run_at,
                          arg_max(status, started_at) AS last_run_status
                   FROM run_log GROUP BY source) AS runs USING (source)
        LEFT JOIN (SELECT source, max(looked_at) AS looked_at FROM source_looks GROUP BY source) AS looks USING (source)
        LEFT JOIN (SELECT source, max(observed_at) AS last_observed_at, count(*) AS record_count
                   FROM clean_series GROUP BY source) AS series USING (source)
        LEFT JOIN (SELECT source, count(*) AS anomaly_count FROM anomalies GROUP BY source) AS found USING (source)
        LEFT JOIN ({JUDGED}) AS judged USING (source)
        LEFT JOIN (SELECT source, count(*) AS open_incidents FROM incidents
                   WHERE state IN ('open', 'acknowledged') AND {_IS_ONE_OF_ITS_SOURCE} GROUP BY source) AS unresolved USING (source)
        LEFT JOIN (SELECT source, count(*) AS snoozed_incidents, min(snoozed_until) AS snoozed_until FROM incidents
                   WHERE snoozed_until IS NOT NULL GROUP BY source) AS snoozed USING (source)
        LEFT JOIN (SELECT source, max(trained_at) AS model_trained_at FROM trained_models
                   GROUP BY source) AS models USING (source)
        LEFT JOIN ({PAUSES}) AS pauses USING (source)
        WHERE {_HAS_A_FILE} AND source <> '*'
        """,
    ),
    Mart(
        "marts.series_with_bands",
        "Every bucket with its value, the expected band, the score, the rules that it broke, and whether these or the detectors call it "
        "anomalous: one chart needs no join.",
        "SELECT observed_at, value, lower, upper FROM marts.series_with_bands WHERE series = 'requests' ORDER BY observed_at",
        f"""
        SELECT clean.*, scores.expected, scores.lower, scores.upper, scores.raw_score, scores.anomaly_score, scores.threshold,
               {_IS_ANOMALY} AS is_anomaly, scores.state, scores.severity, scores.model_id, broken.rules
        FROM clean_series AS clean
        LEFT JOIN (SELECT source, series, observed_at, expected, lower, upper, raw_score, anomaly_score, threshold, is_anomaly,
                          state, severity, model_id FROM anomaly_scores) AS scores USING (source, series, observed_at)
        LEFT JOIN (SELECT source, series, observed_at, list(DISTINCT rule ORDER BY rule) AS rules FROM rule_violations
                   GROUP BY source, series, observed_at) AS broken USING (source, series, observed_at)
        """,
    ),
    Mart(
        "marts.detection_quality_latest",
        "The newest measure of each labelled source (series *) and of each of its labelled series, and of each source by feedback.",
        "SELECT source, evidence, precision, recall, f1, label_count FROM marts.detection_quality_latest WHERE series = '*'",
        """
        SELECT measures.* FROM detection_quality AS measures
        JOIN (SELECT source, evidence, max(measured_at) AS measured_at FROM detection_quality GROUP BY source, evidence) AS newest
          USING (source, evidence, measured_at)
        ORDER BY measures.source, measures.evidence DESC, measures.series
        """,
    ),
    Mart(
        "marts.strange_records",
        "Single records that are strange, newest first, as they were read, with the incident that they opened or belong to.",
        "SELECT observed_at, severity, explanation, record->>'amount' AS amount FROM marts.strange_records LIMIT 20",
        """
        SELECT found.*, owners.incident_id, incidents.state AS incident_state
        FROM record_anomalies AS found
        LEFT JOIN (SELECT source, anomaly_id, started_at, ended_at FROM anomalies WHERE series = 'records') AS intervals
          ON intervals.source = found.source AND found.observed_at >= intervals.started_at AND found.observed_at < intervals.ended_at
        LEFT JOIN (SELECT anomaly_id, max(incident_id) AS incident_id
                   FROM (SELECT unnest(anomaly_ids) AS anomaly_id, incident_id FROM incident_events)
                   GROUP BY anomaly_id) AS owners USING (anomaly_id)
        LEFT JOIN incidents USING (incident_id)
        ORDER BY found.observed_at DESC, found.source, found._origin, found._row
        """,
    ),
    Mart(
        "marts.model_history",
        "Which model judged a source from when to when, who made it so, and why; the newest of each series has no current_until.",
        "SELECT current_from, series, model_id, change, changed_by, reason FROM marts.model_history WHERE current_until IS NULL",
        """
        SELECT source, series, model_id, changed_at AS current_from,
               lead(changed_at) OVER (PARTITION BY source, series ORDER BY changed_at) AS current_until,
               change, reason, changed_by, replaced_model_id, detector, trained_at, trained_from, trained_to, row_count, baseline_from
        FROM trained_models WHERE status = 'current' ORDER BY source, series, changed_at
        """,
    ),
    Mart(
        "marts.detector_agreement",
        "For each pair of detectors of a source: anomalies that both flagged, that either flagged, and the share of both.",
        "SELECT detector, other_detector, agreement FROM marts.detector_agreement WHERE source = 'web_traffic'",
        """
        WITH flagged AS (SELECT source, anomaly_id, unnest(detectors) AS detector FROM anomalies),
             totals AS (SELECT source, detector, count(*) AS flag_count FROM flagged GROUP BY source, detector),
             pairs AS (SELECT one.source, one.detector, other.detector AS other_detector, count(*) AS both_count
                       FROM flagged AS one JOIN flagged AS other
                         ON one.source = other.source AND one.anomaly_id = other.anomaly_id AND one.detector < other.detector
                       GROUP BY one.source, one.detector, other.detector)
        SELECT one.source, one.detector, other.detector AS other_detector, coalesce(pairs.both_count, 0) AS both_count,
               one.flag_count + other.flag_count - coalesce(pairs.both_count, 0) AS either_count,
               coalesce(pairs.both_count, 0) / (one.flag_count + other.flag_count - coalesce(pairs.both_count, 0)) AS agreement
        FROM totals AS one
        JOIN totals AS other ON one.source = other.source AND one.detector < other.detector
        LEFT JOIN pairs ON pairs.source = one.source AND pairs.detector = one.detector
                       AND pairs.other_detector = other.detector
        """,
    ),
    Mart(
        "marts.metrics_wide",
        "One row for each bucket and dimensions, its metrics side by side in a map.",
        "SELECT observed_at, metrics['cpu'] AS cpu, metrics['memory'] AS memory FROM marts.metrics_wide",
        """
        SELECT source, dimensions, observed_at, map_from_entries(list((metric, value) ORDER BY metric)) AS metrics
        FROM clean_series GROUP BY source, dimensions, observed_at
        """,
    ),
    Mart(
        "marts.alert_log",
        "Every attempt to send a message, newest first, with the incident it was about.",
        "SELECT happened_at, channel, event, status, title, error FROM marts.alert_log WHERE is_newest",
        """
        SELECT sends.*, incidents.title, incidents.severity,
               row_number() OVER (PARTITION BY sends.source, sends.idempotency_key, sends.incident_id, sends.event, sends.channel
                                  ORDER BY sends.attempt DESC, sends.happened_at DESC,
                                           list_position(['skipped', 'failed', 'sent', 'claimed', 'planned'], sends.status)) = 1
                 AS is_newest
        FROM alert_sends AS sends
        LEFT JOIN (SELECT incident_id, title, severity FROM incidents) AS incidents USING (incident_id)
        ORDER BY sends.happened_at DESC
        """,
    ),
    Mart(
        "marts.feedback_audit",
        "What people said of incidents, newest first, whether it still acts (until until_at, by the clock) or was taken back, and of how "
        "many incidents nobody was told because of it.",
        "SELECT given_at, given_by, series, verdict, state, until_at, muted_count FROM marts.feedback_audit WHERE source = 'shop'",
        """
        SELECT said.*,
               CASE WHEN undone.undoes IS NOT NULL THEN 'undone' WHEN said.until_at <= now() THEN 'expired' ELSE 'acts' END AS state,
               undone.undone_at, undone.undone_by, coalesce(muted.muted_count, 0) AS muted_count, incidents.title
        FROM feedback AS said
        LEFT JOIN (SELECT undoes, incident_id, min(given_at) AS undone_at, arg_min(given_by, given_at) AS undone_by FROM feedback
                   WHERE undoes IS NOT NULL GROUP BY undoes, incident_id) AS undone
          ON undone.undoes = said.feedback_id AND undone.incident_id = said.incident_id
        LEFT JOIN (SELECT payload->>'suppressed_by' AS muted_by, series, count(DISTINCT incident_id) AS muted_count FROM incident_events
                   WHERE event = 'suppressed' GROUP BY muted_by, series) AS muted
          ON muted.muted_by = 'feedback:' || said.feedback_id AND muted.series = said.series
        LEFT JOIN (SELECT incident_id, title FROM incidents) AS incidents ON incidents.incident_id = said.incident_id
        WHERE said.verdict IS NOT NULL ORDER BY said.given_at DESC, said.series
        """,
    ),
    Mart(
        "marts.remediation_log",
        "What was done by itself about what is wrong, and by hand, newest first, with the incident that it was about.",
        "SELECT happened_at, action, status, message, reason FROM marts.remediation_log WHERE source = 'shop'",
        """
        SELECT done.*, incidents.title, incidents.state AS incident_state
        FROM remediations AS done LEFT JOIN (SELECT incident_id, title, state FROM incidents) AS incidents USING (incident_id)
        ORDER BY done.happened_at DESC, done.remediation_id
        """,
    ),
    Mart(
        "marts.check_history",
        "What contracts found, by day: expectations that were asked, those that were not met, and the loads that are blocked.",
        "SELECT day, source, not_met, worst_message FROM marts.check_history WHERE not_met > 0 ORDER BY day DESC",
        """
        SELECT source, CAST(checked_at AT TIME ZONE 'UTC' AS DATE) AS day, severity, count(*) AS asked,
               count(*) FILTER (WHERE NOT coalesce(is_passed, FALSE)) AS not_met, count(*) FILTER (WHERE error IS NOT NULL) AS broken,
               arg_max(message, unexpected_percent) FILTER (WHERE NOT coalesce(is_passed, TRUE)) AS worst_message
        FROM schema_checks GROUP BY source, day, severity
        """,
    ),
    Mart(
        "marts.quarantine",
        "What is and was kept aside, by source, reason and state: rows that cannot be read, rows that a contract diverts (a row with "
        "several reasons is counted for each), and loads that it blocked.",
        "SELECT source, kind, reason, row_count FROM marts.quarantine WHERE state IN ('held', 'blocked') ORDER BY row_count DESC",
        """
        SELECT source, 'unreadable row' AS kind, state, reason, count(*) AS row_count, min(quarantined_at) AS oldest_at,
               max(quarantined_at) AS newest_at
        FROM quarantined_records GROUP BY source, state, reason
        UNION ALL
        SELECT source, 'diverted row', state, reason, count(*), min(diverted_at), max(diverted_at)
        FROM (SELECT source, state, unnest(reasons) AS reason, diverted_at FROM diverted_rows) GROUP BY source, state, reason
        UNION ALL
        SELECT source, 'load', arg_max(state, rowid), arg_max(reason, rowid), arg_max(row_count, rowid), min(changed_at), max(changed_at)
        FROM blocked_loads GROUP BY source, load_id
        """,
    ),
    Mart(
        "marts.drift",
        "The newest comparison of each source and column, the furthest first.",
        "SELECT source, column_name, test, excess, message FROM marts.drift WHERE is_drifted",
        """
        SELECT *, statistic / nullif(limit_value, 0) AS excess FROM drift_checks
        QUALIFY current_to = max(current_to) OVER (PARTITION BY source) ORDER BY excess DESC NULLS LAST
        """,
    ),
)
MARTS: dict[str, Mart] = {mart.name: mart for mart in _ALL}
