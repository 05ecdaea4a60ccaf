"""When a row was: in several formats, in two columns, with offsets of all kinds, and in which zone where it does not say."""

import json
import sqlite3
from datetime import UTC, date, datetime, time
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from pydantic import TypeAdapter, ValidationError

from smartflow_assets.adapters.readers import READERS, ReadContext, Reader, Staged, Wanted
from smartflow_assets.core.errors import SourceError
from smartflow_assets_tests.adapters.readers.parquet_files import reasons, rows, types
from smartflow_assets_tests.feeds import http_shop

NEW_YORK, BERLIN = "America/New_York", "Europe/Berlin"
LISTED = ["iso", "%d.%m.%Y %H:%M"]


@pytest.fixture
def read(tmp_path):
    """Stage what a reader finds; keys of `read` as keywords, `zone` is the calendar's."""

    def run(*, type: str = "csv", time: object = "at", zone: str = "UTC", wanted: Wanted = Wanted(), **keys) -> Staged:
        path = {} if type == "python" else {"path": f"feed.{type}"}
        reader = TypeAdapter(Reader).validate_python({"type": type, "time": time, **path, **keys})
        context = ReadContext("web", tmp_path, tmp_path / "staging", wanted, now=datetime(2026, 6, 1, tzinfo=UTC), timezone=zone)
        (staged,) = reader.batches(context)
        return staged

    return run


@pytest.fixture
def csv(tmp_path, read):
    """Write content as feed.csv and stage it."""

    def run(content: str, **keys) -> Staged:
        (tmp_path / "feed.csv").write_text(content)
        return read(**keys)

    return run


def moments(staged: Staged, column: str = "at") -> list[str]:
    return [text for (text,) in rows(staged, f"strftime(\"{column}\", '%d %H:%M')")]


# --- several formats ---


def test_each_value_is_read_by_the_first_format_that_fits(csv):
    staged = csv("at,value\n2026-03-01 09:00,1\n02.03.2026 10:30,2\n2026-03-03T11:00Z,3\n", time={"column": "at", "format": LISTED})
    assert moments(staged) == ["01 09:00", "02 10:30", "03 11:00"]


def test_a_value_that_fits_none_shows_itself_and_the_formats(csv):
    staged = csv("at,value\n2026-03-01 09:00,1\n3/2/26 9am,2\n", time={"column": "at", "format": LISTED})
    assert reasons(staged) == [(2, "at: '3/2/26 9am' is not a time; expected a time such as 2026-03-01 09:35 or the format %d.%m.%Y %H:%M")]


def test_the_order_of_the_formats_decides_what_two_of_them_could_read(csv):
    content = "at,value\n01/02/2026 00:00,1\n13/02/2026 00:00,2\n"
    days_first, months_first = "%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M"
    staged = csv(content, time={"column": "at", "format": [months_first, days_first]})
    assert rows(staged, 'CAST("at" AS DATE)') == [(date(2026, 1, 2),), (date(2026, 2, 13),)]


def test_numbers_beside_texts_are_moments_in_any_zone(csv):
    staged = csv("at,value\n1772355600,1\n2026-03-01 09:00,2\n", time={"column": "at", "format": ["iso", "unix"]}, zone=NEW_YORK)
    assert moments(staged) == ["01 09:00", "01 14:00"]


def test_clocks_are_set_in_every_format(csv):
    """An hour that comes twice and one that there is not, however they are written."""
    content = "at,value\n29.03.2026 02:30,1\n2026-03-29 02:30,2\n25.10.2026 02:30,3\n2026-10-25 02:30,4\n"
    staged = csv(content, time={"column": "at", "format": LISTED}, zone=BERLIN)
    assert moments(staged) == ["25 00:30", "25 01:30"]
    assert [reason.partition("' ")[2] for _, reason in reasons(staged)] == ["does not exist, the clock of Europe/Berlin skips it"] * 2


def test_a_list_of_one_is_the_format_alone(csv):
    content = "at,value\n01.03.2026 09:00,1\n"
    one = csv(content, time={"column": "at", "format": "%d.%m.%Y %H:%M"})
    assert moments(csv(content, time={"column": "at", "format": ["%d.%m.%Y %H:%M"]})) == moments(one)


# --- two columns ---

EXCEL = "Datum;Uhrzeit;Umsatz\n01.03.2026;09:00;1\n01.03.2026;23:59;2\n;10:00;3\n02.03.2026;;4\n02.03.2026;25:00;5\n"
TWO = {"columns": ["Datum", "Uhrzeit"], "format": "%d.%m.%Y %H:%M"}


def test_a_date_and_a_time_of_day_are_one_time(csv):
    staged = csv(EXCEL, time=TWO, zone=BERLIN)
    assert moments(staged, "Datum_Uhrzeit") == ["01 08:00", "01 22:59"]
    assert types(staged) == {"Umsatz": "BIGINT", "Datum_Uhrzeit": "TIMESTAMP WITH TIME ZONE"}
    assert reasons(staged) == [
        (3, "Datum or Uhrzeit is empty; expected a time"),
        (4, "Datum or Uhrzeit is empty; expected a time"),
        (5, "Datum_Uhrzeit: '02.03.2026 25:00' is not a time; expected the format %d.%m.%Y %H:%M"),
    ]


def test_a_bad_row_of_two_columns_is_kept_as_it_came(csv):
    staged = csv(EXCEL, time=TWO)
    with duckdb.connect() as connection:
        (record,) = connection.execute(f"SELECT record FROM '{staged.rejected}' WHERE row_number = 5").fetchone() or ("",)
    assert json.loads(record) == {"Datum": "02.03.2026", "Uhrzeit": "25:00", "Umsatz": "5"}


def test_what_excel_adds_to_dates_and_times_is_left_out(csv):
    content = (
        "date,time,value\n2026-03-01 00:00:00,1899-12-30 09:15:00,1\n2026-03-02T00:00:00.000,10:30,2\n2026-03-03,1900-01-01 11:00:00,3\n"
    )
    assert moments(csv(content, time={"columns": ["date", "time"]}), "date_time") == ["01 09:15", "02 10:30", "03 11:00"]


def test_numbers_that_are_dates_and_times_are_no_metrics(csv):
    content = "day,hour,value\n" + "".join(f"20260301,{hour:02},{hour}\n" for hour in range(24))
    staged = csv(content, time={"columns": ["day", "hour"], "format": "%Y%m%d %H"})
    assert types(staged) == {"value": "BIGINT", "day_hour": "TIMESTAMP WITH TIME ZONE"}
    assert (staged.first_at, staged.last_at) == (datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 1, 23, tzinfo=UTC))


def test_typed_dates_and_times_of_parquet_are_one_time(tmp_path, read):
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT DATE '2026-03-01' AS d, TIME '09:15:30' AS t, 1 AS value UNION ALL SELECT DATE '2026-11-01', TIME '00:30', 2) "
            f"TO '{tmp_path}/feed.parquet' (FORMAT parquet)"
        )
    staged = read(type="parquet", time={"columns": ["d", "t"]}, zone=NEW_YORK)
    assert rows(staged, "d_t, value") == [
        (datetime(2026, 3, 1, 14, 15, 30, tzinfo=UTC), 1),
        (datetime(2026, 11, 1, 4, 30, tzinfo=UTC), 2),
    ]


def test_timestamps_at_midnight_beside_a_time_are_dates(tmp_path, read):
    frame = pd.DataFrame({"d": pd.to_datetime(["2026-03-01", "2026-03-02"]), "t": [time(9), time(10, 30)], "value": [1, 2]})
    with duckdb.connect() as connection:
        connection.register("frame", frame)
        connection.execute(f"COPY (SELECT d, CAST(t AS TIME) AS t, value FROM frame) TO '{tmp_path}/feed.parquet' (FORMAT parquet)")
    assert moments(read(type="parquet", time={"columns": ["d", "t"]}), "d_t") == ["01 09:00", "02 10:30"]


def test_two_columns_of_nested_json_are_one_time(tmp_path, read):
    (tmp_path / "feed.json").write_text(json.dumps([{"when": {"day": "2026-03-01", "clock": "09:00"}, "value": 1}]))
    staged = read(type="json", time={"columns": ["when.day", "when.clock"]}, zone=BERLIN)
    assert moments(staged, "when.day_when.clock") == ["01 08:00"]


def test_a_table_with_two_columns_is_read_from_the_day_on(tmp_path):
    with sqlite3.connect(tmp_path / "shop.sqlite") as connection:
        connection.execute("CREATE TABLE orders (day TEXT, clock TEXT, value REAL)")
        connection.executemany("INSERT INTO orders VALUES (?, ?, ?)", [(f"2026-03-0{day}", "22:00", day) for day in range(1, 6)])
    connection.close()
    keys = {"type": "sql", "url": "sqlite:///shop.sqlite", "table": "orders", "time": {"columns": ["day", "clock"]}}
    reader = TypeAdapter(Reader).validate_python(keys)

    def taken(reached: datetime | None) -> list[tuple]:
        context = ReadContext("web", tmp_path, tmp_path / "staging", reached=reached, timezone=NEW_YORK)
        return [row for staged in reader.batches(context) for row in rows(staged, "day_clock, value")]

    assert len(taken(None)) == 5
    assert taken(datetime(2026, 3, 5, 3, tzinfo=UTC)) == [  # 22:00 of the 4th in New York
        (datetime(2026, 3, 5, 3, tzinfo=UTC), 4),
        (datetime(2026, 3, 6, 3, tzinfo=UTC), 5),
    ]


def test_rows_of_a_function_have_a_date_and_a_time(tmp_path, read, monkeypatch):
    (tmp_path / "two_column_feed.py").write_text(
        "from datetime import date, time\nimport pandas as pd\n"
        "def frame():\n    return pd.DataFrame({'d': [date(2026, 3, 1)], 't': [time(9)], 'value': [1]})\n"
        "def dicts():\n    return [{'d': date(2026, 3, 1), 't': time(9), 'value': 1}]\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("frame", "dicts"):
        staged = read(type="python", function=f"two_column_feed:{name}", time={"columns": ["d", "t"]}, zone=BERLIN)
        assert moments(staged, "d_t") == ["01 08:00"]


def test_a_column_that_is_called_as_the_joined_one_is_named(csv):
    with pytest.raises(SourceError) as error:
        csv("date,time,date_time,value\n2026-03-01,09:00,2026-03-01 09:00,1\n", time={"columns": ["date", "time"]})
    assert "there is a column 'date_time', and read.time.columns makes one of that name" in str(error.value)
    assert "Set read.time to {column: date_time} if that is the time" in str(error.value)


def test_a_missing_part_is_answered_with_the_nearest(csv):
    with pytest.raises(SourceError, match=r"there is no column 'Zeit', which read\.time names; the file has Datum, Uhrzeit, Umsatz"):
        csv(EXCEL, time=TWO | {"columns": ["Datum", "Zeit"]})


def test_two_columns_of_which_nothing_can_be_read_are_a_wrong_setting(csv):
    content = "d,t,value\n" + "".join(f"01.03.2026,{minute:02}h{minute:02},1\n" for minute in range(20))
    with pytest.raises(SourceError) as error:
        csv(content, time={"columns": ["d", "t"]})
    assert "no value of column 'd' and column 't' is a time" in str(error.value)
    assert "read.time: {columns: [d, t], format:" in str(error.value)


# --- zones ---


def test_times_without_an_offset_are_of_the_zone_and_others_moments(tmp_path, read):
    texts = [
        "2026-03-01T09:00+01:00",
        "2026-03-01T09:00Z",
        "2026-03-01T09:00",
        "2026-03-01T09:00+0530",
        "2026-07-01T09:00",
        "2026-03-01 09:00 UTC",
    ]
    (tmp_path / "feed.json").write_text("\n".join(json.dumps({"at": text, "value": 1}) for text in texts))
    staged = read(type="json", zone=NEW_YORK)
    assert moments(staged) == ["01 08:00", "01 09:00", "01 14:00", "01 03:30", "01 13:00", "01 09:00"]
    assert staged.zone == NEW_YORK


def test_the_zone_of_the_times_goes_before_that_of_the_calendar(csv):
    content = "at,value\n2026-03-01 09:00,1\n"
    assert moments(csv(content, zone=BERLIN)) == ["01 08:00"]
    assert moments(csv(content, time={"column": "at", "timezone": NEW_YORK}, zone=BERLIN)) == ["01 14:00"]
    assert moments(csv(content, time={"column": "at", "timezone": "UTC"}, zone=BERLIN)) == ["01 09:00"]


def test_a_date_alone_is_the_beginning_of_that_day_in_its_zone(csv):
    content = "at,value\n" + "".join(f"2026-{day},1\n" for day in ("03-07", "03-08", "03-09", "10-31", "11-01", "11-02"))
    assert moments(csv(content, zone=NEW_YORK)) == ["07 05:00", "08 05:00", "09 04:00", "31 04:00", "01 04:00", "02 05:00"]


@pytest.mark.parametrize(
    ("zone", "day", "begins"),
    [
        ("Africa/Cairo", "2026-04-24", "23 22:00"),  # the clock goes from 0:00 to 1:00
        ("America/Havana", "2026-11-01", "01 04:00"),  # and from 1:00 back to 0:00
    ],
)
@pytest.mark.parametrize("form", ["%Y-%m-%d", "%d.%m.%Y"])
def test_a_day_begins_once_where_its_midnight_is_skipped_or_comes_twice(csv, zone, day, begins, form):
    written = f"{date.fromisoformat(day):{form}}"
    staged = csv(f"at,value\n{written},1\n{written},2\n", time={"column": "at", "format": ["iso", form]}, zone=zone)
    assert moments(staged) == [begins, begins]
    assert (staged.bad_count, staged.notes) == (0, ())


def test_typed_dates_and_timestamps_are_of_the_zone_and_typed_moments_are_not(tmp_path, read):
    for column, begins, zone in (
        ("DATE '2026-03-01'", "01 05:00", NEW_YORK),
        ("TIMESTAMP '2026-03-01 09:00'", "01 14:00", NEW_YORK),
        ("TIMESTAMPTZ '2026-03-01 09:00+00'", "01 09:00", None),
    ):
        with duckdb.connect() as connection:
            connection.execute(f"COPY (SELECT {column} AS \"at\", 1 AS value) TO '{tmp_path}/feed.parquet' (FORMAT parquet)")
        staged = read(type="parquet", zone=NEW_YORK)
        assert (moments(staged), staged.zone) == ([begins], zone)


def test_a_server_is_asked_in_the_calendars_zone_and_its_times_are_read_in_it(tmp_path):
    with http_shop() as shop:
        shop.answers = [(200, {"Content-Type": "application/json"}, [{"at": "2026-03-01 09:00", "value": 1}])]
        since = {"parameter": "since", "format": "%Y-%m-%d %H"}
        reader = TypeAdapter(Reader).validate_python({"type": "http", "url": shop.url, "time": "at", "since": since})
        context = ReadContext("web", tmp_path, tmp_path / "staging", reached=datetime(2026, 3, 1, 14, tzinfo=UTC), timezone=NEW_YORK)
        (staged,) = reader.batches(context)
    assert moments(staged) == ["01 14:00"]
    assert shop.asked[0].parameters == {"since": "2026-03-01 08"}  # 14:00 UTC is 9:00 there, less an hour


# --- by what a content is known ---


def test_a_content_whose_times_all_name_their_zone_is_the_same_under_any_calendar(csv):
    content = "at,value\n2026-03-01 09:00Z,1\n2026-03-01 10:00+01:00,2\n"
    assert csv(content, zone=BERLIN).content_hash == csv(content, zone=NEW_YORK).content_hash == csv(content).content_hash
    local = "at,value\n2026-03-01 09:00,1\n"
    assert csv(local, zone=BERLIN).content_hash.endswith("@Europe/Berlin")
    assert csv(local).content_hash.endswith("@UTC")
    assert csv(local, zone="Etc/UTC").content_hash == csv(local).content_hash


# --- what a YAML may not say ---


@pytest.mark.parametrize(
    ("time", "said"),
    [
        ({"column": "at", "columns": ["date", "time"]}, "both column and columns are given"),
        ({"format": "iso"}, "names no column; write column, or columns: [date, time]"),
        ({"columns": ["date", "Date"]}, "columns names date twice"),
        ({"columns": ["date"]}, "at least 2 items"),
        ({"columns": ["date", "time"], "format": ["iso", "unix"]}, "a number of seconds stands in one column"),
        ({"column": "at", "format": []}, "names no format"),
        ({"column": "at", "format": ["iso", "%d.%Q.%Y"]}, "for %Q is no code of strptime"),
        ({"column": "at", "format": "100%"}, "is not a time format"),
        ({"column": "at", "timezone": "Mars"}, "'Mars' is not a time zone"),
    ],
)
def test_what_cannot_be_meant_is_refused(time, said):
    with pytest.raises(ValidationError) as error:
        READERS["csv"].model_validate({"path": "a.csv", "time": time})
    assert said in str(error.value)


def test_what_holds_for_the_time_can_be_written_down_and_read_again():
    time = READERS["csv"].model_validate({"path": "a.csv", "time": TWO}).time
    assert type(time).model_validate(time.model_dump()) == time
    assert Path(time.column).name == "Datum_Uhrzeit"
