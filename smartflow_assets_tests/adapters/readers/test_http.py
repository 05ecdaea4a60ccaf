"""A web server as a source: paging, incremental reading, servers that fail, secrets that stay where they belong."""

import gzip
import json
import logging
import subprocess
import sys
import threading
from base64 import b64decode
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import trustme
from pydantic import TypeAdapter, ValidationError

from smartflow_assets.adapters.ingest import Ingested, ingest
from smartflow_assets.adapters.readers import HttpReader, Reader, Wanted, http_client
from smartflow_assets.adapters.staging.bad_rows import BadRowPolicy
from smartflow_assets.core.errors import SourceError
from smartflow_assets_tests.feeds import Shop, http_shop, shop_rows
from smartflow_assets_tests.receivers import free_port

NOW = datetime(2026, 3, 2, tzinfo=UTC)
ITEMS = {"records": "data.items"}
BY_PAGE = {"by": "page", "parameter": "page"}
SINCE = {"parameter": "from"}
CSV = {"Content-Type": "text/csv"}
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def shop():
    with http_shop() as server:
        yield server


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr(http_client, "FIRST_WAIT", 0.01)


@pytest.fixture
def take(tmp_path, warehouse, shop):
    """One run: keys of read as keywords; `limits` are those of the run."""
    runs = iter(range(1, 100))

    def run(*, now=NOW, limits=None, wanted=Wanted(), url=None, time="at", **keys) -> Ingested:
        reader = HttpReader.model_validate({"url": url or shop.url, "time": time, **keys})
        return ingest(
            warehouse,
            "web",
            reader,
            wanted=wanted,
            now=now,
            run_id=f"run{next(runs)}",
            staging=tmp_path / "staging",
            data=tmp_path,
            **(limits or {}),
        )

    return run


@pytest.fixture
def refused(take):
    def run(**keys) -> str:
        with pytest.raises(SourceError) as error:
            take(**keys)
        assert error.value.source == "web"
        return str(error.value)

    return run


def asked(shop: Shop, name: str) -> list[str | None]:
    return [request.parameters.get(name) for request in shop.asked]


# --- what is read ---


@pytest.mark.parametrize(
    ("headers", "body", "keys"),
    [
        (JSON, shop_rows(1, 2, 3), {}),
        (JSON, {"data": {"items": shop_rows(1, 2, 3)}}, ITEMS),
        ({"Content-Type": "application/x-ndjson"}, "".join(json.dumps(row) + "\n" for row in shop_rows(1, 2, 3)), {"format": "json"}),
        ({"Content-Type": "text/plain"}, "".join(json.dumps(row) + "\n" for row in shop_rows(1, 2, 3)), {}),
        (CSV, "at,value\n2026-03-01 00:01,1\n2026-03-01 00:02,2\n2026-03-01 00:03,3\n", {}),
        ({"Content-Type": "text/plain"}, "at;value\n2026-03-01 00:01;1\n2026-03-01 00:02;2\n2026-03-01 00:03;3\n", {}),
        (
            {"Content-Type": "application/gzip"},
            gzip.compress(b"at,value\n2026-03-01 00:01,1\n2026-03-01 00:02,2\n2026-03-01 00:03,3\n", mtime=0),
            {},
        ),
        ({}, "at;value\n2026-03-01 00:01;1,0\n2026-03-01 00:02;2,0\n2026-03-01 00:03;3,0\n", {"decimal": ","}),
        ({"Content-Type": "text/html"} | CSV, "at|value\n2026-03-01 00:01|1\n2026-03-01 00:02|2\n2026-03-01 00:03|3\n", {"delimiter": "|"}),
    ],
)
def test_the_same_rows_however_they_are_written(shop, take, stored, headers, body, keys):
    shop.answers = [(200, headers, body)]
    assert take(**keys).new_rows == 3
    assert stored() == [1, 2, 3]


def test_the_encoding_is_the_one_of_the_header_or_of_the_yaml(shop, take, stored):
    text = "at,shop\n2026-03-01,Köln €\n".encode("cp1252")
    shop.answers = [(200, {"Content-Type": "text/csv; charset=windows-1252"}, text)]
    take()
    shop.answers = [(200, CSV, text.replace(b"01,", b"02,"))]
    take(encoding="cp1252")
    assert stored("shop") == ["Köln €", "Köln €"]


def test_parameters_and_headers_are_sent(shop, take):
    shop.answers = [(200, JSON, [])]
    take(url=shop.url + "?kind=all", parameters={"limit": 500, "open": True}, headers={"Accept": "text/csv"})
    assert shop.asked[0].parameters == {"kind": "all", "limit": "500", "open": "true"}
    assert shop.asked[0].headers["Accept"] == "text/csv"


@pytest.mark.parametrize("body", ["", "[]", b"\n"])
def test_an_empty_answer_is_no_error_and_takes_nothing_away(shop, take, stored, body):
    shop.answers = [(200, JSON, shop_rows(1)), (200, JSON, body)]
    take()
    assert (take(), stored()) == (Ingested(), [1])


# --- pages ---

PAGINGS = [
    ({"by": "page", "parameter": "page"}, "page", ["1", "2", "3", "4"]),
    ({"by": "offset", "parameter": "offset"}, "offset", ["0", "3", "6", "8"]),
    ({"by": "cursor", "parameter": "cursor", "next": "meta.next"}, "cursor", [None, "3", "6"]),
    ({"by": "cursor", "parameter": "cursor", "next": "data.items.-1.id"}, "cursor", [None, "3", "6", "8"]),
    ({"by": "link", "next": "meta.link"}, "cursor", [None, "3", "6"]),
    ({"by": "link"}, "cursor", [None, "3", "6"]),
]


@pytest.mark.parametrize(("paging", "parameter", "expected"), PAGINGS)
def test_all_pages_are_read_to_the_end(shop, take, stored, paging, parameter, expected):
    shop.rows = [row | {"id": number} for number, row in enumerate(shop_rows(*range(8)), start=1)]
    taken = take(paging=paging, **ITEMS)
    assert (taken.new_rows, stored()) == (8, list(range(8)))
    assert asked(shop, parameter) == expected


def test_the_first_page_may_have_another_number(shop, take, stored):
    shop.rows = shop_rows(*range(8))
    take(paging=BY_PAGE | {"first": 2}, **ITEMS)
    assert (stored(), asked(shop, "page")) == ([3, 4, 5, 6, 7], ["2", "3", "4"])


def test_a_server_that_has_nothing_beyond_its_last_page_may_say_404(shop, take, stored):
    shop.answers = [(200, JSON, shop_rows(1)), (200, JSON, shop_rows(2)), 404]
    take(paging=BY_PAGE)
    assert stored() == [1, 2]


def test_a_short_page_in_the_middle_is_not_the_end(shop, take, stored):
    shop.answers = [(200, JSON, shop_rows(1, 2)), (200, JSON, shop_rows(3)), (200, JSON, shop_rows(4, 5)), (200, JSON, [])]
    take(paging=BY_PAGE)
    assert stored() == [1, 2, 3, 4, 5]


def test_pages_of_csv_and_of_lines_are_read(shop, take, stored):
    shop.answers = [(200, CSV, "at,value\n2026-03-01 00:01,1\n"), (200, CSV, "at,value\n2026-03-01 00:02,2\n"), (200, CSV, "at,value\n")]
    take(paging=BY_PAGE)
    shop.answers = [(200, JSON, "".join(json.dumps(row) + "\n" for row in shop_rows(3, 4))), (200, JSON, "")]
    take(paging={"by": "offset", "parameter": "offset"})
    assert (stored(), asked(shop, "offset")[-2:]) == ([1, 2, 3, 4], ["0", "2"])


@pytest.mark.soak
def test_a_row_that_moves_to_the_next_page_meanwhile_is_there_twice_until_the_next_run(shop, take, stored):
    shop.rows, shop.is_descending = shop_rows(*range(6)), True
    shop.answers = [shop.page, lambda request: (shop.rows.append(*shop_rows(6)), shop.page(request))[1]]
    taken = take(paging=BY_PAGE, **ITEMS)
    assert (stored(), taken.duplicate_count) == ([0, 1, 2, 3, 3, 4, 5], 0)  # it might be two rows that are equal
    take(paging=BY_PAGE, **ITEMS)
    assert stored() == [0, 1, 2, 3, 4, 5, 6]


def test_columns_may_come_and_change_between_pages(shop, take, warehouse):
    first, second, third = shop_rows(1, 2, 3)
    pages = ([first], [second | {"region": "eu"}], [third | {"value": "many"}], [])
    shop.answers = [(200, JSON, page) for page in pages]
    take(paging=BY_PAGE)
    found = warehouse.read('SELECT value, region, value__text FROM raw."web" ORDER BY "at"').astype(object)
    assert found.where(found.notna(), None).to_numpy().tolist() == [[1, None, None], [2, "eu", None], [None, None, "many"]]


def test_paging_that_does_not_get_on_ends_with_the_reason(shop, refused):
    shop.rows = shop_rows(*range(8))
    assert "page 2 is the same as the one before it" in refused(paging={"by": "page", "parameter": "seite"}, **ITEMS)
    shop.answers = [
        (200, JSON, {"n": "a", "rows": shop_rows(1)}),
        (200, JSON, {"n": "b", "rows": shop_rows(2)}),
        (200, JSON, {"n": "a", "rows": shop_rows(3)}),
    ]
    text = refused(paging={"by": "cursor", "parameter": "c", "next": "n"}, records="rows")
    assert "page 3 leads back to an earlier one" in text
    shop.answers = [(200, JSON, {"n": {}, "rows": []})]
    assert "read.paging.next: n lies a list or an object" in refused(paging={"by": "cursor", "parameter": "c", "next": "n"}, records="rows")


# --- from a moment on ---


@pytest.mark.parametrize(
    ("since", "late_by", "expected"),
    [
        ({}, "1h", "2026-03-01T01:00:00Z"),
        ({}, "30min", "2026-03-01T01:30:00Z"),
        ({"format": "unix"}, "1h", "1772326800"),
        ({"format": "unix_ms"}, "1h", "1772326800000"),
        ({"format": "%d.%m.%Y %H"}, "1h", "01.03.2026 02"),
    ],
)
def test_the_next_run_asks_from_the_newest_time_less_what_may_be_late(shop, take, since, late_by, expected):
    keys = {"since": SINCE | since, "late_by": late_by, "time": {"column": "at", "timezone": "Europe/Berlin"}}
    shop.answers = [(200, JSON, [{"at": "2026-03-01T02:00:00Z", "value": 1}]), (200, JSON, [])]
    take(**keys)
    take(**keys)
    assert asked(shop, "from") == [None, expected]


@pytest.mark.parametrize(
    ("start", "expected"),
    [("2024-01-01", "2023-12-31T23:00:00Z"), ("2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z"), ("90 days", "2025-12-02T00:00:00Z")],
)
def test_the_first_run_may_begin_at_a_date_or_so_long_ago(shop, take, start, expected):
    take(since=SINCE | {"start": start}, time={"column": "at", "timezone": "Europe/Berlin"}, **ITEMS)
    assert asked(shop, "from") == [expected]


def test_a_server_that_wants_an_end_gets_the_clock_of_the_run(shop, take):
    take(until={"parameter": "to", "format": "unix"}, **ITEMS)
    take(until={"parameter": "to"}, since=SINCE, limits={"since": NOW - timedelta(days=2), "until": NOW - timedelta(days=1)}, **ITEMS)
    assert asked(shop, "to") == ["1772409600", "2026-03-01T00:00:00Z"]
    assert asked(shop, "from") == [None, "2026-02-28T00:00:00Z"]


@pytest.mark.soak
def test_rows_of_the_overlap_are_taken_once_and_an_idle_server_changes_no_table(shop, take, stored, warehouse):
    keys = {"since": SINCE, "paging": BY_PAGE, **ITEMS}
    shop.rows = shop_rows(0, 30, 60, 90)
    take(**keys)
    shop.rows += shop_rows(120, 150)
    taken = take(**keys)
    assert (taken.new_rows, taken.duplicate_count, stored()) == (2, 3, [0, 30, 60, 90, 120, 150])
    take(**keys)
    before = warehouse.tables()
    assert (take(**keys).new_rows, warehouse.tables()) == (0, before)


@pytest.mark.soak
def test_a_late_and_a_corrected_row_are_taken_within_the_overlap_and_the_old_one_goes(shop, take, stored):
    shop.rows = shop_rows(0, 30, 60, 90, 120)
    take(since=SINCE, **ITEMS, paging=BY_PAGE)
    shop.rows = shop_rows(0, 30, 60, 75, 120, 150)
    shop.rows[2]["value"] = 6060.0
    taken = take(since=SINCE, **ITEMS, paging=BY_PAGE)
    assert stored() == [0, 30, 75, 90, 120, 150, 6060]
    assert (taken.removed_count, taken.missing_count) == (1, 1)  # 60 was corrected; 90 was deleted at the source, and is told
    shop.rows = shop_rows(120, 150, 160)
    take(since=SINCE, **ITEMS, paging=BY_PAGE, on_missing_rows="delete")
    assert stored() == [0, 30, 75, 90, 120, 150, 160, 6060]
    shop.rows = shop_rows(120, 160)
    taken = take(since=SINCE, **ITEMS, paging=BY_PAGE, on_missing_rows="delete")
    assert (stored(), taken.removed_count) == ([0, 30, 75, 90, 120, 160, 6060], 1)


def test_the_newest_row_may_be_corrected_again_and_again(shop, take, stored):
    for value in (1, 2, 3):
        shop.answers = [(200, JSON, [{"at": "2026-03-01T02:00:00", "value": value}])]
        take(since=SINCE)
    assert stored() == [3]


def test_a_row_from_the_future_does_not_end_all_reading(shop, take, stored):
    shop.rows = [*shop_rows(0), {"at": "2099-01-01T00:00:00", "id": 1, "value": 99.0}]
    take(since=SINCE, **ITEMS)
    shop.rows += shop_rows(1439)
    take(since=SINCE, **ITEMS)
    assert asked(shop, "from")[-1] == "2026-03-01T23:00:00Z"
    assert stored() == [0, 99, 1439]


def test_a_run_with_limits_takes_its_part_and_the_next_run_all(shop, take, stored):
    shop.rows = shop_rows(0, 30, 60, 90, 120)
    take(
        since=SINCE,
        **ITEMS,
        paging=BY_PAGE,
        limits={"since": datetime(2026, 3, 1, 0, 30, tzinfo=UTC), "until": datetime(2026, 3, 1, 1, 30, tzinfo=UTC)},
    )
    assert (stored(), asked(shop, "from")[0]) == ([30, 60], "2026-03-01T00:30:00Z")
    take(since=SINCE, **ITEMS, paging=BY_PAGE)
    assert (stored(), asked(shop, "from")[-1]) == ([0, 30, 60, 90, 120], None)


def test_a_change_of_what_is_asked_reads_everything_again(shop, take, stored):
    shop.rows = shop_rows(0, 30)
    take(since=SINCE, **ITEMS)
    take(since=SINCE, parameters={"region": "eu"}, **ITEMS)
    assert asked(shop, "from") == [None, None]
    assert stored() == [0, 30]


def test_the_origin_is_the_window_without_parameters(shop, take, warehouse):
    shop.rows = shop_rows(0, 30)
    take(since=SINCE, **ITEMS)
    shop.rows += shop_rows(60)
    take(since=SINCE, **ITEMS)
    origins = warehouse.read('SELECT DISTINCT _origin FROM raw."web" ORDER BY 1 DESC')["_origin"].tolist()
    assert origins == [f"{shop.url} since start", f"{shop.url} since 2026-02-28T23:30:00Z"]


# --- servers that fail ---


def test_a_busy_server_and_a_lost_connection_are_asked_again(shop, take, stored):
    shop.rows = shop_rows(*range(8))
    shop.answers = [shop.page, (429, {"Retry-After": "0"}, ""), shop.page, "drop", 503, shop.page]
    take(paging=BY_PAGE, **ITEMS)
    assert stored() == list(range(8))
    assert asked(shop, "page") == ["1", "2", "2", "3", "3", "3", "4"]


def test_a_page_that_cannot_be_had_leaves_those_before_it_and_the_next_run_goes_on(shop, take, refused, stored):
    shop.rows, shop.is_descending = shop_rows(*range(8)), True
    shop.answers = [shop.page, shop.page, 500, 500]
    text = refused(paging=BY_PAGE, since=SINCE, retries=1, **ITEMS)
    assert text == f"web: the server answered 500 (asked 2 times) ({shop.url}). The next run goes on from here."
    assert stored() == [2, 3, 4, 5, 6, 7]
    assert take(paging=BY_PAGE, since=SINCE, **ITEMS).duplicate_count == 6
    assert (stored(), asked(shop, "from")) == (list(range(8)), [None] * 8)


@pytest.mark.soak
def test_rows_that_a_server_has_mended_are_held_no_more(shop, take, warehouse):
    shop.rows, shop.size = shop_rows(*range(30)), 12
    good = [row["value"] for row in shop.rows]
    held = "SELECT count(*) AS n FROM quarantined_records WHERE state = 'held'"
    for mended, count in ((0, 3), (2, 1), (2, 1), (3, 0)):
        for number, value in enumerate(good[:3]):
            shop.rows[number]["value"] = value if number < mended else "n/a"
        take(paging=BY_PAGE, wanted=Wanted(("value",)), **ITEMS)
        assert warehouse.read(held)["n"].iloc[0] == count


def test_a_page_with_too_many_bad_rows_is_not_taken_and_asked_for_again(shop, take, refused, stored):
    shop.rows, shop.size = shop_rows(*range(36)), 12
    mended = [dict(row) for row in shop.rows]
    for row in shop.rows[12:18]:
        row["value"] = "n/a"
    keys = {"paging": BY_PAGE, "wanted": Wanted(("value",)), "limits": {"on_bad_rows": BadRowPolicy()}, **ITEMS}
    text = refused(**keys)
    assert text.startswith("web: 50 % of the rows of ") and "cannot be read, 6 of 12: value is not a number; nothing of it is taken" in text
    assert stored() == list(range(12))
    shop.rows = mended
    take(**keys)
    assert stored() == list(range(36))


def test_the_server_says_how_long_to_wait_in_seconds_or_as_a_date(shop, take, refused, monkeypatch):
    waits = []
    monkeypatch.setattr(http_client.time, "sleep", waits.append)
    shop.answers = [(429, {"Retry-After": "7"}, ""), (503, {"Retry-After": format_datetime(datetime.now(UTC) + timedelta(seconds=40))}, "")]
    take(**ITEMS)
    assert waits[0] == 7
    assert 30 < waits[1] <= 40
    shop.answers = [(429, {"Retry-After": "3600"}, "")]
    assert "asks us to wait 3600 s, longer than read.max_wait allows" in refused(**ITEMS)
    shop.answers = [(429, {"Retry-After": "60"}, "")] * 2
    assert "longer than read.max_wait" in refused(max_wait="100s", **ITEMS)
    assert waits[2:] == [60]


def test_a_silent_server_is_given_up(shop, refused):
    shop.rows, shop.hold = shop_rows(1), {"1": threading.Event()}
    text = refused(timeout="0.2s", retries=0, **ITEMS)
    assert text.startswith("web: the server did not answer within 0.2 s (asked once)")


def test_a_server_that_trickles_is_given_up(shop, take, refused, monkeypatch):
    monkeypatch.setattr(http_client, "SLOWEST", -1)
    assert "the answer was not complete after" in refused(retries=0, **ITEMS)


@pytest.mark.parametrize(
    ("answer", "keys", "expected"),
    [
        (401, {}, "the server does not know us (401) (URL). Give a key in read.headers, as ${NAME}."),
        (403, {}, "the server does not let us read this (403) (URL). Ask for the right to, or correct read.url."),
        (404, {}, "there is nothing at this address (404) (URL). Correct read.url."),
        (418, {}, "the server answered 418 (URL). Correct read.url or read.parameters."),
        (
            (400, JSON, {"error": "from is no date"}),
            {},
            'the server answered 400: {"error": "from is no date"} (URL). Correct read.url or read.parameters.',
        ),
        (
            (200, {"Content-Type": "text/html"}, "<!DOCTYPE html><html>Log in"),
            {},
            "the server answered with an HTML page, not with JSON or "
            "CSV (URL). It may be a page to log in at: correct read.url or read.headers.",
        ),
        (
            (200, JSON, "<html>"),
            {},
            "the server answered with an HTML page, not with JSON or CSV (URL). It may be a page to log in at: "
            "correct read.url or read.headers.",
        ),
        (
            (200, {"Content-Type": "image/png"}, b"\x89PNG"),
            {},
            "the server answered with image/png, not with JSON or CSV (URL). Correct read.url, or set read.format.",
        ),
        (
            (200, JSON, "[]"),
            {"format": "csv"},
            "the server answered with application/json; read.format is csv (URL). Correct read.format or read.headers.",
        ),
        (
            (200, JSON, "[{}"),
            {"paging": BY_PAGE},
            "the answer is not JSON, or was cut off: Expecting ',' delimiter: line 1 column 4 (char 3) "
            "(URL). Mend the server, or set read.format.",
        ),
        ((302, {"Location": "/orders"}, ""), {}, "REDIRECTS"),
    ],
)
def test_an_answer_that_is_none_says_why(shop, refused, stored, answer, keys, expected):
    if expected == "REDIRECTS":
        shop.answers = [answer] * 6
        assert "redirects more than 5 times" in refused(**keys)
        return
    shop.answers = [answer]
    assert refused(**keys) == "web: " + expected.replace("URL", shop.url)


@pytest.mark.parametrize(
    ("body", "keys", "expected"),
    [
        ('[{"at": "2026-03-01", "val', {}, "cut off"),
        ('{"data": {"items": []}}', {}, "there is no column 'at', which read.time names; the file has data.items"),
        ('{"rows": []}', ITEMS, "there is no 'data', which read.records: data.items names; the object has rows"),
        (b'[{"at": "2026-03-01", "value": "\xff"}]', {}, "the text is not utf-8"),
        ('[{"when": "2026-03-01", "value": 1}]', {}, "there is no column 'at', which read.time names"),
        ('[{"_row": 1, "at": "2026-03-01"}]', {}, "which SmartFlow keeps for itself"),
    ],
)
def test_rows_that_cannot_be_read_say_why_and_where(shop, refused, body, keys, expected):
    shop.answers = [(200, JSON, body)]
    text = refused(**keys)
    assert expected in text
    assert shop.url in text


def test_a_server_that_is_not_there_is_named(refused):
    text = refused(url=f"http://127.0.0.1:{free_port()}/x", retries=1)
    assert "the server cannot be reached" in text
    assert "(asked 2 times)" in text
    assert "the server cannot be reached" in refused(url="http://no-such-host.invalid/x", retries=0)


def test_a_certificate_is_checked_against_ca_file(take, refused, tmp_path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    with http_shop(authority.issue_cert("127.0.0.1")) as shop:
        shop.rows = shop_rows(1)
        assert "the certificate of 127.0.0.1 is not trusted" in refused(url=shop.url, **ITEMS)
        assert take(url=shop.url, ca_file="ca.pem", **ITEMS).new_rows == 1
    (tmp_path / "bad.pem").write_text("x")
    assert "read.ca_file cannot be used" in refused(ca_file="bad.pem")


def test_https_asked_of_a_server_that_does_not_speak_it_is_named(shop, refused):
    assert "no secure connection to 127.0.0.1" in refused(url=shop.url.replace("http:", "https:"))


# --- secrets ---

SECRET = "p/w of&1"
KEYS = {"headers": {"X-Api-Key": "${SHOP_KEY}", "X-Plain": "yes"}, "parameters": {"api_key": "${SHOP_KEY}"}, "retries": 0}


def test_secrets_reach_the_server_and_no_table_no_message_and_no_log(shop, take, refused, monkeypatch, warehouse, caplog, tmp_path):
    monkeypatch.setenv("SHOP_KEY", SECRET)
    caplog.set_level(logging.INFO)
    shop.rows = shop_rows(1, 2, 3, 4)
    take(since=SINCE, paging={"by": "link"}, **KEYS, **ITEMS)
    assert [request.headers["X-Api-Key"] for request in shop.asked] == [SECRET] * 2
    assert asked(shop, "api_key") == [SECRET] * 2
    texts = [warehouse.read(f"SELECT * FROM {table}").to_string() for table in ('raw."web"', "ingestions", "writes")]
    shop.answers = [(400, JSON, f"wrong {SECRET} and p%2Fw%20of%261 and p%2Fw+of%261")]
    texts += [refused(**KEYS), caplog.text]
    assert "wrong ${SHOP_KEY} and ${SHOP_KEY} and ${SHOP_KEY}" in texts[-2]
    assert [text for text in texts if "p/w" in text or "p%2F" in text] == []


def test_secrets_do_not_leave_their_host(shop, take, monkeypatch):
    monkeypatch.setenv("SHOP_KEY", SECRET)
    with http_shop() as other:
        other.rows = shop_rows(1, 2, 3, 4)
        shop.answers = [(302, {"Location": other.url}, "")]
        take(**KEYS, **ITEMS)
        shop.answers = [(200, JSON, {"data": {"items": shop_rows(9)}, "next": other.url})]
        take(paging={"by": "link", "next": "next"}, **KEYS, **ITEMS)
    assert [("X-Api-Key" in request.headers, request.headers["X-Plain"], request.parameters) for request in other.asked] == [
        (False, "yes", {})
    ] * 2
    shop.answers = [(307, {"Location": "/elsewhere"}, "")]
    take(**KEYS, **ITEMS)
    assert (shop.asked[-1].path, shop.asked[-1].headers["X-Api-Key"]) == ("/elsewhere", SECRET)


def test_a_variable_that_is_not_set_is_named_before_anything_is_asked(shop, refused, monkeypatch):
    monkeypatch.delenv("SHOP_KEY", raising=False)
    assert refused(**KEYS) == (
        f"web: SHOP_KEY is not set in the environment ({shop.url}). Set it where SmartFlow runs, then start that process again."
    )
    assert shop.asked == []
    monkeypatch.setenv("SHOP_KEY", "wrong")
    shop.answers = [401]
    assert refused(**KEYS).endswith("Check the value of ${SHOP_KEY}.")
    monkeypatch.setenv("SHOP_KEY", "two\nlines")
    assert "the address or a header is not valid" in refused(**KEYS)


def test_the_address_may_be_a_secret_or_hold_one(shop, take, warehouse, monkeypatch):
    monkeypatch.setenv("SHOP_URL", shop.url + "/SECRET")
    shop.answers = [(200, JSON, shop_rows(1))]
    take(url="${SHOP_URL}")
    assert warehouse.read('SELECT _origin FROM raw."web"')["_origin"].tolist() == ["${SHOP_URL} since start"]
    monkeypatch.setenv("SHOP_PASSWORD", SECRET)
    shop.rows = shop_rows(2)
    take(url=shop.url.replace("//", "//me:${SHOP_PASSWORD}@"), **ITEMS)
    assert "p/w" not in warehouse.read("SELECT * FROM ingestions").to_string()
    shop.answers = [(302, {"Location": shop.url}, "")]  # an absolute address of the same host, without the login
    take(url=shop.url.replace("//", "//me:${SHOP_PASSWORD}@"), **ITEMS)
    logins = [b64decode(request.headers["Authorization"].removeprefix("Basic ")).decode() for request in shop.asked[1:]]
    assert logins == [f"me:{SECRET}"] * 3


@pytest.mark.parametrize(
    "keys",
    [
        {"url": "shop.example/orders"},
        {"url": "https://me:word@shop.example"},
        {"url": "https://shop.example/?api_key=x"},
        {"headers": {"Authorization": "Bearer x"}},
        {"parameters": {"access_token": "x"}},
        {"format": "xml"},
        {"retries": -1},
        {"since": {"parameter": "from", "format": "soon"}},
        {"since": {}},
        {"since": SINCE, "parameters": {"from": "x"}},
        {"paging": {"by": "page"}},
        {"paging": {"by": "cursor", "parameter": "c"}},
        {"paging": {"by": "link", "parameter": "c"}},
        {"paging": {"by": "page", "parameter": "p", "next": "n"}},
        {"paging": {"by": "link", "first": 1}},
        {"max_pages": 3},
        {"paging": {"by": "cursor", "parameter": "c", "next": "n"}, "format": "csv"},
        {"encoding": "x"},
        {"late_by": "soon"},
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_asked(keys):
    with pytest.raises(ValidationError):
        TypeAdapter(Reader).validate_python({"type": "http", "url": "https://shop.example/orders", "time": "at"} | keys)


# --- killed between two pages ---

KILLED = """
import sys
from datetime import datetime, UTC
from pathlib import Path
from smartflow_assets.adapters.ingest import ingest
from smartflow_assets.adapters.readers import HttpReader, Wanted
from smartflow_assets.adapters.warehouse.warehouse import Warehouse

folder, url = Path(sys.argv[1]), sys.argv[2]
reader = HttpReader(url=url, time={"column": "at"}, records="data.items", since={"parameter": "from"},
                    paging={"by": "page", "parameter": "page"})
ingest(Warehouse(folder / "smartflow.duckdb", folder / "analyst.duckdb"), "web", reader, wanted=Wanted(),
       now=datetime(2026, 3, 2, tzinfo=UTC), run_id="killed", staging=folder / "staging", data=folder)
"""


@pytest.mark.parametrize("is_descending", [False, True])
@pytest.mark.soak
def test_a_run_killed_between_pages_three_and_four_leaves_no_hole_and_doubles_nothing(shop, take, stored, tmp_path, is_descending):
    shop.rows, shop.is_descending = shop_rows(*range(0, 1000, 50)), is_descending
    shop.hold = {"4": threading.Event()}
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path), shop.url])
    assert shop.is_waiting.wait(60)
    process.kill()
    assert process.wait() == -9
    shop.hold.pop("4").set()
    assert len(stored()) == 9
    taken = take(since=SINCE, paging=BY_PAGE, **ITEMS)
    assert (taken.new_rows, taken.duplicate_count) == (11, 9)
    assert stored() == list(range(0, 1000, 50))
    assert take(since=SINCE, paging=BY_PAGE, **ITEMS).new_rows == 0
    assert asked(shop, "from")[-1] == "2026-03-01T14:50:00Z"


@pytest.mark.parametrize(
    "url",
    [
        "https://sk_live_abc:@api.example.org/v1",
        "https://sk_live_abc@api.example.org/v1",
        "https://me:pw@example.org",
        "${SCHEME}://me:pw@example.org",
    ],
)
def test_a_key_in_an_address_is_refused(url):
    with pytest.raises(ValidationError, match="never written in a file") as refused:
        HttpReader.model_validate({"type": "http", "url": url, "time": "at"})
    assert "address" in str(refused.value)


@pytest.mark.parametrize("name", ["sig", "access_key", "subscription-key", "api_key"])
def test_a_key_among_the_parameters_is_refused(name):
    with pytest.raises(ValidationError, match="never written in a file"):
        HttpReader.model_validate({"type": "http", "url": "https://example.org", "time": "at", "parameters": {name: "abc"}})


def test_blank_lines_and_line_breaks_in_cells_are_no_rows(shop, take, stored):
    """The next offset is the number of rows so far: one line too many, and a row would be passed over."""

    def page(asked):
        first = int(asked.parameters.get("offset", 0))
        lines = [f'2026-03-01 00:{n:02};{n};"two\nlines"' for n in range(first, min(first + 3, 10))]
        return 200, CSV, "\n".join(["at;value;note", *lines, "", ""])

    shop.answers = [page] * 6
    assert take(paging={"by": "offset", "parameter": "offset"}).new_rows == 10
    assert stored() == list(range(10))


@pytest.mark.parametrize("is_told", [True, False], ids=["as encoding", "as body"])
@pytest.mark.parametrize("keys", [{}, {"paging": BY_PAGE}], ids=["whole", "paged"])
def test_an_answer_that_unpacks_to_a_thousand_times_its_size_is_refused_before_it_fills_the_disk(
    shop, refused, monkeypatch, tmp_path, is_told, keys
):
    monkeypatch.setattr(http_client, "LARGEST_PAGE", 1 << 20)
    bomb = gzip.compress(b"at,value\n" + b"2026-03-01 00:01,1\n" * 400_000, mtime=0)
    shop.answers = [(200, CSV | ({"Content-Encoding": "gzip"} if is_told else {}), bomb)] * 2
    assert "when it is unpacked" in refused(**keys)


def test_a_damaged_gzip_is_named(shop, refused):
    shop.answers = [(200, CSV, gzip.compress(b"at,value\n2026-03-01 00:01,1\n" * 99)[:-20])]
    assert "the gzipped answer is damaged or was cut off" in refused(retries=0)
