"""What a changed YAML will do, said before it is done."""

import json
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from smartflow_assets.adapters.warehouse.tables import TABLES
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.adapters.warehouse.writes import Replace
from smartflow_assets.config.configuration_record import configuration_of, without_secrets
from smartflow_assets.config.plan import compare, removal
from smartflow_assets.config.source import Source
from smartflow_assets.stages.bucket_resolution import made_under, with_known_bucket

SMALL = {"name": "web", "read": {"type": "csv", "path": "a.csv", "time": "ts"}, "time_bucket": {"every": "5min"}, "metrics": ["requests"]}
SINCE, UNTIL = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC)


def source(**keys) -> Source:
    return Source.model_validate(SMALL | keys)


def test_a_source_without_rows_is_new():
    assert str(compare(source(), rows_made_under=None)) == "web: the source is new: its rows are read, its models trained"


def test_a_source_that_has_run_and_has_no_bucket_yet_is_not_new():
    said = configuration_of(source())
    assert str(compare(source(), rows_made_under=None, configuration=said)) == "web: nothing has changed since the last run"
    changed = str(compare(source(sensitivity="high", owner="ann@example.com"), rows_made_under=None, configuration=said))
    assert "is new" not in changed and "sensitivity: medium -> high" in changed and "owner: by default -> ann@example.com" in changed


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"time_bucket": {"every": "1h"}}, ["time_bucket.every: 5min -> 1h"]),
        (
            {"metrics": [{"name": "requests", "column": "value", "aggregate": "sum"}]},
            ["metrics.requests.column: requests -> value", "metrics.requests.aggregate: mean -> sum"],
        ),
        (
            {"metrics": [{"name": "requests", "where": "ok == 'yes'"}, {"name": "load", "dimensions": ["host"]}]},
            ["metrics.requests.where: by default -> ok == 'yes'", "metrics.load: none -> column load, aggregate mean, dimensions host"],
        ),
        ({"metrics": []}, ["metrics: requests -> by default"]),
        ({"dimensions": ["region"]}, ["dimensions: by default -> region"]),
        ({"calendar": {"timezone": "Europe/Berlin"}}, ["calendar.timezone: UTC -> Europe/Berlin"]),
    ],
)
def test_a_rebuild_names_the_keys_before_and_after(change, said):
    plan = compare(source(**change), rows_made_under=source().fingerprint)
    assert (plan.effect, [str(key) for key in plan.changes]) == ("rebuild", [f"{each} (rows are made anew)" for each in said])


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


RULES = [{"type": "threshold", "name": "flood", "metric": "requests", "above": 500}]
FULL = {
    "metrics": [{"name": "requests", "unit": "requests"}],
    "rules": RULES,
    "schedule": "1h",
    "alerts": {"to": ["file"]},
    "detectors": [{"type": "zscore"}, {"type": "mad"}],
}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rules": [{**RULES[0], "above": 700}]}, "rules.flood.above: 500 -> 700 (only what comes)"),
        ({"rules": []}, "rules.flood: threshold, metric requests, severity warning, above 500, for 0s -> none (only what comes)"),
        ({"read": {**SMALL["read"], "path": "b.csv"}}, "read.path: a.csv -> b.csv (what is read from now on)"),
        ({"read": {**SMALL["read"], "key": ["id"]}}, "read.key: by default -> id (all is read anew, and rows replaced where they differ)"),
        ({"read": {**SMALL["read"], "decimal": ","}}, "read.decimal: . -> , (all is read anew, and rows replaced where they differ)"),
        ({"on_bad_rows": "drop"}, "on_bad_rows.do: quarantine -> drop (all is read anew, and rows replaced where they differ)"),
        ({"schedule": "5min"}, "schedule: 1h -> 5min (only what comes)"),
        ({"alerts": {"to": ["ops", "file"]}}, "alerts.to: file -> ops, file (only who is told)"),
        ({"alerts": {"to": ["file"], "resolve_after": "1h"}}, "alerts.resolve_after: 15min -> 1h (only what comes)"),
        ({"description": "Requests."}, "description: by default -> Requests. (changes no result)"),
        ({"freshness": "off"}, "freshness: auto -> off (only what comes)"),
        ({"metrics": [{"name": "requests", "unit": "hits"}]}, "metrics.requests.unit: requests -> hits (only what comes)"),
        ({"sensitivity": "high"}, "sensitivity: medium -> high (models are trained anew)"),
        ({"detectors": "auto"}, "detectors: zscore, mad -> auto (models are trained anew)"),
        (
            {"metrics": [{"name": "requests", "unit": "requests", "direction": "spike"}]},
            "metrics.requests.direction: by default -> spike (models are trained anew)",
        ),
        ({"calendar": {"holidays": "US"}}, "calendar.holidays: by default -> US (models are trained anew)"),
        ({"time_bucket": {"every": "1h"}}, "time_bucket.every: 5min -> 1h (rows are made anew)"),
        ({"read": {**SMALL["read"], "time": "at"}}, "read.time.column: ts -> at (rows are made anew)"),
    ],
)
def test_each_changed_key_is_named_with_both_values_and_what_comes_of_it(change, said):
    before, after = source(**FULL), source(**(FULL | change))
    is_for_models = "models" in said
    plan = compare(
        after,
        rows_made_under=before.fingerprint,
        models=["old"],
        models_wanted=["new"] if is_for_models else ["old"],
        configuration=json.loads(json.dumps(configuration_of(before))),
    )
    assert list(map(str, plan.changes)) == [said]
    assert plan.effect == (
        "retrain" if is_for_models else "rebuild" if "made anew" in said else "replace" if "read anew" in said else "nothing"
    )


def test_nothing_has_changed_where_nothing_has():
    before = source(**FULL)
    plan = compare(before, rows_made_under=before.fingerprint, configuration=configuration_of(before))
    assert str(plan) == "web: nothing has changed since the last run"


def test_a_key_that_an_older_version_did_not_know_has_not_changed():
    kept = configuration_of(source(**FULL))
    for holder, key in ((kept, "freshness"), (kept["alerts"], "new_level_after"), (kept["rules"][0], "severity")):
        holder.pop(key)
    assert compare(source(**FULL), rows_made_under=source(**FULL).fingerprint, configuration=kept).changes == ()


def test_secrets_are_kept_by_name_alone(monkeypatch):
    monkeypatch.setenv("SHOP_TOKEN", "s3cret")
    read = {
        "type": "http",
        "url": "https://${SHOP_USER}:${SHOP_PASSWORD}@api.example.com/orders",
        "headers": {"Authorization": "Bearer ${SHOP_TOKEN}"},
        "time": "ts",
    }
    kept = configuration_of(source(read=read))["read"]
    assert kept["headers"] == {"Authorization": "Bearer ${SHOP_TOKEN}"}
    assert kept["url"] == read["url"]
    assert "s3cret" not in json.dumps(kept)


def test_what_a_reader_of_somebody_else_takes_as_a_secret_is_left_out():
    values = {"type": "theirs", "api_key": "s3cret", "where": {"url": "ftp://me:s3cret@host/x", "token": "${TOKEN}"}}
    assert without_secrets(values) == {"type": "theirs", "api_key": "…", "where": {"url": "ftp://me:…@host/x", "token": "${TOKEN}"}}
