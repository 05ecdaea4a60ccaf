"""Odd columns: refused before they are filed, since the rows of all stand in one file; and what is said of a file that a run left alone."""

from datetime import UTC, datetime, timedelta

import pytest

from smartflow_assets.commands.serve import _run_source
from smartflow_assets.core.errors import SourceError
from smartflow_assets.serve.access.tokens import Role
from smartflow_assets.serve.queries.submitted import stored_columns
from smartflow_assets.serve.submissions.columns import check_beside, columns_of
from smartflow_assets_tests.serve.served import LIVE, service_of, serving, token

NOW = datetime(2026, 3, 9, 12, tzinfo=UTC)
AT = {"at": "2026-03-09T10:00:00Z"}
MANY = [{f"k{part}_{number}": 1 for number in range(490)} | AT for part in range(3)]


def add(ledger, *rows, now=NOW, stored=()):
    return ledger.add("live", rows, None, "anna", now, columns=columns_of(rows, "live"), stored=stored)


@pytest.mark.parametrize(
    ("rows", "what", "place"),
    [
        ([AT, AT | {"AT": 1}], "the column 'at' occurs twice", "1"),
        ([AT | {"_run_id": "x"}], "a column is called '_run_id', which SmartFlow keeps for itself", "0"),
        ([AT, AT | {"a": {"b": 1}}, AT | {"a.b": 2}], "the column 'a.b' occurs twice", "2"),
        ([AT | {" load": 1, "load": 2}], "the column 'load' occurs twice", "0"),
        (MANY, "the source would have 1,471 different columns, and may have 700", ""),
    ],
)
def test_rows_that_cannot_stand_in_one_file_are_named(rows, what, place):
    with pytest.raises(SourceError) as caught:
        columns_of(rows, "live")
    assert (caught.value.what, caught.value.where) == (what, place) and caught.value.remedy


def test_nested_objects_are_columns_as_a_reader_makes_them():
    deep = {"a": {"b": {"c": {"d": {"e": {"f": 1}}}}}, "list": [{"x": 1, "X": 2}], "none": {}}
    assert list(columns_of([AT | deep], "live")) == [("at",), ("a", "b", "c", "d", "e"), ("list",)]


def test_columns_go_with_those_of_the_day_whoever_sent_them(ledger):
    add(ledger, AT | {"temperature": 1})
    add(ledger, AT | {"temperature": 2})
    with pytest.raises(SourceError, match="the column 'Temperature' would occur twice: other rows of today have 'temperature'"):
        add(ledger, AT | {"Temperature": 3})
    assert add(ledger, AT | {"Temperature": 3}, now=NOW + timedelta(days=1)).state == "waiting" and ledger.waiting_count() == 3


def test_columns_beyond_what_a_reader_takes_are_refused_and_known_ones_are_not(ledger):
    add(ledger, MANY[0])
    with pytest.raises(SourceError, match="the source would have 981 different columns"):
        add(ledger, MANY[1])
    assert add(ledger, MANY[0]).state == "waiting"
    stored = [f"k2_{number}" for number in range(210)]
    with pytest.raises(SourceError, match="different columns"):
        add(ledger, AT | {"one_more": 1}, stored=stored)
    check_beside([("at",), ("k",)], [], [*(f"k{number}" for number in range(2000)), "at", "k"], "live")  # all are stored already


def test_a_file_that_was_set_aside_gets_no_more_rows(ledger, tmp_path):
    folder, aside = tmp_path / "inbox/live", "api-2026-03-09-0001.jsonl"
    odd = add(ledger, AT)
    ledger.end(ledger.file_rows("live", folder), NOW, run_id="r", error=None, not_taken={aside: "it is odd"})
    assert (ledger.find(odd.submission_id).state, ledger.find(odd.submission_id).error) == ("failed", "it is odd")
    good = add(ledger, AT | {"load": 1})
    (folder / aside).unlink()  # somebody took it out
    ledger.file_rows("live", folder)
    assert ledger.find(good.submission_id).file == "api-2026-03-09-0002.jsonl" and not (folder / aside).exists()


def test_what_came_before_midnight_is_filed_with_its_day(ledger, tmp_path):
    add(ledger, AT, now=datetime(2026, 3, 9, 23, 59, 59, tzinfo=UTC))
    add(ledger, AT, now=datetime(2026, 3, 10, tzinfo=UTC))
    ledger.file_rows("live", tmp_path / "inbox/live")
    assert sorted(path.name for path in (tmp_path / "inbox/live").iterdir()) == ["api-2026-03-09-0001.jsonl", "api-2026-03-10-0001.jsonl"]


def test_odd_columns_are_refused_with_the_row(live):
    header = token(live, Role.operator)
    with serving(service_of(live)) as client:

        def refused(**body):
            answer = client.post("/api/submit", json={"source": "live"} | body, headers=header)
            assert answer.status_code == 422 and answer.json()["remedy"], answer.text
            return answer.json()["field"], answer.json()["detail"]

        assert refused(row=AT | {"_run_id": 1}) == ("row", "row: a column is called '_run_id', which SmartFlow keeps for itself")
        assert refused(rows=[AT, AT | {"A": 1, "a": 2}]) == ("rows.1", "rows.1: the column 'A' occurs twice")
        assert refused(rows=MANY)[0] == "rows"
        assert service_of(live).submissions.waiting_count() == 0


def test_a_source_whose_pattern_leaves_the_file_out_takes_no_rows(live):
    live.write_source("live", LIVE.replace("type: inbox", "type: inbox, pattern: '*.csv'"))
    with serving(service_of(live)) as client:
        answer = client.post("/api/submit", json={"source": "live", "row": AT}, headers=token(live, Role.operator))
    assert answer.status_code == 409 and "'*.csv'" in answer.json()["detail"]


def test_the_stored_columns_are_those_of_the_feed(home):
    with service_of(home).published.snapshot() as snapshot:
        assert stored_columns(snapshot, "web") == ["timestamp", "value"] and stored_columns(snapshot, "other") == []


@pytest.mark.soak
def test_rows_in_a_file_that_a_run_sets_aside_have_failed_and_the_next_ones_are_stored(live):
    service = service_of(live, _run_source)
    first = service.submissions.add("live", [AT | {"load": 1, "LOAD": 2}], None, "anna", service.now())  # slipped through

    with serving(service) as client:
        header = token(live, Role.operator)

        def ended(submission_id):
            while True:
                told = client.get(f"/api/submissions/{submission_id}", headers=header).json()
                if told["state"] in ("done", "failed"):
                    return told

        def sent(row):
            return client.post("/api/submit", json={"source": "live", "row": row}, headers=header).json()["submission_id"]

        told = ended(first.submission_id)
        assert told["state"] == "failed" and "the column 'load' occurs twice" in told["error"]
        told = ended(sent(AT | {"load": 1}))
        assert (told["state"], told["stored_count"], told["error"]) == ("done", 1, None)
        odd = service.submissions.add("live", [AT | {"_row": 1}], None, "anna", service.now())
        service.has_submissions.set()
        told = ended(odd.submission_id)
        assert told["state"] == "failed"
        assert "which SmartFlow keeps for itself" in told["error"] and "is set aside" in told["error"]
        assert ended(sent({"at": "2026-03-09T10:05:00Z", "load": 1}))["stored_count"] == 1
        files = sorted((live.settings.inbox / "live").iterdir())
        assert [len(file.read_text().splitlines()) for file in files] == [1, 2, 1]
        files[1].write_text(files[1].read_text().replace('"_row": 1', '"load": 3'))  # somebody mends it, and the next run takes it
        ended(sent({"at": "2026-03-09T10:10:00Z", "load": 1}))
        told = ended(odd.submission_id)
        assert (told["state"], told["stored_count"]) == ("done", 1)
