"""What a source means: its defaults, its metrics, its fingerprint."""

import json
from datetime import timedelta

import pytest

from smartflow_assets.config.catalogue import json_schema
from smartflow_assets.config.source import DETECTION_KEYS, Source
from smartflow_assets.core.temporal.notation import format_duration, parse_duration

SMALL = {"name": "web", "read": {"type": "csv", "path": "web.csv", "time": "ts"}}


def source(**keys) -> Source:
    return Source.model_validate(SMALL | keys)


def test_name_and_read_are_enough():
    small = source()
    assert small.read.time.model_dump(exclude_none=True) == {"column": "ts", "format": "iso"}
    assert (small.metric_columns, small.wanted.numbers, small.is_bucket_given) == ((), None, False)


def test_a_metric_says_its_column_and_what_must_be_a_number():
    shop = source(
        metrics=[
            "total",
            {"name": "orders", "aggregate": "count"},
            {"name": "people", "column": "email", "aggregate": "distinct_count"},
            {"name": "spent", "column": "total", "aggregate": "sum", "unit": "EUR"},
        ],
        dimensions=["region"],
    )
    assert [(column.name, column.column, column.aggregate) for column in shop.metric_columns] == [
        ("total", "total", "mean"),
        ("orders", None, "count"),
        ("people", "email", "distinct_count"),
        ("spent", "total", "sum"),
    ]
    assert (shop.wanted.numbers, shop.wanted.texts) == (("total",), ("region",))
    assert (shop.unit("spent"), shop.unit("total"), shop.units) == ("EUR", "", {"spent": "EUR"})


def test_a_column_that_where_compares_with_a_text_stays_text():
    """Codes are mostly numbers: read as such, 404 would be 404.0 one day, and `timeout` would be nowhere."""
    where = "code == '404' or region in ['north'] and total > 5 and tries >= 2"
    shop = source(metrics=["total", {"name": "errors", "aggregate": "count", "where": where}], dimensions=["region"])
    assert (shop.wanted.numbers, shop.wanted.texts, shop.wanted.categories) == (("total",), ("region",), ("code",))


def test_a_metric_overrides_what_the_source_says_of_detection():
    web = source(
        direction="spike",
        ignore_small_changes="5%",
        metrics=["requests", {"name": "errors", "direction": "drop", "detectors": [{"type": "zscore"}]}],
    )
    assert (web.detection("requests").direction, web.detection("errors").direction) == ("spike", "drop")
    assert web.detection("errors").detectors[0].type == "zscore"
    assert web.detection("errors").ignore_small_changes == "5%"
    assert web.detection("found_in_the_data").direction == "spike"


def test_a_metric_may_go_back_to_a_sensitivity_where_the_source_has_a_threshold():
    web = source(threshold={"score": 0.9}, metrics=["requests", {"name": "errors", "sensitivity": "low"}])
    assert web.detection("requests").threshold.score == 0.9
    assert web.detection("errors").threshold is None


def test_rules_of_a_metric_hold_for_it_alone():
    web = source(
        rules=[{"type": "threshold", "above": 9, "name": "roof"}],
        metrics=["a", {"name": "b", "rules": [{"type": "threshold", "below": 1}]}],
    )
    assert [(rule.type, rule.metric) for rule in web.all_rules] == [("threshold", None), ("threshold", "b")]


ENCODE = {"channel": "one_hot", "channel__kind": "frequency", "tier": "ordinal"}


def test_encoded_columns_are_made_of_text_and_are_no_numbers_to_be_read():
    web = source(
        encode=ENCODE,
        dimensions=["channel"],
        metrics=[
            "total",
            {"name": "web", "column": "channel__web"},
            {"name": "kind", "column": "channel__kind__frequency"},
            {"name": "tier__ordinal"},
        ],
    )
    assert web.encoded_columns == {"channel__web": "channel", "channel__kind__frequency": "channel__kind", "tier__ordinal": "tier"}
    assert (web.wanted.numbers, web.wanted.texts, web.wanted.categories) == (("total",), ("channel",), ("channel__kind", "tier"))
    assert source().wanted.reading == source(encode=ENCODE).wanted.reading  # no file is read again for it


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"encode": {"ts": "one_hot"}}, "encode: ts is the time column"),
        ({"encode": {"a": "one_hot"}, "metrics": ["a"]}, "encode: a is measured by the metric a; it cannot be a category as well"),
        (
            {"encode": {"a": "ordinal"}, "metrics": ["a__frequency"]},
            "metrics: a__frequency is of a__frequency, but encode gives a__ordinal",
        ),
        ({"encode": {"a": "one_hot"}, "metrics": [{"name": "n", "column": "a__x", "aggregate": "count"}]}, "sum counts the rows"),
        ({"encode": {"a": "onehot"}}, "one_hot"),
    ],
)
def test_encodings_that_cannot_be_are_refused(keys, said):
    with pytest.raises(ValueError, match=said):
        source(**keys)


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ({"aggregate": "mean", "without_rows": "zero"}, "no rows have no mean; zero is for count, sum and distinct_count"),
        ({"aggregate": "sum", "transform": "cumulative_to_rate"}, "a counter is a reading, not a sum of rows"),
        ({"dimensions": ["ts"]}, "ts is the time column"),
    ],
)
def test_what_does_not_go_together_is_refused(metric, said):
    with pytest.raises(ValueError, match=said):
        source(metrics=[{"name": "a"} | metric])


def test_one_metric_has_no_other_to_be_compared_with():
    with pytest.raises(ValueError, match="detectors: mahalanobis compares the metrics of a source with each other, and there is only load"):
        source(metrics=["load"], detectors=[{"type": "mahalanobis"}])
    assert source(metrics=["load", "errors"], detectors=[{"type": "mahalanobis"}]).detection("load").detectors != "auto"


def test_a_counter_is_read_last_unless_another_reading_is_named():
    web = source(
        metrics=[
            {"name": "a", "transform": "cumulative_to_rate"},
            {"name": "b", "transform": "cumulative_to_rate", "aggregate": "max"},
            {"name": "c", "transform": "difference"},
        ]
    )
    assert [metric.aggregate for metric in web.metrics] == ["last", "max", "mean"]


def test_dimensions_of_a_metric_stay_text_as_well():
    assert source(dimensions=["region"], metrics=[{"name": "a", "dimensions": ["shop", "region"]}]).wanted.texts == ("region", "shop")


@pytest.mark.parametrize(
    "change",
    [
        {"encode": {"channel": "one_hot"}},
        {"metrics": [{"name": "requests", "transform": "log"}]},
        {"metrics": [{"name": "requests", "dimensions": []}]},
        {"metrics": [{"name": "requests", "aggregate": "count", "without_rows": "zero"}]},
        {"time_bucket": {"every": "1h"}},
        {"time_bucket": {"every": "5min", "fill": "zero"}},
        {"time_bucket": {"every": "5min", "max_gap": "1h"}},
        {"metrics": ["a"]},
        {"dimensions": ["region"]},
        {"calendar": {"timezone": "Europe/Berlin"}},
        {"read": {"type": "csv", "path": "web.csv", "time": {"column": "ts", "timezone": "Europe/Berlin"}}},
    ],
)
def test_what_changes_clean_rows_changes_the_fingerprint(change):
    before = source(time_bucket={"every": "5min"})
    assert source(**({"time_bucket": {"every": "5min"}} | change)).fingerprint != before.fingerprint


@pytest.mark.parametrize(
    "change",
    [
        {"detectors": [{"type": "zscore"}]},
        {"rules": [{"type": "threshold", "above": 9, "name": "roof"}]},
        {"alerts": {"to": ["mail"]}},
        {"schedule": "manual"},
        {"time_bucket": {"every": "5min", "settle": "1h"}},
        {"description": "x"},
        {"training": {"every": "7 days"}},
        {"read": {"type": "csv", "path": "other.csv", "time": "ts"}},
        {"on_bad_rows": "drop"},
        {"metrics": [], "scale": "none"},
    ],
)
def test_what_leaves_clean_rows_leaves_the_fingerprint(change):
    before = source(time_bucket={"every": "5min"})
    assert source(**({"time_bucket": {"every": "5min"}} | change)).fingerprint == before.fingerprint


def test_a_bucket_found_in_the_data_is_as_good_as_a_written_one():
    found = source(time_bucket={"fill": "zero"}).with_bucket(timedelta(minutes=5))
    assert found.is_bucket_given
    assert found.fingerprint == source(time_bucket={"every": "5min", "fill": "zero"}).fingerprint


def test_the_resolved_source_is_a_source_again():
    web = source(
        metrics=["a", {"name": "b", "direction": "drop"}],
        rules=[{"type": "threshold", "below": 1, "for": "15min"}],
        threshold={"score": 0.9},
        time_bucket={"every": "90min"},
    )
    resolved = web.resolved()
    assert Source.model_validate(resolved) == web
    assert resolved["time_bucket"]["every"] == "90min"
    own = {"aggregate": "mean", "explain_by": [], "without_rows": "missing", "unit": "", "rules": []}
    assert resolved["metrics"] == [{"name": "a", **own}, {"direction": "drop", "name": "b", **own}]
    assert "every" not in source().resolved()["time_bucket"]
    assert json.loads(json.dumps(resolved)) == resolved


def test_the_schema_describes_every_key_and_both_ways_to_name_a_time():
    schema = json_schema()
    assert set(schema["properties"]) == {*DETECTION_KEYS, *Source.model_fields}
    assert schema["required"] == ["name", "read"]
    assert [key for key, value in schema["properties"].items() if "description" not in value] == []
    time = schema["$defs"]["CsvReader"]["properties"]["time"]
    assert {"string"} == {choice["type"] for choice in time["anyOf"] if "type" in choice}
    assert schema["$defs"]["HttpReader"]["properties"]["late_by"]["default"] == "1h"


def test_every_duration_of_the_schema_has_a_default_that_a_yaml_may_say():
    durations = [
        field
        for model in json_schema()["$defs"].values()
        for field in model.get("properties", {}).values()
        if "5min" in field.get("examples", ()) and "default" in field
    ]
    assert len(durations) > 5
    for field in durations:
        assert format_duration(parse_duration(field["default"])) == field["default"]
