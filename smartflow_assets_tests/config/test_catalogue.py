"""All sources of a home: the good ones work whatever the others hold."""

from pathlib import Path

import pytest

from smartflow_assets.adapters.channels.template import fill
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.settings import Settings
from smartflow_assets.config.source import Source
from smartflow_assets.config.yaml_file import read_yaml
from smartflow_assets.core.errors import SourceError

SHIPPED = Path(__file__).parents[2] / "data"


@pytest.fixture
def home(tmp_path):
    settings = Settings(tmp_path)
    settings.sources.mkdir(parents=True)
    return settings


def add(home: Settings, name: str, more: str = "", *, named: str | None = None) -> None:
    text = f"name: {named or name}\nread: {{type: csv, path: a.csv, time: ts}}\n{more}"
    (home.sources / f"{name}.yaml").write_text(text)


def test_a_broken_file_keeps_its_name_and_leaves_the_others_alone(home):
    add(home, "good")
    add(home, "typo", "detctors: auto\n")
    (home.sources / "torn.yaml").write_text("name: [")
    catalogue = Catalogue.load(home)
    assert (tuple(catalogue.sources), catalogue.names) == (("good",), ("good", "torn", "typo"))
    assert "did you mean `detectors`?" in str(catalogue.broken["typo"])
    assert "this is not YAML" in str(catalogue.broken["torn"])
    assert catalogue.source("good").name == "good"
    with pytest.raises(SourceError, match=r"did you mean `detectors`\?"):
        catalogue.source("typo")


def test_an_unknown_source_is_answered_with_the_nearest(home):
    add(home, "web_traffic")
    with pytest.raises(SourceError, match="Did you mean web_traffic"):
        Catalogue.load(home).source("web_trafic")


def test_a_name_that_is_not_the_files_is_refused(home):
    add(home, "web", named="shop")
    assert "Write `name: web`, or rename the file to shop.yaml." in str(Catalogue.load(home).broken["web"])


def test_two_files_of_one_name_are_refused(home):
    add(home, "web")
    (home.sources / "web.yml").write_text("name: web\n")
    catalogue = Catalogue.load(home)
    assert (dict(catalogue.sources), tuple(catalogue.broken)) == ({}, ("web",))


def test_a_channel_that_nobody_defined_is_refused_with_its_line(home):
    home.channels_file.write_text("ops_email: {type: email, host: h, sender: a@b.c, to: [a@b.c]}\n")
    add(home, "web", "alerts:\n  to:\n    - ops_mail\n")
    text = str(Catalogue.load(home).broken["web"])
    assert "`alerts.to`: there is no channel ops_mail" in text
    assert "line 5). Did you mean ops_email?" in text


def test_without_a_channels_file_there_is_the_file_channel(home):
    add(home, "web", "alerts: {to: [file]}\n")
    assert Catalogue.load(home).source("web").alerts.to == ("file",)


def test_the_file_channel_needs_no_entry_and_may_have_one(home):
    home.channels_file.write_text('hook: {type: webhook, url: "${HOOK}"}\n')
    assert set(Catalogue.load(home).channels) == {"file", "hook"}


def test_a_number_beyond_all_measure_breaks_its_own_source_only(home):
    for name, number in (("long", "9" * 400), ("endless", "1e999")):
        (home.sources / f"{name}.yaml").write_text(
            f"name: {name}\nread: {{type: csv, path: x.csv, time: t}}\nmetrics: [{{name: n, aggregate: count, where: v > {number}}}]\n"
        )
    catalogue = Catalogue.load(home)
    assert {"long", "endless"} <= set(catalogue.broken) and not set(catalogue.sources) & {"long", "endless"}
    assert "beyond all measure" in str(catalogue.broken["long"])


def test_a_secret_in_the_channels_file_is_refused_and_not_repeated(home):
    home.channels_file.write_text(
        "file: {type: file}\nops:\n  type: email\n  host: h\n  username: u\n  password: hunter2\n  sender: a@b.c\n  to: [a@b.c]\n"
    )
    add(home, "web", "alerts: {to: [ops, file]}\n")
    catalogue = Catalogue.load(home)
    text = str(catalogue.channel_errors["ops"])
    assert "a secret is never written in a file" in text
    assert "channels.yaml, line 6" in text
    assert "hunter2" not in text
    assert tuple(catalogue.channels) == ("file",)
    assert tuple(catalogue.sources) == ("web",), "a channel that cannot be used stops no source"


def test_a_channels_file_that_cannot_be_read_stops_no_source(home):
    home.channels_file.write_text("file: [\n")
    add(home, "web", "alerts: {to: [ops_email]}\n")
    catalogue = Catalogue.load(home)
    assert (tuple(catalogue.sources), tuple(catalogue.channels)) == (("web",), ("file",))
    assert "this is not YAML" in str(catalogue.channel_errors["channels.yaml"])


def test_broken_defaults_break_every_source_and_alerts_still_go_to_the_file_channel(home):
    home.defaults_file.write_text("sensitivity: [\n")
    add(home, "web")
    catalogue = Catalogue.load(home)
    assert "defaults.yaml, line" in str(catalogue.broken["web"])
    assert catalogue.alert_policy("web").to == ("file",)


def test_a_broken_source_alerts_as_the_defaults_say(home):
    home.defaults_file.write_text("alerts: {to: [file], min_severity: critical}\n")
    add(home, "web", "alerts: {min_severity: info}\n")
    add(home, "typo", "detctors: auto\n")
    catalogue = Catalogue.load(home)
    assert catalogue.alert_policy("web").min_severity == "info"
    assert (catalogue.alert_policy("typo").to, catalogue.alert_policy("typo").min_severity) == (("file",), "critical")


def test_the_shipped_defaults_say_what_holds_without_them_but_for_the_channel():
    shipped = read_yaml(SHIPPED / "defaults.yaml").values
    small = {"name": "web", "read": {"type": "csv", "path": "a", "time": "t"}}
    with_file, without = Source.model_validate(small | shipped), Source.model_validate(small)
    assert with_file.alerts.to == ("file",)
    assert with_file.model_copy(update={"alerts": with_file.alerts.model_copy(update={"to": ()})}) == without
    assert not with_file.is_bucket_given


def test_the_shipped_channels_are_the_file_channel_and_examples_that_work_when_uncommented(home):
    text = (SHIPPED / "channels.yaml").read_text()
    home.channels_file.write_text(text)
    assert tuple(Catalogue.load(home).channels) == ("file",)
    commented = [line.removeprefix("# ") for line in text.splitlines() if line.startswith(("# ops_", "# sheet_", "#   "))]
    home.channels_file.write_text("\n".join(commented))
    catalogue = Catalogue.load(home)
    assert (tuple(catalogue.channels), dict(catalogue.channel_errors)) == (("file", "ops_email", "ops_weekly", "sheet_webhook"), {})
    facts = {"severity": "critical", "subject": "[critical] web requests: 1,600, usually 430 to 560"}
    posted = fill(catalogue.channels["sheet_webhook"].payload, facts, {})
    assert str(posted).count("critical") == 1
