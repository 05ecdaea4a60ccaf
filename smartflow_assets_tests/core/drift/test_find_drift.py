"""The check as a whole: which columns have drifted, by which rule, whatever the data look like and however they were sampled."""

import warnings
from datetime import timedelta
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from smartflow_assets.core.drift import Missingness, Psi
from smartflow_assets.core.drift.find_drift import find_drift
from smartflow_assets.core.drift.report import CHECK_COLUMNS
from smartflow_assets.core.drift.settings import DriftSettings
from smartflow_assets.core.drift.windows import cells, windows

START, WEEK = pd.Timestamp("2026-01-05", tz="UTC"), pd.Timedelta(weeks=1)
ALONE = DriftSettings(reference="7 days", past_windows=0)


def stamped(columns, weeks: int) -> tuple[pd.DataFrame, pd.Timestamp]:
    """Rows spread evenly over so many weeks, and the end of the last one."""
    frame = pd.DataFrame(columns)
    frame["observed_at"] = START + pd.to_timedelta(np.arange(len(frame)) * (weeks * WEEK.total_seconds() / max(1, len(frame))), unit="s")
    return frame, START + weeks * WEEK


def seasonal(seed: int, weeks: int, rows: int = 168) -> tuple[pd.DataFrame, pd.Timestamp]:
    """A daily and a weekly season on a level that wanders, as demand does, and a second column that follows it."""
    rng, at = np.random.default_rng(seed), np.arange(weeks * rows)
    level = np.convolve(rng.normal(size=len(at) + rows - 1), np.ones(rows) / np.sqrt(rows), "valid")
    demand = 10 + 3 * np.sin(2 * np.pi * at / 24) - 2 * (at // 24 % 7 >= 5) + 1.5 * level + 0.3 * rng.normal(size=len(at))
    return stamped({"demand": demand, "price": demand + rng.normal(size=len(at))}, weeks)


def independent(seed: int, weeks: int, rows: int = 500) -> tuple[pd.DataFrame, pd.Timestamp]:
    """Columns of several types, rows that have nothing to do with each other."""
    rng, count = np.random.default_rng(seed), weeks * rows
    return stamped(
        {
            "paid": rng.lognormal(size=count),
            "weight": rng.normal(size=count),
            "items": rng.poisson(2, count),
            "shop": rng.choice(["north", "south", "west"], count, p=[0.6, 0.3, 0.1]),
            "is_new": rng.random(count) < 0.1,
            "age": np.where(rng.random(count) < 0.05, np.nan, rng.uniform(18, 90, count)),
        },
        weeks,
    )


def verdicts(report) -> dict[tuple[str, str], bool]:
    return {(check.column_name, check.test): check.is_drifted for check in report.checks}


def test_auto_chooses_by_type_and_size():
    rows, until = independent(0, 2)
    chosen: dict[str, list[str]] = {}
    for name, test in verdicts(find_drift(rows, until=until, settings=ALONE)):
        chosen.setdefault(name, []).append(test)
    assert chosen == {
        "age": ["kolmogorov_smirnov", "wasserstein", "missingness"],
        "is_new": ["chi_square"],
        "items": ["chi_square", "wasserstein"],
        "paid": ["kolmogorov_smirnov", "wasserstein"],
        "shop": ["chi_square"],
        "weight": ["kolmogorov_smirnov", "wasserstein"],
        "*": ["domain_classifier"],
    }
    few = find_drift(rows[::10], until=until, settings=ALONE)
    assert {test for name, test in verdicts(few) if name in ("paid", "weight")} == {"kolmogorov_smirnov"}
    assert not few.joint


def test_a_shift_of_four_tenths_of_a_deviation_is_found_with_500_rows_without_any_past():
    found = 0
    for seed in range(10):
        rows, until = independent(seed, 2)
        rows.loc[rows.index[-500:], "weight"] += 0.4
        report = find_drift(rows, until=until, settings=ALONE)
        found += report.drifted_columns == ["weight"]
        assert {check.rule for check in report.checks if check.column_name == "weight"} == {"independent rows"}
    assert found >= 9


def test_columns_that_have_not_changed_are_left_alone_however_many_they_are():
    """At one false alarm in two hundred checks, ten checks of 24 columns have none; by test, at one in twenty, they would have about 24."""
    flagged = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        rows, until = stamped({f"c{at}": rng.exponential(size=600) for at in range(24)}, 2)
        flagged += find_drift(rows, until=until, settings=ALONE).is_drifted
    assert flagged <= 1


def test_a_broken_correlation_is_found_and_no_column_is_blamed():
    rng = np.random.default_rng(0)
    first = rng.normal(size=1_000)
    second = 0.8 * first + 0.6 * rng.normal(size=1_000)
    second[500:] = rng.permutation(second[500:])
    rows, until = stamped({"first": first, "second": second}, 2)
    report = find_drift(rows, until=until, settings=ALONE)
    (joint,) = report.joint
    assert report.is_drifted and joint.is_drifted and not report.drifted_columns
    assert joint.message.startswith("rank correlation of first and second 0.") and "was 0.7" in joint.message


def test_ordinary_weeks_of_a_season_pass_where_a_fixed_limit_flags_most():
    fixed = flagged = checked = 0
    for seed in range(2):
        rows, _ = seasonal(seed, 48)
        for week in range(24, 49, 2):
            report = find_drift(rows, until=START + week * WEEK, settings=DriftSettings(tests=[Psi()]))
            assert {check.rule for check in report.checks} == {"past windows"}
            fixed += any(check.statistic > 0.1 for check in report.checks)
            flagged += report.is_drifted
            checked += 1
    assert fixed > 0.8 * checked
    assert flagged <= 1


def test_what_no_past_week_was_like_is_found_in_a_season():
    rows, until = seasonal(0, 40)
    now = rows.index[-168:]
    rows.loc[now, "price"] = rows.loc[now, "price"] * 3
    report = find_drift(rows, until=until)
    assert report.drifted_columns == ["price"]
    assert {check.past_windows for check in report.checks} == {26}


def test_a_season_without_past_windows_is_warming_up_and_says_so():
    rows, until = seasonal(0, 8)
    rows.loc[rows.index[-168:], "price"] += 50
    report = find_drift(rows, until=until)
    assert not report.is_drifted
    assert {(check.rule, check.past_windows) for check in report.checks if check.test != "domain_classifier"} == {("warming up", 3)}
    assert report.checks[0].message.endswith("; 3 of 5 past windows to learn from")


def test_lost_values_are_found_also_when_all_are_lost():
    rows, until = independent(1, 2)
    rows.loc[rows.index[-500:], "age"] = np.nan
    report = find_drift(rows, until=until, settings=ALONE)
    found = {check.test: check for check in report.checks if check.column_name == "age"}
    assert found["missingness"].is_drifted and "100 % of age are empty" in found["missingness"].message
    assert found["kolmogorov_smirnov"].rule == "too few rows"


def test_a_new_category_is_named():
    rows, until = independent(2, 2)
    rows.loc[rows.index[-500::4], "shop"] = "east"
    report = find_drift(rows, until=until, settings=ALONE)
    assert report.drifted_columns == ["shop"]
    (check,) = (check for check in report.checks if check.column_name == "shop")
    assert "25 % of shop are 'east', were 0 %" in check.message


def test_drift_is_what_exceeds_its_limit():
    rows, until = independent(3, 2)
    rows.loc[rows.index[-500:], "weight"] += 1.0
    rows.loc[rows.index[-500:], "paid"] *= 1.4
    report = find_drift(rows, until=until, settings=ALONE)
    assert report.moved[0][0] == "weight"
    for check in report.checks:
        assert check.is_drifted == (check.statistic > check.limit_value)
    frame = report.frame()
    assert list(frame) == CHECK_COLUMNS and len(frame) == len(report.checks)
    assert set(frame["reference_rows"]) == {500} and set(frame["current_to"]) == {until}


def test_a_difference_that_is_sure_and_small_is_no_drift():
    rng = np.random.default_rng(0)
    rows, until = stamped({"value": rng.normal(size=20_000)}, 2)
    rows.loc[rows.index[10_000:], "value"] += 0.08
    report = find_drift(rows, until=until, settings=ALONE.model_copy(update={"sample_rows": 10_000}))
    assert min(check.adjusted_p_value for check in report.checks) < 0.001 and not report.is_drifted


def test_listed_tests_are_put_to_the_columns_that_they_suit():
    rows, until = independent(0, 2)
    tests = DriftSettings(
        reference="7 days", past_windows=0, tests=[{"type": "psi"}, {"type": "wasserstein", "at_least": 0.5}], columns=["paid", "shop"]
    )
    assert set(verdicts(find_drift(rows, until=until, settings=tests))) == {("paid", "psi"), ("paid", "wasserstein"), ("shop", "psi")}


def test_windows_lie_whole_weeks_apart_and_cells_cover_them_without_overlap():
    for lengths in ({}, {"current": "1 day"}, {"current": "10 days", "reference": "30 days"}, {"current": "1h", "reference": "1 day"}):
        made = DriftSettings(**lengths, past_windows=6)
        chosen, cut = windows(made, START), cells(made, START)
        assert len(chosen) == 7 and chosen[0].current_to == START
        assert all((START - one.current_to) % WEEK == timedelta(0) for one in chosen)
        assert all(later.current_from >= earlier.current_to for later, earlier in pairwise(chosen))
        assert all(one.end == other.start for one, other in pairwise(cut))
        edges = {edge for cell in cut for edge in (cell.start, cell.end)}
        assert all({one.reference_from, one.current_from, one.current_to} <= edges for one in chosen)


def test_a_sample_with_exact_counts_weighs_each_stretch_by_the_rows_that_it_has():
    """The reference is a day and the six days after it, of which a sample brings a thousand rows each."""
    made = DriftSettings(current="1 day", reference="7 days", past_windows=0, sample_rows=1_000)
    day, days, now = cells(made, START)
    rows = pd.concat([pd.DataFrame({"value": float(at), "observed_at": [cell.start] * 1_000}) for at, cell in enumerate((day, days, now))])
    report = find_drift(rows, until=START, settings=made, counts={day.start: 1_000_000, days.start: 9_000_000})
    assert (report.reference_rows, report.current_rows) == (10_000_000, 1_000)
    assert report.samples["value"][0].value_counts().to_dict() == {1.0: 1_000, 0.0: 111}


def test_a_check_looks_at_a_bounded_number_of_rows():
    rows, until = independent(0, 6, rows=5_000)
    report = find_drift(rows, until=until, settings=DriftSettings(past_windows=1, sample_rows=300, columns=["weight"]))
    reference, current = report.samples["weight"]
    assert (len(reference), len(current)) == (1_200, 300)
    assert (report.reference_rows, report.current_rows) == (20_000, 5_000)


def test_the_order_of_columns_and_rows_makes_no_difference():
    rows, until = independent(0, 3, rows=400)
    rows.loc[rows.index[-400:], "weight"] += 0.5
    settings = DriftSettings(reference="14 days", past_windows=0, sample_rows=200)
    other = rows[list(rows.columns)[::-1]].sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(
        find_drift(rows, until=until, settings=settings).frame(), find_drift(other, until=until, settings=settings).frame()
    )


COLUMNS = {
    "numbers": st.floats(),
    "wholes": st.integers(-(2**60), 2**60),
    "one_value": st.just(3.0),
    "nothing": st.none(),
    "texts": st.one_of(st.none(), st.text("ab é\n0", max_size=3)),
    "flags": st.booleans(),
    "mixed": st.one_of(st.integers(), st.text("ab1", max_size=2), st.none(), st.booleans()),
}


@settings(max_examples=15, deadline=None)
@given(data=st.data(), count=st.sampled_from([0, 1, 40, 130]), is_repeated=st.booleans())
def test_no_data_make_it_raise_and_equal_weeks_never_drift(data, count, is_repeated):
    few = {name: data.draw(st.lists(values, min_size=min(count, 12), max_size=min(count, 12))) for name, values in COLUMNS.items()}
    week = pd.DataFrame(
        {name: pd.Series((values * 12)[:count], dtype=None if name != "nothing" else object) for name, values in few.items()}
    )
    week["id"] = [f"id{at}" for at in range(count)]
    week["at"] = pd.Timestamp("2026-01-01", tz="UTC")
    if is_repeated:
        rows, until = stamped(pd.concat([week] * 8, ignore_index=True), 8)
    else:
        rows, until = stamped(week, 8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        report = find_drift(rows, until=until, settings=DriftSettings(reference="14 days", past_windows=3))
    assert report.left_out == {"at": "times move by nature"}
    if is_repeated:
        assert not report.is_drifted


def test_texts_that_are_all_different_are_no_drift():
    rows, until = stamped({"id": [f"order {at}" for at in range(1_500)], "paid": np.random.default_rng(0).normal(size=1_500)}, 3)
    assert not find_drift(rows, until=until, settings=DriftSettings(reference="14 days", past_windows=0)).is_drifted


def test_a_counter_that_always_rises_is_no_drift():
    rows, until = stamped({"id": np.arange(3_000.0)}, 20)
    assert not find_drift(rows, until=until).is_drifted


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [("current", "0s", "longer than nothing"), ("reference", "1 day", "no longer than `reference`"), ("tests", [], "`tests` is empty")],
)
def test_settings_that_cannot_be_meant_are_refused(key, value, said):
    with pytest.raises(ValidationError, match=said):
        DriftSettings.model_validate({key: value})


def test_settings_describe_each_key_and_refuse_others():
    assert all(field.description for field in DriftSettings.model_fields.values())
    assert DriftSettings.model_validate({"reference": "28 days", "current": "7 days", "tests": "auto"}) == DriftSettings()
    assert DriftSettings.model_json_schema()
    with pytest.raises(ValidationError, match="limit"):
        DriftSettings.model_validate({"limit": 3})
    with pytest.raises(ValidationError, match="at_least"):
        DriftSettings(tests=[Missingness(at_least=4)])
