"""`smartflow validate`, `config-schema`, `sources`, `show` and `plan`: what needs no run."""

import json
import os
from pathlib import Path

import pytest

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


def test_one_round_tells_every_problem_of_every_file_and_what_files_name_of_each_other(smartflow: Smartflow, home: Path) -> None:
    (home / "data/feeds/known.csv").write_text("series,started_at,ended_at\n")
    (home / "data/defaults.yaml").write_text("sensitivty: low\ndetectors: auto\nalerts: {to: [fil]}\n")
    (home / "data/channels.yaml").write_text("file: {type: file}\nops: {type: webhook, url: here}\n")
    (home / SOURCE).write_text(
        SHOP.replace("name: shop", "name: shopp").replace("schedule: manual", "schedule: 5 moons")
        + "detctors: auto\nlabels: feeds/knwon.csv\nalerts:\n  to: [ops, nobody]\n"
    )
    (home / "data/sources/own.yaml").write_text(
        "name: own\nread: {type: python, function: 'no_such_module.feeds:rows', time: ts}\n"
        "rules: [{type: threshold, metric: b, above: 1}]\nmetrics: [a]\n"
    )
    (home / "data/sources/plug.yaml").write_text("name: plug\nread: {type: acme, time: ts}\nmetrics: [a, a]\n")
    answer = smartflow("validate")
    assert answer.code == 1
    told = [line.split(": ", 1) for line in answer.out.splitlines()]
    assert [(place.removeprefix("data/").removeprefix("sources/"), text.split(". ")[0].rstrip(".")[:60]) for place, text in told] == [
        ("channels.yaml:2", "channel ops: `url`: this is not a web address; write https:/"),
        ("defaults.yaml:1", "`sensitivty`: did you mean `sensitivity`?"),
        ("own.yaml:2", "`read.function`: there is no module no_such_module"),
        ("own.yaml:3", "rules: threshold is for the metric b, which is not among metr"[:60]),
        ("defaults.yaml:3", "`alerts.to`: there is no channel fil"),
        ("plug.yaml:2", "`read.type: acme` is not available"),
        ("plug.yaml:3", "metrics: a is named twice"),
        ("shop.yaml:1", "`name: shopp` is not the name of the file"),
        ("shop.yaml:6", "`schedule`: '5 moons' is no schedule; write a duration such a"[:60]),
        ("shop.yaml:9", "`detctors`: did you mean `detectors`?"),
        ("shop.yaml:10", f"`labels`: there is no file feeds/knwon.csv in {home}/data"[:60]),
        ("shop.yaml:12", "`alerts.to`: there is no channel nobody"),
    ]
    assert "Did you mean feeds/known.csv?" in answer.out
    assert answer.err == "12 problems in 5 files\n"


def test_a_source_that_another_names_and_that_is_not_there_is_told_with_the_nearest(smartflow: Smartflow, home: Path) -> None:
    (home / "data/sources/customers.yaml").write_text(SHOP.replace("name: shop", "name: customers"))
    (home / SOURCE).write_text(
        SHOP
        + "remediate:\n  - {when: drift, do: retrain}\n  - when: failure\n    do: {type: run, source: custmers}\n"
        + "contract:\n  references:\n    - {column: n, source: costumers}\n    - {column: n, source: customers}\n"
    )
    answer = smartflow("validate")
    assert (answer.code, answer.out.splitlines()) == (
        1,
        [
            "data/sources/shop.yaml:12: `remediate[2].do.source`: there is no source custmers. Did you mean customers?",
            "data/sources/shop.yaml:15: `contract.references[1].source`: there is no source costumers. Did you mean customers?",
        ],
    )
    assert smartflow("sources").code == 0  # the source itself goes on


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ("{when: failure, do: pause}, {when: failure, do: run}", "pause and run are both for failure"),
        (
            "{when: failure, do: {type: run, source: shop}}, {when: {cause: failure, severity: critical}, do: pause}",
            "run and pause are both",
        ),
        ("{when: gap, do: hold_last}, {when: gap, do: fill}", "hold_last and fill are both for gap"),
        ("{when: failure, do: pause}, {when: failure, do: {type: run, source: other}}", ""),
        ("{when: failure, do: pause}, {when: failure, do: run, dry_run: true}", ""),
        ("{when: failure, do: pause}, {when: drift, do: run}", ""),
        ("{when: gap, do: reingest}, {when: gap, do: fill}", ""),
    ],
)
def test_remedies_that_contradict_each_other_are_refused(smartflow: Smartflow, home: Path, entries: str, said: str) -> None:
    (home / "data/sources/other.yaml").write_text(SHOP.replace("name: shop", "name: other"))
    (home / SOURCE).write_text(f"{SHOP}remediate: [{entries}]\n")
    answer = smartflow("validate")
    assert answer.code == bool(said) and said in answer.out and (not said or answer.out.startswith("data/sources/shop.yaml:9: remediate: "))


def test_each_problem_of_the_home_is_a_line(smartflow: Smartflow, home: Path) -> None:
    (home / "data/home.yaml").write_text("shaer: all\nshare: everybody\n")
    answer = smartflow("validate")
    assert (answer.code, answer.err) == (1, "2 problems in 1 file\n")
    assert {line.split(" ")[0] for line in answer.out.splitlines()} == {"data/home.yaml:1:", "data/home.yaml:2:"}
    assert "more problem" not in answer.out


def test_what_is_wrong_with_the_watch_is_told_with_its_line_and_breaks_no_source(smartflow: Smartflow, home: Path) -> None:
    (home / "data/home.yaml").write_text('alerts_for: "*"\nalerts:\n  to: [fiel]\n')
    answer = smartflow("validate")
    assert (answer.code, answer.out) == (1, "data/home.yaml:3: `alerts.to`: there is no channel fiel. Did you mean file?\n")
    assert [line.split()[:2] for line in smartflow("sources").out.splitlines()[1:]] == [["shop", "never"]]
    (home / "data/home.yaml").write_text("alerts_for: {assets: ['shop/*'], job: [nightly]}\nheartbeat_url: https://hc.example.org/hush\n")
    answer = smartflow("validate")
    assert "`alerts_for.job`: did you mean `alerts_for.jobs`?" in answer.out and "hush" not in answer.out
    assert "a secret is never written in a file; write ${NAME}" in answer.out
    (home / "data/home.yaml").write_text("alerts_for: all\n")
    assert "'all' is neither" in smartflow("validate").out


def test_one_file_that_cannot_be_read_is_broken_alone(smartflow: Smartflow, home: Path) -> None:
    os.mkfifo(home / "data/sources/pipe.yaml")
    (home / "data/sources/deep.yaml").write_text(f"name: deep\nrules: {'[' * 400}{']' * 400}\n")
    answer = smartflow("validate")
    places = [line.partition(": ")[0] for line in answer.out.splitlines()]
    assert (answer.code, places) == (1, ["data/sources/deep.yaml", "data/sources/pipe.yaml"])
    assert [line.split()[:2] for line in smartflow("sources").out.splitlines()[1:]] == [
        ["deep", "broken"],
        ["pipe", "broken"],
        ["shop", "never"],
    ]


def test_broken_defaults_hide_no_problem_of_a_source(smartflow: Smartflow, home: Path) -> None:
    (home / "data/defaults.yaml").write_text("alerts: {to: [file}\n")
    (home / SOURCE).write_text(SHOP.replace("schedule: manual", "schedule: 5 moons"))
    places = [line.split(": ")[0] for line in smartflow("validate").out.splitlines()]
    assert places == ["data/defaults.yaml:1", "data/sources/shop.yaml:6"]


def test_what_is_named_and_there_is_no_problem_and_nothing_is_imported(smartflow: Smartflow, home: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    (home / "own_feeds.py").write_text("raise RuntimeError('imported')\n")
    monkeypatch.syspath_prepend(home)
    (home / "data/feeds/known.csv").write_text("series,started_at,ended_at\n")
    (home / SOURCE).write_text("name: shop\nread: {type: python, function: 'own_feeds:rows', time: ts}\nlabels: feeds/known.csv\n")
    assert smartflow("validate").code == 0


def test_what_defaults_say_of_read_is_for_sources_to_complete(smartflow: Smartflow, home: Path) -> None:
    (home / "data/defaults.yaml").write_text("read: {time: {timezone: Europe/Berlin}}\n")
    (home / SOURCE).write_text(SHOP.replace("time: ts", "time: {column: ts}"))
    assert smartflow("validate").code == 0
