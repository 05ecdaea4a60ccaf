"""A week in which feeds go wrong in the ways that feeds do, on four sources: what is told of each, what is blocked, what goes on.

Each source has five calm weeks behind it. Every fault begins in a run of its own; the others run on.
"""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from smartflow_assets.defs.execute import execute_many
from smartflow_assets_tests.end_to_end.conftest import opened
from smartflow_assets_tests.homes import Home, write_rows

pytestmark = pytest.mark.soak
BEGIN = datetime(2026, 3, 2, tzinfo=UTC)
SOURCES = ("east", "north", "south", "west")
TEXT = """
name: {name}
read: {{type: csv, path: examples/{name}.csv, time: at, key: [id]}}
metrics: [{{name: amount, aggregate: sum}}]
time_bucket: {{every: 1h, settle: 0s}}
alerts: {{to: [file], max_age: 3650 days}}
freshness: {{warn_after: 12h}}
contract:
  columns:
    amount: {{type: number, not_null: true, min: 0, severity: critical}}
    kind: {{allowed: [card, cash]}}
  row_count: {{min: 200, per: day}}
"""


def orders(begin: datetime, days: float, seed: int) -> pd.DataFrame:
    """A row every four minutes: amounts, kinds, and a weight that goes with the amount."""
    rng, count = np.random.default_rng(seed), int(days * 360)
    amount = rng.gamma(9, 3, count).round(2)
    return pd.DataFrame(
        {
            "id": [f"{seed}-{at}" for at in range(count)],
            "at": pd.date_range(begin, periods=count, freq="4min").strftime("%Y-%m-%dT%H:%M:%SZ"),
            "amount": amount,
            "kind": rng.choice(["card", "cash"], count),
            "weight": (amount + rng.normal(0, 4, count)).round(2),
        }
    )


class Feeds:
    """The four files, a day longer with each run."""

    def __init__(self, home: Home) -> None:
        self.home, self.day = home, 35
        self.frames = {name: orders(BEGIN, 35, seed) for seed, name in enumerate(SOURCES)}
        for name in SOURCES:
            home.write_source(name, TEXT.format(name=name))
        self.write()

    def write(self) -> None:
        for name, frame in self.frames.items():
            write_rows(self.home.settings.data / "examples" / f"{name}.csv", frame)

    def run(self) -> dict[str, bool]:
        """-> whether the run of each source was a success."""
        done = dict[str, bool]()
        as_of = BEGIN + timedelta(days=self.day, hours=1)
        execute_many(
            self.home.instance,
            self.home.settings,
            SOURCES,
            {"as_of": as_of.isoformat()},
            on_end=lambda outcome: done.update({outcome.source: outcome.is_success}),
        )
        return done

    def another_day(self, name: str = "", spoil=lambda day: day) -> dict[str, bool]:
        """A day more of each; that of one source is spoilt."""
        for seed, each in enumerate(SOURCES):
            day = orders(BEGIN + timedelta(days=self.day), 1, 100 * self.day + seed)
            self.frames[each] = pd.concat([self.frames[each], spoil(day) if each == name else day])
        self.day += 1
        self.write()
        return self.run()

    def opened(self, source: str) -> set[str]:
        """Causes of the open incidents that people are told of by themselves."""
        rows = self.home.table("incidents", f"source = '{source}' AND state <> 'resolved' AND group_id IS NULL")
        return set(rows["cause"])


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory):
    with opened(tmp_path_factory.mktemp("week")) as home:
        feeds = Feeds(home)
        assert feeds.run() == dict.fromkeys(SOURCES, True)
        assert feeds.another_day() == dict.fromkeys(SOURCES, True)
        assert home.count("incidents") == 0 and home.count("blocked_loads") == 0
        yield feeds


def test_each_fault_is_told_of_its_source_alone_and_blocks_what_it_should(calm: Feeds):
    def nulls(day: pd.DataFrame) -> pd.DataFrame:
        return day.assign(amount=day["amount"].mask(day.index % 4 == 0))

    everybody = dict.fromkeys(SOURCES, True)
    # an unknown category: a warning, nothing is blocked
    assert calm.another_day("east", lambda day: day.assign(kind="cheque")) == everybody
    assert calm.opened("east") >= {"check:values_are_as_agreed"} and calm.home.count("blocked_loads") == 0
    # a burst of nulls: critical, the day's rows go no further
    assert calm.another_day("north", nulls) == everybody
    assert [cause.partition(":")[0] for cause in calm.opened("north")] == ["load"]
    (blocked,) = calm.home.table("blocked_loads")["source"]
    assert blocked == "north"
    # half the rows
    assert calm.another_day("west", lambda day: day[day.index % 2 == 0]) == everybody
    assert calm.another_day() == everybody
    assert "check:row_counts_are_as_agreed" in set(calm.home.table("incidents", "source = 'west'")["cause"])
    # amounts that are words
    assert calm.another_day("south", lambda day: day.assign(weight="heavy")) == everybody
    assert "check:columns_are_as_agreed" in calm.opened("south")
    for name in ("east", "west"):
        assert "check:columns_are_as_agreed" not in set(calm.home.table("incidents", f"source = '{name}'")["cause"])
    told = calm.home.sent()
    assert told["idempotency_key"].is_unique


def test_a_shift_and_a_broken_correlation_are_drift_of_their_source_alone(calm: Feeds):
    for _ in range(4):
        calm.another_day("west", lambda day: day.assign(weight=np.random.default_rng(1).permutation(day["weight"].to_numpy())))
    found = calm.home.table("marts.drift", "is_drifted")
    assert set(found.loc[found["source"] == "west", "column_name"]) == {"*"}
    assert "north" not in set(found["source"])  # its bad day is blocked, so nobody compared it
    assert calm.opened("west") >= {"check:distributions_are_usual"}
