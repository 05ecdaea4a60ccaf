"""Files that grow, are cut, rotated, corrected, doubled, swapped, renamed and split: the table is that of the model, and each removal told.

A few sequences run always; 300 of them, and kills, full disks and two runs at once on top, with `make soak`.
"""

import json
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

import duckdb
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from smartflow_assets.adapters.ingest import ingest
from smartflow_assets.adapters.readers import BaseReader, CsvReader, InboxReader, JsonReader, ParquetReader, Wanted
from smartflow_assets.adapters.warehouse.locks import AdvisoryLock
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets_tests.adapters.row_model import File, Model

START = datetime(2026, 3, 1, tzinfo=UTC)
TIME = {"column": "at"}
READERS: dict[str, tuple[BaseReader, str, tuple[str, ...]]] = {
    "csv": (CsvReader(path="*.csv", time=TIME), "", ("csv",)),
    "json": (JsonReader(path="*.jsonl", time=TIME), "", ("jsonl",)),
    "parquet": (ParquetReader(path="*.parquet", time=TIME), "", ("parquet",)),
    "inbox": (InboxReader(time=TIME), "inbox/web/", ("csv", "jsonl", "parquet")),
}
INSTANTS, VALUES = st.integers(0, 12), st.integers(1, 3)
ROWS = st.lists(st.tuples(INSTANTS, VALUES), min_size=1, max_size=12)


def as_file(rows: list[tuple[int, int]]) -> File:
    file: File = {}
    for instant, value in rows:
        file.setdefault(instant, Counter())[value] += 1
    return file


def as_rows(file: File) -> list[tuple[str, int]]:
    moments = {instant: f"{START + timedelta(minutes=instant):%Y-%m-%dT%H:%M:%SZ}" for instant in file}
    return [(moments[instant], value) for instant in sorted(file) for value in file[instant].elements()]


def write(path: Path, file: File) -> None:
    rows = as_rows(file)
    if path.suffix == ".parquet":
        values = ", ".join(f"(TIMESTAMPTZ '{at}', {value})" for at, value in rows)
        with duckdb.connect() as connection:
            connection.execute(f"COPY (SELECT * FROM (VALUES {values}) AS given(\"at\", value)) TO '{path}' (FORMAT parquet)").fetchall()
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps({"at": at, "value": value}) + "\n" for at, value in rows))
    else:
        path.write_text("at,value\n" + "".join(f"{at},{value}\n" for at, value in rows))


class World:
    """A data folder with the files of the model, and a warehouse."""

    def __init__(self, kind: str, folder: Path | None = None) -> None:
        self.folder = folder or Path(tempfile.mkdtemp(prefix="storm-"))
        self.kind, (self.reader, self.prefix, self.endings) = kind, READERS[kind]
        (self.data / "inbox" / "web").mkdir(parents=True, exist_ok=True)
        self.warehouse = Warehouse(self.folder / "w.duckdb", self.folder / "published.duckdb")
        self.lock = AdvisoryLock(self.folder / "web.lock")
        self.model, self.files, self.changed, self.runs = Model(), dict[str, File](), set[str](), 0

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def name(self, letter: str) -> str:
        return f"{self.prefix}{letter}.{self.endings[ord(letter) % len(self.endings)]}"

    def put(self, name: str, file: File) -> None:
        file = {instant: +counts for instant, counts in file.items() if counts}
        if not file or file == self.files.get(name):
            return
        self.files[name] = file
        self.changed.add(name)
        write(self.data / name, file)

    def drop(self, name: str) -> None:
        (self.data / name).unlink()
        del self.files[name]
        self.changed.discard(name)

    def take(self) -> int:
        """Run once, which is to leave nothing to do; how many rows were told to be removed."""
        removed = self.run().removed_count
        assert not self.run().origins
        return removed

    def run(self):
        self.runs += 1
        return ingest(
            self.warehouse,
            "web",
            self.reader,
            wanted=Wanted(),
            now=START + timedelta(days=1, minutes=self.runs),
            run_id=f"run{self.runs}",
            staging=self.folder / "staging",
            data=self.data,
        )

    def rows(self) -> list[tuple[int, int]]:
        found = self.warehouse.read("SELECT CAST(date_diff('minute', ?, \"at\") AS INTEGER) AS n, value FROM raw.web", [START])
        return sorted(zip(found["n"].tolist(), found["value"].astype(int).tolist(), strict=True))

    def missing(self) -> dict[str, int]:
        found = self.warehouse.read("SELECT origin, arg_max(missing_count, rowid) AS n FROM ingestions GROUP BY origin")
        return dict(zip(found["origin"], found["n"].astype(int), strict=True))

    def close(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


class Storm(RuleBasedStateMachine):
    """Each step changes files; `take` runs, and compares."""

    kind: ClassVar[str] = "csv"
    letters = st.sampled_from("abc")

    def __init__(self) -> None:
        super().__init__()
        self.world = World(self.kind)

    def _some(self, letter: str) -> tuple[str, File]:
        """The file of that letter, or the first one that there is."""
        name = self.world.name(letter)
        name = name if name in self.world.files else min(self.world.files)
        return name, {instant: Counter(counts) for instant, counts in self.world.files[name].items()}

    @initialize(rows=ROWS)
    def begin(self, rows: list[tuple[int, int]]) -> None:
        self.world.put(self.world.name("a"), as_file(rows))

    @rule(letter=letters, rows=ROWS)
    def write_another(self, letter: str, rows: list[tuple[int, int]]) -> None:
        self.world.put(self.world.name(letter), as_file(rows))

    @rule(letter=letters, rows=ROWS)
    def grow_or_come_late(self, letter: str, rows: list[tuple[int, int]]) -> None:
        name, file = self._some(letter)
        for instant, value in rows:
            file.setdefault(instant, Counter())[value] += 1
        self.world.put(name, file)

    @rule(letter=letters, instant=INSTANTS, is_head=st.booleans())
    def cut(self, letter: str, instant: int, is_head: bool) -> None:
        name, file = self._some(letter)
        self.world.put(name, {at: counts for at, counts in file.items() if (at >= instant) == is_head})

    @rule(letter=letters, to=letters, rows=ROWS)
    def rotate(self, letter: str, to: str, rows: list[tuple[int, int]]) -> None:
        name, file = self._some(letter)
        if self.world.name(to) != name:
            self.world.put(self.world.name(to), file)
            self.world.put(name, as_file(rows))

    @rule(letter=letters, instant=INSTANTS, value=VALUES)
    def correct(self, letter: str, instant: int, value: int) -> None:
        name, file = self._some(letter)
        at = min(file, key=lambda other: abs(other - instant))
        file[at] = Counter({value: file[at].total()})
        self.world.put(name, file)

    @rule(letter=letters)
    def double(self, letter: str) -> None:
        name, file = self._some(letter)
        self.world.put(name, {at: counts + counts for at, counts in file.items()} if sum(map(Counter.total, file.values())) < 50 else file)

    @precondition(lambda self: len(self.world.files) > 1)
    @rule()
    def swap(self) -> None:
        one, other, *_ = sorted(self.world.files)
        first, second = self.world.files[one], self.world.files[other]
        self.world.put(one, second)
        self.world.put(other, first)

    @rule(letter=letters, to=letters)
    def rename(self, letter: str, to: str) -> None:
        name, file = self._some(letter)
        if self.world.name(to) not in self.world.files:
            self.world.drop(name)
            self.world.put(self.world.name(to), file)

    @rule(letter=letters, to=letters, instant=INSTANTS)
    def split_at_an_instant(self, letter: str, to: str, instant: int) -> None:
        name, file = self._some(letter)
        if self.world.name(to) != name:
            self.world.put(self.world.name(to), {at: counts for at, counts in file.items() if at >= instant})
            self.world.put(name, {at: counts for at, counts in file.items() if at < instant})

    @rule()
    def take(self) -> None:
        before = self.world.model.removed
        self.world.model.take(self.world.files, self.world.changed)
        self.world.changed.clear()
        removed = self.world.take()
        assert self.world.rows() == self.world.model.rows()
        assert removed == self.world.model.removed - before
        missing = self.world.missing()
        assert {name: missing[name] for name in self.world.files} == {name: self.world.model.missing[name] for name in self.world.files}

    def teardown(self) -> None:
        if self.world.changed:
            self.take()
        self.world.close()


def storm(kind: str, examples: int) -> None:
    machine = type(f"Storm{kind}", (Storm,), {"kind": kind})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=10,
            deadline=None,
            derandomize=True,
            database=None,
            phases=(Phase.explicit, Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.parametrize("kind", list(READERS))
@pytest.mark.soak
def test_a_few_sequences_of_loads_leave_the_rows_of_the_model(kind):
    storm(kind, 2)


@pytest.mark.soak
@pytest.mark.parametrize("kind", list(READERS))
def test_300_sequences_of_loads_leave_the_rows_of_the_model(kind):
    storm(kind, 75)


@pytest.mark.parametrize("times", [1, 2])
def test_a_row_that_one_file_loses_and_another_holds_is_there_at_the_end_of_the_same_run(times):
    world = World("csv")
    for name, rows in [
        ("1.csv", [(0, 1), *[(10, 1)] * times, (20, 1)]),
        ("2.csv", [(5, 9), (10, 1), (15, 9)]),
        ("1.csv", [(0, 1), (10, 5), (20, 1)]),
    ]:
        world.put(name, as_file(rows))
        world.run()
    assert world.rows() == [(0, 1), (5, 9), (10, 1), (10, 5), (15, 9), (20, 1)]
    world.close()


def test_of_two_loads_in_one_commit_the_later_one_may_lose_what_the_earlier_one_left_out():
    world = World("csv")
    world.put("2.csv", as_file([(0, 1), (10, 1), (20, 1)]))
    world.run()
    world.put("1.csv", as_file([(5, 9), (10, 1), (15, 9)]))
    world.put("2.csv", as_file([(0, 1), (10, 5), (20, 1)]))
    world.run()
    assert world.rows() == [(0, 1), (5, 9), (10, 1), (10, 5), (15, 9), (20, 1)]
    world.close()


def test_an_older_file_that_is_read_once_more_does_not_bring_back_an_older_row_of_a_key():
    world = World("csv")
    world.reader = CsvReader(path="*.csv", time=TIME, key=("id",))
    for name, rows in [("a.csv", ["00:00:00Z,1,1", "00:01:00Z,1,2", "00:02:00Z,2,7"]), ("b.csv", ["00:03:00Z,1,3"])]:
        (world.data / name).write_text("\n".join(["at,id,value", *(f"2026-03-01T{row}" for row in rows)]))
        world.run()
    world.run()
    assert world.rows() == [(2, 7), (3, 3)]
    world.close()


# --- kills, full disks and two runs at once on top ---

RUN = """
import os, random, resource, signal, sys, threading
from datetime import timedelta
from pathlib import Path
from smartflow_assets_tests.adapters.test_load_storm import World

kind, folder, disaster, seed = sys.argv[1:]
chance = random.Random(int(seed))
world = World(kind, Path(folder))
world.runs = 1_000_000 + chance.randrange(1_000_000)
if disaster == "kill":
    threading.Timer(chance.uniform(0, 0.5), os.kill, (os.getpid(), signal.SIGKILL)).start()
if disaster == "full":
    file = Path(folder) / "w.duckdb"
    size = file.stat().st_size if file.exists() else 0
    limit = chance.choice([1_000, size, size + 100_000])
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
with world.lock.exclusive(timedelta(seconds=60)):
    world.run()
if disaster == "kill":
    threading.Event().wait()
"""


def disturbed(world: World, disaster: str, seed: int) -> list[int]:
    """Runs of the world in processes of their own, of which something befalls; their exit codes."""
    count = 2 if disaster == "two" else 1
    runs = [
        subprocess.Popen([sys.executable, "-c", RUN, world.kind, str(world.folder), disaster, str(seed + k)], stderr=subprocess.DEVNULL)
        for k in range(count)
    ]
    return [run.wait(120) for run in runs]


@pytest.mark.soak
def test_kills_full_disks_and_two_runs_at_once_lose_and_double_nothing():
    chance = random.Random(7)
    world, codes = World("inbox"), dict[str, Counter[int]]()
    for turn in range(50):
        for letter in chance.sample("abc", chance.randint(1, 3)):
            file = {at: Counter(counts) for at, counts in world.files.get(world.name(letter), {}).items()}
            for _ in range(chance.randint(1, 8)):
                at, value = chance.randrange(12 + turn), chance.randrange(1, 4)
                file[at] = Counter({value: 1}) if chance.random() < 0.3 else file.get(at, Counter()) + Counter({value: 1})
            if chance.random() < 0.3:
                file = {at: counts for at, counts in file.items() if at >= turn // 2}
            world.put(world.name(letter), file)
        disaster = ("kill", "full", "two")[turn % 3]
        codes.setdefault(disaster, Counter()).update(disturbed(world, disaster, turn * 10))
        world.model.take(world.files, world.changed)
        world.changed.clear()
        world.take()
        assert world.rows() == world.model.rows(), (turn, disaster)
    assert codes["kill"][-9] == codes["kill"].total() and codes["full"][1] > 0 and codes["two"][0] == codes["two"].total()
    world.close()
