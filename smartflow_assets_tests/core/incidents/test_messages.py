"""What a message says, held word by word on incidents written by hand."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest

from smartflow_assets.core.incidents.alert_planning import AlertEvent
from smartflow_assets.core.incidents.event_log import IncidentStatus
from smartflow_assets.core.incidents.messages import FACTS, Message, render
from smartflow_assets.core.severity import Severity

NINE = datetime(2024, 3, 4, 9, 35, tzinfo=UTC)
INCIDENT = {
    "incident_id": "ab12",
    "source": "web_traffic",
    "series": "requests",
    "cause": "anomaly",
    "severity": "critical",
    "state": "open",
    "opened_at": NINE,
    "resolved_at": None,
    "resolved_reason": None,
    "title": "requests spiked",
    "body": "",
}
ANOMALY = {
    "metric": "requests",
    "dimensions": {},
    "anomaly_type": "point",
    "value": 1600.0,
    "expected": 559.0,
    "lower": 430.0,
    "upper": 560.0,
    "deviation_percent": 186.2,
    "started_at": NINE,
    "ended_at": NINE + timedelta(minutes=5),
    "detectors": np.array(["seasonal", "mad"]),
    "rules": ["promo_surge"],
    "explanation": "2.9 times the usual",
}


def message(event: str = "opened", incident: dict | None = None, facts: dict | None = None) -> Message:
    return render({**INCIDENT, **(incident or {})}, event, {**ANOMALY, **(facts or {})}, idempotency_key="k1", happened_at=NINE)


def test_subject_names_value_range_and_deviation():
    assert message().subject == "[critical] web_traffic requests: 1600, expected 430 to 560 (+186 %)"


def test_subject_says_the_unit():
    assert "requests: 1600 req/s, expected 430 to 560 (" in message(facts={"unit": "req/s"}).subject
    assert "requests: 1600, expected 430 to 560 (" in message(facts={"unit": "requests"}).subject


def test_resolved_subject_says_how_long_it_lasted():
    end = {"state": "resolved", "resolved_at": NINE + timedelta(minutes=25), "resolved_reason": "normal again"}
    resolved = message("resolved", end)
    assert resolved.subject == "[resolved] web_traffic requests after 25 min"
    assert "Reason:" in resolved.text and "normal again" in resolved.text
    assert resolved.facts["duration_seconds"] == 1500


def test_escalation_and_reminder_are_told_apart():
    assert message("escalated").subject.startswith("[escalated to critical] web_traffic requests: 1600")
    assert message("reminder").subject.startswith("[still critical] web_traffic requests: 1600")


def test_one_sided_range_of_a_rule():
    subject = message(facts={"lower": None, "value": 0.0, "upper": np.nan, "expected": 5.0, "deviation_percent": -100}).subject
    assert subject == "[critical] web_traffic requests: 0, expected 5 (-100 %)"
    assert "Expected:  at least 1" in message(facts={"lower": 1.0, "upper": None}).text


def test_failed_step_renders_without_any_anomaly():
    failed = {**INCIDENT, "cause": "ingestion", "series": "", "title": "column 'total' is missing", "body": "Expected 5 columns."}
    sent = render(failed, "opened", {}, idempotency_key="k", happened_at=NINE)
    assert sent.subject == "[critical] web_traffic: column 'total' is missing"
    assert "Expected 5 columns." in sent.text
    assert "smartflow run web_traffic" in sent.text
    over = render(failed, "resolved", {"resolved_at": NINE + timedelta(hours=2)}, idempotency_key="k", happened_at=NINE)
    assert over.subject == "[resolved] web_traffic ingestion after 2 h"


def test_missing_value_is_told_by_the_title() -> None:
    sent = message(incident={"title": "no value, expected 430 to 560"}, facts={"value": None})
    assert sent.subject == "[critical] web_traffic requests: no value, expected 430 to 560"


def test_series_wide_incident_of_nulls_from_the_warehouse():
    nulls = {**INCIDENT, "series": None, "resolved_at": pd.NaT, "resolved_reason": np.nan, "title": None, "body": None}
    sent = render(nulls, "opened", {"value": np.nan, "started_at": pd.NaT}, idempotency_key="k", happened_at=NINE)
    assert sent.subject == "[critical] web_traffic: anomaly"
    assert sent.facts["value"] is None and sent.facts["started_at"] is None


def test_table_holds_the_facts_in_the_zone_of_the_source():
    text = message(facts={"timezone": "Europe/Berlin"}).text
    lines = dict(line.split(":", 1) for line in text.splitlines()[2:] if line)
    told = {label: value.strip() for label, value in lines.items()}
    assert told["Since"] == "2024-03-04 10:35 CET"
    assert told["Expected"] == "430 to 560"
    assert told["Deviation"] == "+186 %"
    assert told["Lasting"] == "5 min"
    assert told["Found by"] == "seasonal, mad"
    assert told["Rules"] == "promo_surge"
    assert told["Incident"] == "ab12"


def test_facts_are_json_and_complete():
    sent = message()
    assert list(sent.facts) == list(FACTS)
    assert json.loads(json.dumps(sent.facts, allow_nan=False)) == sent.facts
    assert sent.facts["version"] == 1
    assert sent.facts["detectors"] == ["seasonal", "mad"]
    assert sent.facts["started_at"] == "2024-03-04T09:35:00+00:00"


def test_html_escapes_what_comes_from_data():
    sent = message(incident={"series": "requests{region=<b>&}"})
    assert "<b>" not in sent.html
    assert "requests{region=&lt;b&gt;&amp;}" in sent.html


def test_subject_carries_no_line_break_from_data():
    subject = message(incident={"series": "a\r\nBcc: all@example.com"}).subject
    assert subject.startswith("[critical] web_traffic a Bcc: all@example.com: 1600")


def test_file_key_is_safe_in_a_file_name():
    assert message().file_key == "k1"
    odd = render(INCIDENT, "opened", {}, idempotency_key="ab/../c:d", happened_at=NINE).file_key
    assert odd.isalnum() and len(odd) == 16


def test_the_deviation_is_said_in_the_unit_and_in_percent():
    assert "Deviation: +1041 req/s (+186 %)" in message(facts={"deviation": 1041.0, "unit": "req/s"}).text
    assert "Deviation: -12 (-40 %)" in message(facts={"deviation": -12.0, "deviation_percent": -40.0}).text
    assert "Deviation: +186 %" in message().text
    assert "Deviation: +7" in message(facts={"deviation": 7.0, "deviation_percent": None}).text


def test_whoever_hears_of_strange_records_is_led_to_them():
    assert "marts.strange_records where incident_id = 'ab12'" in message(facts={"detectors": ["records"]}).text
    assert "marts.anomalies_latest where incident_id = 'ab12'" in message(facts={"detectors": ["records", "seasonal"]}).text


@pytest.mark.parametrize(("field", "vocabulary"), [("event", AlertEvent), ("state", IncidentStatus), ("severity", Severity)])
def test_documented_vocabularies_are_those_of_the_code(field: str, vocabulary: Any):
    *first, last = get_args(vocabulary)
    assert FACTS[field] == f"{', '.join(first)} or {last}."
