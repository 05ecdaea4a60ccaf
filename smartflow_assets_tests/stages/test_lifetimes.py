"""Series that come and go: who stays away long enough is over and costs no row, however runs cut the data."""

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.core.errors import SourceError
from smartflow_assets.core.incidents import recovery
from smartflow_assets.core.series.lifetimes import Waiting
from smartflow_assets.stages.alerting import drain_outbox
from smartflow_assets.stages.detection import anomaly_scores
from smartflow_assets.stages.ingestion import raw_records
from smartflow_assets.stages.preparation import clean_series
from smartflow_assets_tests.core.series.test_lifetimes import buckets_of
from smartflow_assets_tests.homes import START, Home, write_rows

HOUR = timedelta(hours=1)
START_TYPE = pd.DataFrame({"at": [START]})["at"].dtype
JOBS = """
name: jobs
read: {type: csv, path: examples/jobs.csv, time: at}
metrics: [{name: jobs, aggregate: sum, column: n, without_rows: zero}]
dimensions: [container]
time_bucket: {every: 1h, settle: 0s}
freshness: {error_after: 3 days, delay: 0s}
"""
HOURS = 40 * 24


def containers(seed: int = 3) -> pd.DataFrame:
    """One container that always runs, five that come and go, a fresh one every fourth hour; and two days in which nothing runs."""
    rng = np.random.default_rng(seed)
    rows = [("main", hour) for hour in range(HOURS)]
    rows += [(f"id{hour}", hour) for hour in range(0, HOURS, 4)]
    for name in "abcde":
        hour = int(rng.integers(0, 48))
        while hour < HOURS:
            rows += [(name, at) for at in range(hour, min(hour + int(rng.integers(1, 90)), HOURS))]
            hour = max(at for each, at in rows if each == name) + int(rng.integers(2, 300))
    return pd.DataFrame([(name, START + hour * HOUR, 1) for name, hour in rows if not 600 <= hour < 648], columns=["container", "at", "n"])


def run(home: Home, rows: pd.DataFrame, now: datetime, text: str = JOBS) -> Home:
    home.write_source("jobs", text)
    shown = rows[rows["at"] < now]
    write_rows(home.settings.data / "examples/jobs.csv", shown.assign(at=shown["at"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")))
    home.run_stages("jobs", now, [raw_records, clean_series])
    return home


def cleaned(home: Home) -> pd.DataFrame:
    return home.table("clean_series").drop(columns=["run_id", "written_at"], errors="ignore").sort_values(["series", "observed_at"])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Clean rows of one run over all."""
    return cleaned(run(Home(tmp_path_factory.mktemp("whole")), containers(), START + HOURS * HOUR))


def test_each_series_has_the_buckets_of_the_walk(whole):
    rows, waiting = containers(), Waiting.of(HOUR, 6)
    hours = rows.assign(hour=(rows["at"] - START) // HOUR)
    filled = set(hours["hour"])
    expected = {name: buckets_of(set(mine), filled, HOURS, waiting) for name, mine in hours.groupby("container")["hour"]}
    found = {
        series.removeprefix("jobs{container=").removesuffix("}"): set((mine - START) // HOUR)
        for series, mine in whole.groupby("series")["observed_at"]
    }
    assert found == expected
    assert sum(map(len, expected.values())) < 0.2 * len(expected) * HOURS  # what they would be if none were ever over


@pytest.mark.parametrize("hours", [61, 7 * 24 + 5])
@pytest.mark.soak
def test_tables_are_equal_however_runs_cut_the_rows(tmp_path: Path, whole, hours):
    home, rows = Home(tmp_path), containers()
    for end in [*range(hours, HOURS, hours), HOURS]:
        run(home, rows, START + end * HOUR)
    pd.testing.assert_frame_equal(cleaned(home).reset_index(drop=True), whole.reset_index(drop=True))


@pytest.mark.soak
def test_tables_are_equal_when_rows_come_late(tmp_path: Path, whole):
    """The rows of a week come ten days after the others: some series turn out to be over earlier, some later."""
    home, rows = Home(tmp_path), containers()
    is_late = (rows["at"] >= START + 300 * HOUR) & (rows["at"] < START + 468 * HOUR)
    run(home, rows[~is_late], START + 700 * HOUR)
    run(home, rows, START + 800 * HOUR)
    run(home, rows, START + HOURS * HOUR)
    pd.testing.assert_frame_equal(cleaned(home).reset_index(drop=True), whole.reset_index(drop=True))


OLD = pd.Timestamp(0, tz="UTC")
WITH_OLD = [("main", OLD, 5), ("main", OLD + 2 * HOUR, 6), ("other", OLD + HOUR, 7)]


def with_old_rows() -> pd.DataFrame:
    """The containers, and three rows whose time somebody left at zero."""
    old = pd.DataFrame(WITH_OLD, columns=["container", "at", "n"])
    return pd.concat([old.assign(at=old["at"].astype(START_TYPE)), containers()])


@pytest.mark.parametrize("text", [JOBS, JOBS.replace("dimensions: [container]\n", "")], ids=["by container", "one series"])
@pytest.mark.parametrize("every", ["1h", "1s"])
def test_a_row_of_1970_makes_no_half_century_of_buckets(tmp_path: Path, text: str, every: str):
    rows = with_old_rows() if every == "1h" else with_old_rows().groupby("container").head(3)
    rows = rows[(rows["at"] < START + 6 * HOUR) | (every == "1h")]
    home = run(Home(tmp_path), rows, START + (HOURS if every == "1h" else 6) * HOUR, text.replace("every: 1h", f"every: {every}"))
    after = cleaned(home)["observed_at"] - OLD
    old, step = after[after < timedelta(days=365)], pd.Timedelta(every)
    series_count = home.table("clean_series")["series"].nunique() if "container" in text else 1
    assert old.max() == 2 * HOUR + 7 * timedelta(days=1), "a source that is silent goes on for a week"
    assert len(old) <= series_count * (old.max() / step + 1)
    assert after[after >= timedelta(days=365)].min() >= START - OLD


@pytest.mark.soak
@pytest.mark.parametrize("text", [JOBS, JOBS.replace("dimensions: [container]\n", "")], ids=["by container", "one series"])
def test_tables_are_equal_whether_the_break_comes_first_or_is_found_late(tmp_path: Path, text: str):
    rows, end = with_old_rows(), START + 300 * HOUR
    homes = [Home(tmp_path / name) for name in ("at once", "in turn", "late")]
    run(homes[1], rows, (OLD + timedelta(days=30)).to_pydatetime(), text)
    run(homes[1], rows, START + 90 * HOUR, text)
    run(homes[2], containers(), START + 100 * HOUR, text)
    at_once, *others = (cleaned(run(home, rows, end, text)).reset_index(drop=True) for home in homes)
    for other in others:
        pd.testing.assert_frame_equal(other, at_once)
    assert len(at_once) < 30_000


def test_too_many_series_at_a_time_are_refused_by_name(tmp_path: Path):
    rows, end = containers(), START + HOURS * HOUR
    run(Home(tmp_path / "enough"), rows, end, JOBS + "max_series: 40\n")  # ids that are over do not count: there are 246 in all
    with pytest.raises(SourceError, match=r"(?s)jobs.*\d+ series at a time, more than max_series: 9.*container.*max_series"):
        run(Home(tmp_path / "too_many"), rows, end, JOBS + "max_series: 9\n")


def test_a_given_wait_is_kept(tmp_path: Path):
    home = run(Home(tmp_path), containers(), START + 100 * HOUR, JOBS + "retire_after: 10h\n")
    assert home.count("clean_series", "series = 'jobs{container=id4}'") == 11


def test_stretches_with_series_of_their_own_are_scored_in_one_go(tmp_path: Path):
    """Before the break there are two containers, after it others."""
    home = run(Home(tmp_path), with_old_rows(), START + 90 * HOUR)
    home.run_stages("jobs", START + 90 * HOUR, [anomaly_scores])
    scored = home.table("anomaly_scores").groupby("series").size()
    assert scored.to_dict() == home.table("clean_series").groupby("series").size().to_dict()
    assert home.table("anomaly_scores")["dimensions"].map(dict).map(len).eq(1).all()


@pytest.mark.soak
def test_the_incident_of_a_series_that_is_over_ends_once_and_says_so(tmp_path: Path):
    """A region that counts four times as much for its last hours, and then nothing more; the other goes on."""
    home, end = Home(tmp_path), START + 21 * 24 * HOUR
    home.write_source("jobs", JOBS.replace(", without_rows: zero", "") + "retire_after: 2 days\nalerts: {to: [file]}\n")
    hours = pd.date_range(START, end + 4 * 24 * HOUR, freq="1h", inclusive="left")
    wave = 200 + 60 * np.sin(hours.hour.to_numpy() / 24 * 2 * np.pi) + np.random.default_rng(2).normal(0, 5, len(hours))
    main = pd.DataFrame({"at": hours, "container": "main", "n": wave.round()})
    gone = main[main["at"] < end].assign(container="gone")
    gone.loc[gone["at"] >= end - 4 * HOUR, "n"] *= 4
    rows = pd.concat([main, gone])
    for now in [end - 24 * HOUR, *pd.date_range(end, end + 4 * 24 * HOUR, freq="8h")]:
        shown = rows[rows["at"] < now]
        write_rows(home.settings.data / "examples/jobs.csv", shown.assign(at=shown["at"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")))
        home.run_stages("jobs", now, run_id=f"run {now}")
        drain_outbox(home.warehouse, Catalogue.load(home.settings), home.settings, now=now, run_id="outbox", environment={})
    [incident] = home.table("incidents").to_dict("records")
    assert incident["series"] == "jobs{container=gone}" and incident["opened_at"] == end - 4 * HOUR
    assert incident["resolved_reason"] == recovery.RETIRED and incident["resolved_at"] == end + 48 * HOUR
    assert home.sent()["event"].tolist() == ["opened", "resolved"]
