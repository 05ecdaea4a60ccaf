"""Functions of the user's own as sources: what they may give, what they are asked for, how they fail, and what a kill leaves."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from smartflow_assets.adapters.ingest import Ingested, ingest
from smartflow_assets.adapters.readers import PythonReader, Wanted
from smartflow_assets.adapters.readers import python_rows as module
from smartflow_assets.core.errors import SourceError

NOW = datetime(2026, 3, 2, tzinfo=UTC)
HEAD = "import pandas as pd\nfrom datetime import datetime, timezone, date\nfrom decimal import Decimal\n"


@pytest.fixture
def feed(tmp_path, warehouse, monkeypatch):
    """`write` a module that holds the function `rows`, `take` what it gives into the warehouse."""
    monkeypatch.syspath_prepend(str(tmp_path / "lib"))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "lib").mkdir()
    yield Feed(tmp_path, warehouse)
    sys.modules.pop("their_feeds", None)


class Feed:
    def __init__(self, folder, warehouse) -> None:
        self.folder, self.warehouse = folder, warehouse

    def write(self, code: str) -> None:
        (self.folder / "lib" / "their_feeds.py").write_text(HEAD + code)
        sys.modules.pop("their_feeds", None)

    def take(
        self, function: str = "their_feeds:rows", *, now: datetime = NOW, numbers=None, late_by="0s", since=None, until=None, **keys
    ) -> Ingested:
        reader = PythonReader.model_validate({"function": function, "time": "at", "late_by": late_by, **keys})
        return ingest(
            self.warehouse,
            "web",
            reader,
            wanted=Wanted(numbers),
            now=now,
            run_id=f"run {now}",
            staging=self.folder / "staging",
            data=self.folder,
            since=since,
            until=until,
        )

    def refused(self, code: str, function: str = "their_feeds:rows", **keys) -> str:
        self.write(code)
        with pytest.raises(SourceError) as error:
            self.take(function, **keys)
        assert str(error.value).startswith("web: read.function: ")
        assert "\n" not in str(error.value)
        return str(error.value).removeprefix("web: ").replace(str(self.folder / "lib"), "lib")

    def rows(self, columns: str = "value") -> list:
        found = self.warehouse.read(f'SELECT {columns} FROM raw."web" ORDER BY "at", _row').astype(object)
        return [row if len(row) > 1 else row[0] for row in found.where(found.notna(), None).itertuples(index=False, name=None)]


# --- what a function may give ---


@pytest.mark.parametrize(
    "body",
    [
        "return pd.DataFrame({'at': pd.to_datetime(['2026-03-01 00:00', '2026-03-01 01:00']), 'value': [1.5, 2]})",
        "return pd.DataFrame({'value': [1.5, 2]}, index=pd.DatetimeIndex(['2026-03-01', '2026-03-01 01:00'], name='at'))",
        "return [{'at': '2026-03-01', 'value': 1.5}, {'at': '2026-03-01T01:00:00Z', 'value': 2}]",
        "return ({'at': datetime(2026, 3, 1, hour, tzinfo=timezone.utc), 'value': Decimal(value)}"
        " for hour, value in ((0, '1.5'), (1, '2')))",
        "yield {'at': '2026-03-01', 'value': 1.5}\n    yield {'at': '2026-03-01 01:00', 'value': 2}",
        "yield [{'at': '2026-03-01', 'value': 1.5}]\n    yield []\n    yield pd.DataFrame()\n"
        "    yield pd.DataFrame({'at': ['2026-03-01 01:00'], 'value': [2]})",
        "return [pd.DataFrame({'at': [date(2026, 3, 1)], 'value': [Decimal('1.5')]}), "
        "pd.DataFrame({'at': ['2026-03-01 01:00'], 'value': [2]})]",
    ],
)
def test_frames_and_dicts_in_any_packing_are_the_same_rows(feed, body):
    feed.write(f"def rows():\n    {body}\n")
    assert feed.take().new_rows == 2
    assert feed.rows('epoch("at"), value') == [(1772323200, 1.5), (1772326800, 2)]


def test_columns_of_frames_keep_their_types_and_odd_values_become_text(feed):
    feed.write("""def rows():
    yield pd.DataFrame({"at": ["2026-03-01"] * 2, "code": ["12", "13"], "on": [True, False], "mixed": [1, "x"], "tags": [["a"], None],
                        "kind": pd.Categorical(["a", "b"]), "price": [Decimal("1.25"), None],
                        "month": pd.PeriodIndex(["2026-03"] * 2, freq="M"), 7: [1, 2], ("a", "b"): [3.5, None],
                        "sent": [datetime(2026, 3, 1, tzinfo=timezone.utc), pd.NaT]})
""")
    feed.take()
    assert feed.rows('code, "on", mixed, tags, kind, price, month, "7", "a.b"') == [
        ("12", True, "1", '["a"]', "a", 1.25, "2026-03", 1, 3.5),
        ("13", False, "x", None, "b", None, "2026-03", 2, None),
    ]


def test_nested_dicts_become_columns_and_numbers_of_numpy_are_numbers(feed):
    feed.write(
        "import numpy as np\ndef rows():\n    yield {'at': np.datetime64('2026-03-01').item(), 'user': {'id': np.int64(7)}, "
        "'value': np.float64('nan'), 'list': np.array([1, 2]), 'gone': pd.NaT, 'at2': pd.Timestamp('2026-03-01 02:00', tz='UTC')}\n"
    )
    feed.take(numbers=("value",))
    assert feed.rows('"user.id", value, list, epoch(at2)') == [(7, None, "[1,2]", 1772330400)]


@pytest.mark.soak
def test_many_rows_are_stored_part_by_part(feed, monkeypatch):
    monkeypatch.setattr(module, "PART", 3)
    feed.write("""def rows():
    yield from ({"at": "2026-03-01", "value": n} for n in range(7))
    yield pd.DataFrame({"at": ["2026-03-01"] * 7, "value": range(7, 14)})
    for n in range(14, 18):
        yield pd.DataFrame({"at": ["2026-03-01"], "value": [n]})
""")
    commits = feed.warehouse.commit
    monkeypatch.setattr(feed.warehouse, "commit", lambda run, writes: sizes.append(len(writes)) or commits(run, writes))
    sizes: list[int] = []
    assert feed.take().new_rows == 18
    assert feed.rows() == list(range(18))
    assert len(sizes) == 3 + 3 + 2 + 1  # dicts, the long frame, the short frames, the end of the window


def test_nothing_to_give_is_no_error(feed):
    for body in ("return []", "return pd.DataFrame()", "yield from ()", "yield []"):
        feed.write(f"def rows():\n    {body}\n")
        assert feed.take() == Ingested(), body


# --- what it is asked for ---

ORDERS = """
import json, pathlib
FOLDER = pathlib.Path(__file__).parent
def rows(since, until, now):
    with open(FOLDER / "asked", "a") as asked:
        asked.write(f"{since} {until} {now}\\n")
    for line in (FOLDER / "orders.csv").read_text().split():
        at, value = line.split(",")
        at = datetime.fromisoformat(at + "+00:00")
        if (since is None or at >= since) and (until is None or at < until):
            yield {"at": at, "value": int(value)}
"""


@pytest.fixture
def orders(feed):
    feed.write(ORDERS)

    def set_(**values: int) -> Feed:
        lines = [f"2026-03-01T{time[1:3]}:{time[3:]},{value}\n" for time, value in values.items()]
        (feed.folder / "lib" / "orders.csv").write_text("".join(lines))
        return feed

    return set_


def asked(feed) -> list[str]:
    return (feed.folder / "lib" / "asked").read_text().split("\n")[:-1]


def test_each_run_asks_from_the_newest_time_on_and_takes_no_row_twice(orders):
    feed = orders(t0000=1, t0100=2)
    assert feed.take().new_rows == 2
    feed = orders(t0000=1, t0100=2, t0200=3)
    taken = feed.take(now=NOW + timedelta(hours=1))
    assert (taken.new_rows, taken.duplicate_count, feed.rows()) == (1, 1, [1, 2, 3])
    assert asked(feed) == ["None None 2026-03-02 00:00:00+00:00", "2026-03-01 01:00:00+00:00 None 2026-03-02 01:00:00+00:00"]
    assert feed.take(now=NOW + timedelta(hours=2)).new_rows == 0
    assert feed.rows("value, _origin")[2] == (3, "python their_feeds:rows since 2026-03-01T01:00:00Z")


def test_late_and_corrected_rows_within_late_by_are_taken(orders):
    orders(t0000=1, t0100=2).take()
    feed = orders(t0000=1, t0030=9, t0100=5)
    feed.take(late_by="1h", now=NOW + timedelta(hours=1))
    assert feed.rows() == [1, 9, 5]
    assert asked(feed)[1].startswith("2026-03-01 00:00:00+00:00")


def test_a_window_of_the_past_is_asked_for_and_moves_no_watermark(orders):
    feed = orders(t0000=1, t0100=2, t0200=3)
    feed.take(since=datetime(2026, 3, 1, 1, tzinfo=UTC), until=datetime(2026, 3, 1, 2, tzinfo=UTC))
    assert (feed.rows(), asked(feed)[0][:51]) == ([2], "2026-03-01 01:00:00+00:00 2026-03-01 02:00:00+00:00")
    feed.take(now=NOW + timedelta(hours=1))
    assert (feed.rows(), asked(feed)[1][:9]) == ([1, 2, 3], "None None")


def test_a_function_that_takes_no_window_may_give_everything_each_time(feed):
    for count in (2, 3):
        feed.write(
            f"def rows(limit=5, **more):\n    return pd.DataFrame({{'at': pd.date_range('2026-03-01', periods={count}, tz='UTC'), "
            f"'value': range({count})}})\n"
        )
        feed.take()
    assert feed.rows() == [0, 1, 2]


def test_a_function_without_since_that_shows_its_latest_rows_loses_none_of_those_before(feed):
    for first in (0, 1, 2):
        feed.write(f"def rows():\n    return [{{'at': f'2026-03-01 00:0{{n // 2}}', 'value': n}} for n in range({first}, {first} + 3)]\n")
        feed.take(now=NOW + timedelta(hours=first))
    assert feed.rows() == [0, 1, 2, 3, 4]
    assert set(feed.rows("_origin")) == {"python their_feeds:rows since start"}


KILL = """
import os, signal, sys
from datetime import datetime, UTC
from pathlib import Path
from smartflow_assets.adapters import ingest as module
from smartflow_assets.adapters.readers import PythonReader, Wanted
from smartflow_assets.adapters.readers import python_rows
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
python_rows.PART = 2
folder, last = Path(sys.argv[1]), int(sys.argv[2])
commit, done = Warehouse.commit, []
def dying_commit(self, run_id, writes):
    committed = commit(self, run_id, writes)
    done.append(1)
    if len(done) == last:
        os.kill(os.getpid(), signal.SIGKILL)
    return committed
Warehouse.commit = dying_commit
warehouse = Warehouse(folder / "smartflow.duckdb", folder / "analyst.duckdb")
reader = PythonReader(function="their_feeds:rows", time={"column": "at"})
module.ingest(warehouse, "web", reader, wanted=Wanted(), now=datetime(2026, 3, 2, tzinfo=UTC), run_id="killed",
              staging=folder / "staging", data=folder)
"""


@pytest.mark.parametrize("last", [1, 2, 3])
@pytest.mark.soak
def test_a_killed_run_leaves_no_hole_and_doubles_nothing(orders, last):
    feed = orders(t0000=1, t0100=2, t0200=3, t0300=4)
    killed = subprocess.run(
        [sys.executable, "-c", KILL, str(feed.folder), str(last)], check=False, env=os.environ | {"PYTHONPATH": str(feed.folder / "lib")}
    )
    assert killed.returncode == -9
    assert len(feed.rows()) == min(2 * last, 4)
    feed.take(now=NOW + timedelta(hours=1), late_by="1h")
    assert feed.rows() == [1, 2, 3, 4]
    assert [line[:4] for line in asked(feed)] == ["None", "None" if last < 3 else "2026"]


# --- what is refused ---


def test_a_function_that_is_not_there_says_what_is_missing(feed):
    assert feed.refused("def row(): pass") == ("read.function: their_feeds has no function 'rows' (their_feeds:rows). Did you mean 'row'?")
    assert feed.refused("rows = 5") == (
        "read.function: 'rows' is a value of type int, not a function (their_feeds:rows). Correct the function, or read.function."
    )
    assert feed.refused("", "gone.feeds:rows") == (
        "read.function: there is no module gone (gone.feeds:rows). Install it beside SmartFlow, or set PYTHONPATH to its folder."
    )
    assert feed.refused("import not_there").startswith(
        "read.function: importing it raised ModuleNotFoundError: No module named 'not_there' (their_feeds:rows, lib/their_feeds.py, line 4)"
    )
    assert "importing it raised SyntaxError" in feed.refused("def")
    assert "it needs 'shop'; it is given since, until and now, by name" in feed.refused("def rows(since, shop): pass")
    assert "it needs 'since, /'" in feed.refused("def rows(since, /): pass")


def test_a_function_that_raises_names_the_line_and_no_password(feed):
    assert feed.refused("def rows():\n    raise ValueError('no\\nluck with https://me:secret@host/x')") == (
        "read.function: it raised ValueError: no luck with https://***@host/x (their_feeds:rows, lib/their_feeds.py, line 5). "
        "Mend the function; the next run asks for the same again."
    )
    assert "it raised KeyError: 'x' (their_feeds:rows, lib/their_feeds.py, line 6)" in feed.refused(
        "def rows():\n    yield {'at': '2026-03-01', 'value': 1}\n    yield {}['x']"
    )
    assert "it raised SystemExit: 3" in feed.refused("def rows():\n    raise SystemExit(3)")


@pytest.mark.parametrize("body", ["raise {error}", "yield {{'at': '2026-03-01', 'value': 1}}\n    raise {error}"])
def test_a_function_that_raises_what_is_no_exception_is_an_ordinary_error_without_secrets(feed, body, monkeypatch):
    monkeypatch.setenv("FEED_PASSWORD", "hunter2")
    error = "BaseException('no hunter2'.replace('no', 'No'))"
    assert "it raised BaseException: No ${FEED_PASSWORD}" in feed.refused(f"def rows():\n    {body.format(error=error)}")
    with pytest.raises(KeyboardInterrupt):
        feed.refused(f"def rows():\n    {body.format(error='KeyboardInterrupt')}")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("return None", "it returned None"),
        ("return 5", "it returned a value of type int"),
        ("return 'a,b'", "it returned a value of type str"),
        ("return {'at': 1}", "it returned a value of type dict"),
        ("yield None", "it gave None"),
        ("yield 0", "it gave a value of type int"),
        ("return ['a']", "it gave a value of type str"),
        ("yield [{'at': '2026-03-01'}, 7]", "it gave a value of type int"),
    ],
)
def test_a_function_that_gives_something_else_says_what(feed, body, kind):
    assert feed.refused(f"def rows():\n    {body}\n").startswith(
        f"read.function: {kind}; expected DataFrames, or dicts as rows, in one piece, in a list or by yield"
    )


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return [{('a', 1): 2}]", "its rows cannot be stored: keys must be"),
        ("a = {}; a['a'] = a; return [a]", "its rows cannot be stored: Circular reference"),
        ("return pd.DataFrame([[1, 2]], columns=['a', 'a'])", "its rows cannot be stored: the column 'a' occurs twice"),
        ("return pd.DataFrame({'a': [1j]})", "its rows cannot be stored: "),
    ],
)
def test_rows_that_cannot_be_stored_say_why(feed, body, said):
    assert said in feed.refused(f"def rows():\n    {body}\n")


def test_columns_are_checked_like_those_of_files_and_what_was_stored_before_stays(feed):
    feed.write(
        "def rows():\n    yield {'at': '2026-03-01', 'value': 1}\n    yield {'at': 'soon', 'value': 2}\n"
        "    yield {'at': '2026-03-01', 'value': 'x'}\n"
    )
    taken = feed.take(numbers=("value",))
    assert (taken.new_rows, taken.quarantined_count, feed.rows()) == (1, 2, [1])
    feed.write("def rows():\n    return [{'day': '2026-03-01', 'value': 1}]\n")
    with pytest.raises(SourceError, match=r"there is no column 'at', which read.time names; the file has day, value \(their_feeds:rows\)"):
        feed.take(numbers=("value",))
    assert feed.rows() == [1]


@pytest.mark.parametrize("function", ["", "feeds", "feeds:", ":rows", "a b:c", "../feeds:rows", "feeds:rows()", "os;x:y"])
def test_a_name_that_is_no_function_is_refused_before_anything_runs(function):
    with pytest.raises(ValidationError):
        PythonReader.model_validate({"function": function, "time": "at"})
