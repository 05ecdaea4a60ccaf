"""Other settings for a source, before they are written down."""

from datetime import timedelta
from pathlib import Path

import pytest

from smartflow_assets.config.settings import Settings
from smartflow_assets.config.source import Source
from smartflow_assets.config.source_file import read_source
from smartflow_assets.config.variant import variant
from smartflow_assets.core.errors import SourceError

YAML = """\
name: web
read: {type: csv, path: web.csv, time: timestamp}
metrics: [{name: requests, column: value}, {name: errors, column: errors, direction: spike}]
time_bucket: {every: 5min}
threshold: {score: 0.99}
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings(tmp_path)
    made.sources.mkdir(parents=True)
    (made.sources / "web.yaml").write_text(YAML)
    return made


@pytest.fixture
def web(settings: Settings) -> Source:
    return read_source(settings.sources / "web.yaml")


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("sensitivity=high", lambda source: source.sensitivity == "high"),
        ("threshold.score=0.9", lambda source: source.threshold.score == 0.9),
        ("threshold=null", lambda source: source.threshold is None),
        ("metrics.1.direction=drop", lambda source: source.detection("errors").direction == "drop"),
        ("detectors=[{type: mad, window: 99}]", lambda source: [getattr(each, "window", 0) for each in source.detectors] == [99]),
        ("alerts.resolve_after=2h", lambda source: source.alerts.resolve_after == timedelta(hours=2)),
        ("rules=[{type: threshold, metric: requests, above: 5}]", lambda source: [rule.above for rule in source.rules] == [5]),
    ],
)
def test_a_change_is_put_where_its_key_leads(settings, web, change, found):
    assert not found(web)
    assert found(variant(web, settings, [change]))
    assert not found(web)


def test_changes_add_up_and_the_rest_stays(settings, web):
    made = variant(web, settings, ["sensitivity=low", "threshold=null", "time_bucket.every=1h"])
    assert (made.sensitivity, made.threshold, made.time_bucket.every) == ("low", None, timedelta(hours=1))
    assert made.metrics == web.metrics and made.read == web.read and made.file == web.file
    assert variant(web, settings) == web


def test_a_variant_leaves_the_next_one_alone(settings, web):
    assert variant(web, settings, ["metrics.1.direction=drop"]).detection("errors").direction == "drop"
    assert variant(web, settings, ["sensitivity=low"]).detection("errors").direction == "spike"


def test_another_file_gives_all_but_name_and_reader(settings, web, tmp_path):
    other = tmp_path / "next.yaml"
    other.write_text(YAML.replace("name: web", "name: next").replace("path: web.csv", "path: next.csv").replace("0.99", "0.5"))
    made = variant(web, settings, file=other)
    assert (made.name, made.read, made.threshold.score) == ("web", web.read, 0.5)
    assert variant(web, settings, ["threshold.score=0.7"], file=other).threshold.score == 0.7


def test_the_defaults_of_the_home_hold(settings, web):
    settings.defaults_file.write_text("sensitivity: low\n")
    assert variant(web, settings, ["threshold=null"]).sensitivity == "low"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("sensitivity", "'sensitivity' is not key=value"),
        ("=high", "'=high' is not key=value"),
        ("sensitivity=extreme", r"sensitivity.*\(with sensitivity=extreme\)"),
        ("sensitivty=high", "sensitivty.*Did you mean|sensitivty.*sensitivity"),
        ("metrics.7.direction=drop", "7 is no place in a list of 2"),
        ("metrics.x.direction=drop", "x is no place in a list of 2"),
        ("detectors=[{", "the value of 'detectors=\\[{' is not YAML"),
    ],
)
def test_a_change_that_cannot_be_is_named(settings, web, change, message):
    with pytest.raises(SourceError, match=message) as caught:
        variant(web, settings, [change])
    assert caught.value.source == "web" and "\n" not in str(caught.value)
