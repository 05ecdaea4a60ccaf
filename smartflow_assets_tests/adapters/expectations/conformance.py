"""Frames and arguments for each type that SQL knows, and what both engines find of them."""

from collections import Counter
from dataclasses import dataclass, field

import duckdb
from hypothesis import strategies as st

from smartflow_assets.adapters.expectations.evaluation import STANDARD, bad_rows, evaluate, rows_of
from smartflow_assets.adapters.expectations.great_expectations_engine import judge
from smartflow_assets.core.contracts.contract import TYPE_EXPECTATIONS
from smartflow_assets.core.contracts.expectations import Expectation

NAN, INF = float("nan"), float("inf")
COLUMNS = {
    "d": ("DOUBLE", [None, NAN, INF, -INF, 0.0, -0.0, 0.25, -1.5, 2.0, 3.0, 7.75, 1e6]),
    "e": ("DOUBLE", [None, NAN, 0.25, -1.5, 2.0, 3.0, 9.0, 11.5]),
    "i": ("BIGINT", [None, 0, 1, 2, 3, -4, 2**53 + 1]),
    "v": (
        "VARCHAR",
        [None, "", " ", "a", "ab", "A1", "1", "2.5", "nan", "true", "2026-03-01", "a\n", "\n", "é", "٣", "a b", "\x1c", "ß", "🦉"],
    ),
    "w": ("VARCHAR", [None, "", "a", "ab", "b"]),
    "b": ("BOOLEAN", [None, True, False]),
    "t": ("TIMESTAMPTZ", [None, "2026-03-01 00:00:00+00", "2026-03-01 00:30:00+00", "2026-03-02 00:00:00+00", "1999-12-31 23:59:59.5+00"]),
}
PATTERNS = [
    *("a", "^a$", "^a\\Z", "^$", "a|^1", "[^a]", "^[A-Z][0-9]*$", "(a)(b)?", "a{2,}", ".", "^.$", "a+?b", "^(a|b)$", "\\.", "[\\n]"),
    *("\\d", "\\D", "^\\w+$", "\\W", "\\s", "\\S", "\\bb", "[\\d.]+", "(?=a)", "(a)\\1", "a$b", "$a", "(a$)?", "(?i)A", "[é-ö]", "\\u00e9"),
]
MOSTLY = [None, None, 1.0, 0.5, 0.7, 0.0]
BOUNDS = [None, -1.5, 0, 0.25, 2, 3.5, 8, 10.0]


@dataclass
class Tally:
    """How often each type was judged by DuckDB, with each outcome; how often left to Great Expectations; and what differed."""

    by_sql: Counter = field(default_factory=Counter)
    passed: Counter = field(default_factory=Counter)
    left: Counter = field(default_factory=Counter)
    broken: Counter = field(default_factory=Counter)
    differences: list[str] = field(default_factory=list)


@st.composite
def frames(draw):
    """Rows of all columns; a column is now and then of one value, so that duplicates and columns without values come often."""
    size = draw(st.integers(0, 8))
    pools = {
        name: draw(st.one_of(st.just(pool), st.lists(st.sampled_from(pool), min_size=1, max_size=2))) for name, (_, pool) in COLUMNS.items()
    }
    return [tuple(draw(st.sampled_from(pools[name])) for name in COLUMNS) for _ in range(size)]


def _limits(draw, pool):
    low, high = sorted(draw(st.lists(st.sampled_from([b for b in pool if b is not None]), min_size=2, max_size=2)))
    low, high = draw(st.sampled_from([(low, None), (None, high), (low, high)]))
    strict = draw(st.sampled_from([{}, {"strict_min": True}, {"strict_max": True}]))
    return {key: value for key, value in (("min_value", low), ("max_value", high)) if value is not None} | strict


@st.composite
def promises(draw):
    """One expectation of each type that SQL knows, with arguments that come as they may."""

    def column(*names):
        return draw(st.sampled_from(names))

    def of(kind, names, **arguments):
        mostly = draw(st.sampled_from(MOSTLY)) if kind in MAPS else None
        return Expectation(kind, tuple(names), arguments | ({} if mostly is None else {"mostly": mostly}))

    def one(kind, *names, **arguments):
        name = column(*names)
        return of(kind, [name], column=name, **arguments)

    moments = ["2026-03-01T00:00:00+00:00", "2026-03-01T01:00:00+01:00", "2026-03-01T12:00:00+00:00", "2026-03-02"]
    between = draw(st.sampled_from(["d", "e", "i", "v", "t"]))
    pool = {"t": moments}.get(between, BOUNDS)
    numbers, texts = [0, 2.0, 3, -1.5, 0.25], ["a", "", "1", "é"]
    sets = draw(st.sampled_from(["d", "i", "v"]))
    members = draw(st.lists(st.sampled_from(texts if sets == "v" else numbers), min_size=1, max_size=3))
    ordered = draw(st.sampled_from([("d", "e"), ("d", "i"), ("i", "e"), ("t", "t"), ("v", "w")]))
    equal = draw(st.sampled_from([("d", "e"), ("d", "i"), ("t", "t"), ("v", "w")]))
    ignored = draw(st.sampled_from([{}, {"ignore_row_if": "either_value_is_missing"}, {"ignore_row_if": "both_values_are_missing"}]))
    ignored_all = draw(
        st.sampled_from(
            [{}, *({"ignore_row_if": f"{word}_missing"} for word in ("all_values_are", "any_value_is")), {"ignore_row_if": "never"}]
        )
    )
    kind, arguments = TYPE_EXPECTATIONS[draw(st.sampled_from(["integer", "number", "boolean"]))]
    quantiles = draw(st.lists(st.sampled_from([0, 0.05, 0.25, 0.29, 0.5, 0.75, 0.9, 1]), min_size=1, max_size=3, unique=True))
    length = draw(st.sampled_from([0, 1, 2]))
    share = _limits(draw, [0, 0.25, 0.5, 1])
    found = [
        one("expect_column_to_exist", "d", "v", "nowhere"),
        one(kind, *COLUMNS, **arguments),
        one("expect_column_type_to_be", "v", "t", "d", type_=draw(st.sampled_from(["str", "datetime64[us, UTC]"]))),
        one("expect_column_values_to_not_be_null", *COLUMNS),
        one("expect_column_values_to_be_null", *COLUMNS),
        of("expect_column_values_to_be_between", [between], column=between, **_limits(draw, pool)),
        of("expect_column_values_to_be_in_set", [sets], column=sets, value_set=members),
        of("expect_column_values_to_not_be_in_set", [sets], column=sets, value_set=members),
        one("expect_column_values_to_match_regex", "v", regex=draw(st.sampled_from(PATTERNS))),
        one("expect_column_values_to_not_match_regex", "v", "w", regex=draw(st.sampled_from(PATTERNS))),
        one("expect_column_value_lengths_to_be_between", "v", **_limits(draw, [0, 1, 2])),
        one("expect_column_value_lengths_to_equal", "v", value=length),
        one("expect_column_values_to_be_unique", *COLUMNS),
        of("expect_compound_columns_to_be_unique", ["d", "w"], column_list=["d", "w"], **ignored_all),
        of(
            "expect_column_pair_values_a_to_be_greater_than_b",
            ordered,
            **(dict(zip(("column_A", "column_B"), ordered, strict=True)) | ignored | draw(st.sampled_from([{}, {"or_equal": True}]))),
        ),
        of("expect_column_pair_values_to_be_equal", equal, **(dict(zip(("column_A", "column_B"), equal, strict=True)) | ignored)),
        one("expect_column_unique_value_count_to_be_between", *(n for n in COLUMNS if n != "b"), **_limits(draw, [0, 1, 2, 5])),
        one("expect_column_proportion_of_unique_values_to_be_between", *(n for n in COLUMNS if n != "b"), **share),
        one("expect_column_proportion_of_non_null_values_to_be_between", *COLUMNS, **share),
        one(
            "expect_column_quantile_values_to_be_between",
            *("d", "e", "i"),
            quantile_ranges={
                "quantiles": sorted(quantiles),
                "value_ranges": [sorted(draw(st.tuples(*[st.sampled_from(BOUNDS[1:])] * 2))) for _ in quantiles],
            },
        ),
        of("expect_table_row_count_to_be_between", [], **_limits(draw, [0, 1, 3, 6])),
        of("expect_table_row_count_to_equal", [], value=draw(st.integers(0, 4))),
    ]
    found += [one(f"expect_column_{figure}_to_be_between", "d", "e", "i", **_limits(draw, BOUNDS)) for figure in FIGURES]
    assert {each.type for each in found} | {"unexpected_rows_expectation"} == set(STANDARD)
    return found


FIGURES = ("min", "max", "mean", "sum", "stdev", "median")
MAPS = {name for name in STANDARD if "_values_" in name or "_lengths_" in name or "compound" in name} - {
    *("expect_column_values_to_be_in_type_list", "expect_column_quantile_values_to_be_between"),
    *("expect_column_proportion_of_unique_values_to_be_between", "expect_column_proportion_of_non_null_values_to_be_between"),
}


def compare(rows, expectations, tally):
    """Ask both engines of rows that were written to a table and are read back."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"CREATE TABLE t ({', '.join(f'{name} {type_}' for name, (type_, _) in COLUMNS.items())})")
        if rows:
            connection.executemany(f"INSERT INTO t VALUES ({', '.join('?' * len(COLUMNS))})", rows)

        def read(sql, params):
            return connection.execute(sql, params).df()

        ours = evaluate(read, "t", expectations, all_rows="t", time_column="t", references={})
        whole = rows_of(read, "t", all_rows="t", time_column="t", references={})
        theirs = judge(read, whole, expectations)
        for verdict in ours:
            if verdict.engine == "duckdb" and not verdict.error and (sql := bad_rows(verdict.expectation, whole)) is not None:
                blamed = connection.execute(f"SELECT count(*) FROM t WHERE {sql}").fetchone()[0]
                if blamed != verdict.unexpected_count:
                    tally.differences.append(f"{blamed} rows to blame: {verdict}\n  rows {rows}")
    for verdict, (finding, _) in zip(ours, theirs, strict=True):
        kind = verdict.expectation.type
        if verdict.engine == "great_expectations":
            tally.left[kind] += 1
            continue
        tally.by_sql[kind] += 1
        tally.passed[kind] += verdict.is_passed
        tally.broken[kind] += bool(verdict.error)
        if (difference := _difference(rows, verdict, finding)) is not None:
            tally.differences.append(f"{difference}: {verdict.expectation}\n  ours {verdict}\n  theirs {finding}\n  rows {rows}")


def _difference(rows, verdict, finding):
    if bool(verdict.error) != bool(finding.error):
        return "one of them is broken"
    if verdict.error or _is_untyped(rows, verdict.expectation):
        return None
    if verdict.is_passed != finding.is_passed and not _is_on_the_limit(verdict.expectation, finding.observed.get("value")):
        return "verdict"
    if finding.unexpected_count is not None and (verdict.unexpected_count or 0) != finding.unexpected_count:
        return "unexpected count"
    return None


def _is_untyped(rows, expectation):
    """A text column without any value has no type that Great Expectations finds; to a contract it breaks nothing."""
    at = list(COLUMNS).index(expectation.columns[0]) if expectation.columns and expectation.columns[0] in COLUMNS else None
    is_text = at is not None and COLUMNS[expectation.columns[0]][0] == "VARCHAR"
    return expectation.type == "expect_column_type_to_be" and is_text and all(row[at] is None for row in rows)


def _is_on_the_limit(expectation, value):
    """The last bit of a sum depends on the order of its parts."""
    limits = [expectation.arguments.get(key) for key in ("min_value", "max_value")]
    is_sum = any(word in expectation.type for word in ("mean", "stdev", "sum"))
    return (
        is_sum
        and isinstance(value, float)
        and any(limit is not None and abs(value - limit) <= 1e-9 * max(1, abs(limit)) for limit in limits)
    )
