"""Null is null everywhere: a table, an event and a message write NaN, NaT, NA and infinity the same way."""

import json
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from smartflow_assets.adapters.warehouse.table_spec import _json_text
from smartflow_assets.core.incidents.event_log import log_entry
from smartflow_assets.core.json_value import json_value

NOTHING = [None, float("nan"), float("inf"), -np.inf, np.float32("nan"), pd.NaT, pd.NA, np.datetime64("NaT")]
VALUES = {"none": NOTHING, "n": np.int64(3), "is_late": np.True_, "rows": np.array([1.5, np.nan]), "by": {"region": "EU"}}
WRITTEN = {"none": [None] * len(NOTHING), "n": 3, "is_late": True, "rows": [1.5, None], "by": {"region": "EU"}}


def test_what_is_no_number_is_null_in_tables_events_and_messages() -> None:
    assert json_value(VALUES) == WRITTEN
    assert json.loads(_json_text(VALUES, lambda value: True, "") or "") == WRITTEN
    incident = {"source": "shop", "incident_id": "i", "cause": "anomaly", "series": "n"}
    moment = datetime(2026, 3, 1, tzinfo=UTC)
    entry = log_entry(incident, "opened", severity="warning", happened_at=moment, run_id="r", payload={"sequence": 1} | VALUES)
    assert json.loads(entry["payload"]) == {"sequence": 1} | WRITTEN


def test_times_and_strangers_are_written_as_the_caller_says() -> None:
    moment = pd.Timestamp("2026-03-01T01:00", tz="Europe/Berlin")
    assert json_value([moment]) == ["2026-03-01T00:00:00+00:00"]
    assert json_value([moment], write_time=str) == ["2026-03-01 01:00:00+01:00"]
    assert json_value([1j], write_other=str) == ["1j"]
    with pytest.raises(TypeError, match="not JSON serializable"):
        json.dumps(json_value([1j]))
