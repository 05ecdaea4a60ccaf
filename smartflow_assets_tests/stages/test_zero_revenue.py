"""Revenue with a heavy tail that is zero for ten days: every day is flagged, and people read for how long and what is usual."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from smartflow_assets_tests.homes import START, Home, write_rows

DAYS, DEAD = 150, slice(135, 145)
SHOP = """
name: shop
read: {type: csv, path: examples/shop.csv, time: day}
time_bucket: {every: 1d, settle: 0s}
metrics: [{name: revenue, aggregate: sum, unit: EUR}]
freshness: off
"""


def revenue() -> pd.DataFrame:
    """Daily, with a week, a log-normal spread and promotions of up to six times."""
    random = np.random.default_rng(3)
    values = 1000 * np.array([1, 0.95, 0.9, 1, 1.2, 1.5, 1.3])[np.arange(DAYS) % 7] * random.lognormal(sigma=0.5, size=DAYS)
    values *= np.where(random.random(DAYS) < 0.08, 1 + 5 * random.random(DAYS), 1)
    values[DEAD] = 0
    return pd.DataFrame({"day": pd.date_range(START, periods=DAYS).strftime("%Y-%m-%d"), "revenue": np.round(values, 2)})


def judged(folder: Path, cuts: Sequence[int]) -> Home:
    """The home after one run at the end of each of these days."""
    home, rows = Home(folder), revenue()
    home.write_source("shop", SHOP)
    for days in cuts:
        write_rows(home.settings.data / "examples/shop.csv", rows[:days])
        home.run_stages("shop", START + timedelta(days=days))
    return home


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return judged(tmp_path_factory.mktemp("shop"), [130, DAYS])


@pytest.mark.soak
def test_every_day_without_revenue_is_flagged_and_zero_is_not_usual(shop: Home) -> None:
    scores = shop.table("anomaly_scores").sort_values("observed_at", ignore_index=True)[DEAD]
    assert scores["is_anomaly"].all()
    assert (scores["lower"] > 0).all()


def test_people_read_for_how_long_and_what_is_usual(shop: Home) -> None:
    (anomaly,) = shop.table("anomalies", "direction = 'drop'").to_dict("records")
    assert anomaly["point_count"] == 10
    assert anomaly["explanation"].startswith("0 EUR for 10 days, usually 231 to 5,")
    assert anomaly["severity"] == "critical"
    assert anomaly["explanation"].split(". ")[0] in set(shop.table("incidents")["title"])


@pytest.mark.soak
def test_it_is_the_same_however_runs_cut_the_days(shop: Home, tmp_path: Path) -> None:
    cut = judged(tmp_path, [130, 136, 140, 141, DAYS])
    for table, at in (("anomaly_scores", "observed_at"), ("anomalies", "started_at")):
        one, other = (home.table(table).sort_values(at, ignore_index=True).drop(columns="run_id", errors="ignore") for home in (shop, cut))
        pd.testing.assert_frame_equal(one, other)
