"""`smartflow feedback` as a person uses it: what was right, what becomes of it, and what they took back."""

import json
from pathlib import Path

import pytest

from smartflow_assets_tests.commands.conftest import Smartflow
from smartflow_assets_tests.commands.test_incidents import flooded, id_of, listed, there

__all__ = ["flooded", "there"]


def rows_of(smartflow: Smartflow, sql: str) -> list[dict]:
    return json.loads(smartflow("sql", sql, "--format", "json").out)


def test_who_says_that_an_incident_is_expected_reads_what_follows_and_may_take_it_back(smartflow: Smartflow, there: Path) -> None:
    name = id_of(smartflow)
    assert smartflow("feedback").out == "nobody has said of an incident whether it was right: smartflow feedback INCIDENT VERDICT\n"
    answer = smartflow("feedback", name[:8], "expected", "--note", "the sale", "--by", "anna")
    assert answer.code == 0, answer
    text = f"{name[:8]} shop orders: called expected: nobody hears of the like every Fri 00:00 to 05:00 (Europe/Berlin), "
    assert answer.out.startswith(f"{text}up to 1.25 times as large, until ")
    (row,) = rows_of(smartflow, "SELECT feedback_id, verdict, recurs, given_by, note, direction FROM feedback")
    assert (row["verdict"], row["recurs"], row["given_by"], row["note"], row["direction"]) == (
        "expected",
        "fri 00:00-05:00",
        "anna",
        "the sale",
        "spike",
    )
    header, line = smartflow("feedback", "list", "shop").out.splitlines()
    assert header.split() == ["id", "given", "by", "source", "series", "incident", "verdict", "does", "muted", "note"]
    assert (
        line.split()[0] == row["feedback_id"][:8] and "look-alikes every Fri 00:00 to 05:00 are muted" in line and line.endswith("the sale")
    )
    shown = smartflow("incidents", "show", name).out
    assert "judged" in shown and "expected; fri 00:00-05:00; the sale" in shown
    undone = smartflow("feedback", "undo", row["feedback_id"][:6], "--by", "ben")
    assert (undone.code, undone.out) == (0, f"{name[:8]} shop orders: expected taken back: it acts no more from the next run on\n")
    assert "nothing: taken back by ben" in smartflow("feedback", "list").out
    assert smartflow("feedback", "undo", row["feedback_id"]).out.endswith("is taken back already, or something else was said of it since\n")


def test_a_false_alarm_of_a_rule_is_resolved_and_what_it_does_not_change_is_said(smartflow: Smartflow, there: Path) -> None:
    answer = smartflow("feedback", "give", id_of(smartflow), id_of(smartflow, "store"), "false_positive", "--by", "anna")
    assert answer.code == 0 and answer.out.count("called false_positive: its time is learnt as normal") == 2
    assert answer.out.count("\n") == 4 and "to be told: resolved to file, by the next run" in answer.err
    rows = listed(smartflow, "--state", "resolved")
    assert [row["resolved_reason"] for row in rows] == ["resolved by anna: false positive"] * 2 and "it broke the rule flood" in answer.out


@pytest.mark.soak
def test_what_is_muted_is_listed_with_the_reason(smartflow: Smartflow, there: Path) -> None:
    name = id_of(smartflow)
    smartflow("feedback", name, "expected", "--recurs", "fri 00:00-06:00")
    (given,) = rows_of(smartflow, "SELECT feedback_id FROM feedback")
    with (there / "data/feeds/shop.csv").open("a") as feed:
        feed.write("".join(f"2026-03-{6 + hour // 24:02}T{hour % 24:02}:00:00Z,{100 + hour % 7}\n" for hour in range(3, 168)))
        feed.write("".join(f"2026-03-13T{hour:02}:00:00Z,{900 if hour < 2 else 100}\n" for hour in range(6)))
    assert smartflow("run", "shop", "--as-of", "2026-03-13T06:00Z").code == 0
    (row,) = listed(smartflow, "--state", "suppressed")
    assert row["opened_at"].startswith("2026-03-13T00:00") and row["suppressed_by"] == f"feedback:{given['feedback_id']}"
    assert f"nobody told: feedback:{given['feedback_id'][:8]}" in smartflow("incidents", "list", "--state", "suppressed").out
    assert listed(smartflow, "--state", "snoozed") == []
    sent = rows_of(smartflow, f"SELECT event FROM alert_sends WHERE incident_id = '{row['incident_id']}'")
    assert sent == [] and smartflow("feedback", "list").out.splitlines()[1].split()[-1] == "1"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("expcted",), "of which incident"),
        (("abcd", "expcted"), "'expcted' is no verdict. Did you mean expected?"),
        (("ID", "expected", "--recurs", "monday"), "--recurs: 'monday' is no recurring time; write it as mon 09:00-11:00"),
        (("ID", "true_positive", "--recurs", "mon 09:00-11:00"), "which does not recur. A recurring time belongs to `expected`."),
        (("ID", "true_positive", "--for", "30d"), "true_positive holds for good"),
        (("ID", "false_positive", "--for", "0s"), "--for 0s is no time to come"),
        (("ffffffff", "expected"), "there is no incident ffffffff"),
        (("undo", "ffff"), "there is no feedback ffff. `smartflow feedback list` shows the ids"),
    ],
)
def test_what_cannot_be_said_names_the_remedy(smartflow: Smartflow, there: Path, arguments: tuple[str, ...], message: str) -> None:
    name = id_of(smartflow)
    answer = smartflow("feedback", *(name if each == "ID" else each for each in arguments))
    assert answer.code == 2 and message.partition("of which")[0] in answer.err
    assert rows_of(smartflow, "SELECT * FROM feedback") == []


def test_a_file_is_written_as_a_whole_or_not_at_all(smartflow: Smartflow, there: Path) -> None:
    shop, store = id_of(smartflow), id_of(smartflow, "store")
    file = there / "reviewed.csv"
    file.write_text(
        f'incident,verdict,note,recurs\n{shop},true_positive,"a sale, a large one",\n{store[:8]},right,,\nffffffff,expected,,\n'
    )
    answer = smartflow("feedback", "from-csv", str(file))
    assert answer.code == 2 and "line 3: 'right' is no verdict" in answer.err and "line 4: there is no incident ffffffff" in answer.err
    assert rows_of(smartflow, "SELECT * FROM feedback") == []
    file.write_text(f'incident,verdict,note,recurs\n{shop},true_positive,"a sale, a large one",\n{store[:8]},expected,,fri 00:00-04:00\n')
    assert smartflow("feedback", "from-csv", str(file), "--by", "anna").code == 0
    said = rows_of(smartflow, "SELECT source, verdict, note, recurs FROM feedback ORDER BY source")
    assert said == [
        {"source": "shop", "verdict": "true_positive", "note": "a sale, a large one", "recurs": None},
        {"source": "store", "verdict": "expected", "note": None, "recurs": "fri 00:00-04:00"},
    ]
    assert smartflow("feedback", "from-csv", str(file)).out.count("already") == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no column incident and verdict"),
        ("incident,verdict\n", "has no row"),
        ("incident,verdict,why\na,b,c\n", "has the column why. There are incident, verdict, note, recurs."),
        ("incident,verdict,note\na,b,c,d\n", "line 2 has more cells than there are columns"),
    ],
)
def test_a_file_of_another_form_is_refused(smartflow: Smartflow, there: Path, text: str, message: str) -> None:
    (there / "reviewed.csv").write_text(text)
    answer = smartflow("feedback", "from-csv", str(there / "reviewed.csv"))
    assert answer.code == 2 and message in answer.err
