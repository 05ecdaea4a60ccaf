"""What a contract says of loads as they come: what is blocked, until when, and that nothing else is."""

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pandas as pd
import pytest

from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.stages import contracts, ingestion, preparation, schema_changes
from smartflow_assets.stages.contracts import Asked
from smartflow_assets.stages.schema_changes import column_history
from smartflow_assets_tests.homes import Home, write_rows

BEGIN = datetime(2026, 3, 2, tzinfo=UTC)
STAGES = (ingestion.raw_records, contracts.schema_checks, preparation.clean_series)
SHOP = """
name: shop
read: {type: csv, path: examples/shop.csv, time: at}
metrics: [{name: amount, column: amount, aggregate: sum}]
time_bucket: {every: 1h, settle: 0s, fill: none}
"""
STRICT = """
contract:
  columns:
    amount: {min: 0, severity: critical}
    kind: {allowed: [a, b]}
"""


def rows(first: int, amounts: list[float], kinds: str = "ab") -> pd.DataFrame:
    """An amount an hour, from so many hours after the beginning on."""
    times = pd.date_range(BEGIN + timedelta(hours=first), periods=len(amounts), freq="1h")
    kind = [kinds[at % len(kinds)] for at in range(len(amounts))]
    return pd.DataFrame({"at": times.strftime("%Y-%m-%dT%H:%M:%SZ"), "amount": amounts, "kind": kind})


class Feed:
    """A file that is written and read again."""

    def __init__(self, home: Home, contract: str = STRICT) -> None:
        self.home, self.frame, self.number = home, rows(0, []), 0
        self.promise(contract)

    def promise(self, contract: str) -> None:
        self.home.write_source("shop", SHOP + contract)

    def write(self, frame: pd.DataFrame) -> Asked:
        self.frame = frame
        frame.to_csv(self.home.settings.data / "examples/shop.csv", index=False)
        return self.run()

    def append(self, frame: pd.DataFrame) -> Asked:
        return self.write(pd.concat([self.frame, frame]))

    def run(self) -> Asked:
        self.number += 1
        now = BEGIN + timedelta(days=30, minutes=self.number)
        return self.home.run_stages("shop", now, STAGES, run_id=f"load{self.number}")["schema_checks"]

    def decide(self, load_id: str, state: Any) -> None:
        (load,) = (each for each in contracts.loads_now(self.home.warehouse, "shop") if each.load_id == load_id)
        source = Catalogue.load(self.home.settings).source("shop")
        contracts.decide(self.home.warehouse, source, load, state, by_whom="ana", now=datetime.now(UTC), run_id="a person")

    @property
    def buckets(self) -> dict[int, float]:
        """Hours after the beginning, with what was cleaned."""
        found = self.home.table("clean_series", "source = 'shop' AND value IS NOT NULL")
        return {int((at - BEGIN) / timedelta(hours=1)): value for at, value in zip(found["observed_at"], found["value"], strict=True)}

    @property
    def states(self) -> dict[str, str]:
        return {load.load_id: load.state for load in contracts.loads_now(self.home.warehouse, "shop")}


@pytest.fixture
def feed(home: Home) -> Feed:
    return Feed(home)


@pytest.mark.soak
def test_good_loads_go_through_and_a_bad_one_between_them_is_in_no_bucket_until_it_is_released(feed):
    feed.write(rows(0, [5.0] * 10))
    asked = feed.append(rows(10, [-9999.0, 5.0]))
    (blocked,) = asked.blocked
    assert (blocked.load_id, blocked.rows) == ("load2", 2)
    assert blocked.reason == "1 of 2 values of amount is negative, first at 2026-03-02 10:00 UTC; for example -9999"
    for first in (12, 14):
        asked = feed.append(rows(first, [5.0, 5.0]))
        assert [load.load_id for load in asked.blocked] == ["load2"]
        failed = asked.standing[~asked.standing["is_passed"].astype(bool)]
        assert failed["load_id"].tolist() == ["load2"]  # the check stays red, and names the load
    assert feed.buckets == {**dict.fromkeys(range(10), 5.0), **dict.fromkeys(range(12, 16), 5.0)}
    feed.decide("load2", "released")
    asked = feed.run()
    assert asked.blocked == [] and asked.standing["is_passed"].all() and feed.states == {"load2": "released"}
    assert feed.buckets == dict.fromkeys(range(16), 5.0) | {10: -9999.0}  # as without a contract


@pytest.mark.soak
def test_what_the_origin_sends_in_the_place_of_the_wrong_rows_lets_the_load_through(feed):
    feed.write(rows(0, [5.0] * 10))
    feed.append(rows(10, [-1.0, 6.0]))
    assert feed.states == {"load2": "blocked"} and 11 not in feed.buckets
    asked = feed.write(rows(0, [5.0] * 10 + [1.0, 6.0]))
    assert feed.states == {"load2": "mended"} and asked.blocked == []
    assert feed.buckets == dict.fromkeys(range(10), 5.0) | {10: 1.0, 11: 6.0}


@pytest.mark.soak
def test_a_load_all_of_whose_rows_are_gone_is_mended(feed):
    feed.write(rows(0, [5.0] * 10))
    feed.append(rows(10, [-1.0]))
    feed.write(rows(0, [5.0] * 10 + [1.0, 5.0]))
    assert feed.states == {"load2": "mended"} and feed.buckets[10] == 1.0


@pytest.mark.soak
@pytest.mark.parametrize("wrong", [{17, 18, 19}, {0, 19}, {0}])
def test_wrong_rows_at_the_ends_of_a_file_that_are_corrected_in_place_let_the_load_through(feed, wrong):
    feed.write(rows(0, [-5.0 if hour in wrong else 5.0 for hour in range(20)]))
    assert feed.states == {"load1": "blocked"} and feed.buckets == {}
    feed.write(rows(0, [5.0] * 20))
    assert feed.states == {"load1": "mended"} and feed.buckets == dict.fromkeys(range(20), 5.0)


@pytest.mark.soak
def test_rows_that_were_let_in_stay_at_the_ends_of_a_file_that_is_corrected(feed):
    feed.write(rows(0, [5.0] * 10))
    feed.append(rows(10, [-1.0]))
    feed.write(rows(0, [4.0, *[5.0] * 9, 6.0]))
    assert feed.states == {"load2": "mended"} and (feed.buckets[0], feed.buckets[10]) == (9.0, 6.0)


@pytest.mark.soak
def test_a_blocked_row_stays_where_a_log_is_begun_anew_at_its_time(feed):
    feed.write(rows(0, [5.0] * 10))
    feed.append(rows(10, [-1.0]))
    feed.write(rows(10, [6.0] * 5))
    assert feed.states == {"load2": "blocked"} and 10 not in feed.buckets and feed.buckets[11] == 6.0


@pytest.mark.soak
def test_what_was_dropped_stays_out_for_good(feed):
    feed.write(rows(0, [5.0] * 10))
    feed.append(rows(10, [-1.0, 6.0]))
    feed.decide("load2", "dropped")
    feed.append(rows(12, [7.0]))
    assert feed.states == {"load2": "dropped"}
    assert feed.buckets == dict.fromkeys(range(10), 5.0) | {12: 7.0}


def test_a_warning_is_told_and_blocks_nothing(feed):
    asked = feed.write(rows(0, [5.0] * 10, kinds="abz"))
    failed = asked.standing[~asked.standing["is_passed"].astype(bool)]
    assert failed[["column_name", "unexpected_count", "severity"]].to_numpy().tolist() == [["kind", 3, "warning"]]
    assert asked.blocked == [] and len(feed.buckets) == 10


def test_a_run_with_nothing_new_asks_nothing_and_the_answers_stand(feed):
    feed.write(rows(0, [5.0] * 10, kinds="abz"))
    before = feed.home.count("schema_checks"), feed.home.count("writes")
    asked = feed.run()
    assert (asked.verdicts, asked.loads) == ([], 0) and not asked.standing["is_passed"].all()
    assert (feed.home.count("schema_checks"), feed.home.count("writes")) == before


@pytest.mark.soak
def test_rows_from_before_the_contract_are_asked_and_block_nothing(home):
    feed = Feed(home, contract="")
    feed.write(rows(0, [-5.0] * 10))
    feed.promise(STRICT)
    asked = feed.run()
    assert set(asked.standing["load_id"]) == {"load1"} and not asked.standing["is_passed"].all()
    assert asked.blocked == [] and len(feed.buckets) == 10
    assert [load.load_id for load in feed.append(rows(10, [-1.0])).blocked] == ["load3"]


@pytest.mark.parametrize("milder", ["", STRICT.replace("critical", "warning"), STRICT.replace("min: 0", "min: -10")])
@pytest.mark.soak
def test_a_contract_that_no_longer_minds_lets_blocked_rows_through(feed, milder):
    feed.write(rows(0, [5.0] * 10))
    feed.append(rows(10, [-1.0]))
    feed.promise(milder)
    asked = feed.run()
    assert feed.states == {"load2": "mended"} and asked.blocked == []
    assert feed.run().blocked == [] and feed.buckets[10] == -1.0


@pytest.mark.soak
def test_values_that_no_other_row_may_have_are_looked_for_in_all_stored_rows(home):
    feed = Feed(home, "contract: {columns: {kind: {unique: true, severity: critical}}}")
    feed.write(rows(0, [5.0, 5.0], kinds="ab"))
    assert feed.append(rows(2, [5.0], kinds="c")).blocked == []
    (blocked,) = feed.append(rows(3, [5.0], kinds="a")).blocked
    assert blocked.load_id == "load3" and set(feed.buckets) == {0, 1, 2}
    assert feed.append(rows(4, [5.0], kinds="d")).blocked != [] and set(feed.buckets) == {0, 1, 2, 4}


@pytest.mark.soak
def test_whatever_comes_and_whoever_decides_buckets_are_made_of_the_rows_that_are_let_through(feed):
    """Against a model of a few lines: a row counts unless its load is out. A load is out from when a negative amount came with it until it
    has none left, or somebody released it."""
    random, loads, out = Random(3), dict[str, dict[int, float]](), dict[str, str]()
    for step in range(40):
        what, blocked = random.random(), [load_id for load_id, state in out.items() if state == "blocked"]
        if what < 0.2 and blocked:
            out[load_id := random.choice(blocked)] = state = random.choice(["released", "dropped"])
            feed.decide(load_id, state)
            feed.run()
            continue
        amounts = {hour: amount for load in loads.values() for hour, amount in load.items()}
        if what < 0.5 and any(amount < 0 for amount in amounts.values()):
            hour = random.choice([hour for hour, amount in amounts.items() if amount < 0])
            changed = {hour: 3.0}
        else:
            changed = {len(amounts) + k: random.choice([5.0, 6.0, 7.0, -1.0 - step]) for k in range(random.randint(1, 3))}
        for load in loads.values():
            for hour in changed:
                load.pop(hour, None)
        amounts |= changed
        asked = feed.write(rows(0, [amounts[hour] for hour in range(len(amounts))]))
        loads[f"load{feed.number}"] = dict(changed)
        if any(amount < 0 for amount in changed.values()):
            out[f"load{feed.number}"] = "blocked"
        for load_id, state in out.items():
            if state == "blocked" and all(amount >= 0 for amount in loads[load_id].values()):
                out[load_id] = "mended"
        assert feed.states == out
        assert {load.load_id for load in asked.blocked} == {load_id for load_id, state in out.items() if state == "blocked"}
        let_through = [load for load_id, load in loads.items() if out.get(load_id) not in ("blocked", "dropped")]
        assert feed.buckets == {hour: amount for load in let_through for hour, amount in load.items()}


def kinds_of(asked: Asked) -> list[tuple[str, str]]:
    return [(each.change.kind, each.change.column) for each in asked.changes]


def test_a_new_column_is_accepted_and_said(home):
    feed = Feed(home, "")
    feed.write(rows(0, [5.0] * 10))
    assert column_history(home.warehouse, "shop").accepted == {"at": "time", "amount": "number", "kind": "text"}
    asked = feed.write(rows(0, [5.0] * 12).assign(region="eu"))
    assert (asked.changes, asked.accepted) == ([], ["column region (text) is new; from now on it is one of the columns of the source"])
    assert column_history(home.warehouse, "shop").accepted["region"] == "text"


@pytest.mark.soak
def test_a_column_by_another_name_is_told_until_it_is_back(home):
    feed = Feed(home, "")
    feed.write(rows(0, [5.0] * 40))
    asked = feed.write(rows(0, [5.0] * 44).rename(columns={"kind": "sort"}))
    (change,) = asked.changes
    assert str(change.change) == "column kind is gone, and sort is new and holds the same"
    assert kinds_of(feed.run()) == [("renamed", "sort")]  # a run with nothing new leaves it standing
    assert feed.write(rows(0, [5.0] * 46)).changes == []
    assert column_history(home.warehouse, "shop").accepted.keys() == {"at", "amount", "kind"}


def test_a_column_that_is_gone_and_another_that_is_new_are_two_matters_where_they_hold_other_things(home):
    feed = Feed(home, "")
    feed.write(rows(0, [5.0] * 40).assign(size=range(40)))
    asked = feed.write(rows(0, [5.0] * 44).assign(price=[1000 + at for at in range(44)]))
    assert kinds_of(asked) == [("removed", "size")]
    assert "price" in column_history(home.warehouse, "shop").accepted


@pytest.mark.soak
def test_numbers_that_become_words_are_a_change_of_type(home):
    feed = Feed(home, "")
    feed.write(rows(0, [5.0] * 40).assign(size=range(40)))
    asked = feed.append(rows(40, [5.0] * 20).assign(size=["large"] * 5 + [1] * 15))
    assert asked.changes == []  # a few words among numbers
    asked = feed.append(rows(60, [5.0] * 20).assign(size="large"))
    assert [str(each.change) for each in asked.changes] == ["column size holds texts where it held numbers"]


@pytest.mark.soak
def test_a_change_of_columns_blocks_where_the_contract_says_fail_and_is_taken_where_it_says_ignore(home):
    feed = Feed(home, "contract: {on_schema_change: fail}")
    feed.write(rows(0, [5.0] * 10))
    assert [load.reason for load in feed.write(rows(0, [5.0] * 12).drop(columns="kind")).blocked] == [
        "column kind (text) is gone, or has no value any more"
    ]
    assert [load.load_id for load in feed.write(rows(0, [5.0] * 13).drop(columns="kind")).blocked] == ["load3", "load2"]
    feed.promise("contract: {on_schema_change: ignore}")
    assert feed.write(rows(0, [5.0] * 14).drop(columns="kind")).changes == []
    assert column_history(home.warehouse, "shop").accepted.keys() == {"at", "amount"}


@pytest.mark.soak
def test_a_person_accepts_a_change_and_the_load_that_it_blocked_goes_through(home):
    feed = Feed(home, "contract: {on_schema_change: fail}")
    feed.write(rows(0, [5.0] * 10))
    asked = feed.write(rows(10, [6.0] * 10).rename(columns={"kind": "sort"}))
    assert feed.states == {"load2": "blocked"} and len(feed.buckets) == 10
    schema_changes.accept(home.warehouse, "shop", asked.changes, by_whom="ana", now=datetime.now(UTC), run_id="a person")
    asked = feed.run()
    assert (asked.changes, feed.states) == ([], {"load2": "mended"}) and len(feed.buckets) == 20
    assert column_history(home.warehouse, "shop").accepted.keys() == {"at", "amount", "sort"}
    feed.promise("contract: {on_schema_change: fail, columns: {sort: {allowed: [a, b]}}}")
    assert feed.run().standing["load_id"].unique().tolist() == ["load2"]  # the newest, and no older rows, which had the old name
    asked = feed.append(rows(20, [7.0] * 5).rename(columns={"kind": "sort"}))
    assert (asked.changes, asked.blocked) == ([], []) and asked.standing["is_passed"].all()
    decided = home.table("schema_changes", "changed_by = 'ana'")
    assert decided[["column_name", "name_before", "state"]].to_numpy().tolist() == [["sort", "kind", "accepted"]]


ZERO = SHOP.replace("aggregate: sum}", "aggregate: sum, without_rows: zero}")


def test_a_bucket_whose_rows_are_held_back_is_neither_zero_nor_missing_nor_strange(home):
    """Nobody knows what it measures, so it is no anomaly, and a rule that waits for rows does not wait for these."""
    now, amounts = BEGIN + timedelta(days=30), [5.0 + at % 3 for at in range(24 * 20)]
    home.write_source("shop", ZERO + "rules: [{type: missing, metric: amount, for: 3h}]\n" + STRICT)
    write_rows(home.settings.data / "examples/shop.csv", rows(0, amounts))
    home.run_stages("shop", now, run_id="first")
    bad = [-1.0] * 24
    write_rows(home.settings.data / "examples/shop.csv", pd.concat([rows(0, amounts), rows(480, bad), rows(504, amounts[:48])]).iloc[:-48])
    home.run_stages("shop", now, run_id="second")
    write_rows(home.settings.data / "examples/shop.csv", pd.concat([rows(0, amounts), rows(480, bad), rows(504, amounts[:48])]))
    home.run_stages("shop", now, run_id="third")
    held = home.table("clean_series", "repair = 'held'")
    assert len(held) == 24 and held["value"].isna().all()
    assert home.count("anomalies", "started_at >= TIMESTAMPTZ '2026-03-21'") == 0
    (incident,) = home.table("incidents", "state <> 'resolved'").to_dict("records")
    assert incident["cause"] == "load:second" and incident["severity"] == "critical"
    assert incident["title"].startswith("24 rows are blocked: 24 of 24 values of amount are negative")
    source = Catalogue.load(home.settings).source("shop")
    (load,) = contracts.loads_now(home.warehouse, "shop")
    contracts.decide(home.warehouse, source, load, "dropped", by_whom="ana", now=datetime.now(UTC), run_id="a person")
    home.run_stages("shop", now, run_id="fourth")
    assert home.table("incidents", "cause = 'load:second'")["resolved_reason"].tolist() == ["kept out for good by ana"]
    assert home.count("clean_series", "repair = 'held'") == 0  # somebody has decided that these hours had no rows


def test_a_load_is_let_through_when_the_source_that_it_refers_to_has_what_was_missing(home):
    home.write_source("kinds", "name: kinds\nread: {type: csv, path: examples/kinds.csv, time: at}\n")
    write_rows(home.settings.data / "examples/kinds.csv", rows(0, [1.0]).assign(kind="a"))
    home.run_stages("kinds", BEGIN + timedelta(days=30), STAGES[:1], run_id="kinds 1")
    feed = Feed(home, "contract: {references: [{column: kind, source: kinds, severity: critical}]}")
    feed.write(rows(0, [5.0] * 4, kinds="a"))
    assert [load.load_id for load in feed.append(rows(4, [5.0] * 2, kinds="b")).blocked] == ["load2"]
    write_rows(home.settings.data / "examples/kinds.csv", rows(0, [1.0, 1.0]))
    home.run_stages("kinds", BEGIN + timedelta(days=30), STAGES[:1], run_id="kinds 2")
    assert feed.run().blocked == [] and feed.states == {"load2": "mended"}


def test_a_load_that_is_let_through_again_counts_in_the_same_run(home):
    feed = Feed(home, STRICT + "  row_count: {min: 24, per: day}\n")
    feed.write(rows(0, [5.0] * 24))
    feed.append(rows(24, [5.0] * 23 + [-1.0]))
    asked = feed.write(rows(0, [5.0] * 24 + [5.0] * 24 + [6.0]))
    assert feed.states == {"load2": "mended"} and asked.standing["is_passed"].all()


def test_a_row_that_cannot_be_read_is_kept_without_its_sensitive_values(home):
    feed = Feed(home, "contract: {columns: {kind: {sensitive: true}}}")
    feed.write(rows(0, [5.0] * 3).assign(amount=["5", "oops", "6"]))
    (record,) = home.table("quarantined_records")["record"]
    assert '"amount":"oops"' in record and '"kind":"***"' in record


@pytest.mark.parametrize("query", ["SELECT * FROM {batch} WHERE nosuch > 1", "SELECT * FROM {batch} WHERE CAST(kind AS INT) > 1", "SELECT"])
def test_a_query_that_cannot_be_asked_is_a_broken_check_and_stops_nothing(home, query):
    """Nor does its error show a value of a column that is sensitive."""
    asking = f"    - {{type: unexpected_rows_expectation, unexpected_rows_query: '{query}', severity: critical}}"
    contract = "contract:\n  columns: {kind: {sensitive: true}, amount: {min: 9}}\n  expectations:\n" + asking
    asked = Feed(home, contract).write(rows(0, [5.0] * 3, kinds=["PLANTED"]))
    rows_now = asked.standing.set_index("check_name")
    assert rows_now.loc["unexpected_rows_expectation", "error"] and asked.blocked == []
    assert rows_now.loc["expect_column_values_to_be_between", "unexpected_count"] == 3
    assert "PLANTED" not in asked.standing.to_string()


def test_a_day_is_compared_with_a_time(home):
    feed = Feed(home, contract="contract: {conditions: [arrival >= at]}")
    asked = feed.write(rows(0, [5.0] * 3).assign(arrival=["2026-03-03", "2026-03-01", "2026-03-05"]))
    assert dict(home.warehouse.read("DESCRIBE raw.shop")[["column_name", "column_type"]].to_numpy())["arrival"] == "DATE"
    (answer,) = asked.standing.to_dict("records")
    assert (answer["engine"], answer["unexpected_count"], answer["error"]) == ("duckdb", 1, None)


def test_an_answer_to_a_contract_that_is_no_more_stands_no_longer(feed):
    feed.write(rows(0, [5.0] * 3, kinds="z"))
    feed.promise("")
    assert feed.run().standing.empty


def test_what_was_decided_last_counts_whatever_the_clocks_say(feed):
    """Runs have a clock of their own, which may be ahead of that of a person."""
    feed.write(rows(0, [5.0] * 10))
    (load,) = feed.append(rows(10, [-1.0])).blocked
    source = Catalogue.load(feed.home.settings).source("shop")
    contracts.decide(feed.home.warehouse, source, load, "released", by_whom="ana", now=BEGIN, run_id="a person")
    assert feed.run().blocked == [] and feed.buckets[10] == -1.0


def test_a_contract_that_asks_nothing_of_what_is_there_leaves_runs_with_nothing_to_write(home):
    """Each of its columns may be absent, and is."""
    feed = Feed(home, "")
    feed.write(rows(0, [5.0] * 10))
    feed.promise("contract: {columns: {size: {required: false, min: 0}}}")
    feed.run()
    before = home.count("writes")
    feed.run()
    assert home.count("writes") == before
