"""`smartflow validate`, `config-schema`, `sources`, `show` and `plan`: what needs no run."""

import json
from pathlib import Path

from smartflow_assets_tests.commands.conftest import SHOP, Smartflow

SOURCE = Path("data/sources/shop.yaml")


def test_files_without_a_problem_are_exit_code_0_and_an_empty_stdout(smartflow: Smartflow, home: Path) -> None:
    answer = smartflow("validate")
    assert (answer.code, answer.out, answer.err) == (0, "", "1 source file without a problem\n")


def test_every_problem_of_every_file_is_a_line_with_file_and_line(smartflow: Smartflow, home: Path) -> None:
    (home / SOURCE).write_text(SHOP.replace("metrics:", "metricks:").replace("schedule: manual", "schedule: sometimes"))
    (home / "data/sources/other.yaml").write_text("name: other\nread: {type: csv, path: x.csv\n")
    answer = smartflow("validate")
    places = [line.split(": ")[0] for line in answer.out.splitlines()]
    assert answer.code == 1
    assert places == ["data/sources/other.yaml:3", "data/sources/shop.yaml:4", "data/sources/shop.yaml:6"]
    assert "did you mean `metrics`?" in answer.out


def test_a_named_file_alone_is_checked_wherever_it_lies(smartflow: Smartflow, home: Path) -> None:
    (home / SOURCE).write_text("name: shop\n")
    draft = home / "draft.yaml"
    draft.write_text(SHOP.replace("name: shop", "name: draft"))
    assert smartflow("validate", str(draft)).code == 0
    assert smartflow("validate", str(home / SOURCE)).out.startswith("data/sources/shop.yaml: `read` is required")


def test_the_schema_describes_every_key(smartflow: Smartflow, home: Path) -> None:
    schema = json.loads(smartflow("config-schema").out)
    assert {"read", "metrics", "rules"} <= set(schema["properties"])
    answer = smartflow("config-schema", "-o", "schema.json")
    assert (answer.out, json.loads((home / "schema.json").read_text())) == ("", schema)


def test_sources_lists_broken_ones_as_broken(smartflow: Smartflow, home: Path) -> None:
    (home / "data/sources/other.yaml").write_text("name: other\n")
    lines = smartflow("sources").out.splitlines()
    assert [line.split()[:2] for line in lines] == [["source", "last"], ["other", "broken"], ["shop", "never"]]


def test_show_resolved_is_a_yaml_that_validates_again(smartflow: Smartflow, home: Path) -> None:
    resolved = smartflow("show", "shop", "--resolved")
    assert "resolve_after: 15min" in resolved.out
    (home / SOURCE).write_text(resolved.out)
    assert smartflow("validate").code == 0
    assert smartflow("show", "shop", "--resolved").out == resolved.out


def test_show_says_what_is_watched(smartflow: Smartflow, home: Path) -> None:
    lines = smartflow("show", "shop").out.splitlines()
    assert lines[0].split(maxsplit=1) == ["source", "shop: Orders."]
    assert any(line.startswith("rules") and line.endswith("flood") for line in lines)


def test_an_unknown_source_names_the_nearest(smartflow: Smartflow, home: Path) -> None:
    answer = smartflow("show", "shopp")
    assert (answer.code, answer.err) == (2, "error: there is no source 'shopp'. Did you mean shop?\n")


def test_plan_of_a_source_that_never_ran_makes_no_warehouse(smartflow: Smartflow, home: Path) -> None:
    assert smartflow("plan").out == "shop: the source is new: its rows are read, its models trained\n"
    assert not (home / "data/warehouse").exists()


def test_plan_of_a_broken_file_says_what_is_wrong(smartflow: Smartflow, home: Path) -> None:
    (home / SOURCE).write_text("name: shop\n")
    answer = smartflow("plan", "shop")
    assert answer.code == 1
    assert answer.err.startswith("error: shop: `read` is required")


def test_smartflow_home_names_the_home(smartflow: Smartflow, home: Path, tmp_path_factory, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert smartflow("sources").code == 1
    monkeypatch.setenv("SMARTFLOW_HOME", str(home))
    assert "shop" in smartflow("sources").out
