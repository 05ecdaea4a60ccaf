"""What every reader of the registry must do, whatever it reads from: a new type is tested by being given content here.

The checks themselves are `smartflow_assets.testing`'s, which authors of plug-ins run as well.
"""

import sqlite3
import sys
from collections.abc import Callable, Iterator
from typing import Any

import duckdb
import pytest
from pydantic import TypeAdapter

from smartflow_assets.adapters.readers import READERS, BaseReader, Reader, Wanted
from smartflow_assets.testing import READER_CHECKS, ReaderCase
from smartflow_assets_tests.feeds import http_shop, shop_rows
from smartflow_assets_tests.receivers import free_port

TYPES = list(READERS)
LINES = "".join(f"2026-03-01 00:{minute:02d},{minute}\n" for minute in range(20))
TEXT = f"at,value\n{LINES}soon,1\n2026-03-01 01:00,many\n"


def reader(**keys: Any) -> BaseReader:
    return TypeAdapter(Reader).validate_python({"time": "at"} | keys)


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, ReaderCase]]:
    """One case for each type: twenty rows, and two bad ones where the type can have such."""
    data = tmp_path_factory.mktemp("data")
    (data / "inbox" / "checked").mkdir(parents=True)
    for path in (data / "a.csv", data / "inbox" / "checked" / "a.csv"):
        path.write_text(TEXT)
    (data / "a.jsonl").write_text(
        "".join(f'{{"at": "2026-03-01 00:{minute:02d}", "value": {minute}}}\n' for minute in range(20)) + '{"at": 1}\n'
    )
    with duckdb.connect() as connection:
        rows = "SELECT TIMESTAMPTZ '2026-03-01 00:00+00' + INTERVAL 1 MINUTE * i AS at, i AS value FROM range(20) t(i)"
        connection.execute(f"COPY ({rows}) TO '{data}/a.parquet'")
    with sqlite3.connect(data / "shop.sqlite") as database:
        database.execute("CREATE TABLE orders (at TEXT, value REAL)")
        database.executemany("INSERT INTO orders VALUES (?, ?)", [line.split(",") for line in LINES.splitlines()])
    database.close()
    library = tmp_path_factory.mktemp("library")
    (library / "checked_feed.py").write_text(
        "def rows():\n    return [{'at': f'2026-03-01 00:{minute:02d}', 'value': minute} for minute in range(20)]\n"
    )
    sys.path.insert(0, str(library))
    wanted = Wanted(numbers=("value",))
    with http_shop() as shop:
        shop.rows = shop_rows(*range(20))
        pages: dict[str, Any] = {"records": "data.items", "paging": {"by": "page", "parameter": "page"}}
        gone = f"http://127.0.0.1:{free_port()}/orders"
        yield {
            "csv": ReaderCase(reader(type="csv", path="a.csv"), data, 20, 2, wanted),
            "json": ReaderCase(reader(type="json", path="a.jsonl"), data, 20, 1, wanted),
            "parquet": ReaderCase(reader(type="parquet", path="a.parquet"), data, 20, 0, wanted),
            "inbox": ReaderCase(reader(type="inbox"), data, 20, 2, wanted, may_be_gone=True),
            "http": ReaderCase(
                reader(type="http", url=shop.url, **pages), data, 20, 0, wanted, gone=reader(type="http", url=gone, retries=0, **pages)
            ),
            "sql": ReaderCase(reader(type="sql", url="sqlite:///shop.sqlite", table="orders"), data, 20, 0, wanted),
            "python": ReaderCase(
                reader(type="python", function="checked_feed:rows"),
                data,
                20,
                0,
                wanted,
                gone=reader(type="python", function="no_such_module:rows"),
            ),
            "synthetic": ReaderCase(
                reader(type="synthetic", domain="iot_sensors", history="100min"),
                data,
                20,
                0,
                Wanted(numbers=("temperature",)),
                may_be_gone=True,
            ),
        }
    sys.path.remove(str(library))
    sys.modules.pop("checked_feed", None)


def test_every_reader_has_a_case(cases: dict[str, ReaderCase]) -> None:
    assert list(cases) == TYPES


@pytest.mark.parametrize("check", READER_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("kind", TYPES)
def test_every_reader_keeps_every_promise(cases: dict[str, ReaderCase], kind: str, check: Callable[[ReaderCase], None]) -> None:
    check(cases[kind])
