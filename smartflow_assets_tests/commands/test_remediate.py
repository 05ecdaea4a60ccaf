"""What a user sees of remedies: before, while and after they are done, and how one is taken back."""

import json
from pathlib import Path

import pytest

from smartflow_assets_tests.commands.conftest import SHOP, make_home

REMEDIES = """\
detectors: [{type: mad}]
remediate:
  - {when: failure, do: {type: pause, lasting: 6h}}
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch) -> Path:
    make_home(tmp_path)
    (tmp_path / "data/sources/shop.yaml").write_text(SHOP + REMEDIES)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_an_action_by_hand_is_written_down_shown_and_taken_back(home, smartflow) -> None:
    assert smartflow("remediate", "shop", "--dry-run").out == "nothing is due\n"
    answer = smartflow("remediate", "shop", "pause", "--with", "lasting=6h", "--dry-run")
    assert "it would stop the schedule for 6h" in answer.out
    assert "paused" not in smartflow("sources").out
    answer = smartflow("remediate", "shop", "pause", "--format", "json")
    (row,) = json.loads(answer.out)
    assert (answer.code, row["status"], row["after"]) == (0, "done", {"is_paused": True, "until": None})
    assert row["message"] == "its schedule is stopped until `smartflow remediate shop --undo pause`"
    wrong = smartflow("remediate", "shop", "--undo", "fill")
    assert wrong.code == 2 and f"What stands: pause ({row['remediation_id']})." in wrong.err
    answer = smartflow("remediate", "shop", "--undo", row["remediation_id"][:6])
    assert answer.code == 0 and answer.out.endswith("is taken back; its schedule holds again\n")
    assert smartflow("remediate", "shop", "--undo", "pause").code == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("refill",), "there is no action refill"),
        (("--since", "2026-03-01"), "go with an ACTION"),
        (("pause", "--with", "lasting"), "--with lasting: write KEY=VALUE"),
        (("pause", "--with", "lasting=soon"), "--with: `lasting`: 'soon' is not a duration"),
        (("pause", "--with", "for=6h"), "--with: `for` is not a key that is known here. Known are lasting, type."),
        (("pause", "--with", "lastin=6h"), "--with: `lastin`: did you mean `lasting`?"),
        (("pause", "--with", "lasting=0s"), "--with: `lasting` must be greater than 0s, found '0s'"),
        (("fill", "--since", "2026-03-03", "--until", "2026-03-01"), "--since 2026-03-03 is not before --until 2026-03-01"),
        (("fill", "--series", "orders"), "shop has no series 'orders'. It has none yet."),
        (("pause", "--undo", "pause"), "--undo goes alone"),
        (("fill", "--since", "soon"), "--since: 'soon' is not a time"),
    ],
)
def test_what_cannot_be_is_refused(home, smartflow, words, said) -> None:
    answer = smartflow("remediate", "shop", *words)
    assert answer.code == 2 and said in answer.err


def test_an_action_that_fails_says_why_and_ends_with_1(home, smartflow) -> None:
    answer = smartflow("remediate", "shop", "run", "--with", "source=stok")
    assert answer.code == 1 and "error: shop: run stok: there is no source stok to be run" in answer.err


@pytest.mark.soak
def test_a_run_that_fails_pauses_its_source_and_says_so(home, smartflow) -> None:
    for file in (home / "data/feeds").glob("*.csv"):
        file.unlink()
    answer = smartflow("run", "shop")
    assert answer.code == 1 and "remedies 1" in answer.out
    assert "paused until" in smartflow("sources").out
    assert "newest remedies" in smartflow("show", "shop").out
