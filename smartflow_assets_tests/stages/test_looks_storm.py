"""Whoever runs only when a look says so has the tables of one who runs at every tick: where the look finds nothing to do, the run is
made all the same, and must write nothing. A run that writes nothing leaves the home as it is, so the two can never part.

Feeds grow, are corrected, come late, fall silent, hold bad rows and rows of the future, go and come back; settings change, runs are killed,
people step in. What the clock decides alone (buckets that close, silences, categories that are learnt) has no other test as strict.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from smartflow_assets.adapters.readers import file_signature
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.core.errors import SmartflowError
from smartflow_assets.core.incidents.run_failures import Failure
from smartflow_assets.stages import alerting
from smartflow_assets.stages.alerting import drain_outbox
from smartflow_assets.stages.bucket_resolution import with_bucket
from smartflow_assets.stages.readability import drop_held
from smartflow_assets.stages.run_closing import RunRecord, close
from smartflow_assets.stages.scheduling.appearance import appearance
from smartflow_assets.stages.scheduling.looks import look, note_nothing_new
from smartflow_assets.stages.scheduling.training_requests import request_training
from smartflow_assets_tests.homes import STAGES, START, Home

TICK, HOUR, DAY = timedelta(minutes=20), timedelta(hours=1), timedelta(days=1)
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
class Storm:
    """One home and what happens to it."""

    home: Home
    kind: str
    chance: random.Random
    now: datetime
    rows: list[tuple[str, str, str]] = field(default_factory=list)  # at, n, shop
    written_to: datetime = START
    silent_until: datetime = START
    yaml: str = ""
    ticks: int = 0
    run_count: int = 0
    calm: float = 20  # how often nothing happens, beside what does

    def tick(self) -> None:
        """Look, and run if there is something to do; if there is not, see that a run would do nothing."""
        self.ticks += 1
        catalogue, run_id = Catalogue.load(self.home.settings), f"tick-{self.ticks}"
        looked = look(catalogue, ["shop"], self.home.warehouse, self.now)
        with self.home.warehouse.reading():
            if looked.worth:
                self.run_count += 1
                self.run(catalogue, run_id, self.chance.choice([1, 2, 5, 8]) if self.chance.random() < 0.05 else None)
            else:
                self.run_in_vain(run_id)
        drain_outbox(self.home.warehouse, catalogue, self.home.settings, now=self.now, run_id="outbox", environment={})

    def run(self, catalogue: Catalogue, run_id: str, killed_after: int | None) -> None:
        """What Dagster does; a run that is killed stops after so many stages."""
        warehouse = self.home.warehouse
        seen = appearance(catalogue.source("shop"), self.home.settings, warehouse, self.now)
        run, failures = self.home.source_run("shop", self.now, run_id, appearance=seen), list[Failure]()
        for stage in STAGES[:killed_after]:
            try:
                stage(run)
            except SmartflowError as error:
                failures.append(Failure(stage.__name__, str(error)))
                break
            run = with_bucket(run)
        status = "failed" if failures else "success" if killed_after is None else "killed"
        if status == "success":
            alerting.alert_sends(run, environment={})
            note_nothing_new(run)
        succeeded = frozenset(stage.__name__ for stage in STAGES) if status == "success" else frozenset[str]()
        record = RunRecord(run_id, "monitor_source", "shop", status, self.now, self.now, self.now, "schedule", tuple(failures), succeeded)
        close(record, warehouse=warehouse, settings=self.home.settings, catalogue=catalogue)

    def run_in_vain(self, run_id: str) -> None:
        self.home.run_stages("shop", self.now, run_id=run_id)
        written = self.home.warehouse.read("SELECT table_name, operation, from_at, to_at, row_count FROM writes WHERE run_id = ?", [run_id])
        basis = self.home.table("source_looks").tail(1).T.to_string(header=False)
        assert written.empty, f"{self.kind}, tick {self.ticks} at {self.now}:\n{written}\n\n{basis}\n{self.yaml}"

    def write_yaml(self, *edits: str) -> None:
        alerts = () if any("alerts" in edit for edit in edits) else ("alerts: {to: [file], max_age: 3650 days}",)
        self.yaml = "\n".join(["name: shop", SETTINGS[self.kind].strip(), *alerts, *edits, ""])
        self.home.write_source("shop", self.yaml)

    def write(self, name: str, rows: list[tuple[str, str, str]]) -> None:
        text = "at,n,shop\n" + "".join(f"{at},{n},{shop}\n" for at, n, shop in rows)
        folder = self.home.settings.data / ("inbox/shop" if self.kind == "inbox" else "feed")
        folder.mkdir(parents=True, exist_ok=True)
        if not (file := folder / name).exists() or file.read_text() != text:
            file.write_text(text)

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
            (self.calm, lambda: None),
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
        for path in (self.home.settings.data / "feed").glob("*.csv"):
            path.unlink()
        self.silent_until = self.now + HOUR

    def step_in(self) -> None:
        request_training("shop", f"asked at {self.now}", warehouse=self.home.warehouse, now=self.now)
        drop_held(self.home.warehouse, "shop", None, run_id="person")

    def label(self) -> None:
        at = self.now - self.chance.random() * DAY
        text = f"series,started_at,ended_at\nn,{at:%Y-%m-%dT%H:%M:%SZ},{at + 2 * HOUR:%Y-%m-%dT%H:%M:%SZ}\n"
        (self.home.settings.data / "labels.csv").write_text(text)

    def begin(self) -> None:
        self.write_yaml()
        self.label()
        self.grow(self.now)
        self.save()

    def play(self, ticks: int) -> None:
        for _ in range(ticks):
            self.tick()
            is_skipping = self.chance.random() < 0.05  # ticks that nobody made: the machine slept
            self.now += max(TICK, min(self.silent_until - self.now, DAY)) if is_skipping else TICK
            self.happen()


def storm(folder: Path, kind: str, seed: int, *, days: float) -> Storm:
    """A new home whose feed has so many days of rows."""
    chance = random.Random(f"{kind}-{seed}")
    begun = Storm(Home(folder), kind, chance, START + days * DAY + chance.random() * HOUR)
    begun.begin()
    return begun


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that were written a moment ago are looked at, and nothing is published."""
    monkeypatch.setattr(file_signature, "JUST_NOW", timedelta(0))
    monkeypatch.setattr(Warehouse, "publish", lambda self, run_id, **more: True)


@pytest.mark.soak
def test_where_a_look_finds_nothing_to_do_a_run_does_nothing(tmp_path: Path) -> None:
    played = storm(tmp_path, "inbox", 1, days=2)
    played.calm = 80
    played.play(14)
    assert played.run_count < played.ticks - 3


@pytest.mark.soak
@pytest.mark.parametrize("kind", SETTINGS)
def test_where_a_look_finds_nothing_to_do_a_run_does_nothing_for_long(tmp_path: Path, kind: str) -> None:
    played = storm(tmp_path, kind, 2, days=6.8 if kind == "records" else 4)
    played.play(80)
    assert played.run_count < played.ticks
