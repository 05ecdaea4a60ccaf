"""`smartflow push`: rows from standard input are one file in the inbox, once."""

from pathlib import Path

import pytest

from smartflow_assets_tests.commands.conftest import Smartflow

ORDERS = """\
name: orders
read: {type: inbox, time: ts}
metrics: [{name: orders, column: n, aggregate: sum}]
time_bucket: {every: 1h, settle: 0s}
schedule: manual
"""
ROWS = "ts,n\n" + "".join(f"2026-03-01T{hour:02}:00:00Z,{hour}\n" for hour in range(20))
AS_OF = "2026-03-02T00:00:00Z"


@pytest.fixture
def inbox(home: Path) -> Path:
    (home / "data" / "sources" / "orders.yaml").write_text(ORDERS)
    return home / "data" / "inbox" / "orders"


@pytest.mark.soak
def test_pushed_rows_are_taken_once_however_often_they_are_pushed(smartflow: Smartflow, inbox: Path) -> None:
    first = smartflow("push", "orders", input=ROWS)
    assert first.code == 0, first.err
    (file,) = inbox.iterdir()
    assert first.out == f"{file}\n" and file.suffix == ".csv" and file.read_text() == ROWS
    again = smartflow("push", "orders", input=ROWS)
    assert again.code == 0 and "is there already" in again.err
    assert list(inbox.iterdir()) == [file]
    assert "rows in 20" in smartflow("run", "orders", "--as-of", AS_OF).out
    assert smartflow("push", "orders", input=ROWS + "2026-03-01T20:00:00Z,20\n").code == 0
    assert "rows in 1 " in smartflow("run", "orders", "--as-of", AS_OF).out


@pytest.mark.soak
def test_json_lines_are_seen_from_the_first_bytes(smartflow: Smartflow, inbox: Path) -> None:
    lines = "".join(f'{{"ts": "2026-03-01T{hour:02}:00:00Z", "n": {hour}}}\n' for hour in range(20))
    assert smartflow("push", "orders", input=lines).code == 0
    assert [path.suffix for path in inbox.iterdir()] == [".jsonl"]
    assert "rows in 20" in smartflow("run", "orders", "--as-of", AS_OF).out


def test_nothing_to_push_and_nowhere_to_push_to(smartflow: Smartflow, inbox: Path) -> None:
    empty = smartflow("push", "orders", input="\n")
    assert empty.code == 1 and "orders: standard input was empty" in empty.err
    assert list(inbox.iterdir()) == []
    other = smartflow("push", "shop", input=ROWS)
    assert other.code == 1 and "shop: it reads csv: feeds/shop.csv" in other.err
    stranger = smartflow("push", "order", input=ROWS)
    assert stranger.code == 2 and "Did you mean orders?" in stranger.err
