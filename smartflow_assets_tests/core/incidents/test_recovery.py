"""An incident is over when values are usual again, not when a score is calm; what stays is a new level."""

from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smartflow_assets.core.anomalies import grouping
from smartflow_assets.core.incidents import lifecycle, recovery, series_track
from smartflow_assets.core.incidents.alert_planning import SEND_COLUMNS
from smartflow_assets.core.incidents.alert_policy import AlertPolicy
from smartflow_assets.core.incidents.event_log import EVENT_COLUMNS, Row, fold, row_dicts
from smartflow_assets.core.rules.base import no_violations
from smartflow_assets_tests.core.simulated_source import bands_of

START = pd.Timestamp("2026-01-05T00:00Z").as_unit("us")  # a Monday
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
POLICY = AlertPolicy(to=("file",), max_age=timedelta(days=3650))


def scored(values: np.ndarray, flagged: np.ndarray, middle: np.ndarray, step: timedelta, width: float = 0.2) -> pd.DataFrame:
    """Rows of anomaly_scores: those that are not flagged are calm, and the band is `width` around the middle, to 0 where that is 0."""
    return pd.DataFrame(
        {
            "series": "revenue",
            "metric": "revenue",
            "dimensions": [{}] * len(values),
            "observed_at": pd.date_range(START, periods=len(values), freq=step).as_unit("us"),
            "value": np.asarray(values, float),
            "expected": middle,
            "lower": middle * (1 - width),
            "upper": middle * (1 + width) + (middle == 0),
            "raw_score": np.where(flagged, 6.0, 0.2),
            "anomaly_score": np.where(flagged, 0.999999, 0.4),
            "threshold": 0.94,
            "is_anomaly": flagged,
            "state": np.where(np.isnan(values), "missing", "scored"),
            "severity": np.where(flagged, "critical", None),
        }
    )


@dataclass
class Watched:
    """A series that is watched in runs of so many rows."""

    scores: pd.DataFrame
    step: timedelta
    policy: AlertPolicy = POLICY
    timezone: str = "UTC"
    anomalies: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=grouping.ANOMALY_COLUMNS))
    log: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=EVENT_COLUMNS))
    sends: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=SEND_COLUMNS))

    def after_runs(self, size: int, *, beginning: int = 0) -> "Watched":
        for end in [*range(beginning + size, len(self.scores), size), len(self.scores)]:
            self.run(self.scores[:end], max(0, end - size) if end > beginning + size else 0)
        return self

    def run(self, seen: pd.DataFrame, first: int, **more) -> None:
        rows = grouping.merge_violations(seen, no_violations())
        newest = seen["observed_at"].iloc[-1] + self.step
        start, end = grouping.affected_window(self.anomalies, seen["observed_at"].iloc[first], newest, self.step)
        inside = rows[(rows["observed_at"] >= start) & (rows["observed_at"] < end)]
        found = grouping.group(inside, source="web", step=self.step, run_id="run")
        kept = self.anomalies[(self.anomalies["started_at"] < start) | (self.anomalies["started_at"] >= end)]
        self.anomalies = found if kept.empty else pd.concat([kept, found])
        scope = lifecycle.scope(fold(self.log), start, self.policy)
        news = lifecycle.advance(
            self.log[self.log["incident_id"].isin(scope.incident_ids)],
            self.anomalies[self.anomalies["ended_at"] > scope.anomalies_since],
            rows[rows["observed_at"] >= scope.rows_since],
            sends=self.sends,
            source="web",
            since=start,
            step=self.step,
            policy=self.policy,
            now=newest,
            run_id=f"{len(seen)}",
            timezone=self.timezone,
            bands=bands_of(rows[rows["observed_at"] >= scope.usual_until - recovery.lookback(self.step)], self.step),
            past=fold(self.log),
            **more,
        )
        self.log = news.events if self.log.empty else pd.concat([self.log, news.events], ignore_index=True)
        self.sends = news.sends if self.sends.empty else pd.concat([self.sends, news.sends], ignore_index=True)

    @property
    def incidents(self) -> list[Row]:
        return row_dicts(fold(self.log))

    @property
    def said(self) -> list[str]:
        return list(self.sends["event"])


def daily(letters: str) -> pd.DataFrame:
    """Thirty usual days, then a letter a day: `.` usual, `0` flagged at zero, `z` zero and `l` 41 % lower, which the band follows,
    `-` missing."""
    text = "." * 30 + letters
    values = np.array([{"0": 0.0, "z": 0.0, "l": 59.0, "-": np.nan}.get(letter, 100.0) for letter in text])
    middle = np.array([{"z": 0.0, "l": 59.0}.get(letter, 100.0) for letter in text])
    return scored(values, np.array([letter == "0" for letter in text]), middle, DAY)


SIZES = pytest.mark.parametrize("size", [1, 7, 40])


@SIZES
@pytest.mark.soak
def test_revenue_at_zero_for_ten_days_is_one_incident_and_one_recovery_after_it_is_back(size):
    source = Watched(daily("0000zzzzzz...."), DAY).after_runs(size)
    (incident,) = source.incidents
    assert source.said == ["opened", "resolved"] and incident["resolved_reason"] == "back to normal for 1 day"
    assert incident["resolved_at"] == START + 41 * DAY
    assert Watched(daily("0000zzzzzz"), DAY).after_runs(size).said == ["opened"]


@SIZES
@pytest.mark.soak
def test_a_level_that_stays_is_closed_after_a_week_in_its_own_words_and_nothing_after(size):
    source = Watched(daily("00" + "l" * 30), DAY).after_runs(size)
    (incident,) = source.incidents
    assert source.said == ["opened", "resolved"] and incident["resolved_at"] == START + 39 * DAY
    assert incident["resolved_reason"] == "a new level since 4 February: 41 % lower"


def test_no_words_of_normality_before():
    for days in range(1, 7):
        assert Watched(daily("00" + "l" * days), DAY).after_runs(7).said == ["opened"]


@pytest.mark.soak
def test_a_new_level_is_usual_to_what_comes_after_it():
    source = Watched(daily("00" + "l" * 10 + "0" + "l" * 3), DAY).after_runs(1)
    first, second = sorted(source.incidents, key=lambda incident: incident["opened_at"])
    assert first["resolved_reason"].startswith("a new level since") and second["resolved_reason"] == "back to normal for 1 day"
    assert second["resolved_at"] == START + 44 * DAY


@pytest.mark.soak
def test_what_came_right_after_a_new_level_is_another_incident():
    policy = POLICY.model_copy(update={"reopen_within": 3 * DAY})
    assert len(Watched(daily("00" + "l" * 7 + "0" + "l" * 3), DAY, policy).after_runs(1).incidents) == 2


def test_an_outage_is_not_usual_to_the_next_outage():
    source = Watched(daily("0" + "z" * 5 + "." * 10 + "0" + "z" * 5), DAY).after_runs(7)
    assert [incident["state"] for incident in sorted(source.incidents, key=lambda each: each["opened_at"])] == ["resolved", "open"]


def test_the_return_to_what_was_usual_is_not_what_a_recovery_tells_of():
    """The band has followed the outage down, so that the first usual rows look like a spike."""
    first = {"direction": "drop", "started_at": START, "value": 0.0}
    back = {"direction": "spike", "started_at": START + 2 * DAY, "value": 100.0}
    assert series_track.Track({}, POLICY, {}, START + 3 * DAY, taken=[first, back])._newest == first


def test_a_gap_is_no_new_level():
    assert Watched(daily("0l" + "-" * 20 + "l"), DAY).after_runs(7).said == ["opened"]


@SIZES
def test_a_person_who_accepts_the_level_ends_it_at_once(size):
    source = Watched(daily("00lll"), DAY).after_runs(size)
    (incident,) = source.incidents
    reason = recovery.accepted(incident["opened_at"], "ana", "UTC")
    source.run(source.scores, len(source.scores) - 1, ended={incident["incident_id"]: reason})
    (incident,) = source.incidents
    assert source.said == ["opened", "resolved"] and incident["resolved_reason"] == "a new level since 4 February, accepted by ana"


@settings(max_examples=8, deadline=None)
@given(letters=st.text(alphabet=".ll-", max_size=30), size=st.integers(1, 12), resolve_after=st.integers(1, 4))
@pytest.mark.soak
def test_an_incident_ends_when_the_model_says(letters, size, resolve_after):
    """So many usual values with no other between them, or seven days of calm, a fifth of which at least was observed."""
    values, usual, began, expected = [], 0, None, None
    for row, letter in enumerate("00" + letters):
        if letter == "0" or letter == "-":
            continue
        values.append({"l": 59}.get(letter, 100))
        usual, began = usual + 1 if letter == "." else 0, row if began is None else began
        if usual == resolve_after or (row + 1 - began >= 7 and len(values) >= 0.2 * (row + 1 - began)):
            why = "back" if usual == resolve_after else "nothing strange" if np.median(values) == 100 else "a new level"
            expected = START + (31 + row) * DAY, why
            break
    policy = POLICY.model_copy(update={"resolve_after": resolve_after * DAY})
    whole = Watched(daily("00" + letters), DAY, policy).after_runs(99)
    assert whole.incidents == Watched(daily("00" + letters), DAY, policy).after_runs(size, beginning=28).incidents
    (incident,) = whole.incidents
    assert (expected and expected[0]) == incident["resolved_at"]
    assert expected is None or incident["resolved_reason"].startswith(expected[1])


def hourly(days: int, shape: np.ndarray, change: dict[int, float], flagged: dict[int, bool], *, follow: int = 12) -> pd.DataFrame:
    """`shape` each day; from each hour of `change` on times that factor, which the band follows after so many hours."""
    usual, factor = np.tile(shape, days), np.ones(24 * days)
    for hour, by in sorted(change.items()):
        factor[hour:] = by
    known = np.concatenate([np.ones(follow), factor[:-follow]])
    is_flagged = np.zeros(24 * days, bool)
    for hour in flagged:
        is_flagged[hour] = True
    return scored(usual * factor, is_flagged, usual * known, HOUR)


SHOP = np.array([0, 0, 0, 0, 0, 0, 5, 10, 40, 80, 100, 100, 100, 100, 100, 100, 90, 80, 60, 40, 20, 10, 5, 0], float)
NOON = 24 * 28 + 12


@SIZES
def test_the_zeros_of_a_night_do_not_end_an_outage(size):
    scores = hourly(32, SHOP, {NOON: 0.0, NOON + 48: 1.0}, dict.fromkeys(range(NOON, NOON + 9), True))
    source = Watched(scores, HOUR).after_runs(24 * size, beginning=24 * 27)
    (incident,) = source.incidents
    assert source.said == ["opened", "resolved"] and incident["resolved_at"] == START + (NOON + 49) * HOUR


def test_an_outage_whose_band_reaches_down_to_zero_is_not_over_while_the_value_does_not_move():
    """Flat at zero, which lies inside of every band: neither is it usual again, nor is it ever a new level."""
    scores = hourly(45, SHOP, {NOON: 0.0, NOON + 240: 1.0}, dict.fromkeys(range(NOON, NOON + 9), True)).assign(lower=0.0)
    source = Watched(scores, HOUR).after_runs(24, beginning=24 * 27)
    (incident,) = source.incidents
    assert source.said == ["opened", "resolved"] and incident["resolved_at"] == START + (NOON + 241) * HOUR


def test_a_spike_at_noon_is_over_at_one():
    scores = hourly(30, SHOP, {NOON: 3.0, NOON + 1: 1.0}, {NOON: True}, follow=1)
    (incident,) = Watched(scores, HOUR).after_runs(2000).incidents
    assert incident["resolved_at"] == START + (NOON + 2) * HOUR


def test_what_was_usual_is_that_of_the_same_local_time():
    """Clocks go forward on the 29th of March: the shop opens an hour earlier by UTC, and half of its trade is an outage all the same."""
    times = pd.date_range(pd.Timestamp("2026-03-02", tz="Europe/Berlin"), periods=24 * 30, freq="1h")
    usual = SHOP[times.hour.to_numpy()]
    is_out = np.arange(len(usual)) >= 24 * 26 + 10  # on Saturday at ten
    is_back = np.arange(len(usual)) >= 24 * 28 + 7
    values, middle = np.where(is_out & ~is_back, 0, usual), np.where(is_out & ~is_back, 0, usual)
    middle[is_out & (np.arange(len(usual)) < 24 * 26 + 16)] = 100
    scores = scored(values, is_out & (np.arange(len(usual)) < 24 * 26 + 14), middle, HOUR).assign(
        observed_at=times.tz_convert("UTC").as_unit("us")
    )
    source = Watched(scores, HOUR, timezone="Europe/Berlin").after_runs(2000)
    assert source.said == ["opened", "resolved"] and source.incidents[0]["resolved_at"] == times[24 * 28 + 8]


@pytest.mark.parametrize("growth", [0.002, 0.01, 0.03])
def test_a_series_that_grows_recovers(growth):
    """Bands of 5 % around a value that grows by up to 3 % a day, over a month."""
    usual = 100 * (1 + growth) ** np.arange(60)
    is_spike = np.arange(60) == 40
    (incident,) = Watched(scored(np.where(is_spike, 2 * usual, usual), is_spike, usual, DAY, width=0.05), DAY).after_runs(7).incidents
    assert incident["resolved_at"] == START + 42 * DAY


def test_a_count_that_only_rises_recovers():
    usual = 1000.0 + 100 * np.arange(24 * 20)
    is_spike = np.arange(len(usual)) == 300
    scores = scored(np.where(is_spike, 3 * usual, usual), is_spike, usual, HOUR, width=0.02)
    (incident,) = Watched(scores, HOUR).after_runs(2000).incidents
    assert incident["resolved_at"] == START + 302 * HOUR


def test_without_bands_a_calm_score_is_enough():
    scores = daily("00lll").assign(lower=np.nan, upper=np.nan)
    (incident,) = Watched(scores, DAY).after_runs(7).incidents
    assert incident["resolved_reason"] == "back to normal for 1 day"


def test_a_level_around_zero_is_told_in_numbers():
    text = "." * 30 + "00" + "l" * 8
    values = np.array([{"0": 9.0, "l": 6.0}.get(letter, -1.0) for letter in text])
    middle = np.where(np.array(list(text)) == "l", 6.0, -1.0)
    scores = scored(values, values == 9, middle, DAY).assign(lower=middle - 2, upper=middle + 2)
    (incident,) = Watched(scores, DAY).after_runs(7).incidents
    assert incident["resolved_reason"] == "a new level since 4 February: 6 instead of -1"
