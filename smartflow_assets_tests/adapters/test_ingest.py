"""What is new goes into the warehouse once: the same, grown, late, overlapping, rotated and damaged files, and killed runs."""

import gzip
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from smartflow_assets.adapters import ingest as module
from smartflow_assets.adapters.aggregation.bucket_inference import usual_bucket
from smartflow_assets.adapters.ingest import Ingested, ingest, known_contents
from smartflow_assets.adapters.readers import BaseReader, CsvReader, InboxReader, Wanted
from smartflow_assets.adapters.staging.bad_rows import BadRowPolicy
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.adapters.warehouse.writes import Delete
from smartflow_assets.core.errors import SourceError
from smartflow_assets_tests.empty_warehouse import empty_warehouse

NOW = datetime(2026, 3, 2, tzinfo=UTC)
HEAD = "ts,value\n"
CSV = CsvReader(path="web*.csv", time={"column": "ts"})
INBOX = InboxReader(time={"column": "ts"})


def lines(*minutes: int, value: int | None = None) -> str:
    return "".join(f"2026-03-01 {minute // 60:02d}:{minute % 60:02d},{minute if value is None else value}\n" for minute in minutes)


@pytest.fixture
def feed(tmp_path, warehouse):
    """A data folder with a warehouse beside it."""
    return Feed(tmp_path / "data", tmp_path / "staging", warehouse)


class Feed:
    def __init__(self, data: Path, staging: Path, warehouse) -> None:
        self.data, self.staging, self.warehouse = data, staging, warehouse
        self.runs = 0
        (data / "inbox" / "web").mkdir(parents=True, exist_ok=True)

    def beside(self) -> "Feed":
        """The same files with a warehouse that has none of them yet."""
        file = self.staging.with_name("beside.duckdb")
        shutil.copyfile(empty_warehouse(), file)
        return Feed(self.data, self.staging, Warehouse(file, file.with_name("beside_published.duckdb")))

    def write(self, text: str | bytes, name: str = "web.csv") -> None:
        (self.data / name).write_bytes(text if isinstance(text, bytes) else text.encode())

    def take(self, reader: BaseReader = CSV, *, now: datetime = NOW, wanted: Wanted = Wanted(), **limits) -> Ingested:
        self.runs += 1
        return ingest(
            self.warehouse, "web", reader, wanted=wanted, now=now, run_id=f"run{self.runs}", staging=self.staging, data=self.data, **limits
        )

    def values(self) -> list[float]:
        return sorted(self.warehouse.read('SELECT value FROM raw."web"')["value"].tolist())

    def rows(self, table: str) -> int:
        return self.warehouse.tables()[table]

    def all_rows(self) -> dict[str, int]:
        return self.warehouse.tables()


def test_all_rows_of_a_new_file_are_taken_and_nothing_stays_in_the_staging_folder(feed):
    feed.write(HEAD + lines(0, 5, 10))
    taken = feed.take()
    assert feed.values() == [0, 5, 10]
    assert (taken.row_count, taken.new_rows, taken.duplicate_count, taken.quarantined_count, taken.origins) == (3, 3, 0, 0, ("web.csv",))
    assert (taken.first_at, taken.last_at) == (datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 1, 0, 10, tzinfo=UTC))
    assert list(feed.staging.iterdir()) == []


def test_the_same_file_twice_changes_no_table(feed):
    feed.write(HEAD + lines(0, 5, 10))
    feed.take()
    before = feed.all_rows()
    assert feed.take(now=NOW + timedelta(hours=1)) == Ingested()
    assert feed.all_rows() == before


def test_a_touched_or_copied_back_file_is_the_same_file(feed):
    feed.write(HEAD + lines(0, 5))
    feed.take()
    feed.write(HEAD + lines(0, 5))
    assert feed.take() == Ingested()


def test_a_corrected_zone_reads_known_files_again(feed):
    feed.write(HEAD + lines(120, 125))
    feed.take()
    corrected = CsvReader(path="web*.csv", time={"column": "ts", "timezone": "Europe/Berlin"})
    assert (feed.take(corrected).new_rows, feed.take(corrected)) == (2, Ingested())
    assert feed.warehouse.read('SELECT hour(min(ts)) AS hour FROM raw."web"')["hour"].iloc[0] == 1


def test_a_grown_file_adds_its_new_rows(feed):
    feed.write(HEAD + lines(0, 5))
    feed.take()
    feed.write(HEAD + lines(0, 5, 10))
    assert (feed.take().new_rows, feed.values()) == (1, [0, 5, 10])


def test_late_and_corrected_rows_are_taken_and_their_times_told_to_those_below(feed):
    feed.write(HEAD + lines(0, 10, 15, 20))
    feed.take()
    feed.write(HEAD + lines(0, 5) + lines(10, value=99) + lines(15, 20))
    taken = feed.take()
    assert (feed.values(), taken.new_rows, taken.removed_count, taken.missing_count) == ([0, 5, 15, 20, 99], 2, 1, 0)
    touched = feed.warehouse.read("SELECT from_at, to_at FROM writes WHERE table_name = 'raw.web' ORDER BY written_at DESC LIMIT 1").iloc[0]
    assert (touched["from_at"].minute, touched["to_at"].minute) == (5, 10)


def test_equal_rows_of_one_file_are_all_kept(feed):
    feed.write(HEAD + lines(0, 0, 0))
    feed.take()
    assert feed.values() == [0, 0, 0]


def test_rows_that_another_file_holds_are_not_taken_twice(feed):
    feed.write(HEAD + lines(0, 5, 10), "web1.csv")
    feed.write(HEAD + lines(5, 10, 15), "web2.csv")
    taken = feed.take()
    assert (taken.new_rows, taken.duplicate_count, feed.values()) == (4, 2, [0, 5, 10, 15])


def test_columns_in_another_order_hold_the_same_rows(feed):
    feed.write(HEAD + lines(0, 5), "web1.csv")
    feed.write("value;ts\n0.0;2026-03-01 00:00\n7;2026-03-01 00:07\n", "web2.csv")
    assert (feed.take().duplicate_count, feed.values()) == (1, [0, 5, 7])


@pytest.mark.soak
def test_a_rotated_log_loses_no_row_whatever_order_its_files_are_read_in(feed):
    for old in ("web-old.csv", "web.csv.1.csv"):  # read before and after web.csv
        feed.warehouse.commit("clear", [Delete("raw.web", "web")])
        feed.write(HEAD + lines(0, 5))
        feed.take()
        feed.write(HEAD + lines(0, 5), old)  # web.csv is copied away ...
        feed.take()
        feed.write(HEAD + lines(10, 15))  # ... and begun anew
        feed.take()
        feed.take()
        assert feed.values() == [0, 5, 10, 15], old
        assert feed.take() == Ingested(), old
        (feed.data / old).unlink()


def test_a_file_that_goes_back_and_forth_is_read_each_time_even_when_the_clock_is_replayed(feed):
    for value, now in ((1, NOW), (2, NOW + timedelta(days=1)), (1, NOW)):
        feed.write(HEAD + lines(0) + lines(5, value=value) + lines(10))
        feed.take(now=now)
    assert feed.values() == [0, 1, 10]
    assert feed.take(now=NOW) == Ingested()


def test_unreadable_rows_are_held_with_their_record_and_freed_when_the_file_is_mended(feed):
    feed.write(HEAD + lines(0, 5) + "soon,1\n2026-03-01 00:10,many\n")
    wanted = Wanted(numbers=("value",))
    assert (feed.take(wanted=wanted).quarantined_count, feed.values()) == (2, [0, 5])
    held = feed.warehouse.read("SELECT origin, row_number, record, reason, state FROM quarantined_records ORDER BY row_number")
    assert held.iloc[1].tolist() == [
        "web.csv",
        4,
        '{"ts":"2026-03-01 00:10","value":"many"}',
        "value: 'many' is not a number; expected one up to 1e+150",
        "held",
    ]
    feed.write(HEAD + lines(0, 5, 8, 10))
    feed.take(wanted=wanted)
    assert (feed.rows("quarantined_records"), feed.values()) == (0, [0, 5, 8, 10])


def test_dropped_rows_are_counted_and_not_held(feed):
    feed.write(HEAD + lines(0) + "soon,1\n")
    taken = feed.take(wanted=Wanted(("value",), on_bad_rows="drop"))
    assert (taken.dropped_count, taken.quarantined_count, feed.rows("quarantined_records")) == (1, 0, 0)


def test_a_file_that_cannot_be_read_takes_nothing_of_the_others_and_the_next_run_takes_all(feed):
    feed.write(HEAD + lines(0), "web1.csv")
    feed.write(HEAD + "2026-03-01 00:05,ä\n", "web2.csv")
    (feed.data / "web2.csv").write_bytes((HEAD + "2026-03-01 00:05,ä\n").encode("latin-1"))
    with pytest.raises(SourceError, match=r"web2\.csv, line 2"):
        feed.take()
    assert "raw.web" not in feed.all_rows()
    feed.write(HEAD + lines(5), "web2.csv")
    feed.take()
    assert feed.values() == [0, 5]


def test_a_file_with_only_a_header_is_no_error_takes_nothing_and_is_told(feed):
    feed.write(HEAD, "web1.csv")
    assert feed.take() == Ingested(notes=("web1.csv: holds no rows",))
    feed.write(HEAD + lines(0), "web2.csv")
    taken = feed.take()
    assert (taken.new_rows, taken.notes, feed.take().notes) == (1, ("web1.csv: holds no rows",), ("web1.csv: holds no rows",))


# --- a file that begins later than it did ---


def test_an_export_of_the_last_hours_keeps_the_hours_before_it(feed):
    for first in (0, 10, 20):
        feed.write(HEAD + lines(first, first + 5, first + 10, first + 15))
        feed.take()
    assert feed.values() == [0, 5, 10, 15, 20, 25, 30, 35]
    assert feed.take() == Ingested()


def test_an_export_of_the_last_hours_corrects_the_times_that_it_holds_and_only_those(feed):
    feed.write(HEAD + lines(0, 5, 10, 15, 20))
    feed.take()
    feed.write(HEAD + lines(5) + lines(10, value=99) + lines(20, 25))
    taken = feed.take()
    assert (feed.values(), taken.new_rows, taken.missing_count) == ([0, 5, 15, 20, 25, 99], 2, 2)


def test_a_file_that_grows_back_holds_each_row_once(feed):
    for minutes in ((0, 5, 10), (10, 15), (5, 10, 15), (0, 5, 10, 15)):
        feed.write(HEAD + lines(*minutes))
        feed.take()
        assert feed.values() == sorted({0, 5, 10, *minutes} if minutes == (0, 5, 10) else {0, 5, 10, 15}), minutes


def test_a_file_that_is_emptied_keeps_its_rows_and_says_so(feed):
    feed.write(HEAD + lines(0, 5))
    feed.take()
    feed.write(HEAD)
    assert (feed.take().notes, feed.values()) == (("web.csv: holds no rows",), [0, 5])
    assert feed.take() == Ingested()
    feed.write(HEAD + lines(5, 10))
    feed.take()
    assert feed.values() == [0, 5, 10]


def test_on_missing_rows_delete_makes_the_table_what_the_file_is(feed):
    feed.write(HEAD + lines(0, 5, 10))
    feed.take()
    feed.write(HEAD + lines(10, 15))
    feed.take()
    assert feed.values() == [0, 5, 10, 15]
    feed.take(CsvReader(path="web*.csv", time={"column": "ts"}, on_missing_rows="delete"))  # reads the known file again
    assert feed.values() == [10, 15]


def test_unreadable_rows_that_moved_within_the_export_are_held_once_and_older_ones_stay(feed):
    bad = "soon,1\nlater,2\n"
    wanted = Wanted(numbers=("value",))
    feed.write(HEAD + "old,0\n" + lines(0, 5) + bad + lines(10))
    assert feed.take(wanted=wanted).quarantined_count == 3
    feed.write(HEAD + bad + lines(10, 15) + "new,3\n")
    feed.take(wanted=wanted)
    held = feed.warehouse.read("SELECT row_number, record ->> 'ts' AS ts, run_id FROM quarantined_records ORDER BY row_number")
    assert held.to_numpy().tolist() == [[0, "old", "run1"], [1, "soon", "run1"], [2, "later", "run1"], [5, "new", "run2"]]
    feed.write(HEAD + lines(20))
    feed.take(wanted=wanted)
    held = feed.warehouse.read("SELECT row_number, record ->> 'ts' AS ts FROM quarantined_records ORDER BY row_number")
    assert held.to_numpy().tolist() == [[-5, "soon"], [-4, "later"], [-1, "new"], [0, "old"]]


def test_dropped_files_are_origins_of_their_own_and_stay_where_they_are(feed):
    feed.write(HEAD + lines(0, 5), "inbox/web/a.csv")
    feed.write(gzip.compress((HEAD + lines(5, 10)).encode()), "inbox/web/b.csv.gz")
    assert feed.take(INBOX).origins == ("inbox/web/a.csv", "inbox/web/b.csv.gz")
    assert (feed.values(), feed.take(INBOX)) == ([0, 5, 10], Ingested())
    assert len(list((feed.data / "inbox" / "web").iterdir())) == 2


def test_an_empty_inbox_is_no_error_and_a_file_taken_away_leaves_its_rows(feed):
    assert feed.take(INBOX) == Ingested()
    feed.write(HEAD + lines(0), "inbox/web/a.csv")
    feed.take(INBOX)
    (feed.data / "inbox" / "web" / "a.csv").unlink()
    assert (feed.take(INBOX), feed.values()) == (Ingested(), [0])


def test_limits_take_a_part_of_a_new_file_and_the_next_run_takes_the_rest(feed):
    feed.write(HEAD + lines(0, 5, 10, 15))
    part = {"since": datetime(2026, 3, 1, 0, 5, tzinfo=UTC), "until": datetime(2026, 3, 1, 0, 15, tzinfo=UTC)}
    feed.take(**part)
    assert feed.values() == [5, 10]
    feed.take()
    assert feed.values() == [0, 5, 10, 15]


def test_limits_take_nothing_away_from_a_file_that_is_stored(feed):
    feed.write(HEAD + lines(0, 5))
    feed.take()
    feed.write(HEAD + lines(0, 5, 10))
    feed.take(since=datetime(2026, 3, 1, 0, 10, tzinfo=UTC))
    assert feed.values() == [0, 5, 10]


# --- killed runs ---

KILL = """
import os, signal, sys
from datetime import datetime, UTC
from pathlib import Path
from smartflow_assets.adapters import ingest as module
from smartflow_assets.adapters.readers import CsvReader
from smartflow_assets.adapters.staging import stage
from smartflow_assets.adapters.staging.contract import Wanted
from smartflow_assets.adapters.warehouse.warehouse import Warehouse

folder, point = Path(sys.argv[1]), sys.argv[2]
die = lambda: os.kill(os.getpid(), signal.SIGKILL)
commit, write_good, done = Warehouse.commit, stage._Staging._write_good, []

def dying_commit(self, run_id, writes):
    if point == "before the commit":
        die()
    done.append(writes)
    if point == "in the third portion" and len(done) == 3:
        die()
    committed = commit(self, run_id, writes)
    if point == "after the commit":
        die()
    return committed

def dying_write(self):
    path = write_good(self)
    if point == "between two files":
        die()
    return path

if point == "in the third portion":
    module.PORTION_FILES = 4
Warehouse.commit, stage._Staging._write_good = dying_commit, dying_write
module.ingest(Warehouse(folder / "smartflow.duckdb", folder / "analyst.duckdb"), "web", CsvReader(path="web*.csv", time={"column": "ts"}),
              wanted=Wanted(), now=datetime(2026, 3, 2, tzinfo=UTC), run_id="killed", staging=folder / "staging", data=folder / "data")
"""


@pytest.mark.parametrize("point", ["between two files", "before the commit", "after the commit"])
@pytest.mark.soak
def test_a_killed_run_leaves_no_hole_and_doubles_nothing(feed, tmp_path, point):
    feed.write(HEAD + lines(0, 5), "web1.csv")
    feed.write(HEAD + lines(10), "web2.csv")
    killed = subprocess.run([sys.executable, "-c", KILL, str(tmp_path), point], check=False)
    assert killed.returncode == -9
    feed.take()
    assert feed.values() == [0, 5, 10]
    assert (feed.rows("ingestions"), list(feed.staging.iterdir())) == (2, [])


# --- many files: portions ---


def test_what_was_read_in_portions_is_what_one_commit_would_have_made_of_it(feed, monkeypatch):
    """Rows that overlap, a column that comes later and one whose words give way to numbers, and a file that is mostly unreadable."""
    feed.write(HEAD.replace("value", "value,load") + "2026-03-01 00:00,0,n/a\n2026-03-01 00:05,5,n/a\n", "web1.csv")
    feed.write(HEAD + lines(5, 10), "web2.csv")
    feed.write(HEAD + "".join(f"never,{each}\n" for each in range(9)) + lines(20, 21), "web3.csv")
    feed.write(HEAD.replace("value", "value,load,zone") + "2026-03-01 00:15,15,3,a\n2026-03-01 00:15,15,3,a\n", "web4.csv")
    feed.write(HEAD + lines(10, 10), "web5.csv")
    beside, made = feed.beside(), {}
    for each, size in ((feed, 200), (beside, 1)):
        monkeypatch.setattr(module, "PORTION_FILES", size)
        with pytest.raises(SourceError, match=r"web3\.csv"):
            each.take(on_bad_rows=BadRowPolicy())
        columns = "ts, value, load, load__text, zone, _origin, _row, _row_hash, _run_id"
        made[size] = each.warehouse.read(f"SELECT {columns} FROM raw.web ORDER BY ALL"), each.warehouse.tables()
        made[size][1].pop("writes")  # what became of the column of words is told of stored rows
    assert made[1][0].equals(made[200][0]) and len(made[1][0]) == 7
    assert made[1][1] == made[200][1]
    commits = "SELECT count(DISTINCT written_at) AS n FROM writes WHERE table_name = 'ingestions'"
    assert [each.warehouse.read(commits)["n"].iloc[0] for each in (feed, beside)] == [1, 4]
    feed.write(HEAD + lines(30), "web3.csv")
    assert (beside.take().new_rows, beside.take()) == (1, Ingested())


def test_a_long_reading_is_committed_before_it_is_over(feed, monkeypatch):
    monkeypatch.setattr(module, "PORTION_SECONDS", 0.0)
    feed.write(HEAD + lines(0), "web1.csv")
    feed.write((HEAD + "2026-03-01 00:05,ä\n").encode("latin-1"), "web2.csv")
    with pytest.raises(SourceError, match=r"web2\.csv, line 2"):
        feed.take()
    assert feed.values() == [0]
    feed.write(HEAD + lines(5), "web2.csv")
    assert (feed.take().new_rows, feed.values()) == (1, [0, 5])


@pytest.mark.soak
def test_a_run_of_many_files_that_is_killed_again_and_again_comes_to_its_end(feed, tmp_path):
    for each in range(40):
        feed.write(HEAD + lines(each, each + 1), f"web{each:02}.csv")
    left = []
    for _ in range(10):
        killed = subprocess.run([sys.executable, "-c", KILL, str(tmp_path), "in the third portion"], check=False)
        left.append(40 - len(known_contents(feed.warehouse, "web")))
        if not killed.returncode:
            break
        assert killed.returncode == -9
    assert left == [32, 24, 16, 8, 0]  # the last run has two portions
    undisturbed = feed.beside()
    undisturbed.take()
    rows = "SELECT ts, value, _origin, _row, _row_hash FROM raw.web ORDER BY ALL"
    assert feed.warehouse.read(rows).equals(undisturbed.warehouse.read(rows))
    assert feed.take() == Ingested() and len(feed.values()) == 41


# --- the beat of the rows ---


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ([300] * 50, timedelta(minutes=5)),
        ([300] * 45 + [1800] * 5, timedelta(minutes=5)),
        ([301, 299] * 20, timedelta(minutes=5)),
        ([420] * 50, timedelta(minutes=10)),
        ([3600] * 50, timedelta(hours=1)),
        ([86400] * 30, timedelta(days=1)),
        ([1, 40, 7, 3, 90, 15] * 10, timedelta(minutes=2)),
        ([1], None),
    ],
)
def test_the_bucket_follows_the_beat_of_the_rows(feed, seconds, expected):
    moment, text = datetime(2026, 1, 1, tzinfo=UTC), HEAD + "2026-01-01,0\n"
    for step in seconds:
        moment += timedelta(seconds=step)
        text += f"{moment:%Y-%m-%d %H:%M:%S},1\n" * 2  # two rows for each time: a dimension is no beat
    feed.write(text)
    feed.take()
    assert usual_bucket(feed.warehouse, "web", "ts") == expected


def test_without_rows_there_is_no_beat(warehouse):
    assert usual_bucket(warehouse, "web", "ts") is None


# --- what lies in the inbox and is no feed ---


def test_a_file_that_is_no_feed_is_set_aside_and_the_good_ones_beside_it_are_taken(feed):
    feed.write("Put your files here.\nThank you.\n", "inbox/web/README.txt")
    feed.write(b"PK\x03\x04 a workbook", "inbox/web/orders.xlsx")
    feed.write(HEAD + lines(0, 5), "inbox/web/a.csv")
    first = feed.take(INBOX)
    assert (first.new_rows, feed.values()) == (2, [0, 5])
    readme, workbook = map(str, first.set_aside)
    assert readme.startswith("inbox/web/README.txt is set aside: there is no column 'ts', which read.time names")
    assert workbook == "inbox/web/orders.xlsx is set aside: this is a zip archive or an Excel workbook, not text. Export it as CSV."
    again = feed.take(INBOX)
    assert (again.new_rows, again.set_aside) == (0, first.set_aside)
    (feed.data / "inbox/web/README.txt").unlink()
    feed.write(HEAD + lines(10), "inbox/web/orders.xlsx")
    assert (feed.take(INBOX).set_aside, feed.values()) == ((), [0, 5, 10])


def test_an_inbox_of_which_nothing_could_ever_be_used_has_a_wrong_setting(feed):
    feed.write("at,value\n2026-03-01,1\n", "inbox/web/a.csv")
    with pytest.raises(SourceError, match="there is no column 'ts'"):
        feed.take(INBOX)


def test_a_pipe_in_the_inbox_is_set_aside_and_one_at_a_path_refused(feed):
    for name in ("inbox/web/pipe.csv", "pipe.csv"):
        os.mkfifo(feed.data / name)
    (aside,) = feed.take(INBOX).set_aside
    assert str(aside) == (
        "inbox/web/pipe.csv is set aside: it is a pipe, a socket or a device, and no file. Copy the file itself into the inbox."
    )
    with pytest.raises(SourceError, match=r"no file matches pipe\.csv"):
        feed.take(CsvReader(path="pipe.csv", time={"column": "at"}))


def test_a_link_in_the_inbox_is_not_followed(feed, tmp_path):
    (tmp_path / "other.csv").write_text(HEAD + lines(0, 5))
    (feed.data / "inbox/web/link.csv").symlink_to(tmp_path / "other.csv")
    (feed.data / "inbox/web/nowhere.csv").symlink_to(tmp_path / "nothing")
    taken = feed.take(INBOX)
    assert taken.new_rows == 0
    assert [str(each) for each in taken.set_aside] == [
        f"inbox/web/{name}.csv is set aside: it is a link, and links are not followed. Copy the file itself into the inbox."
        for name in ("link", "nowhere")
    ]
    assert INBOX.files("web", feed.data) == []


# --- columns that change their type ---


def test_numbers_after_marks_of_no_value_are_told_with_what_became_of_them(feed):
    feed.write(HEAD + "2026-03-01 00:00,n/a\n", "web1.csv")
    assert feed.take().column_notes == ()
    feed.write(HEAD + "".join(f"2026-03-02 {minute // 60:02d}:{minute % 60:02d},{minute}\n" for minute in range(400)), "web2.csv")
    (note,) = feed.take().column_notes
    assert note.endswith("1 of these are kept in 'value__text'")
    assert feed.warehouse.read("SELECT count(value) AS n FROM raw.web WHERE isfinite(value)")["n"].iloc[0] == 400
