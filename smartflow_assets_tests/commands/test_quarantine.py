"""Rows in quarantine as people meet them: in the line of a run, in `sources`, `doctor` and Dagster, and how they leave."""

from pathlib import Path

import dagster as dg
import duckdb

from smartflow_assets.config.settings import Settings
from smartflow_assets.defs.instance import open_instance
from smartflow_assets_tests.commands.conftest import SHOP, Smartflow

CALM = "detectors: [{type: mad}]\n"


def spoil(home: Path, bad: int) -> None:
    """120 hours, of which so many are no number."""
    rows = [f"2026-03-{1 + hour // 24:02}T{hour % 24:02}:00:00Z,{f'n/a {hour}' if hour < bad else 100 + hour % 7}" for hour in range(120)]
    (home / "data/feeds/shop.csv").write_text("ts,n\n" + "\n".join(rows) + "\n")


def check_passed(home: Path) -> bool:
    """What the newest run says of `every_row_was_readable`."""
    with open_instance(Settings(home).dagster_home) as instance:
        (run,) = instance.get_runs(limit=1)
        logs = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
        checks = [entry.dagster_event.asset_check_evaluation_data for entry in logs if entry.dagster_event]
    return next(check.passed for check in checks if check.check_name == "every_row_was_readable")


def standing(home: Path) -> list[tuple[str, str]]:
    with duckdb.connect(str(home / "data/warehouse/analyst.duckdb"), read_only=True) as file:
        return file.execute("SELECT cause, state FROM incidents ORDER BY opened_at").fetchall()


def line(text: str, start: str) -> list[str]:
    return next(line for line in text.splitlines() if line.startswith(start)).split()


def test_bad_rows_are_told_until_somebody_has_decided(smartflow: Smartflow, home: Path) -> None:
    (home / "data/sources/shop.yaml").write_text(SHOP + CALM + "alerts: {to: [file]}\n")
    spoil(home, 36)
    answer = smartflow("run")
    assert answer.code == 1
    assert "shop: raw_records: 30 % of the rows of feeds/shop.csv cannot be read, 36 of 120: n is not a number; nothing" in answer.err
    assert standing(home) == [("raw_records", "open")]

    spoil(home, 6)
    answer = smartflow("run")
    assert answer.code == 0 and "quarantined 6" in answer.out
    assert "note: shop: 5.0 % of the rows of feeds/shop.csv cannot be read, 6 of 120: n is not a number" in answer.err
    assert standing(home) == [("raw_records", "resolved"), ("readability", "open")]
    assert not check_passed(home)
    assert smartflow("run").code == 0  # there is nothing new, and nothing has been mended
    assert not check_passed(home) and ("readability", "open") in standing(home)

    header, shop = smartflow("sources").out.splitlines()
    assert header.split().index("held") == header.split().index("open") + 1
    assert shop[header.index("held") : header.index("held") + 4].strip() == "6"
    doctor = smartflow("doctor").out
    assert "warn  quarantine: shop has 6 rows in quarantine; 5.0 % of the rows of feeds/shop.csv cannot be read" in doctor
    assert line(smartflow("quarantine").out, "shop")[:5] == ["shop", "feeds/shop.csv", "6", "5.0", "%"]
    assert smartflow("quarantine", "--drop").code == 2  # of which source?
    refused = smartflow("quarantine", "shop", "--drop", "--file", "nope")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == "error: no row of nope is held of shop. Rows are held of feeds/shop.csv.\n"
    assert smartflow("quarantine", "shop", "--drop", "--file", "feeds/shop.csv").out == "shop: 6 rows dropped, of feeds/shop.csv\n"
    assert standing(home) == [("raw_records", "resolved"), ("readability", "resolved")]
    assert smartflow("quarantine").out == "no row is held\n"
    assert "ok    quarantine: no row is held" in smartflow("doctor").out
    assert smartflow("run").code == 0 and check_passed(home)


def test_a_file_of_which_no_row_is_held_is_refused_before_any_run_too(smartflow: Smartflow, home: Path) -> None:
    answer = smartflow("quarantine", "shop", "--drop", "--file", "nope")
    assert (answer.code, answer.out, answer.err) == (2, "", "error: no row of nope is held of shop. No row is held at all.\n")
