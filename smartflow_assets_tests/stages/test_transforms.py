"""Transforms through all stages: what detectors, rules, messages and pictures speak of, and that the cut of runs does not matter."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from smartflow_assets.stages import ingestion, preparation
from smartflow_assets_tests.homes import STAGES, START, Home, Stage, write_rows

HOURS = 24 * 40
BURST, DROP = 700, 800  # hours


def write_counter_and_sales(home: Home) -> pd.DataFrame:
    """A counter of bytes that grows by about 3600 x 50 an hour and began anew twice, and sales over three decades."""
    chance = np.random.default_rng(5)
    hours = pd.date_range(START, periods=HOURS, freq="1h")
    grown = 3600 * (50 + chance.normal(0, 1, HOURS))
    grown[BURST] = 3600 * 400
    counter = np.cumsum(grown)
    for restart in (250, 600):
        counter[restart:] -= counter[restart - 1]
    sales = np.exp(5 + 1.5 * np.sin(hours.hour.to_numpy() / 24 * 2 * np.pi) + chance.normal(0, 0.1, HOURS))
    sales[DROP] = 0
    rows = pd.DataFrame({"timestamp": hours.strftime("%Y-%m-%dT%H:%M:%SZ"), "bytes": np.round(counter), "sales": np.round(sales, 2)})
    rows = rows.drop(index=[400, 401, 500])
    write_rows(home.settings.data / "examples" / "host.csv", rows)
    home.write_source(
        "host",
        yaml.safe_dump(
            {
                "name": "host",
                "read": {"type": "csv", "path": "examples/host.csv", "time": "timestamp"},
                "time_bucket": {"every": "1h", "settle": "0s"},
                "metrics": [
                    {
                        "name": "traffic",
                        "column": "bytes",
                        "transform": "cumulative_to_rate",
                        "unit": "bytes/s",
                        "rules": [{"type": "threshold", "above": 300, "name": "flood"}],
                    },
                    {
                        "name": "sales",
                        "transform": "log",
                        "unit": "EUR",
                        "rules": [{"type": "threshold", "below": 1, "name": "nothing_sold"}],
                    },
                    {"name": "moved", "column": "sales", "transform": "difference", "unit": "EUR"},
                ],
            }
        ),
    )
    return rows


def run_stages(home: Home, hours: float = HOURS, stages: Sequence[Stage] = STAGES[:-1]) -> dict[str, Any]:
    return home.run_stages("host", START + timedelta(hours=hours), stages)


@pytest.fixture(scope="module")
def host(tmp_path_factory) -> Home:
    home = Home(tmp_path_factory.mktemp("host"))
    write_counter_and_sales(home)
    run_stages(home)
    return home


def at(hour: int) -> str:
    return f"observed_at = TIMESTAMPTZ '{(START + timedelta(hours=hour)).isoformat()}'"


@pytest.mark.soak
def test_a_counter_is_judged_ruled_and_told_as_its_rate(host):
    clean = host.table("clean_series", f"metric = 'traffic' AND {at(BURST)}").iloc[0]
    assert clean["value"] == pytest.approx(400, rel=1e-3) and clean["value_raw"] > 1e6
    first = host.table("clean_series", f"metric = 'traffic' AND {at(0)}").iloc[0]
    assert np.isnan(first["value"]) and first["value_raw"] > 0
    anomaly = host.table("anomalies", "metric = 'traffic'")
    assert len(anomaly) == 1  # the counter that began anew is none
    assert anomaly["explanation"][0].startswith("400 bytes/s, usually 4")
    assert "Rule flood: 400 is above 300" in anomaly["explanation"][0]


def test_a_logarithm_is_seen_by_detectors_alone(host):
    scores = host.table("anomaly_scores", "metric = 'sales' AND state = 'scored'")
    assert (
        scores["value"]
        == host.table("clean_series", "metric = 'sales'").set_index("observed_at")["value_raw"].reindex(scores["observed_at"]).to_numpy()
    ).all()
    night, day = (scores[scores["observed_at"].dt.hour == hour].iloc[-1] for hour in (18, 6))
    assert night["lower"] > 0  # a share of the value, which no straight band leaves at night
    assert (day["upper"] - day["lower"]) / day["expected"] == pytest.approx((night["upper"] - night["lower"]) / night["expected"], rel=0.5)
    assert day["expected"] > 10 * night["expected"]
    anomaly = host.table("anomalies", "metric = 'sales'")
    assert len(anomaly) == 1 and anomaly["value"][0] == 0  # zero has no logarithm, and is judged
    assert "0 EUR, usually " in anomaly["explanation"][0] and "Rule nothing_sold: 0 is below 1" in anomaly["explanation"][0]


def test_over_a_gap_there_is_no_change_to_speak_of(host):
    inside, after = (host.table("clean_series", f"metric = 'moved' AND {at(hour)}").iloc[0] for hour in (401, 402))
    assert (inside["repair"], after["repair"]) == ("filled", "filled")  # and so neither is judged
    assert np.isnan(inside["value_raw"]) and after["value_raw"] > 0


@pytest.mark.soak
def test_values_without_a_logarithm_are_counted_when_they_are_learnt_from(tmp_path):
    home = Home(tmp_path)
    rows = write_counter_and_sales(home)
    rows.loc[[50, 60, 70], "sales"] = 0
    write_rows(home.settings.data / "examples" / "host.csv", rows)
    assert "3 of them are zero or negative" in run_stages(home)["trained_models"].summary


@pytest.mark.soak
def test_the_cut_of_runs_does_not_matter(tmp_path, host):
    home = Home(tmp_path)
    write_counter_and_sales(home)
    for hours in (HOURS - 560, *range(HOURS - 559, HOURS - 545), HOURS - 458, HOURS - 457, HOURS - 100, HOURS):  # 400 to 415, 502
        run_stages(home, hours, [ingestion.raw_records, preparation.clean_series, preparation.rule_violations])
    for table, key in (("clean_series", "value"), ("rule_violations", "limit_value")):
        one, two = (found.table(table).sort_values(["series", "observed_at"], ignore_index=True) for found in (host, home))
        pd.testing.assert_frame_equal(one, two, check_exact=True, obj=table)
        assert len(one) > 0 and key in one
