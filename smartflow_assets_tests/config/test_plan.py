"""What a changed YAML will do, said before it is done."""

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from smartflow_assets.adapters.warehouse.tables import TABLES
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.adapters.warehouse.writes import Replace
from smartflow_assets.config.plan import compare, removal
from smartflow_assets.config.source import Source
from smartflow_assets.stages.bucket_resolution import made_under, with_known_bucket

SMALL = {"name": "web", "read": {"type": "csv", "path": "a.csv", "time": "ts"}, "time_bucket": {"every": "5min"}, "metrics": ["requests"]}
SINCE, UNTIL = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC)


def source(**keys) -> Source:
    return Source.model_validate(SMALL | keys)


def test_a_source_without_rows_is_new():
    assert str(compare(source(), rows_made_under=None)) == "web: the source is new: its rows are read, its models trained"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"time_bucket": {"every": "1h"}}, "time_bucket.every: 5min -> 1h"),
        (
            {"metrics": [{"name": "requests", "column": "value", "aggregate": "sum"}]},
            "metrics: requests requests mean -> requests value sum",
        ),
        ({"dimensions": ["region"]}, "dimensions: by default -> region"),
        ({"calendar": {"timezone": "Europe/Berlin"}}, "calendar.timezone: UTC -> Europe/Berlin"),
    ],
)
def test_a_rebuild_names_the_keys_before_and_after(change, said):
    plan = compare(source(**change), rows_made_under=source().fingerprint)
    assert (plan.effect, [str(key) for key in plan.changes]) == ("rebuild", [said])


def test_other_changes_rebuild_nothing_and_train_only_what_has_no_model():
    changed = source(detectors=[{"type": "zscore"}])
    assert compare(changed, rows_made_under=source().fingerprint, models=["old"], models_wanted=["new"]).effect == "retrain"
    assert compare(changed, rows_made_under=source().fingerprint, models=["old"], models_wanted=["old"]).effect == "nothing"


def test_a_file_that_is_gone_is_a_removal():
    assert "its rows stay until they are pruned" in str(removal("web"))


@pytest.fixture
def warehouse(tmp_path):
    return Warehouse(tmp_path / "smartflow.duckdb", tmp_path / "analyst.duckdb")


def test_a_bucket_that_rows_were_made_with_is_kept_when_the_yaml_names_none(warehouse):
    rows = pd.DataFrame(
        {
            "source": ["web"],
            "series": ["requests"],
            "metric": ["requests"],
            "dimensions": [{}],
            "observed_at": [pd.Timestamp(SINCE)],
            "value": [1.0],
            "value_raw": [1.0],
            "repair": ["none"],
        }
    )
    assert set(rows) == set(TABLES["clean_series"].column_names)
    made = source(time_bucket={"every": "15min"})
    warehouse.commit("run", [Replace("clean_series", "web", rows, SINCE, UNTIL, fingerprint=made.fingerprint)])
    open_bucket = source(time_bucket={})
    assert made_under(warehouse, "web") == made.fingerprint
    assert with_known_bucket(open_bucket, warehouse).time_bucket.every == timedelta(minutes=15)
    assert with_known_bucket(source(), warehouse).time_bucket.every == timedelta(minutes=5)
    assert compare(open_bucket, rows_made_under=made.fingerprint).effect == "nothing"


def test_without_rows_the_bucket_stays_open(warehouse):
    assert not with_known_bucket(source(time_bucket={}), warehouse).is_bucket_given
