"""Rows that are sent: kept before they are accepted, filed once, followed until they are judged."""

import json
import threading
from datetime import UTC, datetime, timedelta

import pytest

from smartflow_assets.commands.serve import _run_source
from smartflow_assets.serve.access.tokens import Role
from smartflow_assets.serve.submissions.ledger import ROWS_IN_A_FILE, KeyTakenError, SubmissionLedger
from smartflow_assets_tests.homes import START, daily_series
from smartflow_assets_tests.serve.served import service_of, serving, token

NOW = datetime(2026, 3, 9, 12, tzinfo=UTC)


def lines(folder, file="api-2026-03-09-0001.jsonl"):
    return [json.loads(line) for line in (folder / file).read_text().splitlines()]


def test_what_was_accepted_is_filed_by_the_next_server(ledger, tmp_path):
    first = ledger.add("live", [{"at": 1}], None, "anna", NOW)
    assert first.state == "waiting" and ledger.waiting_sources() == ["live"]
    again = SubmissionLedger(ledger.file)
    again.add("live", [{"at": 2}, {"at": 3}], None, "anna", NOW)
    folder = tmp_path / "inbox/live"
    ids = again.file_rows("live", folder)
    assert lines(folder) == [{"at": 1}, {"at": 2}, {"at": 3}] and len(ids) == 2
    (folder / "api-2026-03-09-0001.jsonl").unlink()  # killed after the ledger was written and before the file was
    assert SubmissionLedger(ledger.file).file_rows("live", folder) == ids and len(lines(folder)) == 3
    again.end(ids, NOW, run_id="r", error=None)
    assert again.waiting_sources() == [] and again.find(ids[1]).state == "done"
    assert (again.find(ids[1]).first_row, again.find(ids[1]).row_count) == (2, 2)
    assert again.file_rows("live", folder) == []


def test_later_submissions_are_added_to_the_file_of_the_day_until_it_is_full(ledger, tmp_path):
    folder = tmp_path / "inbox/live"
    for number in range(3):
        ledger.add("live", [{"at": number}] * (ROWS_IN_A_FILE // 2), None, "anna", NOW)
        ledger.end(ledger.file_rows("live", folder), NOW, run_id="r", error=None)
    assert [len(lines(folder, f"api-2026-03-09-000{number}.jsonl")) for number in (1, 2)] == [ROWS_IN_A_FILE, ROWS_IN_A_FILE // 2]
    ledger.add("live", [{"at": 9}], None, "anna", NOW + timedelta(days=1))
    ledger.file_rows("live", folder)
    assert lines(folder, "api-2026-03-10-0001.jsonl") == [{"at": 9}]


def test_a_file_that_the_ledger_has_lost_is_left_alone(ledger, tmp_path):
    folder = tmp_path / "inbox/live"
    ledger.add("live", [{"at": 1}], None, "anna", NOW)
    ledger.end(ledger.file_rows("live", folder), NOW, run_id="r", error=None)
    for file in ledger.file.parent.iterdir():  # while the server runs
        file.unlink()
    ledger.add("live", [{"at": 2}], None, "anna", NOW)
    ledger.file_rows("live", folder)
    assert lines(folder) == [{"at": 1}] and lines(folder, "api-2026-03-09-0002.jsonl") == [{"at": 2}]


def test_a_key_takes_the_same_rows_once_and_no_others(ledger):
    first = ledger.add("live", [{"at": 1}], "key", "anna", NOW)
    assert ledger.add("live", [{"at": 1}], "key", "anna", NOW).submission_id == first.submission_id and ledger.waiting_count() == 1
    with pytest.raises(KeyTakenError):
        ledger.add("live", [{"at": 2}], "key", "anna", NOW)
    assert ledger.add("live", [{"at": 1}], None, "anna", NOW).submission_id != first.submission_id


def test_what_cannot_be_taken_is_refused_and_nothing_is_kept(live, home):
    header = token(live, Role.operator)
    with serving(service_of(live)) as client:
        for body, status, field in (
            ({"source": "live", "rows": []}, 422, "rows"),
            ({"source": "live"}, 422, "rows"),
            ({"source": "live", "rows": [{"load": 1}]}, 422, "rows.0.at"),
            ({"source": "live", "row": {"at": None, "load": 1}}, 422, "row.at"),
            ({"source": "live", "rows": [{"at": "2026-03-09"}] * 5001}, 422, "rows"),
            ({"source": "live", "rows": [{"at": "2026-03-09", "load": 1}, {"at": "yesterday", "load": 1}]}, 422, "rows.1.at"),
            ({"source": "live", "row": {"at": "2026-03-09", "load": "55,1"}}, 422, "row.load"),
            ({"source": "live", "row": {"at": "2026-03-09", "load": [1]}}, 422, "row.load"),
            ({"source": "../live", "row": {"at": 1}}, 422, "source"),
            ({"source": "other", "row": {"at": 1}}, 404, ""),
        ):
            answer = client.post("/api/submit", json=body, headers=header)
            assert answer.status_code == status and field in answer.text, answer.text
        assert client.post("/api/submit", json={"source": "live", "row": {"at": 1}}).status_code == 401
        assert client.post("/api/submit", json={"source": "live", "row": {"at": 1}}, headers=token(live, Role.reader)).status_code == 403
        assert client.get("/api/submissions/0123456789abcdef", headers=header).status_code == 404
        assert service_of(live).submissions.waiting_count() == 0
    with serving(service_of(home)) as client:
        answer = client.post("/api/submit", json={"source": "web", "row": {"at": 1}}, headers=token(home, Role.operator))
        assert answer.status_code == 409 and "inbox" in answer.json()["remedy"]


@pytest.mark.soak
def test_rows_that_are_sent_are_judged_by_a_real_run_and_every_client_can_see_what_became_of_its_own(live):
    header = token(live, Role.operator)
    rows = [{"at": row.timestamp, "load": row.value} for row in daily_series(3).itertuples()]
    with serving(service_of(live, _run_source)) as client:

        def sent(rows, **headers):
            answer = client.post("/api/submit", json={"source": "live", "rows": rows}, headers=header | headers)
            assert answer.status_code == 202, answer.text
            return answer.json()["status_url"]

        def ended(address):
            for _ in range(1200):
                told = client.get(address, headers=header).json()
                if told["state"] in ("done", "failed"):
                    return told
                threading.Event().wait(0.1)
            raise AssertionError(f"{address} did not end: {told}")

        first = ended(sent(rows, **{"Idempotency-Key": "history"}))
        assert (first["state"], first["stored_count"], first["quarantined"], first["error"]) == ("done", 864, [], None)
        assert ended(sent(rows, **{"Idempotency-Key": "history"})) == first
        later = START + timedelta(days=3)
        odd = sent([{"at": later.isoformat(), "load": 4000.0}, {"at": (later + timedelta(minutes=1)).isoformat(), "load": "1e300"}])
        calm = sent([{"at": (later + timedelta(minutes=5)).isoformat(), "load": 500.0}])
        told = ended(odd)
        assert told["stored_count"] == 1 and [each["row"] for each in told["quarantined"]] == [1] and told["state"] == "done"
        assert [each["severity"] for each in told["anomalies"]] == ["critical"]
        assert ended(calm)["stored_count"] == 1
        events = client.get("/api/events", headers=header).json()["items"]
        assert {"anomaly", "incident"} <= {each["kind"] for each in events}
