"""Pieces of synthetic domains, and the example files that are made of them: seeded, labelled, calm where nothing is labelled."""

import gzip
import runpy
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from smartflow_assets.adapters.readers import SyntheticReader
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.settings import Settings
from smartflow_assets.core.generators import SystemMetrics, WebTraffic
from smartflow_assets.core.generators.anomaly_events import KINDS, LENGTHS
from smartflow_assets.core.generators.examples import END, EXAMPLE_SOURCES, PROMOTION_AT, SEED
from smartflow_assets.core.generators.iot_sensors import IotSensors

START = datetime(2026, 1, 7, tzinfo=UTC)
DATA = Path(__file__).parents[3] / "data" / "examples"
DOMAINS = [WebTraffic(), SystemMetrics(), IotSensors()]


def inside(labels: pd.DataFrame, series: str, times: pd.Series) -> np.ndarray:
    own = labels[labels["series"] == series]
    hits = [times.between(start, end).to_numpy() for start, end in zip(own["started_at"], own["ended_at"], strict=True)]
    return np.any(hits, axis=0) if hits else np.zeros(len(times), bool)


@pytest.mark.parametrize("domain", DOMAINS, ids=lambda domain: domain.type)
class TestOnePiece:
    def test_same_seed_gives_same_rows(self, domain):
        one, two, other = (domain.generate(START, 3000, seed) for seed in (1, 1, 2))
        pd.testing.assert_frame_equal(one.frame, two.frame)
        pd.testing.assert_frame_equal(one.labels, two.labels)
        assert not one.frame.equals(other.frame)

    def test_twin_differs_only_inside_labelled_events(self, domain):
        made = domain.generate(START, 6000, 3)
        for series in domain.bounds:
            changed = (made.frame[series] != made.twin[series]).to_numpy()
            labelled = inside(made.labels, series, made.frame["timestamp"])
            assert changed.any()
            assert not (changed & ~labelled).any()

    def test_about_one_percent_of_rows_are_anomalous(self, domain):
        made = domain.generate(START, 12_000, 4)
        for series in domain.bounds:
            assert 0.005 < inside(made.labels, series, made.frame["timestamp"]).mean() < 0.02

    def test_first_third_holds_one_event_per_series(self, domain):
        made = domain.generate(START, 12_000, 5)
        early = made.labels[made.labels["started_at"] < made.frame["timestamp"][4000]]
        assert (early.groupby("series").size().reindex(list(domain.bounds)) == 1).all()

    def test_events_have_their_types_length_and_are_large_enough_to_see(self, domain):
        labels = domain.generate(START, 30_000, 6).labels
        rows = (labels["ended_at"] - labels["started_at"]) // timedelta(minutes=5) + 1
        assert set(labels["type"]) == set(KINDS)
        for kind, (shortest, longest) in LENGTHS.items():
            assert rows[labels["type"] == kind].between(shortest, longest).all()
        assert (labels.loc[labels["type"] != "flat", "size"] >= 0.35).all()

    def test_no_anomalies_when_none_are_wanted(self, domain):
        made = domain.generate(START, 2000, 1, anomaly_rate=0)
        assert made.labels.empty
        pd.testing.assert_frame_equal(made.frame, made.twin)

    def test_values_keep_their_bounds(self, domain):
        made = domain.generate(START, 6000, 8, anomaly_rate=0.05)
        for series, bounds in domain.bounds.items():
            assert made.frame[series].between(bounds.floor, bounds.ceiling).all()

    @pytest.mark.parametrize("rows", [0, 1, 50, 300])
    def test_any_length(self, domain, rows):
        assert len(domain.generate(START, rows, 1).frame) == rows


def test_step_is_kept():
    frame = WebTraffic(step="1h").generate(START, 48).frame
    assert (frame["timestamp"].diff().dropna() == timedelta(hours=1)).all()


def test_traffic_has_a_day_a_week_and_an_evening_peak():
    value = WebTraffic().generate(START, 28 * 288, 1, anomaly_rate=0).frame.set_index("timestamp")["value"]
    by_hour = value[value.index.day_of_week < 5].groupby(value.index[value.index.day_of_week < 5].hour).mean()
    assert by_hour.idxmax() == 20
    assert by_hour[3] < 0.25 * by_hour[20]
    assert value[value.index.day_of_week >= 5].mean() < 0.9 * value[value.index.day_of_week < 5].mean()


def test_noise_grows_with_the_level():
    value = WebTraffic().generate(START, 42 * 288, 1, anomaly_rate=0).frame.set_index("timestamp")["value"]
    jitter = value.diff().groupby(value.index.hour).std()
    assert jitter[12] > 1.5 * jitter[3]


def test_disk_has_a_backup_every_night():
    io = SystemMetrics().generate(START, 7 * 288, 1, anomaly_rate=0).frame.set_index("timestamp")["io"]
    assert io.between_time("01:30", "02:29").min() > 100 > io.between_time("03:00", "23:55").max()


def test_promotion_peaks_on_its_minute():
    made = EXAMPLE_SOURCES["web_traffic"].make()
    value = made.frame.set_index("timestamp")["value"]
    at = pd.Timestamp(PROMOTION_AT)
    assert value[at] == 1600
    assert 450 <= made.twin.set_index("timestamp")["value"][at] <= 550
    last = made.labels.iloc[-1]
    assert (last["type"], last["started_at"] <= at <= last["ended_at"]) == ("surge", True)
    assert at.normalize() == made.frame["timestamp"].iloc[-1].normalize()


def test_committed_examples_are_what_the_generators_make():
    for name, text in runpy.run_path(str(DATA / "regenerate.py"))["example_files"]().items():
        data = (DATA / name).read_bytes()
        assert (gzip.decompress(data) if name.endswith(".gz") else data).decode() == text, f"{name}: run data/examples/regenerate.py"


@pytest.mark.parametrize(
    ("name", "lines", "damaged", "twice"),
    [
        ("web_traffic.csv", 42 * 288 + 1, 1, 1),
        ("system_metrics.csv", 42 * 288 - 4, 0, 0),
        ("kpi_sales.csv", 5 * 1094, 0, 4 * 1094),
        ("payments.csv.gz", 42 * 720, 0, None),
    ],
)
def test_examples_are_small_and_as_dirty_as_they_say(name, lines, damaged, twice):
    rows = pd.read_csv(DATA / name)
    assert (DATA / name).stat().st_size < 1_000_000
    times = pd.to_datetime(rows["timestamp"], errors="coerce", utc=True)
    assert (len(rows), int(times.isna().sum())) == (lines, damaged)
    assert twice is None or int(times.dropna().duplicated().sum()) == twice


def test_the_living_example_is_what_its_source_makes():
    """The figures of the demo are measured on labels that the reader knows nothing of."""
    source = Catalogue.load(Settings(DATA.parents[1])).source("iot_sensors")
    example = EXAMPLE_SOURCES["iot_sensors"]
    assert isinstance(source.read, SyntheticReader)
    assert (source.read.domain, source.read.seed, source.read.anomaly_rate, source.read.history) == (
        example.domain,
        SEED,
        example.anomaly_rate,
        example.length,
    )
    made = example.make().frame["timestamp"]
    assert made.iloc[0] <= END - source.read.history - timedelta(hours=18) and made.iloc[-1] >= END + timedelta(hours=2)
