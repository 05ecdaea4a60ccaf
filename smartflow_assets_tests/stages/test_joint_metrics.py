"""A source whose metrics are compared with each other: what one of them did alone is found, stored, and named with its share."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
import yaml

from smartflow_assets_tests.homes import STAGES, START, Home, write_rows

DAYS, STRANGE = 40, 700


@pytest.mark.soak
def test_metrics_of_a_source_are_compared_even_where_one_is_judged_by_keys_of_its_own(home: Home) -> None:
    rng = np.random.default_rng(5)
    hours = pd.date_range(START, periods=24 * DAYS, freq="1h")
    swing = 10 * rng.normal(size=len(hours))
    cpu, memory = 200 + swing + rng.normal(size=len(hours)) / 2, 400 + 2 * swing + rng.normal(size=len(hours)) / 2
    cpu[STRANGE], memory[STRANGE] = 208.0, 375.0
    write_rows(home.folder / "data" / "examples" / "host.csv", pd.DataFrame({"timestamp": hours, "cpu": cpu, "memory": memory}))
    home.write_source(
        "host",
        yaml.safe_dump(
            {
                "name": "host",
                "read": {"type": "csv", "path": "examples/host.csv", "time": "timestamp"},
                "time_bucket": {"every": "1h", "settle": "0s"},
                "detectors": [{"type": "mahalanobis", "surprise": 6}],
                "metrics": [{"name": "cpu", "column": "cpu", "direction": "spike"}, {"name": "memory", "column": "memory"}],
            }
        ),
    )
    for _ in range(2):  # the second scores nothing anew, from the stored model
        home.run_stages("host", START + timedelta(days=DAYS), STAGES[:-1])
    (anomaly,) = home.warehouse.read("SELECT * FROM anomalies WHERE source = 'host'").to_dict("records")
    assert (anomaly["series"], anomaly["started_at"], anomaly["anomaly_type"]) == ("memory", hours[STRANGE], "multivariate")
    shares = dict(anomaly["contributions"])
    assert shares.keys() == {"mahalanobis:cpu", "mahalanobis:memory"} and sum(shares.values()) == pytest.approx(1, abs=1e-3)
    assert "Found by: memory in mahalanobis" in anomaly["explanation"]
