"""`smartflow run` and `train` through Dagster, in a real home."""

import errno
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from smartflow_assets.adapters.readers import file_signature
from smartflow_assets.adapters.warehouse.locks import AdvisoryLock
from smartflow_assets.config.settings import Settings
from smartflow_assets.defs.execute import Outcome
from smartflow_assets.defs.resources import open_warehouse
from smartflow_assets_tests.commands.conftest import SHOP, Smartflow, in_folder, make_home
from smartflow_assets_tests.receivers import mail_server


def _published(home: Path, statement: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(home / "data/warehouse/analyst.duckdb"), read_only=True) as connection:
        return connection.execute(statement).fetchall()


def _words(line: str) -> list[str]:
    return line.split()[:4]


@pytest.mark.soak
def test_one_source_fails_and_the_others_run(smartflow: Smartflow, home: Path) -> None:
    (home / "data/sources/broken.yaml").write_text("name: broken\nreed: {}\n")
    (home / "data/sources/lost.yaml").write_text(SHOP.replace("name: shop", "name: lost").replace("shop.csv", "lost.csv"))
    answer = smartflow("run")
    assert answer.code == 1
    *lines, last = answer.out.splitlines()
    assert [line.split()[:2] for line in lines] == [["broken", "failed"], ["lost", "failed"], ["shop", "ok"]]
    assert "rows in 120" in answer.out and "messages" not in " ".join(lines)  # they go out when all are through
    assert last == "messages: 1 sent"  # of the one whose file says nothing of alerts
    notes, errors = ([line for line in answer.err.splitlines() if line.startswith(kind)] for kind in ("note", "error"))
    assert len(notes) == 1 and notes[0].startswith("note: shop: taken as a recording")
    assert [line.split(": ")[:3] for line in errors] == [["error", "broken", "run"], ["error", "lost", "raw_records"]]
    assert "did you mean `read`?" in errors[0]
    assert "lost.csv" in errors[1]
    assert _published(home, "SELECT source, status FROM run_log ORDER BY source") == [
        ("broken", "failed"),
        ("lost", "failed"),
        ("shop", "success"),
    ]


@pytest.mark.soak
def test_a_message_that_failed_is_counted_wherever_the_run_tried_it(smartflow: Smartflow, home: Path) -> None:
    with mail_server() as smtp:
        smtp.data_answer = "451 try again later"
        mail = f"{{type: email, host: 127.0.0.1, port: {smtp.port}, security: none, sender: a@example.com, to: [b@example.com]}}"
        (home / "data/channels.yaml").write_text(f"mail: {mail}\n")
        lost = SHOP.replace("name: shop", "name: lost").replace("shop.csv", "lost.csv")
        (home / "data/sources/lost.yaml").write_text(f"{lost}alerts: {{to: [mail]}}\n")
        line = smartflow("run", "lost").out.splitlines()[0]  # what a failed run opens is told when it is closed
        assert "  messages 0  messages failed 1  " in line


def test_a_source_that_fails_before_its_run_begins_keeps_no_other_from_running(
    smartflow: Smartflow, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "data/sources/lost.yaml").write_text(SHOP.replace("name: shop", "name: lost"))

    def half(
        instance: object, settings: object, sources: object, options: object, *, on_end: Callable[[Outcome], None], **more: object
    ) -> None:
        on_end(Outcome("shop", "", is_success=True))
        raise LookupError("no partition is called lost")

    monkeypatch.setattr("smartflow_assets.defs.execute.execute_many", half)
    answer = smartflow("run")
    assert answer.code == 1
    assert [line.split()[:2] for line in answer.out.splitlines()] == [["shop", "ok"], ["lost", "failed"]]
    assert "error: lost: run: LookupError: no partition is called lost" in answer.err


@pytest.mark.soak
def test_several_sources_of_which_nothing_could_be_published_end_with_1_and_one_reason(
    smartflow: Smartflow, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two"):
        (home / f"data/sources/{name}.yaml").write_text(f"name: {name}\nread: {{type: csv, path: feeds/{name}.csv, time: ts}}\n")
        (home / f"data/feeds/{name}.csv").write_text("ts,n\n2026-03-01T00:00:00Z,1\n")

    def no_space(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("smartflow_assets.adapters.warehouse.publishing.clone", no_space)
    answer = smartflow("run", "one", "two")
    assert [line.split()[:2] for line in answer.out.splitlines()] == [["one", "ok"], ["two", "ok"]]
    (error,) = [line for line in answer.err.splitlines() if line.startswith("error")]
    assert error.startswith("error: the warehouse could not be published: No space left on device (")
    assert error.endswith("Free some space; the copy from before is still there.")
    assert answer.code == 1
    log = open_warehouse(Settings(home)).read("SELECT source, status FROM run_log ORDER BY source")
    assert log.to_numpy().tolist() == [["one", "success"], ["two", "success"]]


@pytest.mark.soak
def test_a_source_that_takes_its_process_down_costs_itself_alone(
    smartflow: Smartflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    (home / "data/sources").mkdir(parents=True)
    monkeypatch.chdir(home)
    (home / "deadly.py").write_text("import os\n\ndef die():\n    os._exit(0)\n\ndef rows():\n    return [{'ts': '2026-03-01', 'n': 1}]\n")
    for name, function in (("a", "die"), ("b", "rows"), ("c", "rows")):
        reader = f"{{type: python, function: 'deadly:{function}', time: ts}}"
        (home / f"data/sources/{name}.yaml").write_text(f"name: {name}\nread: {reader}\nschedule: manual\n")
    (home / "data/channels.yaml").write_text("file: {type: file}\n")
    (home / "data/sources/d.yaml").write_text(
        "name: d\nread: {type: csv, path: gone.csv, time: ts}\nalerts: {to: [file]}\nschedule: manual\n"
    )
    command = [sys.executable, "-m", "smartflow_assets.cli", "run"]
    environment = os.environ | {"SMARTFLOW_HOME": str(home), "PYTHONPATH": os.pathsep.join((str(home), *filter(None, sys.path)))}
    outs = [subprocess.run(command, env=environment, capture_output=True, text=True).stdout for _ in range(2)]
    assert [[line.split()[:2] for line in out.splitlines()] for out in outs] == [[], [["b", "ok"], ["c", "ok"], ["d", "failed"]]]
    assert len(list((home / "data/outbox").glob("*-d-opened-*.eml"))) == 1, "what there is to tell goes out before it"
    states = [line.split()[:2] for line in smartflow("sources").out.splitlines() if line.split()[:1] == ["a"]]
    assert states == [["a", "killed"]]


@pytest.fixture(scope="module")
def after_a_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = make_home(tmp_path_factory.mktemp("ran"))
    with in_folder(home) as smartflow:
        assert smartflow("run", "shop").code == 0
    return home


@pytest.mark.soak
def test_a_second_run_with_nothing_new_does_nothing(smartflow: Smartflow, after_a_run: Path, copied: Callable[[Path], Path]) -> None:
    copied(after_a_run)
    again = smartflow("run", "shop")
    assert (again.code, again.err) == (0, "")
    assert "rows in 0  scored 0  anomalies 0  opened 0  resolved 0  messages 0" in again.out


@pytest.mark.soak
def test_a_source_in_which_nothing_is_new_is_left_out_unless_it_is_named(
    smartflow: Smartflow, after_a_run: Path, copied: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    home = copied(after_a_run)
    monkeypatch.setattr(file_signature, "JUST_NOW", timedelta(0))

    def runs() -> int:
        return len(_published(home, "SELECT 1 FROM run_log"))

    assert "rows in 0" in smartflow("run").out, "a look rests on a run that found nothing to do"
    assert (smartflow("run").out.split(), runs()) == (["shop", "ok", "nothing", "new,", "so", "no", "run"], 2)
    assert "rows in 0" in smartflow("run", "shop").out
    with (home / "data/feeds/shop.csv").open("a") as file:
        file.write("2026-03-06T00:00:00Z,1\n")
    assert ("rows in 1 " in smartflow("run").out, runs()) == (True, 4)


@pytest.mark.soak
def test_as_of_is_the_clock_of_the_run(smartflow: Smartflow, home: Path) -> None:
    assert smartflow("run", "shop", "--as-of", "2026-03-02T12:30").code == 0
    assert _published(home, "SELECT CAST(max(observed_at) AT TIME ZONE 'UTC' AS VARCHAR) FROM clean_series") == [("2026-03-02 11:00:00",)]


@pytest.mark.parametrize("command", [["run", "shop"], ["run", "--dry-run"], ["train"], ["prune", "--older-than", "1d"]])
def test_a_clock_that_is_ahead_is_refused_before_anything_runs(command: list[str], smartflow: Smartflow, home: Path) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    answer = smartflow(*command, "--as-of", later.isoformat())
    assert (answer.code, answer.out) == (2, "")
    assert f"--as-of: {later:%Y-%m-%d %H:%M} UTC is later than the clock of this machine, " in answer.err
    assert "Name a time of the past, or leave --as-of away for now; if the machine is wrong, set its clock." in " ".join(answer.err.split())
    assert not (home / "data/warehouse").exists()


@pytest.mark.soak
def test_a_clock_that_is_a_moment_ahead_is_no_mistake(smartflow: Smartflow, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert smartflow("run", "shop", "--as-of", (datetime.now(UTC) + timedelta(seconds=50)).isoformat()).code == 0
    monkeypatch.setenv("SMARTFLOW_ALLOW_FUTURE", "1")
    assert smartflow("run", "shop", "--as-of", (datetime.now(UTC) + timedelta(days=1)).isoformat()).code == 0


@pytest.mark.soak
def test_a_dry_run_leaves_nothing_behind(smartflow: Smartflow, home: Path) -> None:
    answer = smartflow("run", "shop", "--dry-run")
    note, said = answer.err.splitlines()
    assert (answer.code, said) == (0, "a dry run: nothing was written, nothing was sent") and "recording" in note
    assert "rows in 120" in answer.out
    assert not (home / "data/warehouse/analyst.duckdb").exists()


@pytest.mark.soak
def test_training_is_a_run_of_its_own(smartflow: Smartflow, after_a_run: Path, copied: Callable[[Path], Path]) -> None:
    copied(after_a_run)
    answer = smartflow("train", "shop")
    assert answer.code == 0
    assert answer.out.startswith("shop  ok      models 1  rows learnt from 120")


def test_wrong_times_and_names_are_refused_before_anything_runs(smartflow: Smartflow, home: Path) -> None:
    for arguments, problem in ((["--as-of", "noon"], "--as-of: 'noon' is not a time"), (["shopp"], "Did you mean shop?")):
        answer = smartflow("run", *arguments)
        assert (answer.code, answer.out) == (2, "")
        assert problem in answer.err
    assert not (home / "data/warehouse").exists()


@pytest.mark.parametrize("others", [[], ["other"]], ids=["one source", "several"])
@pytest.mark.soak
def test_an_interrupt_ends_the_whole_command_with_130(home: Path, others: list[str]) -> None:
    environment = os.environ | {"SMARTFLOW_HOME": str(home), "DAGSTER_HOME": ""}
    del environment["DAGSTER_HOME"]
    lock = AdvisoryLock(home / "data/warehouse/locks/shop.lock")
    with ExitStack() as held:  # so the run waits
        held.enter_context(lock.exclusive(timedelta(seconds=1), "somebody else"))
        for name in others:
            (home / f"data/sources/{name}.yaml").write_text(SHOP.replace("name: shop", f"name: {name}"))
            held.enter_context(AdvisoryLock(lock.path.with_name(f"{name}.lock")).exclusive(timedelta(seconds=1), "somebody else"))
        command = [sys.executable, "-m", "smartflow_assets.cli", "run", "shop", *others]
        with subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a suite in the background ignores it, and so its children
        ) as process:
            deadline = time.monotonic() + 60
            while not list(lock.path.parent.glob("run-*.lock")):
                assert time.monotonic() < deadline, "the run did not begin"
                time.sleep(0.02)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "error: interrupted\n")


@pytest.mark.soak
def test_what_dagster_says_is_heard_with_v_only(after_a_run: Path, copied: Callable[[Path], Path]) -> None:
    home = copied(after_a_run)
    environment = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"} | {"SMARTFLOW_HOME": str(home)}
    program = (
        "import sys\nfrom smartflow_assets.cli import app\n"
        "app(['run', 'shop'], standalone_mode=False)\nprint('now with -v', file=sys.stderr)\n"
        "app(['run', 'shop', '-v'], standalone_mode=False)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    quiet, loud = done.stderr.split("now with -v\n")
    assert (quiet, done.stdout.count("\n")) == ("", 2)
    assert "dagster - INFO - smartflow_monitor_source" in loud


@pytest.mark.soak
def test_a_source_that_brings_no_rows_any_more_is_called_silent(smartflow: Smartflow, home: Path) -> None:
    first = smartflow("run", "shop", "--as-of", "2026-03-06")
    assert first.out.startswith("shop  ok "), first.err
    assert smartflow("run", "shop", "--as-of", "2026-03-08").out.startswith("shop  silent")
    assert "silent" in smartflow("sources").out
    shown = smartflow("show", "shop").out
    assert "no rows since Thu 05 Mar 23:00 UTC, usually every 1 h" in shown
    assert re.search(r"open incidents\nopened_at +series +severity +state +title", shown)


@pytest.mark.soak
def test_warming_up_is_said_with_what_is_missing(smartflow: Smartflow, home: Path) -> None:
    feed = home / "data/feeds/shop.csv"
    feed.write_text("".join(feed.read_text().splitlines(keepends=True)[:13]))
    answer = smartflow("run", "shop", "--as-of", "2026-03-01T12:00")
    assert " ".join(answer.err.split()).count("note: shop: warming up: 1 series, 12 of 36 rows") == 1
    assert "\nwarming up: 1 series, 12 of 36 rows\n" in smartflow("show", "shop").out
    plan = smartflow("plan", "shop")
    assert (plan.out, plan.err) == ("shop: nothing has changed since the last run\n", "")


@pytest.mark.soak
def test_a_training_that_learns_nothing_says_why(smartflow: Smartflow, home: Path) -> None:
    answer = smartflow("train")
    assert answer.code == 0 and "models 0" in answer.out and "shop: no series yet" in answer.err, answer
