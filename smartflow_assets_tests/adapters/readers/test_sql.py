"""A database as a source: SQLite and a real PostgreSQL, from a moment on, in chunks, killed, and what they refuse."""

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import TypeAdapter, ValidationError

from smartflow_assets.adapters.ingest import Ingested, ingest
from smartflow_assets.adapters.readers import Reader, SqlReader, Wanted
from smartflow_assets.adapters.staging.contract import ProbeContext
from smartflow_assets.core.errors import SourceError
from smartflow_assets_tests.feeds import Postgres, postgres, postgres_programs
from smartflow_assets_tests.receivers import free_port

NOW = datetime(2026, 3, 2, tzinfo=UTC)
LITE = {"url": "sqlite:///shop.sqlite", "table": "orders"}


@pytest.fixture
def take(tmp_path, warehouse):
    """One run: keys of read as keywords; `limits` are those of the run."""
    runs = iter(range(1, 100))

    def run(*, now=NOW, limits=None, wanted=Wanted(), time="at", **keys) -> Ingested:
        reader = SqlReader.model_validate({"time": time, **keys})
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
        assert "\n" not in str(error.value)
        return str(error.value)

    return run


@pytest.fixture
def lite(tmp_path):
    """The SQLite file of the source with an empty table `orders`; what is executed on it is committed."""
    with sqlite3.connect(tmp_path / "shop.sqlite", isolation_level=None) as connection:
        connection.execute("CREATE TABLE orders (at TEXT, value REAL)")
        yield connection
    connection.close()


def add(lite, *minutes: int, value: float | None = None) -> None:
    lite.executemany(
        "INSERT INTO orders VALUES (?, ?)",
        [(f"2026-03-01 {minute // 60:02d}:{minute % 60:02d}:00", minute if value is None else value) for minute in minutes],
    )


# --- SQLite ---


@pytest.mark.soak
def test_a_table_is_read_once_and_then_from_the_newest_time_on(lite, take, stored, warehouse):
    add(lite, 0, 30, 60, 90)
    assert take(**LITE).new_rows == 4
    add(lite, 120)
    taken = take(**LITE)
    assert (taken.new_rows, taken.duplicate_count, stored()) == (1, 3, [0, 30, 60, 90, 120])
    assert take(**LITE).duplicate_count == 3
    before = warehouse.tables()
    assert (take(**LITE).new_rows, warehouse.tables()) == (0, before)
    origins = warehouse.read('SELECT DISTINCT _origin FROM raw."web" ORDER BY 1 DESC')["_origin"].tolist()
    assert origins == ["sqlite:///shop.sqlite: orders since start", "sqlite:///shop.sqlite: orders since 2026-03-01T00:30:00Z"]


@pytest.mark.parametrize(("late_by", "expected"), [("1h", [0, 30, 50, 60]), ("5min", [0, 30, 60])])
def test_rows_that_come_late_are_found_within_late_by(lite, take, stored, late_by, expected):
    add(lite, 0, 30, 60)
    take(**LITE, late_by=late_by)
    add(lite, 50)
    take(**LITE, late_by=late_by)
    assert stored() == expected


def test_a_corrected_row_takes_the_place_of_the_old_one_and_a_deleted_one_goes_when_it_is_to(lite, take, stored):
    add(lite, 0, 30, 45, 60, 90)
    take(**LITE)
    lite.execute("UPDATE orders SET value = 6060 WHERE value = 60")
    lite.execute("DELETE FROM orders WHERE value IN (0, 45)")
    kept = take(**LITE)
    assert (stored(), kept.missing_count) == ([0, 30, 45, 90, 6060], 1)
    take(**LITE, on_missing_rows="delete")
    assert stored() == [0, 30, 90, 6060]  # what lies before the overlap is not asked for again


def test_an_emptied_table_takes_nothing_away(lite, take, stored):
    add(lite, 0)
    take(**LITE)
    lite.execute("DELETE FROM orders")
    assert (take(**LITE), stored()) == (Ingested(), [0])


def test_an_empty_table_is_no_error(lite, take):
    assert take(**LITE) == Ingested()


@pytest.mark.parametrize("chunk", [1, 3, 100])
def test_equal_rows_are_all_kept_whatever_the_chunk(lite, take, stored, warehouse, chunk):
    add(lite, 0, 0, 0, 0, 5, 5, 10)
    take(**LITE, chunk=chunk)
    chunks = warehouse.read("SELECT count(*) AS n FROM ingestions WHERE reached_at IS NULL")["n"].iloc[0]
    take(**LITE, chunk=chunk)
    assert stored() == [0, 0, 0, 0, 5, 5, 10]
    assert chunks == {1: 3, 3: 2, 100: 1}[chunk]


@pytest.mark.parametrize("text", ["{} {:02d}:00:00", "{}T{:02d}:00:00", "{}T{:02d}:00:00Z", "{} {:02d}:00:00+00:00", "{} {:02d}:00"])
def test_times_are_compared_however_sqlite_holds_them(lite, take, stored, text):
    for hour in (5, 6, 7, 8):
        lite.execute("INSERT INTO orders VALUES (?, ?)", [text.format("2026-03-01", hour), hour])
        taken = take(**LITE, late_by="61min")
    assert (stored(), taken.row_count) == ([5, 6, 7, 8], 3)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
def test_times_on_the_wall_are_compared_in_their_zone(lite, take, stored, warehouse, zone):
    at = {"column": "at", "timezone": zone}
    add(lite, 300, 360)
    take(**LITE, time=at)
    add(lite, 420)
    lite.execute("INSERT INTO orders VALUES ('2026-03-01T13:00:00Z', 1)")
    assert (take(**LITE, time=at).new_rows, stored()) == (2, [1, 300, 360, 420])


@pytest.mark.parametrize(("format", "factor"), [("unix", 1), ("unix_ms", 1000)])
def test_times_may_be_numbers(lite, take, stored, format, factor):
    first = 1772323200
    keys = {**LITE, "time": {"column": "at", "format": format}, "table": "ticks"}
    lite.execute("CREATE TABLE ticks (at INTEGER, value REAL)")
    lite.executemany("INSERT INTO ticks VALUES (?, ?)", [((first + 3600 * n) * factor, n) for n in range(4)])
    take(**keys)
    lite.execute("INSERT INTO ticks VALUES (?, 9)", [(first + 3600 * 4) * factor])
    taken = take(**keys)
    assert (stored(), taken.row_count) == ([0, 1, 2, 3, 9], 3)


def test_a_query_is_read_from_since_on_or_as_a_whole(lite, take, stored):
    add(lite, 0, 30, 60, 90, 120)
    asked = {"url": LITE["url"], "query": "SELECT at, value * 2 AS twice FROM orders WHERE at >= :since"}
    assert take(**asked).new_rows == 5
    assert take(**asked).row_count == 3
    assert take(url=LITE["url"], query="SELECT at, value * 2 AS twice FROM orders").row_count == 5
    assert stored("twice") == [0, 60, 120, 180, 240]


def test_a_query_that_is_changed_replaces_what_it_gave(lite, take, stored):
    add(lite, 0, 30, 60)
    take(url=LITE["url"], query="SELECT at, value FROM orders WHERE at >= :since")
    take(url=LITE["url"], query="SELECT at, value + 1 AS value FROM orders WHERE at >= :since")
    assert stored() == [1, 31, 61]


def test_a_run_with_limits_takes_its_part_and_the_next_run_the_rest(lite, take, stored):
    add(lite, 0, 30, 60, 90)
    take(**LITE, limits={"since": datetime(2026, 3, 1, 0, 30, tzinfo=UTC), "until": datetime(2026, 3, 1, 1, 30, tzinfo=UTC)})
    assert stored() == [30, 60]
    take(**LITE)
    assert stored() == [0, 30, 60, 90]


def test_a_row_from_the_future_does_not_end_all_reading(lite, take, stored):
    add(lite, 0)
    lite.execute("INSERT INTO orders VALUES ('2099-01-01 00:00:00', 99)")
    take(**LITE)
    add(lite, 1439)
    take(**LITE)
    assert stored() == [0, 99, 1439]


def test_rows_without_a_time_or_a_number_are_held_once(lite, take, stored, warehouse):
    add(lite, 0, 30)
    lite.executemany("INSERT INTO orders VALUES (?, ?)", [(None, 1), ("soon", 2), ("2026-03-01 00:31:00", "many")])
    wanted = Wanted(numbers=("value",))
    assert (take(**LITE, wanted=wanted).quarantined_count, take(**LITE, wanted=wanted).quarantined_count) == (3, 0)
    reasons = warehouse.read("SELECT reason FROM quarantined_records ORDER BY reason")["reason"].tolist()
    assert [reason.split(";")[0] for reason in reasons] == ["at is empty", "at: 'soon' is not a time", "value: 'many' is not a number"]
    assert stored() == [0, 30]


def test_names_may_be_hostile(lite, take, stored):
    lite.execute('''CREATE TABLE "o'r""d; DROP TABLE orders--" ("when? ""now""" TEXT, "sel ect" REAL)''')
    lite.execute("""INSERT INTO "o'r""d; DROP TABLE orders--" VALUES ('2026-03-01', 5)""")
    keys = {"url": LITE["url"], "table": """o'r"d; DROP TABLE orders--""", "time": 'when? "now"'}
    take(**keys)
    take(**keys)
    assert stored("sel ect") == [5]
    assert lite.execute("SELECT count(*) FROM orders").fetchone() == (0,)


def test_nothing_is_ever_written(lite, refused):
    add(lite, 0)
    assert "readonly database" in refused(url=LITE["url"], query="DELETE FROM orders RETURNING at, value")
    assert "readonly database" in refused(url=LITE["url"], query="DROP TABLE orders")
    assert lite.execute("SELECT count(*) FROM orders").fetchone() == (1,)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"table": "order"}, "the database says: no such table: order (sqlite:///shop.sqlite: order). Correct read.table"),
        (
            {"query": "SELECT FROM orders"},
            'the database says: near "FROM": syntax error (sqlite:///shop.sqlite: query). Correct read.table',
        ),
        ({"query": "SELECT at FROM orders WHERE at > :begin"}, "the query cannot be sent: "),
        ({"query": "SELECT value FROM orders"}, "there is no column 'at', which read.time names; the file has value"),
        ({"query": "SELECT at, value, value FROM orders"}, "the column 'value' occurs twice"),
        ({"query": "SELECT at, value AS _row FROM orders"}, "a column is called '_row', which SmartFlow keeps for itself"),
        ({"table": "orders", "time": "moment"}, "no such column: moment"),
        ({"table": "orders", "wanted": Wanted(numbers=("total",))}, "there is no column 'total', which metrics names"),
        ({"table": "orders", "url": "sqlite:///gone.sqlite"}, "there is no such file (sqlite:///gone.sqlite: orders)"),
        ({"table": "orders", "url": "sqlite:///broken.sqlite"}, "file is not a database"),
        ({"table": "orders", "url": "nosuch://x/y"}, "SQLAlchemy knows no database called nosuch"),
        ({"table": "orders", "url": "oracle://x/y"}, "is not installed (oracle://x/y: orders). pip install "),
        ({"table": "orders", "url": "${NO_SUCH_URL}"}, "NO_SUCH_URL is not set in the environment (${NO_SUCH_URL}: orders)"),
        ({"table": "orders", "url": "${BROKEN_URL}"}, "read.url is not the address of a database (${BROKEN_URL}: orders)"),
    ],
)
def test_what_cannot_be_read_says_why(lite, refused, tmp_path, monkeypatch, keys, expected):
    (tmp_path / "broken.sqlite").write_text("no database at all, but long enough to be looked at" * 50)
    monkeypatch.setenv("BROKEN_URL", "sesame")
    add(lite, 0)
    text = refused(**{"url": LITE["url"]} | keys)
    assert expected in text
    assert "sesame" not in text


def test_a_text_that_is_not_utf_8_is_named(lite, refused):
    lite.execute("INSERT INTO orders VALUES (CAST(x'ff' AS TEXT), 1)")
    assert "Could not decode to UTF-8 column 'at'" in refused(**LITE)


@pytest.mark.parametrize(
    "keys",
    [
        {"table": None},
        {"query": "SELECT 1"},
        {"url": "shop.sqlite"},
        {"url": "postgresql://me:word@host/x"},
        {"url": "postgresql://host/x?password=word"},
        {"time": {"column": "at", "format": "%d/%m/%Y"}},
        {"chunk": 0},
        {"late_by": "soon"},
        {"limit": 5},
        {"table": ""},
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_asked(keys):
    with pytest.raises(ValidationError):
        TypeAdapter(Reader).validate_python({"type": "sql", "time": "at"} | LITE | keys)


# --- PostgreSQL ---


@pytest.fixture(scope="session")
def cluster() -> Iterator[Postgres]:
    if postgres_programs() is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    with postgres() as server:
        yield server


@contextmanager
def connected(server: Postgres) -> Iterator:
    import psycopg

    with psycopg.connect(
        host="127.0.0.1", port=server.port, user="shop", password=server.password, dbname="shop", autocommit=True
    ) as connection:
        yield connection


@pytest.fixture
def shop(cluster, monkeypatch):
    """A connection of the shop itself, to a database without tables; the source's secret is set."""
    monkeypatch.setenv("SHOP_PASSWORD", cluster.password)
    with connected(cluster) as connection:
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        yield connection


def fill(shop, first: int, last: int, type_: str = "timestamptz") -> None:
    shop.execute(f"CREATE TABLE IF NOT EXISTS orders (at {type_}, id bigint, total numeric(10, 2))")
    shop.execute(f"""INSERT INTO orders SELECT timestamptz '2026-03-01 00:00+00' AT TIME ZONE 'UTC' + n * interval '1 minute', n, n + 0.25
                     FROM generate_series({first}, {last}) AS n""")


@pytest.mark.soak
def test_postgres_is_read_in_chunks_and_from_the_newest_time_on(shop, cluster, take, stored, warehouse):
    fill(shop, 0, 999)
    keys = {"url": cluster.url, "table": "public.orders", "chunk": 300}
    assert take(**keys).new_rows == 1000
    fill(shop, 1000, 1009)
    taken = take(**keys)
    assert (taken.new_rows, taken.duplicate_count, stored("id")) == (10, 61, list(range(1010)))
    assert stored("total")[-1] == 1009.25
    assert warehouse.read("SELECT count(*) AS n FROM ingestions WHERE reached_at IS NULL")["n"].iloc[0] == 5


@pytest.mark.soak
def test_postgres_looks_otherwise_from_outside_once_a_row_is_corrected(shop, cluster, tmp_path):
    fill(shop, 0, 99)
    reader = SqlReader.model_validate({"time": "at", "url": cluster.url, "table": "orders"})
    context = ProbeContext("web", tmp_path, NOW, NOW - timedelta(days=1))
    before = reader.probe(context)
    assert before is not None and reader.probe(context) == before
    shop.execute("UPDATE orders SET total = 0 WHERE id = 50")
    assert reader.probe(context) != before


@pytest.mark.parametrize(
    ("type_", "zone"), [("timestamptz", "UTC"), ("timestamp", "UTC"), ("timestamp", "America/New_York"), ("timestamp", "Europe/Berlin")]
)
def test_postgres_compares_times_in_the_zone_of_the_column(shop, cluster, take, stored, type_, zone):
    keys = {"url": cluster.url, "table": "orders", "time": {"column": "at", "timezone": zone}, "late_by": "10min"}
    fill(shop, 0, 99, type_)
    take(**keys)
    fill(shop, 100, 109, type_)
    assert take(**keys).row_count == 21
    assert stored("id") == list(range(110))


def test_days_of_postgres_are_times(shop, cluster, take, stored):
    shop.execute("CREATE TABLE days (at date, total int); INSERT INTO days SELECT date '2026-02-01' + n, n FROM generate_series(0, 9) AS n")
    keys = {"url": cluster.url, "table": "days"}
    take(**keys)
    shop.execute("UPDATE days SET total = 90 WHERE total = 9; INSERT INTO days VALUES ('2026-02-11', 10)")
    take(**keys)
    assert stored("total") == [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 90]


def test_values_of_postgres_become_texts_numbers_and_columns(shop, cluster, take, warehouse):
    shop.execute("""CREATE TABLE orders (at timestamptz, "Größe" numeric, raw bytea, who uuid, what jsonb, tags text[], yes boolean,
                                         took interval, nothing int, bad float8)""")
    shop.execute("""INSERT INTO orders VALUES ('2026-03-01 10:00+02', 12345678.90, '\\x00ff', '00000000-0000-0000-0000-000000000001',
                    '{"a": {"b": 5}, "c": [1]}', '{x,"y z"}', true, '90 min', NULL, 'NaN')""")
    take(url=cluster.url, query='SELECT * FROM orders WHERE at >= :since AND "Größe"::int > 5')
    row = warehouse.read('SELECT * FROM raw."web"').iloc[0].to_dict()
    assert (row["at"], row["Größe"], row["raw"], row["yes"], row["what.a.b"], row["took"]) == (
        datetime(2026, 3, 1, 8, tzinfo=UTC),
        12345678.9,
        "00ff",
        True,
        5,
        5400,
    )
    assert (row["what.c"], row["tags"]) == ("[1]", '["x","y z"]')


def test_postgres_names_what_is_wrong_and_never_the_password(shop, cluster, refused, monkeypatch):
    fill(shop, 0, 3)
    url = cluster.url
    assert 'relation "order_s" does not exist' in refused(url=url, table="order_s")
    assert 'relation "o"; drop table orders; --" does not exist' in refused(url=url, table='o"; drop table orders; --')
    assert 'column "moment" does not exist' in refused(url=url, table="orders", time="moment")
    assert "syntax error" in refused(url=url, query="SELEC 1")
    shop.execute("CREATE SEQUENCE numbers")
    assert "cannot execute nextval() in a read-only transaction" in refused(url=url, query="SELECT now() AS at FROM nextval('numbers')")
    assert "division by zero" in refused(url=url, query="SELECT at, 1 / (id - 2) AS x FROM orders ORDER BY id")
    assert 'database "nosuch" does not exist' in refused(url=url.removesuffix("shop") + "nosuch", table="orders")
    shop.execute("CREATE TABLE texts (at text); INSERT INTO texts VALUES ('2026-03-01')")
    assert "operator does not exist: text >= timestamp with time zone" in refused(url=url, table="texts")
    monkeypatch.setenv("SHOP_PASSWORD", "sesame&open/1")
    text = refused(url=url, table="orders")
    assert 'password authentication failed for user "shop"' in text
    assert "sesame" not in text
    monkeypatch.setenv("SHOP_URL", f"postgresql://shop:sesame%26open@127.0.0.1:{cluster.port}/shop")
    text = refused(url="${SHOP_URL}", table="orders")
    assert "password authentication failed" in text
    assert "sesame" not in text


def test_a_database_that_is_not_there_is_named(refused, monkeypatch):
    monkeypatch.setenv("SHOP_PASSWORD", "sesame")
    text = refused(url=f"postgresql://shop:${{SHOP_PASSWORD}}@127.0.0.1:{free_port()}/shop", table="orders")
    assert "Connection refused" in text
    assert "sesame" not in text


def test_the_password_is_in_no_table_and_no_log(shop, cluster, take, warehouse, caplog):
    caplog.set_level("DEBUG")
    fill(shop, 0, 3)
    take(url=cluster.url, table="orders")
    texts = [warehouse.read(f"SELECT * FROM {table}").to_string() for table in ('raw."web"', "ingestions", "writes")]
    assert [text for text in [*texts, caplog.text] if "s3cret" in text] == []


# --- killed between two chunks ---

KILLED = """
import os, signal, sys
from datetime import datetime, UTC
from pathlib import Path
from smartflow_assets.adapters import ingest as module
from smartflow_assets.adapters.readers import SqlReader, Wanted
from smartflow_assets.adapters.warehouse.warehouse import Warehouse

folder, url, waiting = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
commit, count = Warehouse.commit, []

def counting(self, run_id, writes):
    if len(count) == 3:
        waiting.touch()
        signal.pause()
    count.append(1)
    return commit(self, run_id, writes)

Warehouse.commit = counting
module.ingest(Warehouse(folder / "smartflow.duckdb", folder / "analyst.duckdb"), "web",
              SqlReader(url=url, table="orders", chunk=100, time={"column": "at"}), wanted=Wanted(),
              now=datetime(2026, 3, 2, tzinfo=UTC), run_id="killed", staging=folder / "staging", data=folder)
"""


@pytest.mark.soak
def test_a_run_killed_between_chunks_three_and_four_leaves_no_hole_and_doubles_nothing(shop, cluster, take, stored, tmp_path):
    fill(shop, 0, 599)
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path), cluster.url, str(tmp_path / "waiting")], env=dict(os.environ))
    while not (tmp_path / "waiting").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.kill()
    assert process.wait() == -9
    assert stored("id") == list(range(300))
    fill(shop, 600, 609)
    taken = take(url=cluster.url, table="orders", chunk=100)
    assert (taken.new_rows, taken.duplicate_count) == (310, 300)
    assert stored("id") == list(range(610))
    assert take(url=cluster.url, table="orders", chunk=100, now=NOW + timedelta(hours=1)).new_rows == 0
