from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from smartflow_assets.core import rules
from smartflow_assets.core.rules import Rule, Rules
from smartflow_assets.testing import RULE_CHECKS, RuleCase
from smartflow_assets.testing.rules import evaluated_in_pieces

STEP = timedelta(minutes=5)
NAN = float("nan")
# one of each, short enough that forty rows break it
SAMPLES = {
    "threshold": {"type": "threshold", "above": 6, "for": "15min"},
    "ratio_to_median": {"type": "ratio_to_median", "at_least": 2, "at_most": 0.5, "window": "30min"},
    "rate_of_change": {"type": "rate_of_change", "rises_by": "50%", "falls_by": 3, "within": "10min"},
    "flatline": {"type": "flatline", "for": "15min", "tolerance": 1},
    "missing": {"type": "missing", "for": "10min"},
    "expression": {"type": "expression", "when": "cpu > 5 and memory / 2 < 3", "for": "10min"},
}


def parsed(**values) -> rules.BaseRule:
    return TypeAdapter(Rule).validate_python(values)


def rows_of(**series) -> pd.DataFrame:
    """Clean rows of one source, one list of values for each metric; NaN is a missing bucket."""
    parts = [
        pd.DataFrame(
            {
                "series": metric,
                "metric": metric,
                "dimensions": [{} for _ in values],
                "observed_at": pd.date_range("2026-01-05", periods=len(values), freq=STEP, tz="UTC").as_unit("us"),
                "value": values,
                "repair": ["missing" if value != value else "none" for value in values],
            }
        )
        for metric, values in series.items()
    ]
    return pd.concat(parts, ignore_index=True)


def broken(rule: rules.BaseRule, **series) -> list[int]:
    """The rows that break the rule, as numbers of buckets."""
    found = rules.evaluate([rule], rows_of(**series), step=STEP)
    return sorted(set((found["observed_at"] - pd.Timestamp("2026-01-05", tz="UTC")) // STEP))


def test_every_rule_has_a_sample():
    assert set(rules.RULES) == set(SAMPLES)


@pytest.mark.parametrize("check", RULE_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
def test_every_rule_keeps_every_promise(sample, check):
    check(RuleCase(parsed(**sample)))


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_however_the_rows_are_cut_the_verdicts_are_the_same(sample, data):
    values = st.one_of(st.integers(0, 9).map(float), st.just(NAN))
    count = data.draw(st.integers(1, 40))
    rows = rows_of(**{metric: data.draw(st.lists(values, min_size=count, max_size=count)) for metric in ("cpu", "memory")})
    rule = parsed(**sample)
    pieces = evaluated_in_pieces(rule, rows, STEP, data.draw(st.lists(st.integers(1, 12), min_size=1, max_size=count)))
    pd.testing.assert_frame_equal(pieces, rules.evaluate([rule], rows, step=STEP), check_dtype=False)


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
def test_a_rule_survives_writing_and_reading(sample):
    rule = parsed(**sample)
    assert parsed(**rule.model_dump(mode="json")) == rule
    assert rule.name == sample["type"]


def test_a_limit_itself_is_allowed_by_a_threshold():
    assert broken(parsed(type="threshold", below=1, above=5), cpu=[1, 5, 0.9, 5.1]) == [2, 3]


def test_a_threshold_with_for_begins_when_it_has_lasted():
    assert broken(parsed(type="threshold", below=1, **{"for": "15min"}), cpu=[0, 0, 0, 0, 5, 0, 0]) == [2, 3]


def test_a_missing_bucket_interrupts_for():
    assert broken(parsed(type="threshold", below=1, **{"for": "15min"}), cpu=[0, 0, NAN, 0, 0, 0]) == [5]


def test_a_bucket_that_is_not_there_interrupts_for():
    rows = rows_of(cpu=[0.0, 0, 0, 0, 0]).drop(index=2)
    found = rules.evaluate([parsed(type="threshold", below=1, **{"for": "10min"})], rows, step=STEP)
    assert list(found["observed_at"].dt.minute) == [5, 20]


def test_a_filled_value_was_not_observed():
    rows = rows_of(cpu=[9.0, 9, 9]).assign(repair=["none", "filled", "clipped"])
    found = rules.evaluate([parsed(type="threshold", above=5)], rows, step=STEP)
    assert list(found["observed_at"].dt.minute) == [0, 10]


def test_a_ratio_equal_to_the_limit_counts():
    rule = parsed(type="ratio_to_median", at_least=2.5, window="20min")
    assert broken(rule, cpu=[400, 500, 600, 500, 1250]) == [4]
    assert broken(rule, cpu=[400, 500, 600, 500, 1249.9]) == []


def test_the_median_leaves_out_the_row_itself_and_what_is_older_than_the_window():
    rule = parsed(type="ratio_to_median", at_least=2, window="15min")
    assert broken(rule, cpu=[90, 90, 1, 1, 1, 2]) == [5]


def test_while_half_the_window_is_unknown_the_ratio_is_to_every_value():
    rule = parsed(type="ratio_to_median", at_least=2, window="1 day")
    assert broken(rule, cpu=[1, 1, 1, 2, 3.9]) == [3]
    assert broken(rule, cpu=[1, 1, 1, 2, 4]) == [3, 4]


def test_a_promotion_surge_is_said_with_its_numbers():
    rule = parsed(type="ratio_to_median", name="promo_surge", at_least=2.5, window="1 day", severity="critical", message="Promotion")
    found = rules.evaluate([rule], rows_of(requests=[500.0] * 288 + [1600.0]), step=STEP)
    assert found.to_dict("records") == [
        {
            "series": "requests",
            "rule": "promo_surge",
            "observed_at": pd.Timestamp("2026-01-06", tz="UTC"),
            "value": 1600.0,
            "limit_value": 1250.0,
            "severity": "critical",
            "message": "Promotion (1,600 is 3.2 x the median 500 of the last day; limit 2.5)",
        }
    ]


def test_a_ratio_to_nothing_is_not_said():
    assert broken(parsed(type="ratio_to_median", at_least=2, at_most=0.1, window="20min"), cpu=[0, 0, 0, 0, 5, -5]) == []


def test_changes_are_measured_over_within():
    assert broken(parsed(type="rate_of_change", rises_by=10, within="10min"), cpu=[0, 5, 9, 15, NAN, 26]) == [3, 5]
    assert broken(parsed(type="rate_of_change", falls_by="50%"), cpu=[0, 8, 4, NAN, 1]) == [2]


def test_a_flatline_needs_every_bucket():
    assert broken(parsed(type="flatline", **{"for": "15min"}), cpu=[3, 7, 7, 7, 7, NAN, 7, 7, 8]) == [3, 4]


def test_silence_counts_from_its_length():
    assert broken(parsed(type="missing", **{"for": "10min"}), cpu=[1, NAN, 1, NAN, NAN, NAN, 1]) == [4, 5]


def test_an_expression_belongs_to_the_first_metric_named():
    rule = parsed(type="expression", when="cpu > 90 and memory > 80")
    found = rules.evaluate([rule], rows_of(memory=[85.0, 85], cpu=[95.0, 50]), step=STEP)
    assert found[["series", "value", "message"]].to_numpy().tolist() == [["cpu", 95.0, "cpu > 90 and memory > 80: cpu 95, memory 85"]]


def test_an_expression_is_asked_within_the_same_dimensions():
    rows = pd.concat(
        [
            rows_of(cpu=[95.0], memory=[85.0]).assign(dimensions=[{"host": "a"}] * 2, series=["cpu{host=a}", "memory{host=a}"]),
            rows_of(cpu=[95.0], memory=[10.0]).assign(dimensions=[{"host": "b"}] * 2, series=["cpu{host=b}", "memory{host=b}"]),
        ]
    )
    found = rules.evaluate([parsed(type="expression", when="cpu > 90 and memory > 80")], rows, step=STEP)
    assert list(found["series"]) == ["cpu{host=a}"]


@pytest.mark.parametrize(
    ("when", "holds"),
    [
        ("cpu > 1", True),
        ("not cpu > 1", False),
        ("cpu > memory", False),
        ("1 < cpu < 3", True),
        ("cpu + memory * 2 == 8", True),
        ("abs(-cpu) >= 2 or memory > 9", True),
        ("max(cpu, memory) == 3 and min(cpu, 1) == 1", True),
        ("cpu / (memory - 3) > 5", True),
        ("not gone > 1", False),
        ("cpu > 1 and hole != 4", False),
        ("`disk free` < 5", True),
        ("-cpu != -2", False),
    ],
)
def test_expressions_reckon_as_they_read(when, holds):
    series = {"cpu": [2.0], "memory": [3.0], "hole": [NAN], "disk free": [4.0]}
    assert broken(parsed(type="expression", when=when), **series) == ([0] if holds else [])


@pytest.mark.parametrize(
    "when",
    [
        "cpu",
        "cpu +",
        "1 > 0",
        "cpu.real > 1",
        "cpu[0] > 1",
        "cpu ** 9 ** 9 > 1",
        "'a' > cpu",
        "lambda: cpu > 1",
        "cpu > 1 + (2 > 1)",
        "not cpu",
        "cpu in (1, 2)",
        "True",
        "cpu > 1j",
        "[x for x in cpu] > 1",
        "open('f') > cpu",
        "__import__('os') > cpu",
        "~cpu > 1",
        "cpu > 1; cpu",
        "(cpu := 1) > 0",
        "cpu if cpu > 1 else cpu",
        "cpu > 1 " + "and cpu > 1 " * 60,
        "min(cpu) > 1",
        "f'{cpu}' > 1",
        "cpu > " + 400 * "9",
        "cpu > 1e999",
    ],
)
def test_what_is_no_condition_over_metrics_is_refused(when):
    with pytest.raises(ValidationError, match="when"):
        parsed(type="expression", when=when)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"type": "threshold"}, "needs `below`, `above` or both"),
        ({"type": "threshold", "below": 9, "above": 1}, "swap the two"),
        ({"type": "threshold", "above": "NaN"}, "finite"),
        ({"type": "ratio_to_median", "at_least": float("inf")}, "finite"),
        ({"type": "ratio_to_median"}, "needs `at_least`"),
        ({"type": "rate_of_change"}, "needs `rises_by`"),
        ({"type": "rate_of_change", "rises_by": "fast"}, "is not a size of change"),
        ({"type": "flatline"}, "for"),
        ({"type": "threshold", "below": 1, "lasts": "1h"}, "lasts"),
        ({"type": "treshold", "below": 1}, "treshold"),
        ({"type": "threshold", "below": 1, "name": "Too low"}, "name"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(values, said):
    with pytest.raises(ValidationError, match=said):
        parsed(**values)


def test_two_rules_on_a_metric_need_names_of_their_own():
    low, high = {"type": "threshold", "metric": "cpu", "below": 1}, {"type": "threshold", "above": 9}
    with pytest.raises(ValidationError, match="two rules are called 'threshold'"):
        TypeAdapter(Rules).validate_python([low, high])
    TypeAdapter(Rules).validate_python([low, high | {"metric": "memory"}])
    TypeAdapter(Rules).validate_python([low, high | {"name": "too_high"}])


def test_no_rules_and_no_rows_are_no_violations():
    empty = rules.evaluate([], rows_of(cpu=[1.0]), step=STEP)
    assert list(empty.columns) == rules.VIOLATION_COLUMNS and empty["observed_at"].dtype == "datetime64[us, UTC]"
    assert rules.evaluate([parsed(type="threshold", below=1)], rows_of(cpu=np.array([])), step=STEP).empty


def test_ratio_to_median_is_quiet_on_the_first_noon_after_a_night():
    """Half a day of history is only its night: the daily wave of a young source is no surge, a real one is."""
    step = timedelta(minutes=5)
    times = np.arange(2 * 288) * 300_000_000
    values = 500 - 400 * np.cos(np.arange(2 * 288) / 288 * 2 * np.pi)  # 100 at midnight, 900 at noon
    values[288 + 100] = 2500
    rule = parsed(type="ratio_to_median", at_least=2.5, window="1 day")
    assert [finding.row for finding in rule.find(times, values, step)] == [288 + 100]
