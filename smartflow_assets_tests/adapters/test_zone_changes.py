"""Times that name no zone are read in another one than before: each row moves once, and stands at one time."""

import shutil
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import pytest
from pydantic import TypeAdapter

from smartflow_assets.adapters import ingest as ingest_module
from smartflow_assets.adapters.ingest import Ingested, feed_state, ingest, known_contents
from smartflow_assets.adapters.readers import BaseReader, ReadContext, Reader, TimeColumn, Wanted
from smartflow_assets.adapters.readers.feed import FeedReader
from smartflow_assets.adapters.staging import reading_key
from smartflow_assets.adapters.staging.stage import stage_rows
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.adapters.warehouse.writes import Delete
from smartflow_assets.core.errors import SourceError
from smartflow_assets_tests.empty_warehouse import empty_warehouse
from smartflow_assets_tests.feeds import http_shop, shop_rows

NEW_YORK, BERLIN = "America/New_York", "Europe/Berlin"
ZONES = pytest.mark.parametrize("zone", [NEW_YORK, BERLIN])
NOW = datetime(2026, 4, 1, tzinfo=UTC)


class Feed:
    """A data folder and a warehouse; `zone` is that of the calendar."""

    def __init__(self, data: Path, warehouse, **read) -> None:
        self.data, self.warehouse, self.read, self.runs = data, warehouse, read, 0
        self.reader: BaseReader | None = None  # of the built-in ones that which `read` says
        data.mkdir(exist_ok=True)

    def write(self, name: str, *texts: str, value: int = 1) -> None:
        (self.data / name).write_text("at,value\n" + "".join(f"{text},{value}\n" for text in texts))

    def take(self, zone: str, *, now: datetime = NOW, **limits) -> Ingested:
        self.runs += 1
        return ingest(
            self.warehouse,
            "web",
            self.reader or TypeAdapter(Reader).validate_python(self.read),
            wanted=Wanted(),
            now=now,
            run_id=f"run{self.runs}",
            staging=self.data / "staging",
            data=self.data,
            timezone=zone,
            **limits,
        )

    def as_of_old(self, monkeypatch) -> "Feed":
        """What is taken from here on is known by a key as it was before zones stood in it: UTC by default."""
        monkeypatch.setattr(reading_key.ReadingKey, "of", lambda key, zone: key.with_zone("UTC"))
        return self

    def rows(self) -> list[tuple[str, str, float]]:
        found = self.warehouse.read('SELECT _origin, strftime("at", \'%m-%d %H:%M\') AS moment, value FROM raw.web ORDER BY "at", _origin')
        return [(Path(origin).stem, moment, value) for origin, moment, value in found.itertuples(index=False)]

    def moments(self) -> list[str]:
        return [moment for _, moment, _ in self.rows()]


@pytest.fixture
def files(tmp_path, warehouse):
    return Feed(tmp_path / "data", warehouse, type="csv", path="*.csv", time="at")


@pytest.fixture
def fresh(tmp_path):
    """The same data in a home that was never read otherwise."""

    def rows(feed: Feed, zone: str) -> list[tuple[str, str, float]]:
        path = tmp_path / "fresh.duckdb"
        shutil.copyfile(empty_warehouse(), path)
        other = Feed(feed.data, Warehouse(path, tmp_path / "fresh_published.duckdb"), **feed.read)
        other.take(zone)
        return other.rows()

    return rows


HOURS = [f"2026-03-{day:02} {hour:02}:00" for day in (7, 8, 9) for hour in (0, 1, 3, 12, 23)]


@ZONES
def test_a_file_that_was_read_in_utc_is_read_again_and_no_row_stands_twice(files, fresh, zone, monkeypatch):
    files.write("a.csv", *HOURS)
    with monkeypatch.context() as patch:
        files.as_of_old(patch).take(zone="UTC")
    files.take(zone)
    assert files.rows() == fresh(files, zone)
    assert files.take(zone) == Ingested()


@ZONES
def test_rows_of_one_value_in_files_that_follow_each_other_are_all_moved(files, fresh, zone, monkeypatch):
    """What a file that is not moved yet holds at the new time of a row is another row: those are never parted."""
    monkeypatch.setattr(ingest_module, "PORTION_FILES", 1)
    files.write("a.csv", *HOURS[:8])
    files.write("b.csv", *HOURS[8:])
    files.take("UTC")
    files.take(zone)
    commits = "SELECT count(DISTINCT written_at) AS n FROM writes WHERE table_name = 'raw.web' AND operation = 'load'"
    assert files.warehouse.read(commits)["n"].iloc[0] == 3
    assert files.rows() == fresh(files, zone)
    assert files.take(zone) == Ingested()


@ZONES
def test_a_file_that_has_grown_meanwhile_moves_as_well(files, fresh, zone):
    files.write("a.csv", *HOURS[:8])
    files.take("UTC")
    files.write("a.csv", *HOURS)
    files.take(zone)
    assert files.rows() == fresh(files, zone)


@ZONES
def test_rows_that_a_file_holds_no_more_keep_their_time(files, zone):
    files.write("a.csv", "2026-03-01 00:00", "2026-03-02 00:00", "2026-03-05 00:00", "2026-03-06 00:00")
    files.take("UTC")
    files.write("a.csv", "2026-03-05 00:00", "2026-03-06 00:00")
    files.take("UTC")
    assert len(files.rows()) == 4
    files.take(zone)
    moved = ["03-05 05:00", "03-06 05:00"] if zone == NEW_YORK else ["03-04 23:00", "03-05 23:00"]
    assert files.moments() == ["03-01 00:00", "03-02 00:00", *moved]
    assert files.take(zone) == Ingested()


def test_a_file_that_is_gone_keeps_its_times_and_the_others_move(files):
    files.write("a.csv", "2026-03-01 00:00")
    files.write("b.csv", "2026-03-02 00:00")
    files.take("UTC")
    (files.data / "a.csv").unlink()
    files.take(NEW_YORK)
    assert files.rows() == [("a", "03-01 00:00", 1), ("b", "03-02 05:00", 1)]


def test_times_that_name_their_zone_move_nothing_and_are_read_once_more_at_most(files, monkeypatch):
    files.write("a.csv", "2026-03-01 00:00Z", "2026-03-02 00:00+02:00")
    with monkeypatch.context() as patch:
        files.as_of_old(patch).take("UTC")
    before = files.rows()
    assert (files.take(NEW_YORK).new_rows, files.rows()) == (0, before)
    assert files.take(NEW_YORK) == files.take(BERLIN) == Ingested()


def test_a_row_in_an_hour_that_the_new_zone_skips_goes_to_quarantine_and_comes_back(files):
    files.write("a.csv", "2026-03-08 01:30", "2026-03-08 02:30", "2026-03-08 03:30")
    files.take("UTC")
    assert files.take(NEW_YORK).quarantined_count == 1
    assert files.moments() == ["03-08 06:30", "03-08 07:30"]
    assert files.take("UTC").quarantined_count == 0
    assert files.moments() == ["03-08 01:30", "03-08 02:30", "03-08 03:30"]


def test_an_old_home_that_says_utc_reads_nothing_again(files, monkeypatch):
    files.write("a.csv", *HOURS)
    with monkeypatch.context() as patch:
        files.as_of_old(patch).take("UTC")
    files.read["time"] = {"column": "at", "timezone": "UTC"}
    assert files.take(NEW_YORK) == Ingested()


def test_limits_of_a_run_move_a_file_as_a_whole(files, fresh):
    files.write("a.csv", *HOURS)
    files.take("UTC")
    files.take(NEW_YORK, since=datetime(2026, 3, 9, tzinfo=UTC))
    assert files.rows() == fresh(files, NEW_YORK)


def test_what_was_assumed_is_told_once(files):
    files.write("a.csv", "2026-03-01 00:00")
    assert files.take(NEW_YORK).assumed_zone == NEW_YORK
    files.write("b.csv", "2026-03-02 00:00")
    assert files.take(NEW_YORK).assumed_zone is None


@pytest.mark.parametrize(
    ("text", "zone", "time"),
    [
        ("2026-03-01 00:00Z", NEW_YORK, "at"),
        ("2026-03-01 00:00", "UTC", "at"),
        ("2026-03-01 00:00", "Etc/UTC", "at"),
        ("2026-03-01 00:00", NEW_YORK, {"column": "at", "timezone": NEW_YORK}),
        ("1772355600", NEW_YORK, {"column": "at", "format": "unix"}),
    ],
)
def test_nothing_is_told_where_nothing_was_assumed(files, text, zone, time):
    files.read["time"] = time
    files.write("a.csv", text)
    assert files.take(zone).assumed_zone is None


# --- servers ---


def pages(feed: Feed) -> list[tuple[str, float]]:
    return [(moment, value) for _, moment, value in feed.rows()]


@pytest.fixture
def table(tmp_path, warehouse):
    """A database with an hourly table of one value."""
    feed = Feed(tmp_path / "data", warehouse, type="sql", url="sqlite:///shop.sqlite", table="orders", time="at", chunk=4)
    with sqlite3.connect(feed.data / "shop.sqlite", isolation_level=None) as connection:
        connection.execute("CREATE TABLE orders (at TEXT, value REAL)")
        connection.executemany("INSERT INTO orders VALUES (?, 1)", [(text,) for text in HOURS])
        yield feed, connection
    connection.close()


@ZONES
@pytest.mark.soak
def test_a_table_that_was_read_in_utc_is_asked_for_all_of_it_once(table, fresh, zone, monkeypatch):
    feed, _ = table
    with monkeypatch.context() as patch:
        feed.as_of_old(patch).take("UTC")
    feed.take(zone)
    assert pages(feed) == [(moment, value) for _, moment, value in fresh(feed, zone)]
    assert feed.take(zone).new_rows == 0
    assert pages(feed) == [(moment, value) for _, moment, value in fresh(feed, zone)]


@ZONES
@pytest.mark.soak
def test_what_a_table_has_no_more_keeps_its_time(table, zone):
    feed, connection = table
    connection.execute("UPDATE orders SET value = rowid")
    feed.take("UTC")
    connection.execute("DELETE FROM orders WHERE at < '2026-03-08'")
    feed.take(zone)
    kept = {value: moment for _, moment, value in feed.rows()}
    assert [kept[value] for value in range(1, 6)] == [text[5:] for text in HOURS[:5]]
    assert len(feed.rows()) == len(kept) == len(HOURS)
    assert feed.take(zone).new_rows == 0


def test_a_server_whose_times_name_their_zone_is_asked_for_the_newest_alone(tmp_path, warehouse, monkeypatch):
    with http_shop() as shop:
        shop.size, shop.rows = 100, [{**row, "at": row["at"] + "Z"} for row in shop_rows(*range(0, 1440, 60), day="2026-03-01")]
        feed = Feed(tmp_path / "data", warehouse, type="http", url=shop.url, time="at", records="data.items", since={"parameter": "from"})
        with monkeypatch.context() as patch:
            feed.as_of_old(patch).take("UTC")
        before, asked = feed.rows(), len(shop.asked)
        feed.take(NEW_YORK)
        assert (feed.rows(), len(shop.asked)) == (before, asked + 1)
        assert "from" in shop.asked[-1].parameters
        feed.take(NEW_YORK)
        assert shop.asked[-1].parameters["from"] == "2026-03-01T22:00:00Z"


@pytest.mark.soak
def test_a_server_that_fails_while_all_is_read_anew_doubles_nothing_in_the_end(tmp_path, warehouse, fresh):
    with http_shop() as shop:
        shop.rows = shop_rows(*range(0, 1440, 60), day="2026-03-07")
        keys = {"records": "data.items", "since": {"parameter": "from"}, "paging": {"by": "page", "parameter": "page"}, "retries": 0}
        feed = Feed(tmp_path / "data", warehouse, type="http", url=shop.url, time="at", **keys)
        feed.take("UTC")
        shop.answers = [shop.page, shop.page, shop.page, 500]  # the probe, two pages, and no more
        with pytest.raises(SourceError):
            feed.take(NEW_YORK)
        feed.take(NEW_YORK)
        assert pages(feed) == [(moment, value) for _, moment, value in fresh(feed, NEW_YORK)]
        assert feed.take(NEW_YORK).new_rows == 0


def test_the_zone_in_which_a_server_was_read_can_be_told(table):
    feed, _ = table
    feed.take("UTC")
    reader = TypeAdapter(Reader).validate_python(feed.read)
    assert isinstance(reader, FeedReader)
    state = feed_state(feed.warehouse, "web", reader.prefix, reader.reading(Wanted(), NEW_YORK))
    assert (state.zone_before, state.had_zone, state.reached_now) == ("UTC", True, None)
    assert feed_state(feed.warehouse, "web", reader.prefix, reader.reading(Wanted(), "UTC")).zone_before is None


def test_the_zone_of_a_file_that_may_have_lost_rows_can_be_told(files):
    """A file that is to be read again for another reason is known by its key all the same."""
    files.write("a.csv", *HOURS[:4])
    files.write("b.csv", *HOURS[:8])
    files.take("UTC")
    files.write("a.csv", HOURS[0])
    files.take("UTC", now=NOW + timedelta(hours=1))
    assert "@UTC" in known_contents(files.warehouse, "web")["b.csv"]


class _Notes(BaseReader, frozen=True):
    """A reader of somebody else: it knows its content by a hash of its own."""

    type: Literal["notes"] = "notes"

    def batches(self, context: ReadContext):
        context.staging.mkdir(parents=True, exist_ok=True)
        content = (context.data / "notes.txt").read_text()
        (context.staging / "notes.csv").write_text(content)
        if staged := stage_rows(self, [context.staging / "notes.csv"], context, origin="notes", content_hash=str(len(content))):
            yield staged


@pytest.mark.parametrize("is_old", [True, False])
def test_the_rows_of_a_readers_own_move_as_well(tmp_path, warehouse, is_old):
    feed = Feed(tmp_path / "data", warehouse)
    feed.reader = _Notes(time=TimeColumn(column="at"))
    for texts, shifted in (
        (["2026-03-01 00:00", "2026-03-02 00:00"], "03-01 05:00"),
        (["2026-03-01 00:00Z", "2026-03-02 00:00Z"], "03-01 00:00"),
    ):
        feed.warehouse.commit("anew", [Delete("raw.web", "web")])
        feed.write("notes.txt", *texts)
        feed.take("UTC" if is_old else BERLIN)
        feed.take(NEW_YORK)
        assert (feed.moments()[0], len(feed.rows())) == (shifted, 2)
        assert feed.take(NEW_YORK) == Ingested()
