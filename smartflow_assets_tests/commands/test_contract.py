"""`smartflow contract`: a suite of Great Expectations out and in, comments kept."""

import json
import shutil
from pathlib import Path

import pytest

from smartflow_assets_tests.commands.conftest import Smartflow

YAML = """\
name: shop          # the shop
read: {type: csv, path: examples/shop.csv, time: ts}
# what we promise
contract:
  columns:
    amount: {type: number, min: 0, severity: critical}   # never negative
    ts: {not_null: true}
metrics:
  - {name: amount, aggregate: sum}
"""
SUITE = {
    "name": "theirs",
    "expectations": [
        {
            "type": "expect_column_values_to_be_between",
            "kwargs": {"column": "amount", "min_value": 1.0, "max_value": 10},
            "severity": "critical",
        },
        {"expectation_type": "expect_column_values_to_not_be_null", "kwargs": {"column": "email", "mostly": 0.93}},
        {"type": "expect_column_values_to_be_unique", "kwargs": {"column": "id"}, "severity": "critical"},
        {"type": "expect_column_values_to_match_regex", "kwargs": {"column": "email", "regex": "@"}, "severity": "info"},
        {"type": "expect_column_mean_to_be_between", "kwargs": {"column": "amount", "min_value": 3.5}},
    ],
}
TAKEN = """\
contract:
  columns:
    amount: {type: number, min: 1.0, severity: critical, max: 10} # never negative
    ts: {not_null: true}
    email: {max_null_percent: 7}
    id: {severity: critical, unique: true}
  expectations:
    - {type: expect_column_values_to_match_regex, severity: info, column: email, regex: '@'}
    - {type: expect_column_mean_to_be_between, column: amount, min_value: 3.5}
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a shop that has a contract, a till that has none, and a suite."""
    (tmp_path / "data/sources").mkdir(parents=True)
    (tmp_path / "data/sources/shop.yaml").write_text(YAML)
    (tmp_path / "data/sources/till.yaml").write_text("name: till\nread: {type: csv, path: till.csv, time: ts}\n")
    (tmp_path / "suite.json").write_text(json.dumps(SUITE))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_suite_goes_into_the_yaml_by_short_words_and_comments_stay(home: Path, smartflow: Smartflow) -> None:
    done = smartflow("contract", "import", "shop", "suite.json")
    assert done.code == 0, done.err
    assert (home / "data/sources/shop.yaml").read_text() == YAML.partition("contract:")[
        0
    ] + TAKEN + "metrics:\n  - {name: amount, aggregate: sum}\n"
    assert "note: 2 expectations of severity critical" in done.err
    assert "uniqueness holds for all stored rows of the source now" in done.err
    assert smartflow("contract", "import", "shop", "suite.json").out == "shop: the contract says all of it already\n"


def test_a_dry_run_shows_the_change_and_writes_nothing(home: Path, smartflow: Smartflow) -> None:
    done = smartflow("contract", "import", "shop", "suite.json", "--dry-run")
    assert "+    email: {max_null_percent: 7}" in done.out.splitlines()
    assert (home / "data/sources/shop.yaml").read_text() == YAML


def test_what_is_exported_is_imported_into_another_source(home: Path, smartflow: Smartflow) -> None:
    smartflow("contract", "import", "shop", "suite.json")
    assert smartflow("contract", "export", "shop", "--out", "shop.json").code == 0
    assert json.loads(smartflow("contract", "export", "shop").out) == json.loads((home / "shop.json").read_text())
    assert smartflow("contract", "import", "till", "shop.json").code == 0
    exported = json.loads(smartflow("contract", "export", "till").out)
    assert {**exported, "name": "shop"} == json.loads((home / "shop.json").read_text())


def test_an_expectation_that_cannot_be_taken_over_is_named_and_the_rest_is_written(home: Path, smartflow: Smartflow) -> None:
    odd = [{"type": "expect_colum_to_exist", "kwargs": {}}, {"type": "expect_column_to_exist", "kwargs": {}}, 3]
    (home / "odd.json").write_text(json.dumps({"expectations": [*odd, *SUITE["expectations"]]}))
    done = smartflow("contract", "import", "shop", "odd.json")
    assert done.code == 0
    assert "expectation 1: Great Expectations has no type 'expect_colum_to_exist'. Did you mean expect_column_to_exist?" in done.err
    assert "expectation 2: expect_column_to_exist has no column" in done.err
    assert "expectation 3: it is no mapping" in done.err
    assert TAKEN in (home / "data/sources/shop.yaml").read_text()


@pytest.mark.parametrize(
    ("arguments", "said", "code"),
    [
        (("export", "till"), "till: there is no contract to write", 1),
        (("export", "shp"), "shop", 2),
        (("export", "shop", "--out", "nowhere/x.json"), "nowhere: no such folder", 1),
        (("import", "shop", "nowhere.json"), "nowhere.json: no such file", 1),
        (("import", "shop", "data/sources/shop.yaml"), "data/sources/shop.yaml is not JSON", 1),
        (("import", "shop", "list.json"), "list.json is no suite: it has no list `expectations`", 1),
    ],
)
def test_what_cannot_be_done_is_one_line_with_the_reason(
    home: Path, smartflow: Smartflow, arguments: tuple[str, ...], said: str, code: int
) -> None:
    (home / "list.json").write_text("[]")
    done = smartflow("contract", *arguments)
    assert said in done.err
    assert (done.code, done.err.count("\n")) == (code, 1)
    shutil.rmtree(home / "data/sources")
