"""One YAML file to one source, or to all that is wrong with it, in plain words with lines."""

from datetime import timedelta
from pathlib import Path

import pytest

from smartflow_assets.adapters.readers import READERS
from smartflow_assets.config.problems import InvalidFileError
from smartflow_assets.config.source import Source
from smartflow_assets.config.source_file import read_source
from smartflow_assets.config.yaml_file import read_yaml

READ_TYPES = list(READERS)

HERE = Path(__file__).parent
SMALL = "name: web\nread: {type: csv, path: web.csv, time: timestamp}\n"


def source_of(folder: Path, text: str, defaults: str | None = None) -> Source:
    path = folder / "web.yaml"
    path.write_text(text)
    below = None
    if defaults is not None:
        (folder / "defaults.yaml").write_text(defaults)
        below = read_yaml(folder / "defaults.yaml")
    return read_source(path, defaults=below)


def problems(folder: Path, text: str, defaults: str | None = None) -> list[str]:
    """All that is wrong, without the folder's name."""
    with pytest.raises(InvalidFileError) as error:
        source_of(folder, text, defaults)
    return [str(problem).replace(f"{folder}/", "") for problem in error.value.problems]


def test_the_full_example_is_a_source(tmp_path):
    lines = (HERE / "example_full.yaml").read_text()
    source = source_of(tmp_path, lines)
    assert (source.time_bucket.every, source.metrics[0].aggregate, source.alerts.to) == (
        timedelta(minutes=5),
        "sum",
        ("ops_email", "sheet_webhook"),
    )
    assert [(remedy.when.cause, remedy.do.type) for remedy in source.remediate] == [("drift", "retrain"), ("gap", "reingest")]
    assert [rule.name for rule in source.rules] == ["promo_surge", "threshold"]
    assert [each.severity for each in source.contract.expectations() if each.columns == ("value",)] == ["critical"] * 4


def test_a_typo_is_answered_with_the_nearest_key_file_and_line(tmp_path):
    assert problems(tmp_path, SMALL + "detctors: auto\n") == ["web: `detctors`: did you mean `detectors`? (web.yaml, line 3)."]


@pytest.mark.parametrize(
    ("contract", "said"),
    [
        (
            "columns: {a: {min: 3, max: 1}}",
            "`contract.columns.a`: min 3 is more than max 1, so that no value fits; exchange them (web.yaml, line 4).",
        ),
        ("columns: {a: {patern: x}}", "`contract.columns.a.patern`: did you mean `contract.columns.a.pattern`? (web.yaml, line 4)."),
        (
            "columns: {a: {pattern: '['}}",
            "`contract.columns.a.pattern`: '[' is not a pattern (unterminated character set at position 0); write a regular expression of "
            "Python, such as ^[A-Z]{3}-\\d+$ (web.yaml, line 4).",
        ),
        (
            "columns: {a: {severity: fatal}}",
            "`contract.columns.a.severity` must be info, warning or critical, found 'fatal' (web.yaml, line 4).",
        ),
        (
            "expectations: [{type: expect_column_to_exsit, column: a}]",
            "`contract.expectations[1].type`: Great Expectations has no type 'expect_column_to_exsit'. Did you mean "
            "expect_column_to_exist? (web.yaml, line 4).",
        ),
        (
            "references: [{column: a, source: web}]",
            "contract: references of a name the column itself; name another source, or another source_column (web.yaml, line 3).",
        ),
    ],
)
def test_a_contract_that_is_nonsense_is_answered_with_file_line_and_remedy(tmp_path, contract, said):
    assert problems(tmp_path, f"{SMALL}contract:\n  {contract}\n") == [f"web: {said}"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("read: {type: csv, path: a, tyme: t}", "`read.tyme`: did you mean `read.time`? (web.yaml, line 2)."),
        ("read: {type: csv, pth: a, time: t}", "`read.pth`: did you mean `read.path`? (web.yaml, line 2)."),
        ("read: {type: csv, path: a, time: {colum: t}}", "`read.time.colum`: did you mean `read.time.column`? (web.yaml, line 2)."),
        ("read: {path: a, time: t}", f"`read` needs a `type` (web.yaml, line 2). Known are {', '.join(sorted(READ_TYPES))}."),
        (
            "read: {type: cvs, path: a, time: t}",
            f"`read.type: cvs` is not available (web.yaml, line 2). Did you mean `csv`? Known are {', '.join(READ_TYPES)}.",
        ),
        (
            "read: {type: csv, path: a, time: t, true: 7}",
            "`read.true` is not a key that is known here (web.yaml, line 2). Known are decimal, delimiter, duplicates, encoding, key, "
            "on_missing_rows, path, time, type.",
        ),
        ("read: web.csv", "`read` must be keys with values, found 'web.csv' (web.yaml, line 2)."),
        (
            "read: {type: csv, path: a, time: {column: t, format: x}}",
            "`read.time.format`: 'x' is not a time format; write one such as %d/%m/%Y %H:%M, or iso, unix or unix_ms (web.yaml, line 2).",
        ),
        (
            "read: {type: csv, path: a, time: {column: t, timezone: Mars}}",
            "`read.time.timezone`: 'Mars' is not a time zone; write a name such as UTC, "
            "Europe/Berlin or America/New_York (web.yaml, line 2).",
        ),
        (
            "read: {type: csv, path: a, time: t, encoding: utf-9}",
            "`read`: 'utf-9' is not an encoding; write one such as utf-8, latin-1 or cp1252 (web.yaml, line 2).",
        ),
    ],
)
def test_problems_of_read(tmp_path, line, said):
    assert problems(tmp_path, f"name: web\n{line}\n") == [f"web: {said}"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("direction: spik", "`direction` must be both, spike or drop, found 'spik' (web.yaml, line 3). Did you mean `spike`?"),
        ("detectors: atuo", "`detectors` must be auto or a list, found 'atuo' (web.yaml, line 3). Did you mean `auto`?"),
        ("detectors: [{type: zscore, windw: 20}]", "`detectors[1].windw`: did you mean `detectors[1].window`? (web.yaml, line 3)."),
        ("detectors: [{type: zscore, window: 2}]", "`detectors[1].window` must be at least 10, found 2 (web.yaml, line 3)."),
        ("rules: [{type: threshold, blow: 1}]", "`rules[1].blow`: did you mean `rules[1].below`? (web.yaml, line 3)."),
        (
            "rules: [{type: threshold, above: .nan}]",
            "`rules[1].above` must be a finite number, found nan (web.yaml, line 3). Leave the key out where there is no limit.",
        ),
        (
            "ignore_small_changes: .nan",
            "`ignore_small_changes` must be a finite number, found nan (web.yaml, line 3). Leave the key out where there is no limit.",
        ),
        (
            f"rules: [{{type: threshold, above: {10**399}}}]",
            "`rules[1].above` is a number of 400 digits, which is too large (web.yaml, line 3). Write one below 1.7e+308.",
        ),
        (
            f"ignore_small_changes: {10**399}",
            "`ignore_small_changes` is a number of 400 digits, which is too large (web.yaml, line 3). Write one below 1.7e+308.",
        ),
        ("max_series: 1.5", "`max_series` must be a whole number, found 1.5 (web.yaml, line 3)."),
        (
            "drift: {current: 28 days, reference: 1 day}",
            "`drift`: `current` must be longer than nothing and no longer than `reference` (web.yaml, line 3).",
        ),
        ("drift: {tests: [{type: psi, at_least: x}]}", "`drift.tests[1].at_least` must be a number, found 'x' (web.yaml, line 3)."),
        ("drift: on", "`drift` must be keys with values or off, found 'on' (web.yaml, line 3)."),
        (
            "alerts: {maintenance: [{from: tomorrow}]}",
            "`alerts.maintenance[1].from` must be a time, found 'tomorrow' (web.yaml, line 3). Write it as 2026-12-01T22:00.",
        ),
        ("calendar: {timezone: 0o17}", "`calendar.timezone` must be text, found 15 (web.yaml, line 3). Put what you wrote in quotes."),
        ("tags: &t {a: *t}", "*t stands within what it names (web.yaml, line 3). Write there what you mean."),
        ("tags: {a: &b x, c: *b}\nmax_series: 1.5", "`max_series` must be a whole number, found 1.5 (web.yaml, line 4)."),
        ("rules: [5]", "`rules[1]` must be keys with values, found 5 (web.yaml, line 3)."),
        ("tags: {tier: 1}", "`tags.tier` must be text, found 1 (web.yaml, line 3). Put what you wrote in quotes."),
        ("dimensions: region", "`dimensions` must be a list, found 'region' (web.yaml, line 3). Write [region]."),
        (
            "calendar: {events: [{name: sale, dates: [soon]}]}",
            "`calendar.events[1].dates[1]`: write a day such as 2026-11-27, or several in a row such as {from: 2026-12-01, to: 2026-12-24} "
            "(web.yaml, line 3).",
        ),
        (
            "calendar: {holidays: XX}",
            "`calendar.holidays`: Country XX not available; write an ISO 3166 code such as US, with a subdivision if wanted, such as "
            "DE-BY (web.yaml, line 3).",
        ),
        ("freshness: {delay: 999999999 days}", "`freshness.delay`: '999999999 days' is longer than 200 years (web.yaml, line 3)."),
        ("time_bucket: {every: 400 days}", "`time_bucket`: time_bucket.every must be at most 366 days (web.yaml, line 3)."),
        (
            'schedule: "0 6 31 4 *"',
            "`schedule`: '0 6 31 4 *' names a day that no month has, so it never comes (web.yaml, line 3).",
        ),
        (
            "calendar: {events: [{name: sale, dates: []}]}",
            "`calendar.events[1]`: the event sale has no dates; name at least one, past or to come (web.yaml, line 3).",
        ),
        (
            "calendar: {events: [{name: sale, date: [2026-02-03]}]}",
            "`calendar.events[1].date`: did you mean `calendar.events[1].dates`? (web.yaml, line 3).",
        ),
        ("training:", "`training` must be keys with values, found nothing (web.yaml, line 3). Give it a value, or delete the line."),
        (
            "threshold: {false_alerts: seldom}",
            "`threshold.false_alerts`: 'seldom' is no rate; write a number and a span, such as 1 per week or 3 per day (web.yaml, line 3).",
        ),
        ("threshold: {}", "`threshold`: write {score: 0.99} or {false_alerts: 1 per week} (web.yaml, line 3)."),
        ("metrics: [a, b, a]", "metrics: a is named twice (web.yaml, line 3)."),
        ("dimensions: [timestamp]", "timestamp is the time column; it cannot be a metric or a dimension as well (web.yaml)."),
        ("owner: me", "`owner`: write team:name or an e-mail address (web.yaml, line 3)."),
        (
            "time_bucket: {every: 5}",
            "`time_bucket.every`: 5 is not a duration; write a number and a unit, such as 5min, 1h or 7 days (web.yaml, line 3).",
        ),
        (
            "schedule: sometimes",
            "`schedule`: 'sometimes' is no schedule; write a duration such as 5min, a cron line such as '0 6 * * *', or manual "
            "(web.yaml, line 3).",
        ),
    ],
)
def test_problems_of_other_keys(tmp_path, line, said):
    assert problems(tmp_path, f"{SMALL}{line}\n") == [f"web: {said}"]


@pytest.mark.parametrize(
    ("line", "key", "kind"),
    [
        ("max_series: true", "max_series", "a whole number"),
        ("ignore_small_changes: false", "ignore_small_changes", "a number"),
        ("threshold: {score: true}", "threshold.score", "a number"),
        ("ensemble: {combine: vote, at_least: true}", "ensemble.at_least", "a whole number"),
        ("detectors: [{type: zscore, window: true}]", "detectors[1].window", "a whole number"),
        ("rules: [{type: threshold, above: true}]", "rules[1].above", "a number"),
        ("rules: [{type: rate_of_change, rises_by: true}]", "rules[1].rises_by", "a number"),
        ("metrics: [{name: a, ignore_small_changes: true}]", "metrics[1].ignore_small_changes", "a number"),
        ("remediate: [{when: drift, do: retrain, limit: true}]", "remediate[1].limit", "a whole number"),
        ("profile: {columns: true}", "profile.columns", "a whole number"),
        ("drift: {past_windows: true}", "drift.past_windows", "a whole number"),
        ("contract: {row_count: {min: true, per: day}}", "contract.row_count.min", "a whole number"),
        ("contract: {columns: {a: {max_null_percent: true}}}", "contract.columns.a.max_null_percent", "a number"),
        ("contract: {columns: {a: {min_length: true}}}", "contract.columns.a.min_length", "a whole number"),
        ("contract: {columns: {a: {min: true}}}", "contract.columns.a.min", "a number"),
    ],
)
def test_true_and_false_are_no_numbers(tmp_path, line, key, kind):
    found = "false" if "false" in line else "true"
    assert problems(tmp_path, f"{SMALL}{line}\n") == [f"web: `{key}` must be {kind}, found {found} (web.yaml, line 3)."]


def test_true_and_false_stay_what_they_are_where_they_may_stand(tmp_path):
    source = source_of(tmp_path, SMALL + "contract: {columns: {a: {unique: true, allowed: [true, 2, x]}}}\nalerts: {group_within: false}\n")
    column = source.contract.columns["a"]
    assert (column.unique, column.allowed, source.alerts.group_within) == (True, (True, 2, "x"), timedelta(0))


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (
            "detectors: [{type: zscore}]\nensemble: {combine: vote, at_least: 9}",
            "ensemble.at_least is 9, but of the detectors there is 1 that votes; write 1 or less (web.yaml, line 4).",
        ),
        (
            "detectors: [{type: zscore}, {type: mad}, {type: flatline}]\nensemble: {combine: vote, at_least: 3}",
            "ensemble.at_least is 3, but of the detectors there are 2 that vote; write 2 or less (web.yaml, line 4).",
        ),
        (
            "metrics:\n  - {name: a, detectors: [{type: mad}]}\ndetectors: [{type: zscore}, {type: mad}]\n"
            "ensemble: {combine: vote, at_least: 2}",
            "metrics: a, with what the source says beside it: ensemble.at_least is 2, but of the detectors there is 1 that votes; "
            "write 1 or less (web.yaml, line 3).",
        ),
    ],
)
def test_more_votes_than_there_are_detectors_are_refused(tmp_path, lines, said):
    assert problems(tmp_path, f"{SMALL}{lines}\n") == [f"web: {said}"]


def test_as_many_votes_as_there_are_detectors_are_right(tmp_path):
    both = "detectors: [{type: zscore}, {type: mad}]\nensemble: {combine: vote, at_least: 2}\n"
    assert source_of(tmp_path, SMALL + both).ensemble.at_least == 2
    assert source_of(tmp_path, SMALL + "ensemble: {combine: vote, at_least: 9}\n").ensemble.at_least == 9  # `auto` may grow


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("dimensions: ['', region]", "`dimensions[1]` must have at least 1 letter, found none (web.yaml, line 3)."),
        ("dimensions: [region, region]", "`dimensions`: region is named twice; name it once (web.yaml, line 3)."),
        ("metrics: [{name: a, dimensions: [b, c, b]}]", "`metrics[1].dimensions`: b is named twice; name it once (web.yaml, line 3)."),
        (
            'metrics: ["a\\nb"]',
            "metrics: the name 'a\\nb' holds a sign that cannot be shown; write another one, and as `column` what the data call it "
            "(web.yaml, line 3).",
        ),
        (
            'metrics: [" a", b]',
            "metrics: the name ' a' begins or ends with a blank; write another one, and as `column` what the data call it "
            "(web.yaml, line 3).",
        ),
        ('description: "a\\0b"', "the text holds the sign NUL, which no table takes (web.yaml, line 3). Take it out."),
    ],
)
def test_names_that_are_none_or_come_twice_are_refused(tmp_path, lines, said):
    assert problems(tmp_path, f"{SMALL}{lines}\n") == [f"web: {said}"]


def test_a_rule_for_a_metric_that_is_not_there_is_refused(tmp_path):
    said = problems(tmp_path, SMALL + "metrics: [requests]\nrules: [{type: threshold, metric: request, below: 1}]\n")
    assert said == ["web: rules: threshold is for the metric request, which is not among metrics: requests (web.yaml, line 4)."]


def test_all_problems_of_a_file_are_named_in_the_order_of_its_lines(tmp_path):
    said = problems(tmp_path, "name: Web\nread: {type: csv, path: a}\nalerts: {group_within: soon}\nxyz: 1\n")
    assert [text.split(" (")[0] for text in said[:3]] == [
        "web: `name`: a source is named by a lower-case letter and up to 47 lower-case letters, digits and underscores",
        "web: `read.time` is required",
        "web: `alerts.group_within`: 'soon' is not a duration; write a number and a unit, such as 5min, 1h or 7 days",
    ]
    assert said[3].startswith("web: `xyz` is not a key that is known here (web.yaml, line 4). Known are alerts, ")


def test_a_broken_file_says_its_first_problem_and_how_many_follow(tmp_path):
    with pytest.raises(InvalidFileError, match=r"`xyz` is not a key .* 1 more problem in this file\."):
        source_of(tmp_path, SMALL + "xyz: 1\ndetctors: auto\n")


def test_defaults_hold_below_the_file_and_keys_are_joined(tmp_path):
    source = source_of(
        tmp_path, SMALL + "alerts: {min_severity: critical}\n", "alerts: {to: [file], min_severity: info}\nsensitivity: high\n"
    )
    assert (source.alerts.to, source.alerts.min_severity, source.sensitivity) == (("file",), "critical", "high")
    assert source.where("alerts", "min_severity").endswith("web.yaml, line 3")
    assert source.where("sensitivity").endswith("defaults.yaml, line 2")


def test_a_mistake_in_the_defaults_is_found_there(tmp_path):
    assert problems(tmp_path, SMALL, "# all\nsensitivty: high\n") == [
        "web: `sensitivty`: did you mean `sensitivity`? (defaults.yaml, line 2)."
    ]


def test_a_key_that_the_defaults_give_is_offered_and_one_that_the_file_gives_is_not(tmp_path):
    defaults = "detectors: auto\nalerts: {to: [file]}\n"
    assert problems(tmp_path, SMALL + "detctors: auto\n", defaults) == ["web: `detctors`: did you mean `detectors`? (web.yaml, line 3)."]
    assert problems(tmp_path, SMALL + "detectors: auto\ndetctors: auto\n", defaults) == [
        "web: `detctors` is not a key that is known here (web.yaml, line 4). `detectors` is given already."
    ]


def test_every_problem_of_a_calendar_is_told_at_once(tmp_path):
    events = "[{name: e, dates: [2026-02-30, {from: 2026-02-30, to: 2026-03-01}]}]"
    found = problems(tmp_path, f"{SMALL}calendar: {{timezone: Mars/X, holidays: ZZ, events: {events}}}\n")
    assert [problem.removeprefix("web: ").split(";")[0].split(" (web")[0] for problem in found] == [
        "`calendar.timezone`: 'Mars/X' is not a time zone",
        "`calendar.holidays`: Country ZZ not available",
        "`calendar.events[1].dates[1]`: 2026-02-30 is no date: day is out of range for month",
        "`calendar.events[1].dates[2].from` must be a date, found '2026-02-30'",
    ]
    twice = "[{name: e, dates: [2026-02-03]}, {name: e, dates: [2026-03-03]}]"
    assert len(problems(tmp_path, f"{SMALL}calendar: {{timezone: Mars/X, events: {twice}}}\n")) == 2


def test_every_problem_is_told_at_once_those_of_parts_that_do_not_go_together_too(tmp_path):
    text = """name: web
read: {type: csv, path: web.csv, time: timestamp, timezon: UTC}
metrics:
  - {name: a, column: timestamp}
  - {name: a, aggregate: p95, without_rows: zero, explain_by: [b], transform: log}
  - {name: b, agregate: sum}
schedule: sometimes
dimensions: [timestamp]
detectors: []
rules:
  - {type: threshold, metric: zz, above: 3}
  - {type: threshold, name: two, metric: yy, above: 3, for: 3 moons}
  - {type: flatline, metric: b, for: 1h}
owner: me
"""
    told = [problem.removeprefix("web: ").split(" (web.yaml")[0] for problem in problems(tmp_path, text)]
    assert told == [
        "`read.timezon` is not a key that is known here",
        "metrics: a is named twice",
        "`metrics[2]`: without_rows: no rows have no p95; zero is for count, sum and distinct_count",
        "`metrics[2]`: explain_by: parts of a p95 do not add up to it; explain a metric that sums or counts the rows",
        "`metrics[3].agregate`: did you mean `metrics[3].aggregate`?",
        "`schedule`: 'sometimes' is no schedule; write a duration such as 5min, a cron line such as '0 6 * * *', or manual",
        "detectors is empty; name at least one, or auto",
        "rules: threshold is for the metric zz, which is not among metrics: a, a, b",
        "rules: two is for the metric yy, which is not among metrics: a, a, b",
        "`rules[2].for`: '3 moons' is not a duration; write a number and a unit, such as 5min, 1h or 7 days",
        "`owner`: write team:name or an e-mail address",
        "timestamp is the time column; it cannot be a metric or a dimension as well",
    ]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("dimensions: [mail]", "mail is sensitive, and its values name series or slices"),
        ("metrics: [{name: m, column: mail}]", "mail is sensitive, and the metric m shows its values"),
    ],
)
def test_what_is_sensitive_names_no_series_and_is_no_value(tmp_path, keys, said):
    text = f"name: web\nread: {{type: csv, path: a, time: t}}\n{keys}\ncontract: {{columns: {{mail: {{sensitive: true}}}}}}\n"
    assert said in " ".join(problems(tmp_path, text))
