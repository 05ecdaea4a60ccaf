"""Changes of a source's YAML from outside: what may be changed is, with its comments, and nothing else can be."""

from pathlib import Path
from typing import Any

import pytest

from smartflow_assets.config.allowed_changes import ForbiddenChange
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.configuration_edit import Edit, proposed
from smartflow_assets.config.settings import Settings
from smartflow_assets.core.errors import SourceError

YAML = """\
# the shop
name: shop
description: Orders of the shop.   # one sentence
tags: {domain: web}
read: {type: csv, path: shop.csv, time: at}
metrics:
  - orders                         # counted by the shop
  - {name: revenue, unit: EUR}
time_bucket: {every: 1h}
rules:                             # what the business knows
  - {type: threshold, metric: orders, above: 100}   # a flood
  - {type: ratio_to_median, name: surge, metric: orders, at_least: 2.5, window: 1 day}
alerts: {to: [file]}
"""
DEFAULTS = "sensitivity: low\nalerts: {min_severity: critical}\n"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings(tmp_path)
    made.sources.mkdir(parents=True)
    (made.sources / "shop.yaml").write_text(YAML)
    made.defaults_file.write_text(DEFAULTS)
    return made


def edit(settings: Settings, **changes: Any) -> Edit:
    return proposed(settings, Catalogue.load(settings), "shop", {path.replace("__", "."): value for path, value in changes.items()})


def changed_lines(made: Edit) -> list[str]:
    return [line for line in made.diff.splitlines() if line[0] in "+-" and not line.startswith(("+++", "---"))]


@pytest.mark.parametrize(
    ("path", "value", "lines"),
    [
        (
            "rules.0.above",
            90,
            [
                "-  - {type: threshold, metric: orders, above: 100}   # a flood",
                "+  - {type: threshold, metric: orders, above: 90}    # a flood",
            ],
        ),
        ("sensitivity", "high", ["+sensitivity: high"]),
        ("threshold.score", 0.99, ["+threshold: {score: 0.99}"]),
        (
            "description",
            "What it's about: orders.",
            ["-description: Orders of the shop.   # one sentence", "+description: \"What it's about: orders.\" # one sentence"],
        ),
        ("tags.tier", "gold", ["-tags: {domain: web}", "+tags: {domain: web, tier: gold}"]),
        ("alerts.resolve_after", "1h", ["-alerts: {to: [file]}", "+alerts: {to: [file], resolve_after: 1h}"]),
        ("rules.2", {"type": "missing", "for": "3h"}, ["+  - {type: missing, for: 3h}"]),
        ("rules.0", None, ["-  - {type: threshold, metric: orders, above: 100}   # a flood"]),
        ("metrics.1.rules.0", {"type": "threshold", "below": 1}, [
            "-  - {name: revenue, unit: EUR}",
            "+  - {name: revenue, unit: EUR, rules: [{type: threshold, below: 1}]}",
        ]),
        ("detectors", [{"type": "mad"}, {"type": "prophet"}], ["+detectors:", "+  - {type: mad}", "+  - {type: prophet}"]),
    ],
)  # fmt: skip
def test_a_change_touches_its_own_line_and_leaves_comments(settings, path, value, lines):
    made = edit(settings, **{path: value})
    assert changed_lines(made) == lines
    assert (settings.sources / "shop.yaml").read_text() == YAML, "nothing is written by a look"


def test_a_metric_that_is_only_named_gets_keys(settings):
    made = edit(settings, metrics__0__sensitivity="high")
    assert made.source.detection("orders").sensitivity == "high" and made.source.detection("revenue").sensitivity == "low"
    assert "{name: orders, sensitivity: high}" in made.after and "# counted by the shop" in made.after


def test_places_are_those_of_the_file_whatever_goes(settings):
    made = edit(settings, **{"rules.0": None, "rules.1.at_least": 3})
    assert [(rule.name, getattr(rule, "at_least", None)) for rule in made.source.rules] == [("surge", 3)]
    assert edit(settings, **{"rules.0": None, "rules.1": None}).source.rules == ()


def test_what_the_defaults_say_is_overruled_in_the_file_alone(settings):
    assert edit(settings, sensitivity="high").values_before == {"sensitivity": "low"}
    assert not edit(settings, sensitivity=None).is_change, "what the file does not say it cannot take out"
    settings.defaults_file.write_text("threshold: {score: 0.99}\n")
    made = edit(settings, threshold=None)
    assert made.source.threshold is None and changed_lines(made) == ["+threshold:"]
    settings.defaults_file.write_text("detectors: [{type: mad, window: 99}, {type: seasonal}]\n")
    made = edit(settings, **{"detectors.0.window": 50})
    assert isinstance(made.source.detectors, tuple)
    assert [(each.type, getattr(each, "window", None)) for each in made.source.detectors[:1]] == [("mad", 50)]
    assert settings.defaults_file.read_text().startswith("detectors")


def test_no_change_is_none(settings):
    assert not edit(settings, **{"rules.0.above": 100}).is_change and edit(settings).diff == ""


@pytest.mark.parametrize(
    "path",
    [
        "read", "read.path", "read.function", "name", "owner", "runbook", "labels", "schedule", "contract", "remediate", "retention",
        "alerts", "alerts.to", "alerts.routes", "alerts.to.0", "metrics", "metrics.0", "metrics.0.where", "metrics.0.column",
        "metrics.1.name",
        "metrics.0.explain_by", "records", "encode", "dimensions", "time_bucket.every", "calendar", "rules.0.above.x", "", ".", "..",
        "rules.-1.above", "__class__", "tags.a.b", "x" * 200, "sensitivity.0", "rules.above", "description.0", "on_bad_rows", "freshness",
    ],
)  # fmt: skip
def test_all_that_is_not_listed_is_forbidden(settings, path):
    with pytest.raises(ForbiddenChange):
        edit(settings, **{path: "x"})
    with pytest.raises(ForbiddenChange):
        edit(settings, **{path: None})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("description", "${OPS_PASSWORD}"),
        ("description", "two\nlines"),
        ("description", "!!python/object/apply:os.system [ls]"),
        ("description", "x" * 3000),
        ("tags", {"a": "${HOME}"}),
        ("tags", {"${HOME}": "a"}),
        ("tags", {"a\nread": "a"}),
        ("rules.0", {"type": "acme_rule"}),
        ("rules", [{"type": "threshold", "above": 1}, {"type": "acme_rule"}]),
        ("rules.0.type", "acme_rule"),
        ("rules.0.message", "see ${SECRET}"),
        ("rules.0.above", float("nan")),
        ("rules.0.above", float("inf")),
        ("rules.0.above", object()),
        ("metrics.0.rules.0", {"type": "acme_rule"}),
        ("detectors", [{"type": "acme_detector"}]),
        ("detectors.0", {"type": "acme_detector"}),
        ("metrics.1.detectors", ["mad"]),
        ("ensemble", {"combine": {"a": {"b": {"c": {"d": {"e": 1}}}}}}),
        ("detectors", [{"type": "mad"}] * 600),
    ],
)
def test_values_that_smuggle_are_forbidden(settings, path, value):
    with pytest.raises(ForbiddenChange):
        edit(settings, **{path: value})


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("sensitivity", "highest", "sensitivity"),
        ("rules.0.above", "many", "rules"),
        ("rules.0", {"type": "threshold"}, "rules"),
        ("rules.0.metric", "nobody", "rules"),
        ("rules.7.above", 5, "rules.7"),
        ("rules.7", {"type": "missing"}, "rules.7"),
        ("threshold.score", 2, "threshold"),
        ("rules.0", {"type": "expression", "when": "__import__('os').system('true')"}, "rules"),
        ("rules.0", {"type": "threshold", "above": 1, "function": "os:system"}, "rules"),
        ("alerts.resolve_after", "soon", "alerts"),
        ("tags", ["a"], "tags"),
        ("sensitivity", {"read": {"type": "python"}}, "sensitivity"),
    ],
)
def test_a_broken_result_is_refused_with_field_and_remedy(settings, path, value, field):
    with pytest.raises(SourceError) as refused:
        edit(settings, **{path: value})
    assert field in str(refused.value) and refused.value.source == "shop" and refused.value.remedy


def test_an_alias_leads_nowhere_else(settings):
    """What `tags` and `read` share would be changed for both."""
    shared = YAML.replace("tags: {domain: web}", "tags: &shared {domain: web}") + "labels_of: *shared\n"
    (settings.sources / "shop.yaml").write_text(shared.replace("labels_of", "encode").replace("domain: web", "domain: frequency"))
    with pytest.raises(ForbiddenChange, match="would touch"):
        edit(settings, **{"tags.other": "frequency"})


def test_a_diff_repeats_no_value_of_the_environment(settings, monkeypatch):
    monkeypatch.setenv("SHOP_PASSWORD", "hunter2-hunter2")
    (settings.sources / "shop.yaml").write_text(YAML.replace("Orders of the shop.", "hunter2-hunter2"))
    assert "hunter2" not in edit(settings, description="Orders.").diff
