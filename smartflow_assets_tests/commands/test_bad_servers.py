"""Servers that go bad after a good day: each is told in one line, without its secret; what was stored stays, other sources go on."""

import sqlite3
from pathlib import Path

import duckdb
import pytest

from smartflow_assets_tests.commands.conftest import SHOP, Smartflow
from smartflow_assets_tests.feeds import Shop, http_shop
from smartflow_assets_tests.receivers import free_port

QUICK = SHOP + "detectors: [{type: mad}]\n"  # what is found does not matter here
ROWS = [{"ts": f"2026-03-{1 + hour // 24:02}T{hour % 24:02}:00:00Z", "n": 100 + hour % 7} for hour in range(120)]
SECRET = "open sesame/1"
HTTP = '{type: http, url: "URL/NAME", headers: {X-Key: "${SHOP_KEY}"}, parameters: {api_key: "${SHOP_KEY}"}, retries: 0, time: ts}'
SQL = '{type: sql, url: "sqlite:///NAME.sqlite", table: orders, time: ts}'
JSON = {"Content-Type": "application/json"}
WEB = {
    "unknown": (401, "the server does not know us (401)"),
    "login": ((200, {"Content-Type": "text/html"}, "<html>Log in"), "the server answered with an HTML page"),
    "cut": ((200, JSON, '[{"ts": "2026-03-01", "n"'), "the JSON is cut off"),
    "echo": ((400, JSON, f"bad key {SECRET}"), "the server answered 400: bad key ${SHOP_KEY}"),
}
TABLES = {
    "no_table": ("DROP TABLE orders", "no such table: orders"),
    "encoding": ("UPDATE orders SET n = CAST(x'ff' AS TEXT)", "Could not decode to UTF-8"),
}
NAMES = (*WEB, *TABLES)


@pytest.fixture
def sources(home: Path, monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...]):
    """The home with the named sources of the tables above, all of them still good."""
    monkeypatch.setenv("SHOP_KEY", SECRET)
    with http_shop() as shop:
        shop.answers = [lambda asked: (200, JSON, ROWS)] * len(WEB.keys() & set(names))
        for name in names:
            read = (HTTP if name in WEB else SQL).replace("URL", shop.url).replace("NAME", name)
            text = QUICK.replace("name: shop", f"name: {name}").replace("{type: csv, path: feeds/shop.csv, time: ts}", read)
            (home / "data" / "sources" / f"{name}.yaml").write_text(text)
        for name in TABLES.keys() & set(names):
            with sqlite3.connect(home / "data" / f"{name}.sqlite") as connection:
                connection.execute("CREATE TABLE orders (ts TEXT, n INTEGER)")
                connection.executemany("INSERT INTO orders VALUES (:ts, :n)", ROWS)
            connection.close()
        yield shop


@pytest.mark.parametrize("names", [pytest.param(NAMES, id="all"), ("echo",)], ids=str)
@pytest.mark.soak
def test_a_server_that_goes_bad_is_told_and_loses_nothing(smartflow: Smartflow, home: Path, sources: Shop, names: tuple[str, ...]) -> None:
    assert smartflow("validate").code == 0
    assert smartflow("run", "--as-of", "2026-03-06").code == 0
    assert counts(home, names) == dict.fromkeys((*names, "shop"), 120)
    sources.answers = [lambda asked: bad_answer(asked.path)] * len(WEB.keys() & set(names))
    for name in TABLES.keys() & set(names):
        with sqlite3.connect(home / "data" / f"{name}.sqlite") as connection:
            connection.execute(TABLES[name][0])
        connection.close()
    with (home / "data" / "feeds" / "shop.csv").open("a") as good:
        good.write("2026-03-06T00:00:00Z,101\n")
    answer = smartflow("run", "--as-of", "2026-03-06T02:00")
    assert answer.code == 1
    errors = dict(line.removeprefix("error: ").split(": ", 1) for line in answer.err.splitlines() if line.startswith("error: "))
    assert errors.keys() == set(names)
    for name in names:
        assert (WEB | TABLES)[name][1] in errors[name], name
        assert name in errors[name], name
    assert counts(home, names) == dict.fromkeys(names, 120) | {"shop": 121}
    assert "sesame" not in answer.err + answer.out


@pytest.mark.soak
def test_a_server_that_is_gone_stops_nothing_else(smartflow: Smartflow, home: Path) -> None:
    port = free_port()
    for name, read in (
        ("web", f'{{type: http, url: "http://127.0.0.1:{port}/x", retries: 0, time: ts}}'),
        ("base", f'{{type: sql, url: "postgresql://127.0.0.1:{port}/x", table: orders, time: ts}}'),
        ("outside", '{type: sql, url: "sqlite:///../../nowhere.sqlite", table: orders, time: ts}'),
    ):
        text = QUICK.replace("name: shop", f"name: {name}").replace("{type: csv, path: feeds/shop.csv, time: ts}", read)
        (home / "data" / "sources" / f"{name}.yaml").write_text(text)
    answer = smartflow("run", "--as-of", "2026-03-06")
    assert answer.code == 1
    said = "\n".join(line for line in answer.err.splitlines() if line.startswith("error: "))
    assert "the server cannot be reached" in said
    assert "the database says: connection failed" in said
    assert "there is no such file (sqlite:///../../nowhere.sqlite: orders)" in said
    with duckdb.connect(str(home / "data/warehouse/analyst.duckdb"), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM raw.shop").fetchall() == [(120,)]


def bad_answer(path: str) -> tuple:
    answer = WEB[path.rpartition("/")[2]][0]
    return (answer, {}, "") if isinstance(answer, int) else answer


def counts(home: Path, names: tuple[str, ...]) -> dict[str, int]:
    with duckdb.connect(str(home / "data/warehouse/analyst.duckdb"), read_only=True) as connection:
        return {name: connection.execute(f"SELECT count(*) FROM raw.{name}").fetchall()[0][0] for name in (*names, "shop")}
