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


WRONG_CHANNELS = [
    ("'': {type: file}", "channel '': a name is one line of 1 to 80 letters"),
    ("'*': {type: file}", "channel '*': * ? [ ] stand for other names in routes"),
    ('"a\\nb": {type: file}', "channel 'a\\nb': a name is one line"),
    ("a: {type: webhook, url: 'http://x:1/a?token=plainsecret123'}", "channel a: `url`: parameter token: a secret is never written"),
    ("a: {type: webhook, url: 'https://x/a?b=1&sig=plainsecret123'}", "channel a: `url`: parameter sig: a secret is never written"),
    ("a: {type: webhook, url: 'https://hooks.slack.com/services/T000/B000/plainsecret123'}", "whoever knows an address of hooks.slack.com"),
    ("a: {type: webhook, url: 'https://discord.com/api/webhooks/1/plainsecret123'}", "whoever knows an address of discord.com"),
    ("a: {type: webhook, url: 'https://firm.webhook.office.com/plainsecret123'}", "whoever knows an address of firm.webhook.office.com"),
    (
        "a: {type: webhook, url: 'http://x/a', payload: {token: plainsecret123}}",
        "channel a: `payload`: field token: a secret is never written",
    ),
    ("a: {type: webhook, url: 'http://x/a', payload: {b: [{password: 123456}]}}", "channel a: `payload`: field password: a secret"),
    ("a: {type: webhook, url: 'http://x/a', timeout: 0s}", "channel a: `timeout` must be greater than 0 seconds, found 0s"),
    ('a: {type: webhook, url: "http://x/a", headers: {"A\\nB": z}}', "header 'A\\nB': letters, digits and - make its name"),
    (
        'a: {type: webhook, url: "http://x/a", headers: {A: "z\\nB: y"}}',
        "header 'A': letters, digits and - make its name, and its value is one",
    ),
    ("a: {type: webhook, url: 'http://x/a', headers: {Idempotency-Key: z}}", "SmartFlow sets the header Idempotency-Key itself"),
    ("a: {type: email, host: h, sender: a@example.com, to: []}", "channel a: `to` must have at least 1 item, found none."),
    ("w: file", "channel w: what it is must be keys with values. Write w: {type: file}.\n"),
    ("w: slack", "channel w: what it is must be keys with values. Write w: {type: slack}.\n"),
    ("w: plainsecret123", "channel w: what it is must be keys with values. Write w: {type: file}.\n"),
    ("w:", "channel w: what it is must be keys with values. Write w: {type: file}.\n"),
    ("a: {type: email, host: h, port: true, sender: a@example.com, to: [b@example.com]}", "`port` must be a whole number, found true."),
    ("a: {type: webhook, url: 'http://x/a', limit: {messages: true, per: 1h}}", "`limit.messages` must be a whole number, found true."),
    ("a: {type: email, host: h, port: 99999, sender: a@example.com, to: [b@example.com]}", "`port` must be at most 65535, found 99999."),
]


@pytest.mark.parametrize(("line", "said"), WRONG_CHANNELS)
def test_what_is_wrong_with_a_channel_is_told_with_its_line_and_without_a_secret(
    smartflow: Smartflow, home: Path, line: str, said: str
) -> None:
    (home / "data/channels.yaml").write_text(f"# where alerts go\n{line}\n")
    answer = smartflow("validate")
    assert answer.code == 1 and answer.out.startswith("data/channels.yaml:2: ") and answer.out.count("\n") == 1
    assert said in answer.out and "plainsecret123" not in answer.out and "123456" not in answer.out


def test_what_only_looks_like_a_secret_is_let_through(smartflow: Smartflow, home: Path) -> None:
    (home / "data/channels.yaml").write_text("""
issue: {type: webhook, url: "https://x.example.com/issues?page=1", payload: {fields: {project: {key: OPS}, text: "{subject}"}}}
named: {type: webhook, url: "https://hooks.slack.com/services/${SLACK_PATH}?token=${TOKEN}"}
filled: {type: webhook, url: "http://x/a", payload: {token: "${TOKEN}", secret: "Bearer ${TOKEN}", key: "{idempotency_key}"}}
"Ops (night)": {type: file}
""")
    assert smartflow("validate").code == 0


@pytest.mark.parametrize(
    ("alerts", "said"),
    [
        ("maintenance: [{cron: '0 2 * * sun', lasting: 2h}, {cron: '* * * * *', lasting: 2h}]", "`alerts.maintenance[2]`: a maintenance"),
        ("maintenance: [{cron: '0 2 * * *', lasting: 30h}]", "lasts 30h is never over, so nobody would be told of anything"),
        (
            "maintenance: [{cron: '0 2 31 4 *', lasting: 2h}]",
            "`alerts.maintenance[1].cron`: '0 2 31 4 *' names a day that no month has, so it",
        ),
        ("routes: [{cause: freshnes, to: file}]", "`alerts.routes[1].cause`: there is no cause 'freshnes'; did you mean freshness?"),
        ("routes: [{cause: ['chek:*', run], to: file}]", "there is no cause 'chek:*'; did you mean check:…?"),
        (
            "routes: [{cause: zzz, to: file}]",
            "known are anomaly, volume, profile, freshness, readability, removal, run, group, daemon, check:…",
        ),
        ("routes: [{severity: [], to: file}]", "`alerts.routes[1].severity`: an empty list is for nothing"),
        (
            "routes: [{severity: info, to: file}, {severity: info, to: fiel}]",
            "`alerts.routes[2].to`: there is no channel fiel. Did you mean f",
        ),
        (
            "routes: [{severity: info, to: file}, {severity: inof, to: file}]",
            "`alerts.routes[2].severity` must be info, warning or critical",
        ),
        ("routes: [{cause: ['check:*', raw_records, '*', 'run:nightly', 'load:3f', 'schema*', 're*'], to: file}]", ""),
        ("maintenance: [{cron: '0 2 * * *', lasting: 23h}, {cron: '*/5 8-17 * * mon-fri', lasting: 30min}]", ""),
    ],
)
def test_what_could_never_tell_anybody_is_refused(smartflow: Smartflow, home: Path, alerts: str, said: str) -> None:
    (home / SOURCE).write_text(f"{SHOP}alerts: {{to: [file], {alerts}}}\n")
    answer = smartflow("validate")
    assert answer.code == bool(said) and said in answer.out and (not said or answer.out.startswith("data/sources/shop.yaml:9: "))


def test_a_channel_that_a_route_of_the_home_names_and_nobody_has_is_told(smartflow: Smartflow, home: Path) -> None:
    (home / "data/home.yaml").write_text("alerts:\n  to: [file]\n  routes:\n    - {cause: daemon, to: fiel}\n")
    assert smartflow("validate").out == "data/home.yaml:4: `alerts.routes[1].to`: there is no channel fiel. Did you mean file?\n"
