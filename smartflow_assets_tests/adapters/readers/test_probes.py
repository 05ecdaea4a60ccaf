"""What an origin looks like from outside: the same until a run would find other rows, and nothing where that cannot be said."""

import os
import sqlite3
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from smartflow_assets.adapters.readers import Reader, file_signature
from smartflow_assets.adapters.staging.contract import ProbeContext
from smartflow_assets.core.errors import SourceError
from smartflow_assets_tests.feeds import Shop, http_shop, shop_rows

NOW = datetime(2026, 3, 2, tzinfo=UTC)
SINCE = datetime(2026, 3, 1, tzinfo=UTC)
Probe = Callable[..., str | None]


@pytest.fixture
def probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Probe:
    """What the reader with these keys says; files that were written just now have settled."""
    monkeypatch.setattr(file_signature, "JUST_NOW", timedelta(0))

    def asked(*, now: datetime = NOW, asked_from: datetime | None = None, **keys: Any) -> str | None:
        reader = TypeAdapter(Reader).validate_python({"time": "at"} | keys)
        return reader.probe(ProbeContext("web", tmp_path, now, asked_from))

    return asked


# --- files ---


def test_files_look_the_same_until_one_of_them_changes_comes_or_goes(tmp_path: Path, probe: Probe) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("at,value\n")
    seen = [probe(type="csv", path="*.csv")] * 2
    assert seen == [probe(type="csv", path="*.csv")] * 2 and seen[0]
    with (tmp_path / "b.csv").open("a") as file:
        file.write("2026-03-01,1\n")
    seen.append(probe(type="csv", path="*.csv"))
    (tmp_path / "c.csv").write_text("at,value\n")
    seen.append(probe(type="csv", path="*.csv"))
    (tmp_path / "a.csv").unlink()
    seen.append(probe(type="csv", path="*.csv"))
    assert len(set(seen)) == 4


def test_a_file_with_the_size_and_the_time_of_before_is_another_one_all_the_same(tmp_path: Path, probe: Probe) -> None:
    file = tmp_path / "a.csv"
    file.write_text("at,value\n2026-03-01,1\n")
    before, seen = file.stat(), probe(type="csv", path="a.csv")
    file.write_text("at,value\n2026-03-01,2\n")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert probe(type="csv", path="a.csv") != seen


def test_a_file_that_was_written_a_moment_ago_says_nothing_yet(tmp_path: Path, probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.csv").write_text("at,value\n")
    monkeypatch.setattr(file_signature, "JUST_NOW", timedelta(hours=1))
    assert probe(type="csv", path="a.csv") is None


def test_a_file_that_is_dated_in_the_future_is_known_all_the_same(tmp_path: Path, probe: Probe) -> None:
    file = tmp_path / "a.csv"
    file.write_text("at,value\n")
    os.utime(file, (4e9, 4e9))
    seen = probe(type="csv", path="a.csv")
    assert seen is not None and seen == probe(type="csv", path="a.csv")


def test_a_file_that_is_not_there_is_told_as_by_a_run(probe: Probe) -> None:
    with pytest.raises(SourceError, match=r"read\.path: no file matches a\.csv"):
        probe(type="csv", path="a.csv")


def test_an_inbox_looks_otherwise_with_a_link_too_since_a_run_tells_of_it(tmp_path: Path, probe: Probe) -> None:
    empty = probe(type="inbox")
    (tmp_path / "inbox/web").mkdir(parents=True)
    (tmp_path / "b.csv").write_text("")
    assert probe(type="inbox") == empty
    (tmp_path / "inbox/web/.a.csv.part").write_text("")
    assert probe(type="inbox") == empty
    (tmp_path / "inbox/web/a.csv").symlink_to(tmp_path / "b.csv")
    assert probe(type="inbox") != empty


def test_a_synthetic_source_goes_by_the_steps_of_its_domain(probe: Probe) -> None:
    keys = {"type": "synthetic", "domain": "kpi_sales", "time": "timestamp"}
    at_noon, later, next_day = (probe(**keys, now=NOW + timedelta(hours=hours)) for hours in (12, 12.01, 36))
    assert at_noon == later != next_day
    assert probe(**keys, seed=1, now=NOW + timedelta(hours=12)) != at_noon


# --- web servers ---


@pytest.fixture
def shop() -> Iterator[Shop]:
    with http_shop() as server:
        yield server


def said(etag: str = "", modified: datetime | None = None) -> tuple[int, dict[str, str], str]:
    headers = {"Content-Type": "text/csv"} | ({"ETag": etag} if etag else {})
    return 200, headers | ({"Last-Modified": format_datetime(modified, usegmt=True)} if modified else {}), "at,value\n"


def probed(shop: Shop, probe: Probe, *answers: Any) -> Iterator[str | None]:
    """What each of these answers in turn is known by; a HEAD leaves it to be asked for again."""
    for answer in answers:
        shop.answers = [answer]
        yield probe(type="http", url=shop.url)


def test_one_answer_is_known_by_its_etag_without_being_fetched(shop: Shop, probe: Probe) -> None:
    one, same, other = probed(shop, probe, said('"a"'), said('"a"'), said('"b"'))
    assert one == same != other
    assert [asked.method for asked in shop.asked] == ["HEAD"] * 3


def test_a_redirect_is_followed_and_takes_no_secret_elsewhere(shop: Shop, probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_KEY", "sesame")
    with http_shop() as other:
        shop.answers, other.answers = [(302, {"Location": other.url}, "")], [said('"a"')]
        assert probe(type="http", url=shop.url, headers={"X-Key": "${SHOP_KEY}"}) is not None
    assert shop.asked[0].headers["X-Key"] == "sesame" and "sesame" not in str(other.asked)


def test_one_answer_is_known_by_when_it_was_modified_if_that_is_not_now(shop: Shop, probe: Probe) -> None:
    now = datetime.now(UTC)
    one, same, other, this_moment = probed(shop, probe, *(said(modified=now - timedelta(hours=hours)) for hours in (2, 2, 1, 0)))
    assert one == same != other and this_moment is None


@pytest.mark.parametrize("answer", [said(), 405, 500, (200, {"Content-Type": "text/csv"}, "")])
def test_a_server_that_does_not_say_is_read(shop: Shop, probe: Probe, answer: Any) -> None:
    shop.answers = [answer]
    assert probe(type="http", url=shop.url) is None


def test_the_headers_of_one_page_say_nothing_of_the_others(shop: Shop, probe: Probe) -> None:
    assert probe(type="http", url=shop.url, records="data.items", paging={"by": "page", "parameter": "page"}) is None
    assert shop.asked == []


def test_a_server_that_is_asked_from_a_moment_on_is_known_by_all_its_pages(shop: Shop, probe: Probe) -> None:
    keys = {"type": "http", "url": shop.url, "records": "data.items", "since": {"parameter": "from"}}
    keys |= {"paging": {"by": "page", "parameter": "page"}}
    shop.rows = shop_rows(*range(7))
    one, same = probe(**keys, asked_from=SINCE), probe(**keys, asked_from=SINCE)
    assert one == same and {asked.parameters["from"] for asked in shop.asked} == {"2026-03-01T00:00:00Z"}
    shop.rows[6] |= {"value": 600.0}  # on the last page
    assert probe(**keys, asked_from=SINCE) != one


def test_an_answer_that_is_large_is_left_to_a_run(shop: Shop, probe: Probe) -> None:
    shop.answers = [(200, {"Content-Type": "text/csv"}, "at,value\n" + "2026-03-01T00:00:00Z,1\n" * 60_000)]
    assert probe(type="http", url=shop.url, since={"parameter": "from"}, timeout="20s", format="csv") is None


def test_a_server_in_trouble_is_asked_once_and_told_without_the_secret(shop: Shop, probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_KEY", "sesame")
    shop.answers = [503]
    with pytest.raises(SourceError, match="503") as error:
        probe(type="http", url=shop.url, parameters={"key": "${SHOP_KEY}"}, since={"parameter": "from"})
    assert "sesame" not in str(error.value) and [asked.parameters["key"] for asked in shop.asked] == ["sesame"]


# --- databases ---


def test_a_table_looks_otherwise_after_each_row_that_comes_goes_or_is_corrected_since_the_last_time(tmp_path: Path, probe: Probe) -> None:
    keys = {"type": "sql", "url": "sqlite:///shop.sqlite", "table": "orders"}
    with sqlite3.connect(tmp_path / "shop.sqlite", isolation_level=None) as lite:
        lite.execute("CREATE TABLE orders (at TEXT, value REAL)")
        lite.execute("INSERT INTO orders VALUES ('2026-02-28 23:00:00', 1), ('2026-03-01 00:00:00', 2)")
        seen = [probe(**keys, asked_from=SINCE)]
        for change in (
            "INSERT INTO orders VALUES ('2026-03-01 01:00:00', 3)",
            "UPDATE orders SET value = 4 WHERE value = 3",
            "DELETE FROM orders WHERE value = 4",
        ):
            lite.execute(change)
            seen.append(probe(**keys, asked_from=SINCE))
        assert seen[3] == seen[0] and len(set(seen)) == 3
        lite.execute("UPDATE orders SET value = 9 WHERE value = 1")  # no run would ask for it
        assert probe(**keys, asked_from=SINCE) == seen[0]
    lite.close()


def test_a_query_for_all_rows_is_known_by_the_query_that_the_yaml_gives_for_it(tmp_path: Path, probe: Probe) -> None:
    keys = {"type": "sql", "url": "sqlite:///shop.sqlite", "query": "SELECT * FROM orders"}
    with sqlite3.connect(tmp_path / "shop.sqlite", isolation_level=None) as lite:
        lite.execute("CREATE TABLE orders (at TEXT, value REAL)")
        assert probe(**keys) is None
        keys["probe_query"] = "SELECT count(*), max(at) FROM orders"
        empty, same = probe(**keys), probe(**keys)
        lite.execute("INSERT INTO orders VALUES ('2026-03-01 01:00:00', 3)")
        assert empty == same != probe(**keys)
    lite.close()
    with pytest.raises(SourceError, match="no such column: nobody") as error:
        probe(**keys | {"probe_query": "SELECT nobody FROM orders"})
    assert "probe_query" in str(error.value)


# --- functions ---


@pytest.fixture
def feed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Writes the module of a user."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def write(code: str) -> None:
        (tmp_path / "looked_feeds.py").write_text(code)
        sys.modules.pop("looked_feeds", None)

    yield write
    sys.modules.pop("looked_feeds", None)


FEED = {"type": "python", "function": "looked_feeds:rows"}
PROBED = FEED | {"probe_function": "looked_feeds:newest"}


def test_a_function_is_called_by_runs_alone_unless_another_one_says_what_is_new(feed: Callable[[str], None], probe: Probe) -> None:
    feed("def rows(since):\n    raise SystemExit\ndef newest(since):\n    return [str(since), 3]\n")
    assert probe(**FEED, asked_from=SINCE) is None
    one, same, other = (probe(**PROBED, asked_from=since) for since in (SINCE, SINCE, NOW))
    assert one == same != other
    feed("def rows():\n    return []\ndef newest():\n    return None\n")
    assert probe(**PROBED) is None


def test_a_module_that_was_edited_looks_otherwise(feed: Callable[[str], None], probe: Probe) -> None:
    feed("def rows():\n    return []\ndef newest():\n    return 3\n")
    before = probe(**PROBED)
    feed("def rows():\n    return [1]\ndef newest():\n    return 3\n")
    assert probe(**PROBED) != before


def test_a_function_that_fails_is_named_with_its_key(feed: Callable[[str], None], probe: Probe) -> None:
    feed("def rows():\n    return []\ndef newest():\n    return 1 / 0\n")
    with pytest.raises(SourceError, match=r"read\.probe_function: it raised ZeroDivisionError"):
        probe(**PROBED)
