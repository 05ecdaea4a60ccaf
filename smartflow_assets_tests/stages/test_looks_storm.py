"""Two homes over the same files and the same clock: one runs at every tick, the other only when a look says that there is something to
do. After each tick all that people see is the same in both, to the clocks and the ids of runs.

Feeds grow, are corrected, come late, fall silent, hold bad rows and rows of the future, go and come back; settings change, runs are killed,
people step in. What the clock decides alone (buckets that close, silences, categories that are learnt) has no other test as strict.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from smartflow_assets.adapters.readers import file_signature
from smartflow_assets.adapters.warehouse.tables import TABLES
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.core.errors import SmartflowError
from smartflow_assets.core.incidents.run_failures import Failure
from smartflow_assets.stages.alerting import drain_outbox
from smartflow_assets.stages.bucket_resolution import with_bucket
from smartflow_assets.stages.readability import drop_held
from smartflow_assets.stages.run_closing import RunRecord, close
from smartflow_assets.stages.scheduling.appearance import appearance
from smartflow_assets.stages.scheduling.looks import look, note_nothing_new
from smartflow_assets.stages.scheduling.training_requests import request_training
from smartflow_assets_tests.homes import START, STAGES, Home

TICK, HOUR, DAY = timedelta(minutes=20), timedelta(hours=1), timedelta(days=1)
NOT_SEEN = {"writes", "source_looks", "run_log", "snapshot_info"}  # of each run, with its clock
KINDS = ("zeros", "gauges", "inbox", "guessed", "records")
SETTINGS = {
    "zeros": """
read: {type: csv, path: feed/*.csv, time: at}
metrics: [{name: orders, column: n, aggregate: sum}, {name: rows, aggregate: count}]
dimensions: [shop]
time_bucket: {every: 1h, settle: 0s}
rules: [{type: missing, metric: orders, for: 3h}]
""",
    "gauges": """
read: {type: csv, path: feed/*.csv, time: at, on_missing_rows: delete}
metrics: [{name: n, aggregate: mean}]
time_bucket: {every: 30min, settle: 25min, max_gap: 2h}
calendar: {timezone: Europe/Berlin}
labels: labels.csv
""",
    "inbox": """
read: {type: inbox, time: at}
metrics: [{name: n, aggregate: max}]
dimensions: [shop]
time_bucket: {every: 2h, settle: 10min}
freshness: {warn_after: 100min, error_after: 5h}
""",
    "guessed": """
read: {type: csv, path: feed/*.csv, time: at}
metrics: [{name: n, aggregate: mean}]
""",
    "records": """
read: {type: csv, path: feed/*.csv, time: at}
metrics: [{name: n, aggregate: mean}, {name: b, column: shop__b, aggregate: sum}]
encode: {shop: one_hot}
records: {}
time_bucket: {every: 1h, settle: 5min}
""",
}
EDITS = (
    "alerts: {to: [file], max_age: 3650 days, resolve_after: 1h}",
    "alerts: {to: [file], max_age: 2h, min_severity: info}",
    "freshness: off",
    "freshness: {warn_after: 90min}",
    "freshness: {delay: 1h}",
    "training: {window: 5 days}",
    "sensitivity: high",
    "on_bad_rows: drop",
)


@dataclass
class Side:
    """One of the two homes."""

    home: Home
    is_looking: bool
    run_count: int = 0
    reasons: list[str] = field(default_factory=list)

    def tick(self, now: datetime, number: int, killed_after: int | None) -> bool:
        """Whether there was a run; one that is killed stops after so many stages."""
        catalogue, warehouse = Catalogue.load(self.home.settings), self.home.warehouse
        if self.is_looking:
            looked = look(catalogue, ["shop"], warehouse, now)
            self.reasons += looked.worth.values()
            if not looked.worth:
                return False
        self.run_count += 1
        self.run(catalogue, warehouse, now, f"tick-{number}", killed_after)
        return True

    def run(self, catalogue: Catalogue, warehouse: Warehouse, now: datetime, run_id: str, killed_after: int | None) -> None:
        seen = appearance(catalogue.source("shop"), self.home.settings, warehouse, now)
        run = self.home.source_run("shop", now, run_id, appearance=seen)
        failures: tuple[Failure, ...] = ()
        for stage in STAGES[:killed_after]:
            try:
                stage(run)
            except SmartflowError as error:
                failures = (Failure(stage.__name__, str(error).replace(str(self.home.folder), "")),)
                break
            run = with_bucket(run)
        is_done = killed_after is None and not failures
        if is_done:
            self.drain(now, run_id)
            note_nothing_new(run)
        status = "success" if is_done else "failed" if failures else "killed"
        succeeded = frozenset(stage.__name__ for stage in STAGES) if is_done else frozenset[str]()
        record = RunRecord(run_id, "monitor_source", "shop", status, now, now, now, "schedule", failures, succeeded)
        close(record, warehouse=warehouse, settings=self.home.settings, catalogue=catalogue, environment={})

    def drain(self, now: datetime, run_id: str) -> None:
        catalogue = Catalogue.load(self.home.settings)
        drain_outbox(self.home.warehouse, catalogue, self.home.settings, now=now, run_id=run_id, environment={})

    def shown(self) -> dict[str, pd.DataFrame]:
        """Every table, in an order of its own."""
        warehouse = self.home.warehouse
        with warehouse.reading():
            names = [*(name for name in TABLES if name not in NOT_SEEN), *(["raw.shop"] if warehouse.has_table("raw.shop") else [])]
            return {name: _sorted(warehouse.read(f"SELECT * FROM {name}")) for name in names}


def _sorted(rows: pd.DataFrame) -> pd.DataFrame:
    texts = rows.astype(str)
    return texts.sort_values(list(texts.columns), ignore_index=True)


@dataclass
class Storm:
    """What happens to both homes."""

    sides: tuple[Side, Side]
    kind: str
    chance: random.Random
    now: datetime
    rows: list[tuple[str, str, str]] = field(default_factory=list)  # at, n, shop
    written_to: datetime = START
    yaml: str = ""
    silent_until: datetime = START

    def write_yaml(self, *edits: str) -> None:
        alerts = () if any("alerts" in edit for edit in edits) else ("alerts: {to: [file], max_age: 3650 days}",)
        self.yaml = "\n".join(["name: shop", SETTINGS[self.kind].strip(), *alerts, *edits, ""])
        for side in self.sides:
            side.home.write_source("shop", self.yaml)

    def write(self, name: str, rows: list[tuple[str, str, str]]) -> None:
        text = "at,n,shop\n" + "".join(f"{at},{n},{shop}\n" for at, n, shop in rows)
        for side in self.sides:
            folder = side.home.settings.data / ("inbox/shop" if self.kind == "inbox" else "feed")
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)

    def save(self) -> None:
        half = len(self.rows) // 2 if self.kind == "inbox" else 0
        self.write("a.csv", self.rows[half:])
        if half:
            self.write("b.csv", self.rows[:half])

    def grow(self, until: datetime, factor: float = 1) -> None:
        """Rows each twenty minutes up to a moment, of two shops."""
        while self.written_to < until:
            for shop in "ab":
                level = 100 + 40 * ((self.written_to.hour - 12) / 12) ** 2 + self.chance.gauss(0, 3)
                self.rows.append((f"{self.written_to:%Y-%m-%dT%H:%M:%SZ}", f"{level * factor:.2f}", shop))
            self.written_to += TICK

    def happen(self) -> None:
        """One thing, or nothing."""
        if self.now < self.silent_until:
            self.written_to = self.now
            return
        things: list[tuple[float, Callable[[], None]]] = [
            (8, lambda: None),
            (10, lambda: self.grow(self.now)),
            (2, lambda: self.grow(self.now, self.chance.choice([0, 4, 10]))),
            (1, self.correct),
            (1, self.come_late),
            (1, lambda: self.rows.append((f"{self.now:%Y-%m-%dT%H:%M:%SZ}", self.chance.choice(["much", ""]), "a"))),
            (0.7, lambda: self.rows.append((f"{self.now + self.chance.random() * 3 * HOUR:%Y-%m-%dT%H:%M:%SZ}", "101", "b"))),
            (0.7, lambda: self.write_yaml(self.chance.choice(EDITS))),
            (0.7, self.lose_rows),
            (0.7, self.fall_silent),
            (0.3, self.take_the_feed_away),
            (0.3, self.step_in),
            (0.3, self.label),
        ]
        happening = self.chance.choices([each for _, each in things], [weight for weight, _ in things])[0]
        happening()
        self.save()

    def correct(self) -> None:
        if self.rows:
            place = self.chance.randrange(max(0, len(self.rows) - 200), len(self.rows))
            at, _, shop = self.rows[place]
            self.rows[place] = at, f"{self.chance.choice([90, 400])}", shop

    def come_late(self) -> None:
        at = self.now - self.chance.random() * DAY
        self.rows.append((f"{at:%Y-%m-%dT%H:%M:%SZ}", "120", self.chance.choice("abc")))

    def lose_rows(self) -> None:
        if len(self.rows) > 50:
            del self.rows[-self.chance.randrange(1, 30) - 5 : -5]

    def fall_silent(self) -> None:
        self.silent_until = self.now + self.chance.choice([3 * HOUR, 12 * HOUR, 2 * DAY, 9 * DAY])

    def take_the_feed_away(self) -> None:
        for side in self.sides:
            for path in (side.home.settings.data / "feed").glob("*.csv"):
                path.unlink()
        self.silent_until = self.now + HOUR

    def step_in(self) -> None:
        for side in self.sides:
            if self.chance.random() < 0:
                pass
            request_training("shop", f"asked at {self.now}", warehouse=side.home.warehouse, now=self.now, run_id=f"person-{self.now}")
            drop_held(side.home.warehouse, "shop", None, run_id=f"person-{self.now}")

    def label(self) -> None:
        at = self.now - self.chance.random() * DAY
        for side in self.sides:
            text = f"series,started_at,ended_at\nn,{at:%Y-%m-%dT%H:%M:%SZ},{at + 2 * HOUR:%Y-%m-%dT%H:%M:%SZ}\n"
            (side.home.settings.data / "labels.csv").write_text(text)

    def play(self, ticks: int) -> None:
        self.write_yaml()
        self.label()
        self.grow(self.now)
        self.save()
        for number in range(ticks):
            killed_after = self.chance.choice([1, 2, 5, 8]) if self.chance.random() < 0.05 else None
            every, looking = self.sides
            has_run = looking.tick(self.now, number, killed_after)
            every.tick(self.now, number, killed_after if has_run else None)
            for side in self.sides:
                side.drain(self.now, f"outbox-{number}")
            self.compare(number)
            pause = self.silent_until - self.now if self.chance.random() < 0.05 else timedelta(0)
            self.now += max(TICK, min(pause, DAY))
            self.happen()

    def compare(self, number: int) -> None:
        every, looking = (side.shown() for side in self.sides)
        for name, rows in every.items():
            if not rows.equals(looking[name]):
                both = pd.concat([rows, looking[name]]).drop_duplicates(keep=False)
                reason = self.sides[1].reasons[-3:]
                pytest.fail(
                    f"tick {number} at {self.now}, {self.kind}: {name} differs\n{both.to_string()}\nlast runs because {reason}\n{self.yaml}"
                )


def storm(folder: Path, kind: str, seed: int, *, days: float) -> Storm:
    """Two new homes whose feed has so many days of rows."""
    chance = random.Random(f"{kind}-{seed}")
    sides = Side(Home(folder / "every"), is_looking=False), Side(Home(folder / "looking"), is_looking=True)
    return Storm(sides, kind, chance, START + days * DAY + chance.random() * HOUR)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that were written a moment ago are looked at, and nothing is published."""
    monkeypatch.setattr(file_signature, "JUST_NOW", timedelta(0))
    monkeypatch.setattr(Warehouse, "publish", lambda self, run_id, **more: True)


@pytest.mark.parametrize("kind", KINDS)
def test_whoever_only_looks_misses_nothing(tmp_path: Path, kind: str) -> None:
    played = storm(tmp_path, kind, 1, days=3)
    played.play(16)
    every, looking = played.sides
    assert looking.run_count < every.run_count


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(2, 6))
@pytest.mark.parametrize("kind", KINDS)
def test_whoever_only_looks_for_long_misses_nothing(tmp_path: Path, kind: str, seed: int) -> None:
    storm(tmp_path, kind, seed, days=6.8 if kind == "records" else 4).play(150)
