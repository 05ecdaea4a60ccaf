"""Expectations asked of a table in DuckDB, without Great Expectations."""

from datetime import timedelta

import duckdb
import pytest

from smartflow_assets.adapters.expectations import great_expectations_engine
from smartflow_assets.adapters.expectations.evaluation import bad_rows, evaluate, rows_of
from smartflow_assets.core.contracts.contract import Contract

ROWS = [
    ("2026-03-01 00:00:00+00", "old", 1, 5.0, "card", "a@x"),
    ("2026-03-01 12:00:00+00", "old", 2, 7.0, "cash", "b@x"),
    ("2026-03-02 00:00:00+00", "old", 3, None, "card", None),
    ("2026-03-02 09:30:00+00", "new", 3, -3.0, "card", "secret"),
    ("2026-03-03 00:00:00+00", "new", 4, float("nan"), "gold", "c@x"),
    ("2026-03-03 01:00:00+00", "new", 4, -7.0, "cash", "c@x"),
]
NEW = "(SELECT * FROM orders WHERE load = 'new')"


class Database:
    """A table of orders, and what was asked of it."""

    def __init__(self):
        self.asked = []
        self.connection = duckdb.connect()
        self.connection.execute("SET TimeZone = 'UTC'")
        self.connection.execute(
            'CREATE TABLE orders ("at" TIMESTAMPTZ, load VARCHAR, id BIGINT, amount DOUBLE, kind VARCHAR, mail VARCHAR)'
        )
        self.connection.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?)", ROWS)
        self.connection.execute("CREATE TABLE kinds AS SELECT * FROM (VALUES ('card'), ('cash')) AS listed(kind)")

    def read(self, sql, params=()):
        self.asked.append(sql)
        return self.connection.execute(sql, list(params)).df()

    def verdicts(self, relation=NEW, **contract):
        """The verdicts on a contract but for that its columns be there."""
        found = evaluate(
            self.read,
            relation,
            Contract.model_validate(contract).expectations(),
            all_rows="orders",
            time_column="at",
            references={"kinds": "kinds"},
            bucket=timedelta(hours=12),
            zone="Europe/Berlin",
        )
        return [each for each in found if each.expectation.type != "expect_column_to_exist"]


@pytest.fixture
def orders(monkeypatch):
    def never(*_):
        raise AssertionError("Great Expectations was asked")

    monkeypatch.setattr(great_expectations_engine, "judge", never)
    return Database()


def test_a_breach_is_a_sentence_with_numbers_and_the_first_time(orders):
    (verdict,) = orders.verdicts("orders", columns={"amount": {"min": 0}})
    assert verdict.sentence == "2 of 4 values of amount are negative, first at 2026-03-02 09:30 UTC; for example -3, -7"
    assert (verdict.is_passed, verdict.unexpected_percent, verdict.engine) == (False, 50, "duckdb")


def test_a_value_of_a_load_is_unique_among_all_stored_rows_unless_the_contract_says_batch(orders):
    given = {"columns": {"id": {"unique": True}}, "unique_together": [["id", "kind"]]}
    assert [(each.element_count, each.unexpected_count) for each in orders.verdicts(**given)] == [(3, 3), (3, 1)]
    assert [(each.element_count, each.unexpected_count) for each in orders.verdicts(**given, unique_within="batch")] == [(3, 2), (3, 0)]


def test_what_is_missing_is_alike_in_keys_of_several_columns_but_not_where_all_are(orders):
    for load in ("old", "new"):
        orders.connection.execute("INSERT INTO orders VALUES ('2026-03-04', ?, NULL, 'nan', 'wire', NULL)", [load])
    found = orders.verdicts(unique_together=[["kind", "amount"], ["id", "amount"]])
    assert [(each.element_count, each.unexpected_count, each.examples) for each in found] == [(4, 1, ("wire",)), (3, 0, ())]


def test_a_reference_is_to_the_rows_of_another_source(orders):
    known, unknown = {"column": "kind", "source": "kinds"}, {"column": "kind", "source": "shops", "source_column": "kind"}
    first, second = orders.verdicts(references=[known, unknown])
    assert first.sentence == "1 of 3 values of kind is not in kind of kinds, first at 2026-03-03 00:00 UTC; for example gold"
    assert second.error == "there are no rows of shops to refer to"


def test_rows_are_counted_per_load_bucket_and_day(orders):
    found = {per: orders.verdicts(row_count={"min": 2, "per": per})[0] for per in ("load", "bucket", "day")}
    assert {per: verdict.is_passed for per, verdict in found.items()} == {"load": True, "bucket": False, "day": True}  # nights are empty
    orders.connection.execute("DELETE FROM orders WHERE \"at\" = '2026-03-02 00:00:00+00'")
    verdict = orders.verdicts(row_count={"min": 2, "per": "day"})[0]
    assert verdict.sentence == "1 of 3 days has not at least 2 rows; the fewest 1"
    assert orders.verdicts(row_count={"min": 2, "per": "bucket"})[0].sentence.startswith("3 of 4 buckets of 12h have not")


def test_the_newest_day_is_still_filling_but_may_be_too_full(orders):
    assert orders.verdicts("orders", row_count={"min": 3, "per": "day"})[0].unexpected_count == 2
    newest = "(SELECT * FROM orders WHERE id = 4)"
    assert orders.verdicts(newest, row_count={"min": 3, "per": "day"})[0].unexpected_count == 1  # the day before, which was filling
    assert orders.verdicts(newest, row_count={"min": 2, "per": "day"})[0].is_passed
    assert not orders.verdicts("(SELECT * FROM orders WHERE id = 4)", row_count={"max": 1, "per": "day"})[0].is_passed


def test_a_condition_that_cannot_be_told_is_not_broken(orders):
    (verdict,) = orders.verdicts("orders", conditions=["kind != 'card' or amount > 0"])
    assert (verdict.element_count, verdict.unexpected_count, verdict.examples) == (6, 1, ("card and -3",))


def test_nothing_of_a_sensitive_column_is_shown(orders):
    contract = {
        "columns": {"mail": {"sensitive": True, "type": "text", "pattern": "@", "unique": True, "max_length": 4}},
        "conditions": ["mail != 'secret' or id > 9"],
    }
    contract["expectations"] = [{"type": "unexpected_rows_expectation", "unexpected_rows_query": "SELECT mail + 1 FROM {batch}"}]
    found = orders.verdicts("orders", **contract)
    assert [each.sentence for each in found if each.is_passed] == ["mail is text"]
    assert found[-1].error == "it cannot be asked of these values, which are sensitive"
    assert "secret" not in repr([(each.examples, each.observed, each.error) for each in found])
    assert not any("c@x" in each.sentence or "secret;" in each.sentence or "for example secret" in each.sentence for each in found)


def test_a_broken_check_is_told_by_name_and_hides_no_other(orders):
    found = orders.verdicts(
        columns={"kind": {"min": 3}, "amount": {"min": 0}, "gone": {"min": 0}},
        conditions=["amount > kind or id > 9"],
        expectations=[{"type": "unexpected_rows_expectation", "unexpected_rows_query": "SELECT * FROM {batch} WHERE nothing > 1"}],
    )
    errors = [each.error.partition(":")[0] for each in found]
    assert errors == ["kind is text, and a number is no limit of it", "", "there is no column gone", errors[3], "Binder Error"]
    assert errors[3]
    assert found[1].unexpected_count == 2


def test_a_query_of_ones_own_is_asked_of_the_judged_rows(orders):
    query = {"type": "unexpected_rows_expectation", "unexpected_rows_query": "SELECT * FROM {batch} WHERE kind NOT IN ('{{', 'card');"}
    assert orders.verdicts(expectations=[query])[0].unexpected_count == 2


def test_a_contract_is_two_statements_while_it_holds_and_one_more_for_examples(orders):
    orders.verdicts(
        "orders", columns={"id": {"type": "integer", "min": 1}, "kind": {"not_null": True, "pattern": "^[a-z]+$"}}, row_count={"min": 1}
    )
    assert len(orders.asked) == 2
    orders.asked.clear()
    orders.verdicts("orders", columns={"amount": {"min": 0}, "kind": {"allowed": ["card"]}, "id": {"unique": True}})
    assert len(orders.asked) == 3


def test_the_rows_to_blame_can_be_asked_for(orders):
    contract = Contract.model_validate(
        {
            "columns": {"amount": {"min": 0, "not_null": True}, "id": {"unique": True}, "mail": {"pattern": "@"}},
            "unique_together": [["kind", "mail"]],
            "conditions": ["kind != 'card' or amount > 0"],
            "references": [{"column": "kind", "source": "kinds"}],
            "row_count": {"min": 9},
            "expectations": [{"type": "expect_column_mean_to_be_between", "column": "amount", "min_value": 0}],
        }
    )
    rows = rows_of(orders.read, NEW, all_rows="orders", time_column="at", references={"kinds": "kinds"})
    verdicts = evaluate(orders.read, NEW, contract.expectations(), all_rows="orders", time_column="at", references={"kinds": "kinds"})
    counted = {}
    for verdict in verdicts:
        if (sql := bad_rows(verdict.expectation, rows)) is not None:
            counted[verdict.expectation.type, verdict.expectation.columns] = orders.read(f"SELECT count(*) AS n FROM {NEW} WHERE {sql}")[
                "n"
            ][0]
            assert counted[verdict.expectation.type, verdict.expectation.columns] == verdict.unexpected_count
    assert sorted(counted.values()) == [0, 1, 1, 1, 1, 2, 3]


def test_a_relation_that_cannot_be_read_is_no_broken_check(orders):
    with pytest.raises(duckdb.Error):
        orders.verdicts("nowhere", columns={"id": {"min": 1}})
