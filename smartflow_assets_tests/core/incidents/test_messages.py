"""What a message says, held word by word on incidents written by hand."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest

from smartflow_assets.core.incidents.alert_planning import AlertEvent
from smartflow_assets.core.incidents.event_log import IncidentStatus
from smartflow_assets.core.incidents.messages import FACTS, Message, bundled, render
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
    "title": "1,600 requests, usually 430 to 560 (1,040 above)",
    "body": "",
}
WHY = (
    "1,600 requests, usually 430 to 560 (1,040 above). Mon 09:35 UTC; highest in 28 days. Rule promo_surge: 1,600 is 3.2 x the median. "
    "Found by: seasonal 60 %, mad 40 %."
)
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
    "explanation": WHY,
    "unit": "requests",
}


def message(event: str = "opened", incident: dict | None = None, facts: dict | None = None) -> Message:
    return render({**INCIDENT, **(incident or {})}, event, {**ANOMALY, **(facts or {})}, idempotency_key="k1", happened_at=NINE)


def test_subject_says_who_what_and_how_much_beside_what_is_usual():
    assert message().subject == "[critical] web_traffic requests: 1,600, usually 430 to 560 (1,040 above)"


def test_subject_says_the_unit_unless_the_metric_is_called_so():
    eur = {"title": "1,600 EUR, usually 430 to 560 (1,040 above)"}
    assert "requests: 1,600 EUR, usually 430 to 560 (" in message(incident=eur, facts={"unit": "EUR"}).subject
    flat = {"title": "flat at 279 requests for 25 min (usually changes each 5 min)"}
    assert message(incident=flat).subject == "[critical] web_traffic requests: flat at 279 for 25 min (usually changes each 5 min)"


def test_the_subject_of_an_incident_without_a_title_is_made_of_its_numbers():
    assert message(incident={"title": None}).subject == "[critical] web_traffic requests: 1,600, usually 430 to 560 (1,040 above)"


BACK = {"again_since": "2024-03-04T10:25:00+00:00"}


def test_what_came_back_says_since_when_and_is_no_second_opening():
    again = message(facts=BACK | {"timezone": "Europe/Berlin"})
    assert again.subject == "[critical] web_traffic requests again since 11:25 CET: 1,600, usually 430 to 560 (1,040 above)"
    assert "Incident since: 2024-03-04 10:35 CET, again since 11:25 CET" in again.text
    assert again.event == "opened" and again.facts["again_since"] == BACK["again_since"]
    assert message().facts["again_since"] is None


def test_what_came_back_on_another_day_says_which():
    assert "again since 2024-03-05 00:10 UTC: 1,600" in message(facts={"again_since": "2024-03-05T00:10:00+00:00"}).subject


def test_the_recovery_of_what_came_back_says_how_long_in_all():
    end = {"state": "resolved", "resolved_at": NINE + timedelta(minutes=100), "resolved_reason": "back to normal for 15 min"}
    over = message("resolved", end, BACK)
    assert over.subject == "[resolved] web_traffic requests after 1 h 40 min in all"
    assert "1 h 40 min in all" in over.text and "again since 10:25 UTC" in over.text


def test_buckets_of_days_are_told_by_their_dates():
    berlin_day = {"bucket_seconds": 86400, "timezone": "Europe/Berlin", "started_at": None, "again_since": "2024-03-30T23:00:00+00:00"}
    opened_at, resolved_at = datetime(2024, 3, 28, 23, tzinfo=UTC), datetime(2024, 3, 31, 22, tzinfo=UTC)  # that day has 23 hours
    over = message("resolved", {"opened_at": opened_at, "resolved_at": resolved_at}, berlin_day)
    assert "Incident since: 2024-03-29, again since 2024-03-31\n" in over.text
    assert "Resolved:       2024-03-31\n" in over.text and over.subject.endswith(" after 3 days in all")


def test_a_long_subject_ends_with_a_word_and_the_text_says_all():
    title = "raw_records failed: " + "30 % of the rows of a file cannot be read, " * 6 + "or raise on_bad_rows.fail_above."
    failure = {"incident_id": "a", "source": "web", "series": "", "cause": "raw_records", "severity": "critical", "title": title}
    message = render(failure, "opened", {}, idempotency_key="k", happened_at=NINE)
    assert len(message.subject) <= 200 and message.subject.endswith("…")
    assert message.subject[:-1].split()[-1] in title.replace(",", "").split()
    assert title in message.text and title[1:] in message.html


@pytest.mark.parametrize(
    ("source", "title", "subject"),
    [
        ("missing", "raw_records failed: no file", "missing: raw_records failed: no file"),
        ("raw", "raw_records failed: no file", "raw: raw_records failed: no file"),
        ("d", "delivery:gone failed", "d: delivery:gone failed"),
        ("shop", "shop_orders: no rows", "shop: shop_orders: no rows"),
        ("shop", "shop: no rows since 9:00", "shop: no rows since 9:00"),
        ("shop", "shop has no rows", "shop has no rows"),
        ("shop", "shop, and others", "shop, and others"),
        ("shop", "shop", "shop"),
    ],
)
def test_the_subject_leaves_the_source_out_only_where_the_title_names_it_as_a_whole_word(source, title, subject):
    failure = {"incident_id": "a", "source": source, "series": "", "cause": "raw_records", "severity": "critical", "title": title}
    told = render(failure, "opened", {}, idempotency_key="k", happened_at=NINE)
    assert told.subject == f"[critical] {subject}"
    assert bundled("digest", [told], idempotency_key="d", happened_at=NINE).content.told[0].short == subject


def test_resolved_subject_says_how_long_it_lasted():
    end = {"state": "resolved", "resolved_at": NINE + timedelta(minutes=25), "resolved_reason": "normal again"}
    resolved = message("resolved", end)
    assert resolved.subject == "[resolved] web_traffic requests after 25 min"
    assert "Reason:" in resolved.text and "normal again" in resolved.text
    assert resolved.facts["duration_seconds"] == 1500


@pytest.mark.parametrize(
    ("bucket", "bad", "calm", "said"), [("1D", 1, 1, "1 day"), ("7D", 1, 1, "7 days"), ("1h", 2, 1, "2 h"), ("5min", 3, 3, "15 min")]
)
def test_the_calm_that_proved_the_end_is_no_part_of_how_long_it_lasted(bucket: str, bad: int, calm: int, said: str):
    step, since = pd.Timedelta(bucket).to_pytimedelta(), NINE.replace(hour=0, minute=0)
    end = {"last_seen_at": since + bad * step, "resolved_at": since + (bad + calm) * step}
    over = message("resolved", {"opened_at": since} | end, {"bucket_seconds": step.total_seconds()})
    assert over.subject == f"[resolved] web_traffic requests after {said}"
    assert over.facts["duration_seconds"] == (bad * step).total_seconds()
    assert over.facts["resolved_at"] == end["resolved_at"].isoformat() and f"Lasted:         {said}\n" in over.text


@pytest.mark.parametrize(
    ("cause", "of_members", "minutes"),
    [
        *(("anomaly", ["anomaly", "anomaly"], 20), ("group", ["anomaly", "volume"], 20)),
        *(("freshness", [], 25), ("check:columns_are_as_agreed", [], 25), ("load:1", [], 25), ("clean_series", [], 25)),
        *(("group", ["anomaly", "freshness"], 25), ("freshness", ["freshness", "anomaly"], 25)),
    ],
)
def test_a_group_lasts_as_long_as_its_last_and_what_has_no_buckets_until_it_is_resolved(cause: str, of_members: list[str], minutes: int):
    members = [
        {"source": "web", "series": "a", "severity": "info", "title": "5", "unit": None, "metric": "a", "cause": each}
        for each in of_members
    ]
    end = {"cause": cause, "last_seen_at": NINE + timedelta(minutes=5), "resolved_at": NINE + timedelta(minutes=25)}
    seen = {"members": members, "member_count": len(members), "members_seen_at": NINE + timedelta(minutes=20)} if members else {}
    assert message("resolved", end, {"sources": ["web", "shop"]} | seen).facts["duration_seconds"] == minutes * 60


def test_escalation_and_reminder_are_told_apart():
    assert message("escalated").subject.startswith("[escalated to critical] web_traffic requests: 1,600")
    assert message("reminder").subject.startswith("[still critical] web_traffic requests: 1,600")


def test_one_sided_range_of_a_rule():
    low = {"lower": None, "value": 3.0, "upper": np.nan, "expected": 5.0}
    assert message(incident={"title": None}, facts=low).subject == "[critical] web_traffic requests: 3, usually 5 (2 below)"
    assert "Usual then:     at least 1 requests" in message(facts={"lower": 1.0, "upper": None}).text


def test_failed_step_renders_without_any_anomaly():
    failed = {**INCIDENT, "cause": "ingestion", "series": "", "title": "column 'total' is missing", "body": "Expected 5 columns."}
    sent = render(failed, "opened", {}, idempotency_key="k", happened_at=NINE)
    assert sent.subject == "[critical] web_traffic: column 'total' is missing"
    assert "Expected 5 columns." in sent.text
    assert "smartflow run web_traffic" in sent.text
    over = render(failed, "resolved", {"resolved_at": NINE + timedelta(hours=2)}, idempotency_key="k", happened_at=NINE)
    assert over.subject == "[resolved] web_traffic ingestion after 2 h"


def test_missing_value_is_told_by_the_title() -> None:
    sent = message(incident={"title": "no value since Mon 09:05 UTC, usually 430 to 560"}, facts={"value": None})
    assert sent.subject == "[critical] web_traffic requests: no value since Mon 09:05 UTC, usually 430 to 560"
    assert "Value:" not in sent.text and "Difference:" not in sent.text


def test_series_wide_incident_of_nulls_from_the_warehouse():
    nulls = {**INCIDENT, "series": None, "resolved_at": pd.NaT, "resolved_reason": np.nan, "title": None, "body": None}
    sent = render(nulls, "opened", {"value": np.nan, "started_at": pd.NaT}, idempotency_key="k", happened_at=NINE)
    assert sent.subject == "[critical] web_traffic: anomaly"
    assert sent.facts["value"] is None and sent.facts["started_at"] is None


def test_table_holds_the_facts_in_the_zone_of_the_source():
    text = message(facts={"timezone": "Europe/Berlin"}).text
    lines = dict(line.split(":", 1) for line in text.splitlines()[2:] if line)
    told = {label: value.strip() for label, value in lines.items()}
    assert told["Incident since"] == "2024-03-04 10:35 CET"
    assert told["Value"] == "1,600 requests"
    assert told["Usual then"] == "430 to 560 requests"
    assert told["Difference"] == "1,040 requests above that; 186 % above the expected 559"
    assert "Lasting" not in told, "the details say from when to when"
    assert told["Found by"] == "seasonal 60 %, mad 40 %"
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


def test_html_says_who_and_how_bad_then_what():
    html = message().html
    assert ">critical · web_traffic requests<" in html and ">1,600 requests, usually 430 to 560 (1,040 above)<" in html
    over = message("resolved", {"state": "resolved", "resolved_at": NINE + timedelta(minutes=25)}).html
    assert ">resolved · web_traffic requests<" in over and ">Over after 25 min<" in over


def test_subject_carries_no_line_break_from_data():
    subject = message(incident={"series": "a\r\nBcc: all@example.com"}).subject
    assert subject.startswith("[critical] web_traffic a Bcc: all@example.com: 1,600")


def test_file_key_is_safe_in_a_file_name():
    assert message().file_key == "k1"
    odd = render(INCIDENT, "opened", {}, idempotency_key="ab/../c:d", happened_at=NINE).file_key
    assert odd.isalnum() and len(odd) == 16


def test_plain_words_come_first_and_the_detectors_last():
    labels = [line.partition(":")[0] for line in message().text.splitlines()[2:] if line]
    assert labels[:7] == ["Source", "Series", "Value", "Usual then", "Difference", "Incident since", "Details"]
    assert labels[-4:] == ["Rules", "Type", "Found by", "Incident"]


def test_the_reason_does_not_repeat_the_subject_and_a_reason_in_other_words_is_told_whole():
    assert "Details:        Mon 09:35 UTC; highest in 28 days. Rule promo_surge: 1,600 is 3.2 x the median.\n" in message().text
    other = message(facts={"explanation": "As told by hand. At noon."})
    assert "Details:        As told by hand. At noon.\n" in other.text and "Found by:       seasonal, mad\n" in other.text
    assert message().facts["explanation"] == WHY


def test_what_is_far_from_usual_adds_up():
    low = {"value": 80.2, "lower": 390.4, "upper": 636.0, "unit": "EUR"}
    assert "Difference:     310 EUR below that" in message(incident={"title": None}, facts=low).text
    assert "Difference:" not in message(incident={"title": None}, facts={"value": 500.0}).text


def test_a_flat_run_is_not_set_beside_the_value_of_another_row():
    text = message(incident={"title": "flat at 645 requests for 2 h 5 min (usually changes each 5 min)"}, facts={"value": 545.0}).text
    assert not any(label in text for label in ("Value:", "Usual then:", "Difference:"))


def test_whoever_hears_of_strange_records_is_led_to_them():
    assert "marts.strange_records where incident_id = 'ab12'" in message(facts={"detectors": ["records"]}).text
    assert "smartflow incidents show ab12" in message(facts={"detectors": ["records", "seasonal"]}).text


@pytest.mark.parametrize(("field", "vocabulary"), [("event", AlertEvent), ("state", IncidentStatus), ("severity", Severity)])
def test_documented_vocabularies_are_those_of_the_code(field: str, vocabulary: Any):
    *first, last = get_args(vocabulary)
    assert FACTS[field].startswith(f"{', '.join(first)} or {last}")


def test_controls_in_a_name_are_no_text():
    told = message(incident={"series": "n{k=\x1b[31mred\u202e}"})
    assert "n{k= [31mred }" in told.text and not {"\x1b", "\u202e"} & {*told.text, *told.subject}
