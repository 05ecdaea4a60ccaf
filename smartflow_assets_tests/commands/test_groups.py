"""`smartflow incidents` and `smartflow feedback` where something breaks in several sources at once: one line, one page, one word."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from smartflow_assets_tests.commands.conftest import Smartflow, in_folder, rows_of
from smartflow_assets_tests.commands.test_incidents import listed
from smartflow_assets_tests.core.reports.test_html_page import Read

ROOT = Path(__file__).parents[2]
SOURCE = """\
name: {name}
read: {{type: csv, path: feeds/{name}.csv, time: ts}}
metrics: [{{name: packs, column: n, aggregate: sum, dimensions: [place]}}]
time_bucket: {{every: 1h, settle: 0s}}
schedule: manual
calendar: {{timezone: Europe/Berlin}}
detectors: [{{type: mad}}]
rules: [{{type: threshold, name: flood, metric: packs, above: 500, severity: critical}}]
freshness: {{warn_after: 1h}}
profile: off
tags: {{product: parcels}}
owner: team:{name}
runbook: https://wiki.example.com/{name}
alerts: {{to: [file], max_age: 3650 days}}
"""
PLACES = ('Köln "Süd" 🛒', "it's $HOME, `x`!", "b")
AS_OF = "2026-03-06T03:00Z"


def write_feed(folder: Path, name: str, until: int, places: tuple[str, ...], flood: int = 900) -> None:
    """Hours of rows from 2026-03-01 on, flooded from 2026-03-06 on."""
    quoted = ['"' + place.replace('"', '""') + '"' for place in places]
    rows = [
        f"2026-03-{1 + hour // 24:02}T{hour % 24:02}:00:00Z,{flood if hour >= 120 else 100 + hour % 7},{place}\n"
        for hour in range(until)
        for place in quoted
    ]
    (folder / f"data/feeds/{name}.csv").write_text("ts,n,place\n" + "".join(rows))


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store and a shop, which refers to it, that are flooded in the same hour, and a silence of the till in that hour: told as one."""
    folder = tmp_path_factory.mktemp("broken")
    for part in ("sources", "feeds"):
        (folder / "data" / part).mkdir(parents=True)
    (folder / "data/channels.yaml").write_text("file: {type: file}\n")
    for name in ("lager", "shop", "till"):
        is_till = name == "till"
        write_feed(folder, name, 121 if is_till else 123, PLACES if name == "lager" else ("b",), flood=100 if is_till else 900)
        more = "contract: {references: [{column: place, source: lager}]}\n" if name == "shop" else ""
        (folder / f"data/sources/{name}.yaml").write_text(SOURCE.format(name=name) + more)
    with in_folder(folder) as smartflow:
        answer = smartflow("run", "--as-of", AS_OF)
        assert answer.code == 0, answer
    return folder


@pytest.fixture
def there(broken: Path, copied: Callable[[Path], Path]) -> Iterator[Path]:
    yield copied(broken)


def id_of(smartflow: Smartflow) -> str:
    (row,) = listed(smartflow, "--cause", "group")
    return row["incident_id"]


def judged(smartflow: Smartflow) -> list[tuple[str, str, str, str]]:
    """source, verdict, state and id of each row of the audit."""
    rows = rows_of(smartflow, "SELECT source, verdict, state, feedback_id FROM marts.feedback_audit ORDER BY source, series")
    return [tuple(row.values()) for row in rows]


def states(smartflow: Smartflow) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for row in rows_of(smartflow, "SELECT source, state FROM incidents"):
        found.setdefault(row["source"], set()).add(row["state"])
    return found


def test_a_word_on_a_group_is_said_of_all_its_series_and_names_what_it_leaves_out(smartflow: Smartflow, there: Path) -> None:
    name = id_of(smartflow)
    answer = smartflow("feedback", name[:8], "false_positive", "--note", "a trial", "--by", "anna")
    assert answer.code == 0, answer
    first, *others = answer.out.splitlines()
    assert first.startswith(f"{name[:8]} * group: called false_positive, said of 4 of 2 sources (lager, shop); of till freshness (")
    assert first.partition(") it cannot be said")[2] and [line.split()[1] for line in others] == ["lager", "lager", "shop", "shop"]
    rows = judged(smartflow)
    assert [row[:3] for row in rows] == [("lager", "false_positive", "acts")] * 3 + [("shop", "false_positive", "acts")]
    assert len({row[3] for row in rows}) == 1
    assert states(smartflow) == {"*": {"open"}, "lager": {"resolved"}, "shop": {"resolved"}, "till": {"open"}}  # the silence goes on
    assert "false_positive; a trial" in smartflow("incidents", "show", name).out
    again = smartflow("feedback", name, "false_positive", "--note", "a trial")
    assert again.code == 0 and again.out.count("is called false_positive already") == 3 and len(judged(smartflow)) == 4


def test_taken_back_it_is_taken_back_of_all_of_it(smartflow: Smartflow, there: Path) -> None:
    name = id_of(smartflow)
    smartflow("feedback", name, "expected", "--recurs", "fri 00:00-04:00")
    [*_, (*_, word)] = judged(smartflow)
    answer = smartflow("feedback", "undo", word[:8], "--by", "ben")
    assert answer.code == 0 and [line.split()[1] for line in answer.out.splitlines()] == ["lager", "shop"]
    assert {row[2] for row in judged(smartflow)} == {"undone"}
    shown = smartflow("incidents", "show", name).out
    assert "expected taken back" in shown and "ben" in shown
    assert smartflow("feedback", "undo", word).out.count("is taken back already") == 2


def test_a_group_of_false_alarms_alone_is_over_and_told_so_once(smartflow: Smartflow, there: Path) -> None:
    name = id_of(smartflow)
    (silence,) = rows_of(smartflow, "SELECT incident_id FROM incidents WHERE cause = 'freshness'")
    smartflow("incidents", "split", silence["incident_id"])
    answer = smartflow("feedback", name, "false_positive", "--by", "anna")
    assert f"{name[:8]} * group: resolved" in answer.out and "to be told: resolved to file" in answer.err
    (row,) = rows_of(smartflow, "SELECT state, resolved_by, resolved_at, last_seen_at FROM incidents WHERE cause = 'group'")
    assert (row["state"], row["resolved_by"]) == ("resolved", "anna")
    assert row["resolved_at"] == row["last_seen_at"]  # in the time of the data
    sends = rows_of(smartflow, "SELECT incident_id FROM alert_sends WHERE event = 'resolved' AND status = 'planned'")
    assert [send["incident_id"] for send in sends] == [name]
    assert "Resolved:       2026-03-06 04:00 CET" in smartflow("incidents", "show", name).out


def test_right_can_be_said_of_a_silence_as_well(smartflow: Smartflow, there: Path) -> None:
    answer = smartflow("feedback", id_of(smartflow), "true_positive")
    assert answer.code == 0 and "said of 5 of 3 sources (lager, shop, till)" in answer.out and "cannot" not in answer.out
    assert states(smartflow)["lager"] == {"open"}


def page_of(smartflow: Smartflow, name: str) -> Read:
    answer = smartflow("incidents", "page", name)
    assert answer.code == 0, answer
    return Read(Path(answer.out.strip()).read_text())


def test_its_page_says_of_each_source_what_that_of_one_says_of_its_own(
    smartflow: Smartflow, there: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMARTFLOW_UI_URL", "https://dagster.example.com")
    page = page_of(smartflow, id_of(smartflow))
    text, tags = page.text, page.tags
    assert "All 5 incidents of 3 sources" in text and "All 6" not in text and tags.count("img") == 1
    members = text.split("All 5 incidents of 3 sources")[1].split("Why it counts")[0]
    assert members.strip().startswith("sourceseriesseveritystatewhat")
    assert [members.count(f"{name}{what}") for name, what in (("lager", "packs"), ("shop", "packs"), ("till", "freshness"))] == [3, 1, 1]
    assert "Rule flood" in text.split("Why it counts as strange")[1].split("What changed before it")[0]
    changed = text.split("What changed before it")[1].split("What to do")[0]
    assert all(f"{name}: load of" in changed for name in ("lager", "shop", "till"))
    assert "smartflow incidents ack" in text.split("What to do")[1].split("Timeline")[0]
    assert "team:lager (lager)" in text and "team:shop (shop)" in text and "team:till (till)" in text and "nobody" not in text
    links = [value for tag, name, value in page.attributes if (tag, name) == ("a", "href")]
    assert links[:2] == [
        "https://wiki.example.com/lager",
        "https://dagster.example.com/assets/smartflow/incidents?view=partitions&partition=lager",
    ]
    assert "lager in Dagster" in text and "2026-03-06 04:00 CET" in text.split("Timeline")[1]


def test_who_answers_is_said_once_and_of_all_sources(smartflow: Smartflow, there: Path) -> None:
    name = id_of(smartflow)
    shown = smartflow("incidents", "show", name).out
    assert shown.count("Owner:") == 1 and "nobody" not in shown
    assert "Incident since: 2026-03-06 01:00 CET" in shown and "2026-03-06 04:00 CET  opened" in shown  # the zone that all of them have
    lines = shown[shown.index("Owner:") :].splitlines()[:4]
    assert [line.removeprefix("Owner:").strip() for line in lines[:3]] == ["team:lager (lager)", "team:till (till)", "team:shop (shop)"]
    assert "Runbook:        https://wiki.example.com/lager" in lines[3]
    (told,) = [json.loads(file.read_text()) for file in (there / "data/outbox").glob("*.json")]
    assert told["owner"] == "team:lager" and told["owners"] == {source: f"team:{source}" for source in ("lager", "till", "shop")}
    assert "team:shop (shop)" in told["text"]
    assert smartflow("incidents").out.splitlines()[1].endswith("team:lager")


@pytest.mark.integration
def test_the_command_that_shows_its_data_survives_a_shell(smartflow: Smartflow, there: Path) -> None:
    (there / "bin").mkdir()
    (there / "bin/smartflow").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m smartflow_assets.cli "$@"\n')
    (there / "bin/smartflow").chmod(0o755)
    environment = os.environ | {"PATH": f"{there / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    for place in ("it''s", "Köln"):
        (row,) = rows_of(smartflow, f"SELECT incident_id, series FROM incidents WHERE series LIKE '%{place}%'")
        command = smartflow("incidents", "show", row["incident_id"]).out.splitlines()[-1]
        page = page_of(smartflow, row["incident_id"]).text
        assert command.startswith("smartflow sql ") and command in page
        ran = subprocess.run(["sh", "-c", f"{command} -f json"], cwd=there, env=environment, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
        assert [each["value"] for each in json.loads(ran.stdout) if each["is_anomaly"]] == [900.0] * 3, row


def test_groups_are_listed_by_their_source_and_members_where_they_are_asked_for(smartflow: Smartflow, there: Path) -> None:
    name = id_of(smartflow)
    assert [row["incident_id"] for row in listed(smartflow, "--source", "*")] == [name]
    rows = listed(smartflow, "--members")
    assert sorted(row["source"] for row in rows) == ["*", "lager", "lager", "lager", "shop", "till"]
    assert [row["source"] for row in listed(smartflow, "--members", "--source", "till")] == ["*", "till"]
    told = [line for line in smartflow("incidents", "list", "--members").out.splitlines() if f"told by {name[:8]}" in line]
    assert len(told) == 3  # the leader of each source; the others are told by these
    assert smartflow("incidents", "list", "--source", "lgaer").err.count("Did you mean lager?") == 1


def test_incidents_of_a_source_whose_file_is_gone_are_listed(smartflow: Smartflow, there: Path) -> None:
    (there / "data/sources/till.yaml").unlink()
    assert [row["source"] for row in listed(smartflow, "--state", "all", "--members", "--source", "till")] == ["*", "till"]
    for source in (there / "data/sources").iterdir():
        source.unlink()
    answer = smartflow("incidents", "list", "--source", "till", "--state", "all")
    assert answer.code == 0 and id_of(smartflow)[:8] in answer.out, answer


def test_a_group_lasts_to_the_newest_data_in_which_it_was_seen(smartflow: Smartflow, there: Path) -> None:
    (line,) = smartflow("incidents").out.splitlines()[1:]
    assert "  3 h  " in line
    assert "Lasting:        3 h\n" in smartflow("incidents", "show", id_of(smartflow)).out


def test_a_comment_of_several_lines_is_shown_as_such(smartflow: Smartflow, there: Path) -> None:
    name = id_of(smartflow)
    smartflow("incidents", "comment", name, "the <b>belt</b> stands\nthe supplier knows", "--by", "anna")
    shown = smartflow("incidents", "show", name).out.splitlines()
    (at,) = [number for number, line in enumerate(shown) if "the <b>belt</b> stands" in line]
    assert shown[at].index("the <b>") == shown[at + 1].index("the supplier knows") and shown[at + 1].strip() == "the supplier knows"
    page = smartflow("incidents", "page", name).out.strip()
    assert "the &lt;b&gt;belt&lt;/b&gt; stands\nthe supplier knows" in Path(page).read_text()
    assert "td{white-space:pre-line}" in Path(page).read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-2h",), "-2… begins with - and was read as an option. A length has no sign (2h)"),
        (("2h", "--until", "2036-12-01T08:00"), "2h and --until 2036-12-01T08:00 both say for how long. Give one of them"),
    ],
)
def test_a_snooze_that_cannot_be_says_how_it_is_written(
    smartflow: Smartflow, there: Path, arguments: tuple[str, ...], message: str
) -> None:
    answer = smartflow("incidents", "snooze", id_of(smartflow), *arguments)
    assert answer.code == 2 and message in " ".join(answer.err.replace("│", " ").split())
    assert states(smartflow)["*"] == {"open"}
