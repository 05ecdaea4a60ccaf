"""YAML as people write it: values, lines, and what is refused."""

import difflib
import os
from datetime import date
from pathlib import Path

import pytest

from smartflow_assets.adapters import secret_references
from smartflow_assets.adapters.secret_references import redact_all
from smartflow_assets.config.yaml_file import edit_yaml, edited, read_yaml
from smartflow_assets.core.errors import SourceError


def written(folder: Path, text: str, name: str = "web.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def refused(folder: Path, text: str) -> str:
    with pytest.raises(SourceError) as error:
        read_yaml(written(folder, text))
    return str(error.value)


def test_norway_is_a_country_and_half_past_twelve_no_number(tmp_path):
    values = read_yaml(written(tmp_path, "holidays: NO\nat: 12:30\nis_on: on\nshare: 1e-3\n")).values
    assert values == {"holidays": "NO", "at": "12:30", "is_on": "on", "share": 0.001}


def test_every_key_and_item_has_its_line(tmp_path):
    file = read_yaml(written(tmp_path, "name: web\nread:\n  type: csv\nrules:\n  - {a: 1}\n  - b: 2\n"))
    assert [file.line(at) for at in (("name",), ("read", "type"), ("rules", 1), ("rules", 1, "b"))] == [1, 3, 6, 6]


def test_a_location_without_a_line_has_that_of_what_holds_it(tmp_path):
    file = read_yaml(written(tmp_path, "name: web\nread:\n  type: csv\n"))
    assert file.line(("read", "path")) == 2
    assert not file.holds(("read", "path"))


def test_a_key_given_twice_is_refused_with_its_line(tmp_path):
    assert "`name` is given twice" in refused(tmp_path, "name: a\nowner: b\nname: c\n")
    assert "line 3" in refused(tmp_path, "name: a\nowner: b\nname: c\n")


def test_what_stands_too_deep_is_refused(tmp_path):
    assert "line 2). Close the brackets" in refused(tmp_path, f"name: web\nrules: {'[' * 60}{']' * 60}\n")
    assert "more than 50 deep" in refused(tmp_path, f"rules: {'[' * 400}{']' * 400}\n")
    assert "more than 50 deep" in refused(tmp_path, f"rules: {'{a: ' * 400}1{'}' * 400}\n")


def test_aliases_of_aliases_are_counted_by_what_they_stand_for(tmp_path):
    ten = [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}' if level else 'x'] * 10)}]" for level in range(7)]
    text = refused(tmp_path, "\n".join(["name: web", *ten, "tags: *a6"]))
    assert "more than 100,000 values" in text
    assert "aliases" in text
    assert "web.yaml, line " in text


@pytest.mark.parametrize("text", ["rules: &a [*a]\nx: &b {<<: *b}\n", "a: &a [1]\n? [*a]\n: 2\n? [*a]\n: 3\n"])
def test_what_the_parser_cannot_make_sense_of_is_refused_by_name(tmp_path, text):
    assert "web.yaml" in refused(tmp_path, text)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "web.yaml")
    with pytest.raises(SourceError, match="no regular file"):
        read_yaml(tmp_path / "web.yaml")


@pytest.mark.parametrize("text", ["rules: [1,\nname: 2", "name:\tweb\n  x: 1", "name: @web", "name: *other"])
def test_what_is_no_yaml_is_refused_with_a_line(tmp_path, text):
    assert "this is not YAML" in refused(tmp_path, text)
    assert ", line " in refused(tmp_path, text)


def test_a_day_that_does_not_exist_is_a_text_for_whoever_wants_a_day_to_refuse(tmp_path):
    values = read_yaml(written(tmp_path, "since: 2026-02-28\nuntil: 2026-02-30\n")).values
    assert values == {"since": date(2026, 2, 28), "until": "2026-02-30"}


def test_a_list_a_tag_and_another_encoding_are_refused(tmp_path):
    assert "holds no keys" in refused(tmp_path, "- name\n")
    assert "tag !secret" in refused(tmp_path, "name: web\npassword: !secret x\n")
    (tmp_path / "latin.yaml").write_bytes("name: Stra\xdfe\n".encode("latin-1"))
    with pytest.raises(SourceError, match="not UTF-8"):
        read_yaml(tmp_path / "latin.yaml")


def test_a_changed_file_is_read_again(tmp_path):
    path = written(tmp_path, "name: web\n")
    assert read_yaml(path).values == {"name": "web"}
    written(tmp_path, "name: shop_orders\n")
    assert read_yaml(path).values == {"name": "shop_orders"}


def test_edit_keeps_comments_order_and_quotes(tmp_path):
    path = written(tmp_path, "# who\nname: 'web'   # the partition\n\nschedule: 5min\nmetrics:\n  - {name: requests}  # sum\n")
    edit_yaml(path, lambda tree: tree.__setitem__("schedule", "1h"))
    assert path.read_text() == "# who\nname: 'web'   # the partition\n\nschedule: 1h\nmetrics:\n  - {name: requests}  # sum\n"
    assert list(tmp_path.iterdir()) == [path]


ODD = """\
name:   web     # the name
read:    {type: csv,path: a.csv,   time: at}
detectors:
- type: isolation_forest   # forest
  contamination:   0.3     # far too high
- {type: mad}
rules:
- {type: threshold,   above: 5}


# the end
sensitivity: "high"   # why
"""


def changed_lines(text: str, change) -> list[str]:
    """What a change takes away and brings, as a diff without context."""
    found = difflib.unified_diff(text.splitlines(), edited(text, change).splitlines(), n=0)
    return [line for line in found if not line.startswith(("---", "+++", "@@"))]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            lambda tree: tree["detectors"][0].__setitem__("contamination", 0.01),
            ["-  contamination:   0.3     # far too high", "+  contamination: 0.01      # far too high"],
        ),
        (lambda tree: tree["detectors"].append({"type": "seasonal"}), ["+- {type: seasonal}"]),
        (lambda tree: tree["detectors"].pop(1), ["-- {type: mad}"]),
        (lambda tree: tree.__setitem__("threshold", {"score": 0.97}), ["+threshold: {score: 0.97}"]),
        (lambda tree: tree.pop("sensitivity"), ['-sensitivity: "high"   # why']),
        (lambda tree: None, []),
    ],
)
def test_only_the_lines_of_what_is_changed_differ(change, expected):
    assert changed_lines(ODD, change) == expected


@pytest.mark.parametrize("path", sorted((Path(__file__).parents[2] / "data" / "sources").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_examples_keep_every_other_line(path):
    found = changed_lines(path.read_text(), lambda tree: tree.__setitem__("threshold", {"score": 0.97}))
    assert found == ["+threshold: {score: 0.97}"]


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "name: web", "a: [1,\n    2]\nb: 3\n", "name: web\r\nb: 2\r\n"])
def test_any_file_says_the_change_afterwards(text, tmp_path):
    made = edited(text, lambda tree: tree.__setitem__("b", 4))
    assert read_yaml(written(tmp_path, made)).values == read_yaml(written(tmp_path, text or "{}\n", "old.yaml")).values | {"b": 4}


def test_what_a_file_names_is_taken_out_of_the_errors_of_others_whatever_it_is_called(tmp_path, monkeypatch):
    """Such as those of a Python source, which reads the environment by itself."""
    environment, text = (
        {"SHEET_HOOK": "https://hooks.example.com/T01/s3cr3t", "REGION": "north"},
        "no answer of https://hooks.example.com/T01/s3cr3t",
    )
    monkeypatch.setattr(secret_references, "_named", set())
    assert redact_all(text, environment) == text
    read_yaml(written(tmp_path, 'sheet: {type: webhook, url: "${SHEET_HOOK}"}\n', "channels.yaml"))
    assert redact_all(text, environment) == "no answer of ${SHEET_HOOK}"
