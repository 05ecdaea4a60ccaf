"""Loading an origin of raw.<source>: what is new, what changed, what was there already, and types that change."""

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from smartflow_assets.adapters.warehouse.changed_windows import MOST_WINDOWS
from smartflow_assets.adapters.warehouse.column_types import TEXT_COLUMNS
from smartflow_assets.adapters.warehouse.writes import Delete, Load, Prune, Reconcile
from smartflow_assets.core.errors import WarehouseError

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)


def at(minute: int) -> pd.Timestamp:
    return pd.Timestamp("2024-05-01 00:00", tz="UTC") + pd.Timedelta(minutes=minute)


def rows(*minutes_and_values: tuple, type_: str = "DOUBLE") -> str:
    values = ", ".join(f"({minute}, {value})" for minute, value in minutes_and_values)
    return (
        "SELECT TIMESTAMPTZ '2024-05-01 00:00:00+00' + to_minutes(CAST(minute AS BIGINT)) AS seen_at,"
        f" CAST(value AS {type_}) AS value FROM (VALUES {values}) AS given(minute, value)"
    )


@pytest.fixture
def load(warehouse, staged):
    def run(sql: str, origin: str = "a.csv", source: str = "web", now: datetime = NOW, **options):
        write = Load(source, origin, f"hash of {sql}", staged(sql), "seen_at", now, **options)
        (loaded,) = warehouse.commit("run", [write]).loads
        return loaded

    return run


@pytest.fixture
def raw(warehouse):
    def values(columns: str = "value", source: str = "web") -> list:
        found = warehouse.read(f'SELECT {columns} FROM raw."{source}" ORDER BY _origin, _row').astype(object)
        found = found.where(found.notna(), None)
        return list(found.itertuples(index=False, name=None)) if len(found.columns) > 1 else found.iloc[:, 0].tolist()

    return values


def windows(warehouse, table: str = "raw.web") -> list:
    found = warehouse.read("SELECT from_at, to_at, row_count FROM writes WHERE table_name = ? ORDER BY written_at, from_at", [table])
    return list(found.itertuples(index=False, name=None))


def test_first_load_takes_all_rows_and_counts_them(load, raw, warehouse):
    loaded = load(rows((0, 1), (5, 2), (10, 3)))
    assert raw("_origin, _row, value, _run_id") == [("a.csv", 1, 1, "run"), ("a.csv", 2, 2, "run"), ("a.csv", 3, 3, "run")]
    assert (loaded.row_count, loaded.new_count, loaded.gone_count, loaded.duplicate_count) == (3, 3, 0, 0)
    assert windows(warehouse) == [(at(0), at(10) + INSTANT, 3)]
    ledger = warehouse.read("SELECT * FROM ingestions").iloc[0]
    assert (ledger["row_count"], ledger["new_count"], ledger["first_at"], ledger["last_at"]) == (3, 3, at(0), at(10))


def test_same_content_again_changes_nothing(load, raw, warehouse):
    load(rows((0, 1), (5, 2)))
    again = load(rows((0, 1), (5, 2)))
    assert raw() == [1, 2]
    assert (again.row_count, again.new_count) == (2, 0)
    assert len(windows(warehouse)) == 1


def test_grown_file_adds_its_new_rows_only(load, raw, warehouse):
    load(rows((0, 1), (5, 2)))
    grown = load(rows((0, 1), (5, 2), (10, 3)))
    assert raw() == [1, 2, 3]
    assert grown.new_count == 1
    assert windows(warehouse)[1:] == [(at(10), at(10) + INSTANT, 1)]


def test_late_row_at_the_top_of_the_file_touches_its_own_time_only(load, raw, warehouse):
    load(rows((5, 2), (10, 3)))
    late = load(rows((0, 1), (5, 2), (10, 3)))
    assert raw("_row, value") == [(1, 2), (2, 3), (3, 1)]
    assert late.new_count == 1
    assert windows(warehouse)[1:] == [(at(0), at(0) + INSTANT, 1)]


def test_a_row_that_moves_up_in_a_rolling_file_came_when_it_came(load, raw):
    load(rows((0, 1), (5, 2), (10, 3)))
    load(rows((5, 2), (10, 3), (15, 4)), now=(later := NOW + timedelta(hours=6)))
    assert sorted(raw("value, _ingested_at")) == [(1, NOW), (2, NOW), (3, NOW), (4, later)]


def test_a_corrected_row_takes_the_place_of_the_old_one_and_a_time_that_is_not_held_stays(load, raw, warehouse):
    load(rows((0, 1), (5, 2), (10, 3), (15, 4)))
    corrected = load(rows((0, 1), (5, 99), (15, 4)))
    assert sorted(raw()) == [1, 3, 4, 99]
    assert (corrected.new_count, corrected.gone_count, corrected.missing_count) == (1, 1, 1)
    assert windows(warehouse)[1:] == [(at(5), at(5) + INSTANT, 2)]
    ledger = warehouse.read("SELECT removed_count, missing_count, withheld_count FROM ingestions ORDER BY rowid").to_numpy().tolist()
    assert ledger == [[0, 0, 0], [1, 1, 0]]


def test_at_its_first_and_last_time_a_file_only_adds(load, raw):
    load(rows((0, 1), (0, 2), (5, 3), (10, 4), (10, 5)))
    cut = load(rows((0, 2), (0, 9), (5, 33), (10, 4)))
    assert sorted(raw()) == [1, 2, 4, 5, 9, 33]
    assert (cut.new_count, cut.gone_count, cut.missing_count) == (2, 1, 2)


def test_one_row_of_long_ago_takes_nothing_away(load, raw):
    load(rows(*((minute, minute) for minute in range(100))))
    late = load(rows((-1_000_000, 0), (98, 98), (99, 99), (100, 100)))
    assert sorted(raw()) == [0, *range(101)]
    assert (late.new_count, late.gone_count, late.missing_count) == (2, 0, 98)


def test_each_changed_time_is_a_window_and_those_between_them_are_not(load, warehouse):
    load(rows(*((minute, 1) for minute in range(10))))
    load(rows(*((minute, 2 if minute in (2, 3, 7) else 1) for minute in range(10))))
    assert [(since, until) for since, until, _ in windows(warehouse)[1:]] == [(at(2), at(3) + INSTANT), (at(7), at(7) + INSTANT)]


def test_windows_beyond_the_most_that_there_may_be_are_joined_where_they_are_nearest(load, warehouse):
    load(rows(*((minute, 1) for minute in range(201))))
    load(rows(*((minute, 2 if minute % 2 else 1) for minute in range(200)), (200, 1)))
    found = windows(warehouse)[1:]
    assert len(found) == MOST_WINDOWS and sum(count for *_, count in found) == 200
    assert (found[0][0], found[-1][1]) == (at(1), at(199) + INSTANT)


def test_rows_of_one_time_keep_the_order_of_the_file_when_some_of_them_change(load, raw):
    load(rows((0, 0), (5, 1), (5, 2), (10, 0)))
    load(rows((0, 0), (5, 3), (5, 1), (10, 0)))
    assert raw() == [0, 0, 3, 1]


def test_row_repeated_within_a_file_stays_repeated(load, raw, warehouse):
    load(rows((0, 0), (5, 1), (5, 1), (10, 0)))
    assert raw() == [0, 1, 1, 0]
    load(rows((0, 0), (5, 1), (10, 0)))
    assert raw() == [0, 0, 1]
    assert windows(warehouse)[1:] == [(at(5), at(5) + INSTANT, 1)]


@pytest.mark.parametrize(("duplicates", "expected"), [("match", 3), ("keep", 5)])
def test_of_equal_rows_in_two_origins_the_larger_count_is_kept_or_both(load, raw, duplicates, expected):
    load(rows((0, 1), (0, 1)), origin="a.csv", duplicates=duplicates)
    second = load(rows((0, 1), (0, 1), (0, 1)), origin="b.csv", duplicates=duplicates)
    assert raw() == [1] * expected
    assert (second.new_count, second.duplicate_count) == (expected - 2, 5 - expected)


def test_rows_that_another_origin_holds_are_skipped_and_counted(load, raw, warehouse):
    load(rows((0, 1), (5, 2)), origin="a.csv")
    overlapping = load(rows((5, 2), (10, 3)), origin="b.csv")
    assert raw("_origin, value") == [("a.csv", 1), ("a.csv", 2), ("b.csv", 3)]
    assert (overlapping.row_count, overlapping.new_count, overlapping.duplicate_count) == (2, 1, 1)
    assert windows(warehouse)[1:] == [(at(10), at(10) + INSTANT, 1)]


def test_overlap_is_found_whatever_the_number_type_and_column_order(load, raw):
    load(rows((0, 1), (5, 2), type_="DOUBLE"), origin="a.csv")
    turned = f"SELECT value, seen_at, NULL AS note FROM ({rows((5, 2), (10, 3), type_='INTEGER')})"
    assert load(turned, origin="b.csv").duplicate_count == 1
    assert raw() == [1, 2, 3]


def test_an_empty_file_takes_nothing_away_until_somebody_accepts_it(load, raw):
    load(rows((0, 1)))
    empty = f"SELECT * FROM ({rows((0, 1))}) WHERE false"
    kept = load(empty, on_missing_rows="delete")
    assert (raw(), kept.gone_count, kept.withheld_count) == ([1], 0, 1)
    assert load(empty, on_missing_rows="delete", is_removal_accepted=True).gone_count == 1
    assert raw() == []


def test_a_small_removal_goes_and_a_large_one_waits_while_what_is_new_is_taken(load, raw, warehouse):
    load(rows(*((minute, minute) for minute in range(30))))
    small = load(rows(*((minute, minute) for minute in range(10, 30))), on_missing_rows="delete")
    assert (len(raw()), small.gone_count, small.withheld_count) == (20, 10, 0)
    assert windows(warehouse)[1:] == [(at(0), at(9) + INSTANT, 10)]
    large = load(rows((28, 28), (29, 99), (30, 30)), on_missing_rows="delete")
    assert (len(raw()), large.new_count, large.gone_count, large.withheld_count, large.missing_count) == (21, 2, 1, 18, 18)
    accepted = load(rows((28, 28), (29, 99), (30, 30)), on_missing_rows="delete", is_removal_accepted=True)
    assert (sorted(raw()), accepted.gone_count, accepted.missing_count) == ([28, 30, 99], 18, 0)


def test_a_row_with_a_key_takes_the_place_of_the_one_before_wherever_that_lies(load, raw, warehouse):
    def orders(*given: tuple[int, str, int]) -> str:
        return (
            "SELECT * FROM ("
            + " UNION ALL ".join(
                f"SELECT * REPLACE (CAST(value AS INTEGER) AS value), {name} AS id FROM ({rows((minute, value))})"
                for minute, name, value in given
            )
            + ")"
        )

    keyed = {"key": ("id",)}
    load(orders((0, "1", 10), (5, "2", 20), (7, "NULL", 5), (9, "3", 30)), origin="a.csv", **keyed)
    second = load(orders((20, "1", 11), (20, "NULL", 5), (21, "2", 21), (22, "2", 22), (23, "4", 40)), origin="b.csv", **keyed)
    assert sorted(raw("id, value, _origin"), key=str) == sorted(
        [(1, 11, "b.csv"), (2, 22, "b.csv"), (3, 30, "a.csv"), (4, 40, "b.csv"), (None, 5, "a.csv"), (None, 5, "b.csv")], key=str
    )
    assert (second.new_count, second.gone_count, second.duplicate_count) == (4, 2, 1)
    assert [(since, until) for since, until, _ in windows(warehouse)[1:]] == [(at(0), at(5) + INSTANT), (at(20), at(23) + INSTANT)]
    with pytest.raises(WarehouseError, match=r"web: read.key: there is no column 'idd' \(c.csv\).*Did you mean 'id'"):
        load(orders((0, "1", 10)), origin="c.csv", key=("idd",))


def test_rows_of_an_origin_that_is_not_read_any_more_give_way_where_the_times_overlap(load, raw, warehouse):
    load(rows((0, 1), (5, 2), (10, 3), (15, 4)), origin="a.csv")
    renamed = load(rows((5, 2), (10, 30), (12, 5)), origin="b.csv", gives_way=("a.csv",))
    assert sorted(raw("_origin, value")) == [("a.csv", 1), ("a.csv", 4), ("b.csv", 2), ("b.csv", 5), ("b.csv", 30)]
    assert (renamed.new_count, renamed.gone_count, renamed.duplicate_count) == (2, 1, 0)
    assert [(since, until) for since, until, _ in windows(warehouse)[1:]] == [(at(10), at(12) + INSTANT)]


def test_rows_from_before_the_file_stay(load, raw, warehouse):
    load(rows((0, 1), (5, 2), (10, 3)))
    later = load(rows((10, 3), (15, 4)))
    assert raw("_row, value") == [(1, 1), (2, 2), (3, 3), (5, 4)]
    assert (later.new_count, later.gone_count, later.missing_count) == (1, 0, 2)
    assert windows(warehouse)[1:] == [(at(15), at(15) + INSTANT, 1)]
    load(rows((15, 5)))
    assert raw() == [1, 2, 3, 4, 5]
    assert load(rows((15, 5)), on_missing_rows="delete").gone_count == 4
    assert raw() == [5]


def test_empty_file_takes_nothing_away_where_older_rows_are_kept(load, raw):
    load(rows((0, 1)))
    assert load(f"SELECT * FROM ({rows((0, 1))}) WHERE false").gone_count == 0
    assert raw("_row, value") == [(1, 1)]


def test_new_column_is_added_and_old_rows_are_null_there(load, raw):
    load(rows((0, 1)))
    load(f"SELECT *, 'eu' AS region FROM ({rows((5, 2))})", origin="b.csv")
    assert raw("value, region") == [(1, None), (2, "eu")]


def test_integer_widens_to_double(load, raw):
    load(rows((0, 1), type_="INTEGER"))
    load(rows((5, 2.5)), origin="b.csv")
    assert raw() == [1, 2.5]


def test_integers_fit_a_double_column(load, raw):
    load(rows((0, 1.5)))
    load(rows((5, 2), type_="INTEGER"), origin="b.csv")
    assert raw() == [1.5, 2]


def test_text_in_a_number_column_goes_beside_it(load, raw):
    load(rows((0, 1)))
    load(rows((5, "'2'"), (10, "'broken'"), type_="VARCHAR"), origin="b.csv")
    assert raw("value, value__text") == [(1, None), (2, None), (None, "broken")]


def test_type_of_another_kind_goes_beside_the_column(load, raw):
    load(rows((0, 1)))
    load(rows((5, True), type_="BOOLEAN"), origin="b.csv")
    assert raw("value, value__text") == [(1, None), (None, "true")]


def test_wanted_type_holds_from_the_first_row(load, raw):
    load(rows((0, "'1,5'"), (5, "'2'"), type_="VARCHAR"), types={"value": "DOUBLE"})
    assert raw("value, value__text") == [(None, "1,5"), (2, None)]


def test_a_column_of_no_values_becomes_one_of_numbers_and_loses_no_text(load, raw, warehouse):
    load(rows((0, "'n/a'"), (5, "'7'"), (10, "'-'"), type_="VARCHAR"))
    load(rows(*((minute, minute) for minute in range(15, 415))), origin="b.csv")
    assert raw("value, value__text")[:4] == [(None, "n/a"), (7, None), (None, "-"), (15, None)]
    assert warehouse.read("SELECT sum(value) AS s, typeof(any_value(value)) AS t FROM raw.web").iloc[0].tolist() == [
        7 + sum(range(15, 415)),
        "DOUBLE",
    ]
    # what was made of the rows before is made anew: one of them has a number now
    assert (at(0), at(10) + INSTANT, 3) in windows(warehouse)


def test_a_file_that_grows_from_no_values_to_numbers_has_a_column_of_numbers(load, raw):
    marks = [(minute, "'n/a'") for minute in range(0, 500, 5)]
    load(rows(*marks, type_="VARCHAR"))
    load(rows(*marks, (500, "'225.0'"), (505, "'226.5'"), type_="VARCHAR"))  # one content of texts, by far the most of them n/a
    assert raw("value, value__text")[99:] == [(None, "n/a"), (225, None), (226.5, None)]


def test_a_dimension_stays_text_whatever_it_holds(load, raw):
    load(rows((0, "'n/a'"), (5, "'1'"), (10, "'2'"), type_="VARCHAR"), texts=("value",))
    assert raw() == ["n/a", "1", "2"]


def test_a_file_that_grows_from_words_to_numbers_says_since_when_it_is_text(warehouse, staged, raw):
    words, said = [(minute, "'kalt'") for minute in range(0, 100, 5)], []
    for numbers in (0, 9, 40, 50):
        more = [(200 + 5 * number, f"'{number}.5'") for number in range(numbers)]
        sql = rows(*words, *more, type_="VARCHAR")
        said.append(warehouse.commit("run", [Load("web", "a.csv", sql, staged(sql), "seen_at", NOW)]).notes)
    told = "column 'value' is text since 'kalt' (a.csv): numbers that come make no series; if they should, name it under `metrics`"
    assert said == [(), (), (told,), ()]
    assert raw()[:1] == ["kalt"]


def test_the_type_of_a_column_does_not_depend_on_which_file_came_first_or_in_how_many_runs(warehouse, staged, raw):
    texts = rows((0, "'n/a'"), (5, "'7'"), type_="VARCHAR")
    numbers = rows((10, 1), (15, 2))
    for source, runs in {"one": [[texts, numbers]], "two": [[texts], [numbers]], "turned": [[numbers], [texts]]}.items():
        for run in runs:
            warehouse.commit("run", [Load(source, "a" if sql == texts else "b", sql, staged(sql), "seen_at", NOW) for sql in run])
    expected = [(None, "n/a"), (7, None), (1, None), (2, None)]
    assert raw("value, value__text", "one") == raw("value, value__text", "two") == raw("value, value__text", "turned") == expected


@pytest.mark.parametrize("word", ["north", "007", "12345678901234567890", "1,5"])
def test_a_column_of_words_stays_text_and_says_so_once(warehouse, staged, raw, word):
    def notes(sql: str, origin: str) -> tuple[str, ...]:
        return warehouse.commit("run", [Load("web", origin, sql, staged(sql), "seen_at", NOW)]).notes

    assert notes(rows((0, "'n/a'"), (5, f"'{word}'"), type_="VARCHAR"), "a.csv") == ()
    said = f"column 'value' is text since '{word}' (a.csv): numbers that come make no series; if they should, name it under `metrics`"
    assert notes(rows((10, 1)), "b.csv") == (said,)
    assert notes(rows((15, 2)), "c.csv") == ()
    assert raw() == ["n/a", word, "1.0", "2.0"]
    found = warehouse.read(TEXT_COLUMNS)
    assert found.to_numpy().tolist() == [["web", "value", f"text since '{word}' (a.csv)"]]


def test_words_of_an_earlier_file_of_the_same_commit_keep_the_column_text(warehouse, staged, raw):
    words, numbers = rows((0, "'north'"), type_="VARCHAR"), rows((5, 1))
    done = warehouse.commit("run", [Load("web", name, name, staged(sql), "seen_at", NOW) for name, sql in (("a", words), ("b", numbers))])
    assert raw() == ["north", "1.0"]
    assert "text since 'north'" in done.notes[0]


def test_a_column_whose_words_are_gone_is_widened(load, raw, warehouse):
    load(rows((0, "'n/a'"), (5, "'north'"), (10, "'n/a'"), type_="VARCHAR"))
    load(rows((15, 1)), origin="b.csv")
    load(rows((0, "'n/a'"), (5, "'-'"), (10, "'n/a'"), type_="VARCHAR"))
    load(rows((20, 2)), origin="c.csv")
    assert raw("value, value__text") == [(None, "n/a"), (None, "n/a"), (None, "-"), (1, None), (2, None)]
    assert warehouse.read(TEXT_COLUMNS).empty


@pytest.mark.parametrize("name", ["_time", "_Time", "_arrived_at", "_row_number", "file_row_number", "filename"])
def test_a_column_may_have_a_name_that_the_load_uses_itself(warehouse, staged, raw, name):
    for content, value in (("first", 2), ("second", 3)):
        sql = (
            f"""SELECT seen_at, value, 'x' || value AS "{name}", row_number() OVER () AS _row FROM ({rows((0, 1), (5, value), (10, 1))})"""
        )
        (loaded,) = warehouse.commit("run", [Load("web", "a.csv", content, staged(sql), "seen_at", NOW)]).loads
    assert (loaded.new_count, loaded.gone_count) == (1, 1)
    assert raw(f'value, "{name}"') == [(1, "x1.0"), (1, "x1.0"), (3, "x3.0")]


def test_the_time_may_be_called_as_the_load_calls_it(warehouse, staged, raw):
    for content, value in (("first", 2), ("second", 3)):
        sql = f"SELECT seen_at AS _time, value FROM ({rows((0, 1), (5, value), (10, 1))})"
        warehouse.commit("run", [Load("web", "a.csv", content, staged(sql), "_time", NOW)])
    assert raw('"_time", value') == [(at(0), 1), (at(10), 1), (at(5), 3)]
    with pytest.raises(WarehouseError, match="the column name 'file_row_number' is reserved"):
        sql = f"SELECT seen_at AS _time, value AS file_row_number FROM ({rows((0, 1))})"
        warehouse.commit("run", [Load("web", "b.csv", "third", staged(sql), "_time", NOW)])


@pytest.mark.parametrize("own", ["'hello'", "4"])
def test_a_column_of_the_feed_is_not_where_texts_of_another_go(load, raw, own):
    own_rows = f"SELECT *, {own} AS Value__text FROM ({{}})"
    load(own_rows.format(rows((0, 1))))
    load(own_rows.format(rows((5, "'broken'"), (10, "'2'"), type_="VARCHAR")), origin="b.csv")
    value = own.strip("'") if own == "'hello'" else 4
    assert raw("value, value__text, value__text_2") == [(1, value, None), (None, value, "broken"), (2, value, None)]
    load(rows((15, "'worse'"), type_="VARCHAR"), origin="c.csv")
    assert "worse" in [text for row in raw("value__text, value__text_2") for text in row]


def test_any_column_name_and_any_source_name_can_be_stored(load, raw, warehouse):
    odd = f"""SELECT seen_at, value AS "select a""b.c, d" FROM ({rows((0, 1))})"""
    load(odd, source="order")
    assert raw('"select a""b.c, d"', source="order") == [1]
    assert warehouse.tables()["raw.order"] == 1


def test_reserved_column_and_missing_time_are_named(load):
    with pytest.raises(WarehouseError, match=r"web: the column name '_origin' is reserved \(a.csv\)"):
        load(f"SELECT *, 1 AS _Origin FROM ({rows((0, 1))})")
    with pytest.raises(WarehouseError, match="'seen_at' should be TIMESTAMPTZ, it is VARCHAR"):
        load(f"SELECT CAST(seen_at AS VARCHAR) AS seen_at FROM ({rows((0, 1))})")
    with pytest.raises(WarehouseError, match="1 staged rows have no time in 'seen_at'"):
        load(f"SELECT CASE WHEN value = 1 THEN seen_at END AS seen_at FROM ({rows((0, 1), (5, 2))})")


def test_unreadable_rows_are_held_and_keep_their_state(load, staged, warehouse):
    def rejected(*records: tuple[int, str]):
        values = ", ".join(f"""({number}, '{{"value": "{text}"}}', 'value is not a number')""" for number, text in records)
        return staged(f"SELECT * FROM (VALUES {values}) AS given(row_number, record, reason)")

    loaded = load(rows((0, 1)), rejected=rejected((2, "x"), (3, "y")))
    assert loaded.quarantined_count == 2
    held = warehouse.read("SELECT row_number, record, reason, state FROM quarantined_records ORDER BY row_number")
    assert held["record"].tolist() == ['{"value": "x"}', '{"value": "y"}']
    load(rows((0, 1), (5, 2)), rejected=rejected((3, "y"), (4, "z")))
    kept = warehouse.read("SELECT row_number, run_id, state FROM quarantined_records ORDER BY row_number")
    assert kept["row_number"].tolist() == [3, 4]
    load(rows((0, 1), (5, 2), (10, 3)))
    assert warehouse.tables()["quarantined_records"] == 0


def test_deleting_a_raw_table_takes_its_ledgers_with_it(load, warehouse):
    load(rows((0, 1)))
    load(rows((0, 1)), source="shop")
    warehouse.commit("run", [Delete("raw.web", "web")])
    counts = warehouse.tables()
    assert "raw.web" not in counts and counts["raw.shop"] == 1 and counts["ingestions"] == 1
    assert load(rows((0, 1))).new_count == 1


def test_several_loads_in_one_commit_are_one_transaction(load, raw, staged, warehouse):
    good = Load("web", "a.csv", "1", staged(rows((0, 1))), "seen_at", NOW)
    bad = Load("web", "b.csv", "2", staged("SELECT 1 AS value"), "seen_at", NOW)
    with pytest.raises(WarehouseError, match="'seen_at' should be TIMESTAMPTZ, it is not there"):
        warehouse.commit("run", [good, bad])
    assert "raw.web" not in warehouse.tables()
    later = Load("web", "b.csv", "2", staged(rows((0, 1), (5, 2.5))), "seen_at", NOW)
    assert [loaded.new_count for loaded in warehouse.commit("run", [good, later]).loads] == [1, 1]


def test_columns_that_come_up_later_in_a_commit_are_no_conflict(load, raw, staged, warehouse):
    load(rows((0, 1), type_="INTEGER"), origin="a.csv")
    load(rows((5, 2), type_="INTEGER"), origin="b.csv")
    first = Load("web", "a.csv", "2", staged(rows((0, 10), type_="INTEGER")), "seen_at", NOW, held_from=at(0), held_to=at(0))
    later = Load(
        "web", "b.csv", "2", staged(f"SELECT *, 'eu' AS region FROM ({rows((5, 2.5))})"), "seen_at", NOW, held_from=at(5), held_to=at(5)
    )
    warehouse.commit("run", [first, later])
    assert raw("value, region") == [(10, None), (2.5, "eu")]


def test_source_is_rebuilt_in_one_commit(load, raw, staged, warehouse):
    load(rows((0, 1), (5, 2), type_="INTEGER"))
    again = Load("web", "a.csv", "2", staged(rows((0, "'text'"), type_="VARCHAR")), "seen_at", NOW)
    loaded = warehouse.commit("run", [Delete("raw.web", "web"), again]).loads[0]
    assert raw() == ["text"]
    assert (loaded.new_count, loaded.gone_count) == (1, 0)


# --- windows of a server ---

FEED = "https://shop/orders since "


@pytest.fixture
def page(warehouse, staged):
    """Loads one page of a window; what came of it is returned with the write, for the end of the window."""

    def run(sql: str, since: str = "start", run_id: str = "run", **options) -> tuple:
        write = Load("web", FEED + since, f"hash of {sql}", staged(sql), "seen_at", NOW, mode="insert", feed=FEED, **options)
        (loaded,) = warehouse.commit(run_id, [write]).loads
        return write, loaded

    return run


@pytest.fixture
def finish(warehouse):
    def run(
        *pages: tuple, since=None, reached=None, origin: str = FEED + "start", run_id: str = "later", feed: str = FEED, **options
    ) -> None:
        loads = [loaded for _, loaded in pages]
        first_at = min((load.first_at for load in loads if load.first_at), default=None)
        last_at = max((load.last_at for load in loads if load.last_at), default=None)
        warehouse.commit(
            run_id,
            [
                Reconcile(
                    "web",
                    origin,
                    "as read",
                    feed,
                    tuple(write for write, _ in pages),
                    NOW,
                    first_at,
                    last_at,
                    since=since,
                    is_from_start=since is not None,
                    reached_at=reached,
                    **options,
                )
            ],
        )

    return run


def test_pages_add_to_their_window_and_number_on(page, raw):
    page(rows((0, 1), (5, 2)))
    page(rows((5, 2), (10, 3)))
    assert raw("_origin, _row, value") == [(FEED + "start", 1, 1), (FEED + "start", 2, 2), (FEED + "start", 4, 3)]


def test_a_row_of_a_page_is_taken_once_whatever_window_or_file_brought_it(load, page, raw):
    load(rows((0, 1)))
    page(rows((0, 1), (5, 2)), since="start")
    _, again = page(rows((0, 1), (5, 2), (10, 3)), since="00:05")
    assert (again.row_count, again.new_count, again.duplicate_count) == (3, 1, 2)
    assert sorted(raw()) == [1, 2, 3]


def test_texts_for_a_column_of_numbers_are_told_once_a_load_with_the_first_and_marks_are_not(warehouse, staged):
    def notes(*values: tuple, type_: str = "VARCHAR") -> tuple[str, ...]:
        sql = rows(*values, type_=type_)
        return warehouse.commit("run", [Load("web", "a.csv", sql, staged(sql), "seen_at", NOW)]).notes

    assert notes((0, 1), (5, 2), type_="DOUBLE") == notes((0, "'1'"), (5, "'n/a'")) == ()
    (note,) = notes((10, "'1,5'"), (15, "'2,5'"), (20, "'n/a'"))
    assert note.startswith("column 'value' holds numbers: 2 values are no numbers and are kept in 'value__text', the first '1,5'; ")
    assert "read.decimal" in note


def test_equal_rows_of_one_pull_are_all_kept_and_the_next_one_adds_those_that_are_more(page, raw):
    first, _ = page(rows((0, 1), (0, 1)))
    page(rows((0, 1), (5, 2)), pulled_before=(first,))
    assert sorted(raw()) == [1, 1, 1, 2]
    _, again = page(rows((0, 1), (0, 1), (0, 1), (0, 1), (5, 2)), since="00:00", run_id="later")
    assert (sorted(raw()), again.new_count, again.duplicate_count) == ([1, 1, 1, 1, 2], 1, 4)


@pytest.mark.parametrize("second", [((10, 2), (20, 3)), ((10, 2), (10, 2))])
def test_equal_rows_on_both_sides_of_the_border_of_two_pages_are_all_kept(page, finish, raw, second):
    for run_id in ("run", "later"):  # the next pull holds the same rows, and changes nothing
        first = page(rows((0, 1), (10, 2)), run_id=run_id)
        other = page(rows(*second), run_id=run_id, pulled_before=(first[0],))
        finish(first, other, run_id=run_id)
        assert sorted(raw()) == sorted([1, 2, *(value for _, value in second)])


def test_a_pull_that_holds_fewer_equal_rows_of_a_time_takes_the_others_away(page, finish, raw):
    page(rows((0, 0), (5, 1), (5, 1), (5, 1), (10, 2)))
    shown = page(rows((0, 0), (5, 1), (10, 2)), run_id="later")
    finish(shown)
    assert sorted(raw()) == [0, 1, 2]


def test_a_known_page_that_brings_nothing_leaves_no_trace(page, warehouse):
    page(rows((0, 1)))
    before = warehouse.tables()
    page(rows((0, 1)), run_id="again")
    assert warehouse.tables() == before


def test_a_bad_row_that_two_windows_bring_is_held_once(page, warehouse, staged):
    def bad(*records: str):
        values = ", ".join(f"({number}, '{record}', 'why')" for number, record in enumerate(records, 1))
        return staged(f"SELECT * FROM (VALUES {values}) AS given(row_number, record, reason)")

    _, first = page(rows((0, 1)), rejected=bad('{"a": 1}'))
    _, second = page(rows((5, 2)), since="00:05", rejected=bad('{"a": 2}', '{"a": 1}'))
    assert (first.quarantined_count, second.quarantined_count) == (1, 1)
    held = warehouse.read("SELECT origin, record FROM quarantined_records ORDER BY origin DESC")
    assert held.to_numpy().tolist() == [[FEED + "start", '{"a": 1}'], [FEED + "00:05", '{"a": 2}']]


def test_a_corrected_row_takes_the_place_of_the_old_one_when_its_window_ends(page, finish, raw, warehouse):
    page(rows((0, 1), (5, 2), (10, 3)))
    corrected = page(rows((5, 22), (10, 3), (15, 4)), since="00:05", run_id="later")
    assert sorted(raw()) == [1, 2, 3, 4, 22]
    finish(corrected, since=at(5), origin=FEED + "00:05")
    assert sorted(raw()) == [1, 3, 4, 22]
    assert windows(warehouse)[-1] == (at(5), at(5) + INSTANT, 1)


def test_a_time_that_the_answer_does_not_hold_stays_and_is_counted_unless_it_is_to_go(page, finish, load, raw, warehouse):
    load(rows((6, 6)))  # not from this feed
    page(rows((0, 1), (5, 2), (10, 3), (15, 4)))
    shown = page(rows((0, 1), (10, 3)), since="00:00", run_id="later")
    finish(shown, since=at(0))
    assert sorted(raw()) == [1, 2, 3, 4, 6]
    ledger = "SELECT missing_count FROM ingestions WHERE missing_count IS NOT NULL ORDER BY rowid DESC LIMIT 1"
    assert warehouse.read(ledger)["missing_count"].tolist() == [1]
    finish(shown, since=at(0), on_missing_rows="delete")
    assert sorted(raw()) == [1, 3, 4, 6]


def test_a_server_that_shows_its_latest_rows_takes_none_of_the_first_time_away(page, finish, raw):
    page(rows((5, 2), (5, 3), (10, 4), (10, 5), (15, 6)))
    shown = page(rows((5, 3), (10, 5), (15, 6)), run_id="later")
    finish(shown, since=None)
    assert sorted(raw()) == [2, 3, 5, 6]


def test_the_end_of_a_window_without_rows_takes_nothing_away(page, finish, raw):
    page(rows((0, 1)))
    finish(since=at(0))
    assert raw() == [1]


def test_how_far_a_server_was_read_only_goes_on(page, finish, warehouse):
    shown = page(rows((0, 1)))
    for reached in (at(10), at(10), at(5), at(15)):
        finish(shown, reached=reached)
    assert warehouse.read("SELECT reached_at FROM ingestions WHERE reached_at IS NOT NULL")["reached_at"].tolist() == [at(10), at(15)]


def test_pruned_rows_stay_away_until_the_source_begins_anew(load, raw, warehouse):
    load(rows((0, 1), (1, 2), (2, 3)))
    warehouse.commit("prune", [Prune("raw.web", "web", at(2).to_pydatetime(), "seen_at")])
    assert raw() == [3]
    assert load(rows((0, 1), (1, 2), (2, 3), (3, 4))).new_count == 1
    assert load(rows((0, 9)), origin="backfill.csv").row_count == 0
    assert raw() == [3, 4]
    warehouse.commit("remove", [Delete("raw.web", "web")])
    load(rows((0, 1), (1, 2), (2, 3), (3, 4)))
    assert raw() == [1, 2, 3, 4]
