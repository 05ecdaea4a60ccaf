"""Single rows that a contract diverts: the rest of their load goes on, and each leaves quarantine in one of four ways."""

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pandas as pd
import pytest

from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.stages import diverted_rows, ingestion
from smartflow_assets.stages.diverted_rows import Chosen
from smartflow_assets_tests.homes import Home
from smartflow_assets_tests.stages.test_contracts import BEGIN, SHOP, Feed, rows

DIVERTING = """
on_bad_rows: {fail_above: 50%}
contract:
  on_breach: quarantine
  columns:
    amount: {min: 0, severity: critical}
    kind: {allowed: [a, b]}
"""


class RowFeed(Feed):
    """A feed whose contract diverts single rows."""

    def __init__(self, home: Home, contract: str = DIVERTING) -> None:
        super().__init__(home, contract)

    def decide_rows(self, state: Any, **which: str) -> int:
        source = Catalogue.load(self.home.settings).source("shop")
        now = datetime.now(UTC)
        return diverted_rows.decide(self.home.warehouse, source, state, Chosen(**which), by_whom="ana", now=now, run_id="a person")

    @property
    def entries(self) -> dict[int, str]:
        """Hours after the beginning, with how the row of that time stands; of several the one that is held."""
        found = self.home.table("diverted_rows", "source = 'shop'").sort_values("state", key=lambda states: states == "held")
        return {int((at - BEGIN).total_seconds() // 3600): state for at, state in zip(found["observed_at"], found["state"], strict=True)}

    @property
    def held(self) -> set[int]:
        return {hour for hour, state in self.entries.items() if state == "held"}


@pytest.fixture
def feed(home: Home) -> RowFeed:
    return RowFeed(home)


def test_a_bad_row_is_kept_aside_and_the_rest_of_its_load_goes_on_though_the_promise_is_critical(feed):
    feed.write(rows(0, [5.0] * 10))
    asked = feed.append(rows(10, [-9999.0, *[5.0] * 9]))
    assert (asked.blocked, asked.held) == ([], 1)
    assert [(each.reason, each.rows) for each in asked.held_for] == [("amount is negative", 1)]
    assert feed.buckets == {hour: 5.0 for hour in range(20) if hour != 10}
    failed = asked.standing[~asked.standing["is_passed"].astype(bool)]
    assert failed["severity"].tolist() == ["critical"]  # the check is red all the same
    before = feed.home.count("writes")
    asked = feed.run()
    assert (asked.held, feed.home.count("writes")) == (1, before)  # nothing new: nothing is written


@pytest.mark.soak
def test_what_is_released_goes_through_and_what_is_dropped_stays_out(feed):
    feed.write(rows(0, [5.0] * 20))
    feed.append(rows(20, [-1.0, -2.0, 5.0, 5.0, 5.0, 5.0]))
    (first, _) = feed.home.warehouse.read("SELECT row_hash FROM diverted_rows ORDER BY observed_at")["row_hash"]
    assert feed.decide_rows("released", row_id=f"{int(first):016x}") == 1
    assert feed.decide_rows("dropped", column="AMOUNT") == 1
    assert feed.decide_rows("released") == 0
    assert feed.run().held == 0 and feed.entries == {20: "released", 21: "dropped"}
    assert feed.buckets == {hour: -1.0 if hour == 20 else 5.0 for hour in range(26) if hour != 21}
    feed.append(rows(26, [5.0]))  # the file still has both
    assert feed.entries == {20: "released", 21: "dropped"} and len(feed.buckets) == 26
    assert feed.home.table("diverted_rows")["changed_by"].tolist() == ["ana", "ana"]
    assert feed.decide_rows("dropped", row_id=f"{int(first):016x}") == 1  # the other way round
    assert feed.run().held == 0 and feed.entries == {20: "dropped", 21: "dropped"} and set(feed.buckets) == {*range(27)} - {20, 21}


@pytest.mark.soak
def test_tables_after_a_release_are_those_of_a_contract_without_the_promise(home, tmp_path):
    feed, plain = RowFeed(home), RowFeed(Home(tmp_path / "plain"), "")
    for each in (feed, plain):
        each.write(rows(0, [5.0] * 20))
        each.append(rows(20, [-1.0, 7.0, -2.0, 7.0, 7.0], kinds="abz"))
    assert feed.held == {20, 22}
    feed.decide_rows("released", reason="amount is negative")
    feed.decide_rows("released", load_id="load2")
    for each in (feed, plain):
        each.run()
    columns = ["series", "observed_at", "value", "repair"]
    pd.testing.assert_frame_equal(
        *(each.home.table("clean_series")[columns].sort_values("observed_at", ignore_index=True) for each in (feed, plain))
    )


@pytest.mark.soak
def test_a_corrected_row_takes_the_place_of_the_one_that_was_diverted(feed):
    feed.write(rows(0, [5.0] * 10))
    feed.append(rows(10, [-1.0, *[6.0] * 9]))
    feed.write(rows(0, [*[5.0] * 10, 1.0, *[6.0] * 9]))
    assert feed.entries == {10: "mended"} and feed.buckets[10] == 1.0


@pytest.mark.soak
def test_so_it_does_at_the_end_of_a_file(feed):
    feed.write(rows(0, [5.0] * 19 + [-1.0]))
    assert feed.held == {19}
    feed.write(rows(0, [5.0] * 19 + [1.0]))
    assert feed.entries == {19: "mended"} and feed.buckets[19] == 1.0


@pytest.mark.parametrize(
    "milder",
    [
        "",
        DIVERTING.replace("min: 0", "min: -10"),
        DIVERTING.replace("on_breach: quarantine", "on_breach: keep").replace("critical", "warning"),
    ],
)
@pytest.mark.soak
def test_a_contract_that_no_longer_minds_lets_them_through(feed, milder):
    feed.write(rows(0, [5.0] * 10))
    feed.append(rows(10, [-1.0, *[6.0] * 9]))
    feed.promise(milder)
    assert feed.run().held == 0 and feed.entries == {10: "mended"} and feed.buckets[10] == -1.0


@pytest.mark.soak
def test_a_contract_that_is_taken_away_and_put_back_finds_what_it_had_found(feed):
    feed.write(rows(0, [5.0] * 10))
    feed.append(rows(10, [-1.0, *[6.0] * 9]))
    for promise, held in (("", set()), (DIVERTING, {10}), (DIVERTING.replace("min: 0", "min: -10"), set()), (DIVERTING, {10})):
        feed.promise(promise)
        feed.run()
        assert feed.held == held and (10 in feed.buckets) != bool(held)


@pytest.mark.soak
def test_a_run_that_dies_before_it_asks_the_contract_leaves_its_first_load_to_the_next(feed):
    frame = rows(0, [5.0, -1.0, *[5.0] * 8])
    frame.to_csv(feed.home.settings.data / "examples/shop.csv", index=False)
    feed.home.run_stages("shop", BEGIN + timedelta(days=30), [ingestion.raw_records], run_id="killed")
    asked = feed.write(frame)
    assert asked.held == 1 and feed.held == {1} and set(feed.buckets) == {*range(10)} - {1}
    assert set(asked.standing["load_id"]) == {"killed"}


def test_too_many_bad_rows_block_the_load_as_a_whole(feed):
    feed.promise(DIVERTING.replace("50%", "20%"))
    feed.write(rows(0, [5.0] * 10))
    asked = feed.append(rows(10, [-1.0, -2.0, -3.0, *[6.0] * 7]))
    (blocked,) = asked.blocked
    assert blocked.reason == (
        "30 % of its rows break the contract, 3 of 10, more than on_bad_rows.fail_above lets be diverted (20%): amount is negative"
    )
    assert (asked.held, set(feed.buckets)) == (0, set(range(10)))
    asked = feed.write(rows(0, [*[5.0] * 10, -1.0, 2.0, 3.0, *[6.0] * 7]))  # fewer: the load goes on without the one
    assert (asked.blocked, feed.held) == ([], {10}) and set(feed.buckets) == {*range(20)} - {10}


@pytest.mark.soak
def test_of_rows_that_are_not_unique_all_are_kept_aside_the_first_among_them(home):
    feed = RowFeed(home, "on_bad_rows: {fail_above: 100%}\ncontract: {columns: {id: {unique: true, on_breach: quarantine}}}")
    feed.write(rows(0, [5.0] * 12).assign(id=range(12)))
    feed.append(rows(12, [5.0]).assign(id=3))
    assert feed.held == {3, 12}
    feed.append(rows(13, [5.0]).assign(id=3))  # a third, beside two that are held
    assert feed.held == {3, 12, 13}
    for row in feed.home.table("diverted_rows", f"observed_at >= TIMESTAMPTZ '{BEGIN}' + INTERVAL 12 HOUR")["row_hash"].tolist():
        feed.decide_rows("dropped", row_id=f"{row:016x}")
    feed.run()
    assert feed.entries == {3: "mended", 12: "dropped", 13: "dropped"} and set(feed.buckets) == set(range(12))


@pytest.mark.soak
def test_a_row_waits_for_what_it_refers_to_in_another_source(home):
    other = SHOP.replace("shop", "kinds")
    feed = RowFeed(home, "on_bad_rows: {fail_above: 100%}\ncontract: {references: [{column: kind, source: kinds, on_breach: quarantine}]}")
    home.write_source("kinds", other)

    def kinds(text: str) -> None:
        rows(0, [1.0] * len(text), text).to_csv(home.settings.data / "examples/kinds.csv", index=False)
        home.run_stages("kinds", BEGIN + pd.Timedelta(days=30).to_pytimedelta(), run_id=f"kinds {text}")

    kinds("a")
    feed.write(rows(0, [5.0] * 12, kinds="aaab"))
    assert feed.held == {3, 7, 11}
    kinds("ab")
    assert feed.run().held == 0 and len(feed.buckets) == 12


@pytest.mark.soak
def test_a_text_among_numbers_is_within_no_limits_and_a_column_that_is_not_there_is_not_missing(home):
    feed = RowFeed(home, "contract: {on_breach: quarantine, columns: {size: {not_null: true, min: 0}}}")
    feed.write(rows(0, [5.0] * 12).assign(size=range(12)))
    feed.append(rows(12, [5.0] * 12).assign(size=[*range(10), "large", None]))
    assert feed.held == {22, 23}
    reasons = feed.home.table("diverted_rows").sort_values("observed_at")["reasons"].tolist()
    assert [list(each) for each in reasons] == [["size is no number"], ["size is missing"]]
    feed.write(rows(24, [5.0] * 12))  # without the column
    assert feed.held == {22, 23}


@pytest.mark.soak
def test_a_pattern_that_the_database_cannot_read_names_its_rows_too(home):
    kind, mark = "kind: {pattern: '^(?!z)'}", r"mark: {pattern: '^\d$'}"
    feed = RowFeed(home, f"on_bad_rows: {{fail_above: 100%}}\ncontract: {{on_breach: quarantine, columns: {{{kind}, {mark}}}}}")
    feed.write(rows(0, [5.0] * 20, kinds="aaaaz").assign(mark=["٣", "é", "x", *"5" * 17]))
    assert feed.held == {4, 9, 14, 19, 1, 2}


@pytest.mark.soak
def test_whatever_comes_and_whoever_decides_buckets_are_made_of_the_rows_that_are_let_through(feed):
    """Against a model of a few lines: a row is out from when it came with a negative amount until its origin has another, or somebody
    released it. Another amount of the same time is another row."""
    feed.promise(DIVERTING.replace("50%", "100%"))
    random, amounts, decided = Random(5), dict[int, float](), dict[tuple[int, float], str]()
    for step in range(25):
        out = [(hour, amount) for hour, amount in amounts.items() if amount < 0 and (hour, amount) not in decided]
        what = random.random()
        if what < 0.25 and out:
            hour, amount = random.choice(out)
            decided[hour, amount] = state = random.choice(["released", "dropped"])
            at = (BEGIN + pd.Timedelta(hours=hour)).isoformat()
            (row,) = feed.home.table("diverted_rows", f"state = 'held' AND observed_at = TIMESTAMPTZ '{at}'")["row_hash"]
            assert feed.decide_rows(state, row_id=f"{int(row):016x}") == 1
            if random.random() < 0.5:
                feed.run()
                continue
        if what < 0.5 and amounts:
            amounts[random.choice(list(amounts))] = random.choice([3.0, -3.0, -4.0])
        else:
            amounts |= {len(amounts) + k: random.choice([5.0, 6.0, 7.0, -1.0, -2.0]) for k in range(random.randint(1, 3))}
        feed.write(rows(0, [amounts[hour] for hour in range(len(amounts))]))
        held = {hour for hour, amount in amounts.items() if amount < 0 and (hour, amount) not in decided}
        assert feed.held == held, step
        away = held | {hour for hour, amount in amounts.items() if decided.get((hour, amount)) == "dropped"}
        assert feed.buckets == {hour: amount for hour, amount in amounts.items() if hour not in away}, step


@pytest.mark.soak
def test_tables_are_equal_however_runs_cut_the_rows(home, tmp_path):
    contract = "on_bad_rows: {fail_above: 100%}\ncontract: {on_breach: quarantine, columns: {amount: {min: 0}, id: {unique: true}}}"
    random = Random(7)
    frame = rows(0, [random.choice([5.0, 6.0, -1.0]) for _ in range(80)]).assign(id=[random.randrange(60) for _ in range(80)])
    once, often = RowFeed(home, contract), RowFeed(Home(tmp_path / "often"), contract)
    once.write(frame)
    for end in (7, 8, 30, 31, 64, 80):
        often.write(frame.iloc[:end])
    made = [each.home.table("clean_series")[["observed_at", "value", "repair"]] for each in (once, often)]
    pd.testing.assert_frame_equal(*(each.sort_values("observed_at", ignore_index=True) for each in made))
    assert once.held == often.held and once.held
