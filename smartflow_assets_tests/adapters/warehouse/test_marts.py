"""The views answer what they say, on rows small enough to see the answer."""

import pandas as pd
import pytest

from smartflow_assets.adapters.files.exports import EXPORTS
from smartflow_assets.adapters.warehouse.marts import MARTS
from smartflow_assets.adapters.warehouse.writes import Append, Replace, Rewrite
from smartflow_assets_tests.adapters.warehouse.frames import START, at, clean

DAY = 288  # buckets of five minutes


@pytest.fixture
def filled(warehouse):
    """Two metrics, three anomalies of which one is 10 days old, an open incident with a sent and a failed message."""
    cpu, memory = clean([1, 2], "cpu").assign(metric="cpu"), clean([3, 4], "memory").assign(metric="memory")
    scores = cpu[["series", "metric", "dimensions", "observed_at", "value"]]
    scores = scores.assign(is_anomaly=[False, True], state="scored", lower=0.0, upper=1.0)
    anomalies = pd.DataFrame(
        {
            "anomaly_id": ["old", "new", "both"],
            "series": "cpu",
            "metric": "cpu",
            "anomaly_type": "point",
            "severity": "critical",
            "started_at": [at(-10 * DAY), at(0), at(1)],
            "ended_at": [at(-10 * DAY + 1), at(1), at(2)],
            "point_count": 1,
            "detectors": [["mad", "zscore"], ["mad", "zscore"], ["zscore"]],
            "rules": [[]] * 3,
            "anomaly_score": [0.9, 0.95, 0.99],
        }
    )
    violation = pd.DataFrame([{"series": name, "rule": "too_high", "observed_at": at(1)} for name in ("cpu", "memory")])
    incident = {"source": "web", "incident_id": "i1", "severity": "critical", "state": "open", "opened_at": START, "title": "CPU"}
    event = {"source": "web", "event_id": "e", "incident_id": "i1", "event": "opened", "happened_at": START, "anomaly_ids": ["new"]}
    send = {"source": "web", "incident_id": "i1", "event": "opened", "attempt": 1, "happened_at": START, "idempotency_key": "k"}
    sends = [
        {**send, "channel": "mail", "status": "planned"},
        {**send, "channel": "mail", "status": "sent"},
        {**send, "channel": "hook", "status": "planned"},
        {**send, "channel": "hook", "status": "failed", "happened_at": at(1)},
    ]
    run = {"source": "web", "run_id": "r", "status": "success", "started_at": START, "ended_at": at(1)}
    warehouse.commit(
        "run",
        [
            Replace("clean_series", "web", pd.concat([cpu, memory]), at(0), at(2)),
            Replace("anomaly_scores", "web", scores, at(0), at(2)),
            Replace("rule_violations", "web", violation, at(0), at(2)),
            Replace("anomalies", "web", anomalies, at(-20 * DAY), at(2)),
            Append("incident_events", pd.DataFrame([event])),
            Rewrite("incidents", ("i1",), pd.DataFrame([incident])),
            Append("alert_sends", pd.DataFrame(sends)),
            Append("run_log", pd.DataFrame([run])),
        ],
    )
    warehouse.publish("run")

    def query(sql: str) -> list:
        return [list(row) for row in warehouse.published_read(sql).itertuples(index=False, name=None)]

    return query


@pytest.mark.parametrize("mart", MARTS.values(), ids=MARTS.keys())
def test_example_of_every_view_runs_on_the_published_copy(filled, mart):
    assert isinstance(filled(mart.example), list)
    assert filled(f"SELECT comment FROM duckdb_views() WHERE 'marts.' || view_name = '{mart.name}'")[0][0].startswith(mart.description)


def test_latest_anomalies_name_their_incident(filled):
    found = filled("SELECT anomaly_id, incident_id FROM marts.anomalies_latest")
    assert [row[0] for row in found] == ["both", "new"]
    assert found[1][1] == "i1"


def test_history_counts_by_day(filled):
    found = filled("SELECT series, anomaly_count FROM marts.anomaly_history ORDER BY day")
    assert found == [["cpu", 1], ["cpu", 2]]


def test_open_incidents_know_their_messages(filled):
    assert filled("SELECT title, sent_count FROM marts.open_incidents") == [["CPU", 1]]


def test_source_health_sums_a_source_up(filled):
    sql = "SELECT last_run_status, record_count, anomaly_count, open_incidents FROM marts.source_health"
    assert filled(sql) == [["success", 4, 3, 1]]


@pytest.mark.parametrize(
    ("of_source", "of_metric", "judged"),
    [
        ("[]", "[]", 2),  # what detectors scored, none of which is of memory
        ('[{"name": "too_high"}]', "[]", 4),
        ('[{"name": "too_high", "metric": "memory"}]', "[]", 4),
        ("[]", '[{"name": "too_high"}]', 4),
        ('[{"name": "too_high", "metric": "disk"}]', "[]", 2),
    ],
)
def test_the_anomaly_rate_is_of_what_detectors_scored_and_rules_looked_at(filled, warehouse, of_source, of_metric, judged):
    text = f'{{"rules": {of_source}, "metrics": [{{"name": "memory", "rules": {of_metric}}}, {{"name": "cpu", "rules": []}}]}}'
    row = {"source": "web", "is_gone": False, "held_from": START, "configuration": text}
    warehouse.commit("run", [Append("configurations", pd.DataFrame([row]))])
    warehouse.publish("again")
    [found] = filled("SELECT anomalous_count, judged_count, anomaly_rate FROM marts.source_health")
    assert found == [2, judged, 2 / judged]


def test_a_source_whose_file_is_gone_leaves_and_comes_back_with_it(filled, warehouse):
    views = ("source_health", "anomalies_latest")
    for is_gone in (True, False):
        row = {"source": "web", "is_gone": is_gone, "held_from": START}
        warehouse.commit("catalogue", [Append("configurations", pd.DataFrame([row]))])
        warehouse.publish("catalogue")
        assert [bool(filled(f"SELECT * FROM marts.{view}")) for view in views] == [not is_gone] * 2
    assert filled("SELECT count(*) FROM anomalies") == [[3]], "its rows stay until they are pruned"


def test_series_with_bands_joins_scores_and_rules(filled):
    sql = "SELECT value, upper, is_anomaly, rules FROM marts.series_with_bands WHERE series = 'cpu' ORDER BY observed_at"
    assert filled(sql) == [[1, 1, False, None], [2, 1, True, ["too_high"]]]
    found = filled("SELECT is_anomaly FROM marts.series_with_bands WHERE series = 'memory' ORDER BY observed_at")
    assert found == [[False], [True]], "a rule alone makes a row anomalous, scored or not, as in exports"
    assert found == filled(f"SELECT is_anomaly FROM ({EXPORTS['scores'].sql}) WHERE series = 'memory' ORDER BY timestamp")
    assert len(filled("SELECT * FROM marts.series_with_bands")) == 4


def test_detector_agreement_is_the_share_flagged_by_both(filled):
    found = filled("SELECT detector, other_detector, both_count, either_count, agreement FROM marts.detector_agreement")
    assert found == [["mad", "zscore", 2, 3, pytest.approx(2 / 3)]]


def test_metrics_stand_side_by_side(filled):
    sql = "SELECT metrics['cpu'] AS cpu, metrics['memory'] AS memory FROM marts.metrics_wide ORDER BY observed_at"
    assert filled(sql) == [[1, 3], [2, 4]]


def test_alert_log_marks_the_newest_word_on_each_message(filled):
    assert filled("SELECT channel, status FROM marts.alert_log WHERE is_newest ORDER BY channel") == [["hook", "failed"], ["mail", "sent"]]
