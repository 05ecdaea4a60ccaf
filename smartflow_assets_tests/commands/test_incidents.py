"""`smartflow incidents` as a person uses it on a Monday: what is wrong, who has it, what becomes of what they decide."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from smartflow_assets_tests.commands.conftest import SHOP, Smartflow, in_folder, make_home

FLOOD = """\
detectors: [{type: mad}]
alerts: {to: [file], max_age: 3650 days, group_within: off}
owner: team:shop
calendar: {timezone: Europe/Berlin}
freshness: off
"""


@pytest.fixture(scope="module")
def flooded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sources alike, each with one incident that was told."""
    folder = make_home(tmp_path_factory.mktemp("flooded"))
    (folder / "data/channels.yaml").write_text("file: {type: file}\n")
    with (folder / "data/feeds/shop.csv").open("a") as feed:
        feed.write("".join(f"2026-03-06T{hour:02}:00:00Z,900\n" for hour in range(3)))
    for name in ("shop", "store"):
        (folder / f"data/sources/{name}.yaml").write_text(SHOP.replace("name: shop", f"name: {name}") + FLOOD)
    with in_folder(folder) as smartflow:
        assert "opened 1" in smartflow("run", "--as-of", "2026-03-06T03:00Z").out
    return folder


@pytest.fixture
def there(flooded: Path, copied: Callable[[Path], Path]) -> Iterator[Path]:
    yield copied(flooded)


def listed(smartflow: Smartflow, *options: str) -> list[dict]:
    return json.loads(smartflow("incidents", "list", *options, "--format", "json").out)


def id_of(smartflow: Smartflow, source: str = "shop") -> str:
    (row,) = listed(smartflow, "--state", "all", "--source", source)
    return row["incident_id"]


def test_what_is_wrong_is_listed_in_the_zone_of_its_source(smartflow: Smartflow, there: Path) -> None:
    answer = smartflow("incidents")
    header, *rows = answer.out.splitlines()
    assert answer.code == 0 and header.split()[:7] == ["id", "source", "series", "severity", "state", "since", "lasting"]
    assert [row.split()[1:5] for row in rows] == [["shop", "orders", "critical", "open"], ["store", "orders", "critical", "open"]]
    assert "2026-03-06 01:00 CET" in rows[0] and "  3 h  " in rows[0] and rows[0].endswith("team:shop")
    assert smartflow("incidents", "list").out == answer.out
    assert [row["source"] for row in listed(smartflow, "--source", "store", "--severity", "critical", "--cause", "anomaly")] == ["store"]
    assert listed(smartflow, "--state", "resolved") == listed(smartflow, "--severity", "info") == []
    assert smartflow("incidents", "list", "--format", "csv").out.startswith("incident_id,source,series,cause,severity,state,opened_at,")
    assert smartflow("incidents", "list", "--state", "resolved").out == "no incident is resolved\n"


def test_an_incident_is_shown_with_all_that_is_known_of_it(smartflow: Smartflow, there: Path) -> None:
    name = id_of(smartflow)
    smartflow("incidents", "ack", name[:6], "--by", "anna", "--note", "on [it]")
    smartflow("incidents", "comment", name, "the supplier has been told", "--by", "ben")
    shown = smartflow("incidents", "show", name[:4]).out
    assert shown.startswith("[critical] shop orders: 900, usually ")
    assert "State:          acknowledged by anna\n" in shown and shown.count("Owner:          team:shop\n") == shown.count("Owner:") == 1
    timeline = [line.split("  ") for line in shown[shown.index("timeline") :].splitlines()]
    said = [[cell.strip() for cell in line if cell.strip()] for line in timeline[2:5]]
    assert [line[1:] for line in said] == [
        ["opened", "smartflow", "critical"],
        ["acknowledged", "anna", "critical", "on [it]"],
        ["commented", "ben", "critical", "the supplier has been told"],
    ]
    (sent,) = [line.split() for line in shown.splitlines() if " file " in line]
    assert sent[3:] == ["opened", "file", "sent", "1"]
    (sql,) = [line for line in shown.splitlines() if line.startswith('smartflow sql "SELECT')]
    rows = json.loads(smartflow("sql", sql.split('"')[1], "--format", "json").out)
    assert [row["value"] for row in rows if row["is_anomaly"]] == [900.0] * 3
    facts = json.loads(smartflow("incidents", "show", name, "--format", "json").out)
    assert facts["incident"]["acknowledged_by"] == "anna" and facts["message"]["value"] == 900.0 and facts["owner"] == "team:shop"
    assert [event["event"] for event in facts["timeline"]] == ["opened", "acknowledged", "commented"]


@pytest.mark.parametrize("is_last", [False, True], ids=["one of two", "the last one"])
def test_what_a_source_that_is_gone_has_to_tell_goes_out_with_the_next_run(smartflow: Smartflow, there: Path, is_last: bool) -> None:
    (there / "data/sources/store.yaml").unlink()
    if is_last:
        (there / "data/sources/shop.yaml").unlink()
    answer = smartflow("incidents", "resolve", id_of_gone(smartflow))
    assert answer.err == "to be told: resolved to file, by the next `smartflow run`, or within half a minute while `smartflow ui` runs\n"
    assert "messages of store: 1 sent\n" not in smartflow("run", "--dry-run").out
    run = smartflow("run")
    assert run.code == int(is_last) and "messages of store: 1 sent\n" in run.out
    assert list((there / "data/outbox").glob("*-store-resolved-*.eml"))
    assert "none failed, none waits" in smartflow("doctor").out
    assert "messages of store" not in smartflow("run").out


def id_of_gone(smartflow: Smartflow) -> str:
    (row,) = (row for row in listed(smartflow, "--state", "all") if row["source"] == "store")
    return row["incident_id"]


def test_who_decides_reads_what_became_of_it_and_who_hears_of_it(smartflow: Smartflow, there: Path) -> None:
    name, short = id_of(smartflow), id_of(smartflow)[:8]
    answer = smartflow("incidents", "ack", name)
    assert (answer.code, answer.out, answer.err) == (0, f"{short} shop orders: acknowledged\n", "nobody is told of that\n")
    again = smartflow("incidents", "ack", name)
    assert again.code == 0 and again.out.startswith(f"{short} shop orders: is acknowledged already, by ") and again.err == ""
    assert smartflow("incidents", "snooze", name, "2h").out.startswith(f"{short} shop orders: snoozed until ")
    assert "snoozed until" in smartflow("incidents").err and [row["source"] for row in listed(smartflow)] == ["store"]
    assert "ok    incidents: 1 incident open; shop orders snoozed until " in smartflow("doctor").out
    sources = smartflow("sources")
    assert "note: shop: 1 incident snoozed until " in sources.err
    assert smartflow("incidents", "wake", name).err.startswith("to be told: reminder to file, by the next run of shop")
    resolved = smartflow("incidents", "resolve", name, "--note", "the sale", "--by", "anna")
    assert resolved.out == f"{short} shop orders: resolved\n" and "to be told: resolved to file" in resolved.err
    (row,) = listed(smartflow, "--state", "resolved")
    assert (row["resolved_by"], row["resolved_reason"]) == ("anna", "resolved by anna: the sale")
    assert row["resolved_at"] == "2026-03-06T03:00:00Z"  # in the time of its data
    published = json.loads(smartflow("sql", "SELECT state FROM incidents WHERE source = 'shop'", "--format", "json").out)
    assert published == [{"state": "resolved"}]


def test_until_is_a_time_of_the_source(smartflow: Smartflow, there: Path) -> None:
    name = id_of(smartflow)
    assert smartflow("incidents", "snooze", name, "--until", "2999-01-01T08:00").out.endswith("snoozed until 2999-01-01 08:00 CET\n")
    assert listed(smartflow, "--state", "snoozed")[0]["snoozed_until"] == "2999-01-01T07:00:00Z"


def test_all_that_are_open_of_a_source_are_acknowledged_and_resolved_by_its_name(smartflow: Smartflow, there: Path) -> None:
    assert smartflow("incidents", "ack", "--source", "shop").out == f"{id_of(smartflow)[:8]} shop orders: acknowledged\n"
    assert smartflow("incidents", "ack", "--source", "shop").out == "no incident of shop is open\n"
    assert smartflow("incidents", "resolve", "--source", "shop").out.endswith("resolved\n")
    assert [row["source"] for row in listed(smartflow)] == ["store"]


def test_several_ids_are_one_decision_for_each_source(smartflow: Smartflow, there: Path) -> None:
    names = [id_of(smartflow, "shop"), id_of(smartflow, "store")]
    assert smartflow("incidents", "resolve", *names).out.count(": resolved\n") == 2
    answer = smartflow("incidents")
    assert (answer.code, answer.out) == (0, "nothing is wrong: no incident is open\n")


def test_what_cannot_be_is_refused_with_a_remedy(smartflow: Smartflow, there: Path) -> None:
    name, other = id_of(smartflow, "shop"), id_of(smartflow, "store")
    mistyped = name[:7] + ("0" if name[7] != "0" else "1")
    for asked, problem in (
        (("ack",), "which incidents? Give ids, which `smartflow incidents` lists, or --source SOURCE."),
        (("ack", name[:3]), f"'{name[:3]}' is too short for an id. Give 4 signs of it at least."),
        (("ack", mistyped), f"there is no incident {mistyped}. Did you mean {name[:8]}?"),
        (("show", "zzzz"), "there is no incident zzzz. `smartflow incidents list --state all` shows all that there are."),
        (("snooze", name), "for how long, or of which incident? smartflow incidents snooze ID 2h, or --until TIME."),
        (("snooze", name, "0h"), "0h is no time to come. `smartflow incidents wake ID` ends a snooze."),
        (("snooze", name, "--until", "2020-01-01"), "--until 2020-01-01 is past. `smartflow incidents wake ID` ends a snooze."),
        (("comment", name, " "), "the comment is empty."),
        (("merge", name, other), f"{name[:8]} is of shop and {other[:8]} of store. Only incidents of one source are merged."),
        (("merge", name, name), f"{name[:8]} cannot be merged into itself."),
        (("list", "--state", "opne"), "--state opne: there is no such word. Did you mean open?"),
        (("ack", "--source", "shpo"), "there is no source 'shpo'. Did you mean shop?"),
    ):
        answer = smartflow("incidents", *asked)
        assert (answer.code, answer.out, answer.err) == (2, "", f"error: {problem}\n")
    assert [row["state"] for row in listed(smartflow)] == ["open", "open"]


def test_before_the_first_run_nothing_is_wrong(smartflow: Smartflow, home: Path) -> None:
    assert smartflow("incidents").out == "nothing is wrong: no incident is open\n"
    assert (
        smartflow("incidents", "show", "abcd").err
        == "error: there is no incident: nothing has run yet. `smartflow run` watches the sources.\n"
    )


def test_the_page_of_an_incident_is_written_by_its_run_and_when_asked_for(smartflow: Smartflow, there: Path) -> None:
    name = id_of(smartflow)
    written = there / f"data/reports/incidents/{name}.html"
    assert "<td>sent</td>" in written.read_text()
    smartflow("incidents", "comment", name, "called <them>", "--by", "ben")
    answer = smartflow("incidents", "page", name[:8])
    assert (answer.code, answer.out.strip()) == (0, str(written)) and "called &lt;them&gt;" in written.read_text()
    assert smartflow("incidents", "page", name, "-o", "flood.html").out == "flood.html\n"
    assert "called &lt;them&gt;" in (there / "flood.html").read_text()
    refused = smartflow("incidents", "page", name, "-o", "nowhere/x.html")
    assert refused.code == 2 and "there is no folder nowhere" in refused.err
    assert "SmartFlow's own" in smartflow("incidents", "page", name, "-o", "data/home.yaml").err
    assert smartflow("incidents", "page", "0000").code == 2
    smartflow("reset", "shop", "--yes")
    assert not written.exists()
