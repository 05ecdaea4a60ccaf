"""What holds for all commands: help, errors, exit codes, colours, and what they import."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from smartflow_assets import cli
from smartflow_assets.commands import terminal
from smartflow_assets_tests.commands.conftest import Smartflow

COMMANDS = (
    "demo",
    "run",
    "train",
    "ui",
    "plan",
    "validate",
    "config-schema",
    "sources",
    "show",
    "sql",
    "detect",
    "compare",
    "backtest",
    "tune",
    "generate",
    "export",
    "report",
    "push",
    "quarantine",
    "remediate",
    "backup",
    "restore",
    "prune",
    "reset",
    "doctor",
    "metrics",
)


@pytest.mark.soak
def test_the_commands_are_those_of_the_readme(smartflow: Smartflow) -> None:
    assert tuple(command.name for command in cli.app.registered_commands) == COMMANDS
    assert all(name in smartflow("--help").out for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_with_examples(smartflow: Smartflow, name: str) -> None:
    answer = smartflow(name, "--help")
    assert answer.code == 0
    assert f"smartflow {name}" in answer.out.partition("Examples")[2]


@pytest.mark.parametrize("command", ["sources", "validate", "config-schema", "doctor"])
def test_a_prefix_that_dagster_could_not_take_is_refused_by_commands_without_dagster(
    smartflow: Smartflow, home: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("SMARTFLOW_PREFIX", "Bad-Name")
    answer = smartflow(command)
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith("error: SMARTFLOW_PREFIX=Bad-Name cannot be the prefix")


@pytest.mark.parametrize("verb", ["list", "promote", "rollback", "train"])
def test_every_verb_of_models_explains_itself_with_examples(smartflow: Smartflow, verb: str) -> None:
    assert verb in smartflow("models", "--help").out
    assert f"smartflow models {verb}" in smartflow("models", verb, "-h").out.partition("Examples")[2]


def test_without_a_command_the_help_is_shown(smartflow: Smartflow) -> None:
    answer = smartflow()
    assert answer.code == 0
    assert "Usage" in answer.out


@pytest.mark.parametrize(
    "arguments", [["--help"], ["run", "--help"], ["detect", "small.csv"], ["validate"], ["config-schema"], ["generate", "iot_sensors"]]
)
@pytest.mark.soak
def test_what_needs_no_dagster_does_not_import_it(tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "data" / "sources").mkdir(parents=True)
    (tmp_path / "small.csv").write_text("ts,n\n" + "".join(f"2026-03-01T{hour:02}:00:00Z,{hour % 3}\n" for hour in range(24)))
    program = (
        "import sys\nfrom smartflow_assets.cli import app\n"
        f"app({arguments!r}, standalone_mode=False)\n"
        "heavy = {'dagster', 'great_expectations', 'matplotlib', 'prophet'}\n"
        "light = {'pandas', 'duckdb', 'numba', 'smartflow_assets.config'} if '--help' in sys.argv else set()\n"
        "print(sorted((heavy | light) & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1] == "[]"


def test_a_usage_error_is_exit_code_2(smartflow: Smartflow) -> None:
    assert smartflow("run", "--no-such-option").code == 2
    assert smartflow("no-such-command").code == 2


@pytest.mark.parametrize("name", ["run", "train", "plan", "validate", "sources", "doctor", "ui"])
def test_a_folder_that_is_no_home_is_refused_and_stays_as_it_is(
    smartflow: Smartflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = smartflow(name)
    assert answer.code == 1
    assert answer.err == (
        f"error: {tmp_path} (the current folder) is no SmartFlow home: it has no data/sources. "
        "Change to the folder that holds data/, or name it: SMARTFLOW_HOME=/path/to/it smartflow … "
        "A new home is a folder with data/sources in it; for `smartflow demo` copy the project's data folder there.\n"
    )
    assert list(tmp_path.iterdir()) == []


def _failing(error: BaseException) -> typer.Typer:
    def broken() -> None:
        """Fails."""
        raise error

    app = typer.Typer()
    app.callback()(cli.smartflow)
    kept, cli.app = cli.app, app
    try:
        cli._command("broken", broken, "smartflow broken")
    finally:
        cli.app = kept
    return app


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (
            terminal.SmartflowError("it is\nbroken", source="shop", where="a.yaml, line 3", remedy="Mend it."),
            1,
            "error: shop: it is broken (a.yaml, line 3). Mend it.\n",
        ),
        (terminal.UsageError("there is no such thing"), 2, "error: there is no such thing.\n"),
        (KeyError("x"), 1, "error: KeyError: 'x' (run again with -v to see where)\n"),
        (
            OSError(28, "No space left on device", "/data/x"),
            1,
            "error: /data/x is on a disk that is full. Free some space and run it again; what was there before is still there.\n",
        ),
        (KeyboardInterrupt(), 130, "error: interrupted\n"),
    ],
)
def test_an_error_is_one_line_and_its_exit_code(error: BaseException, code: int, text: str) -> None:
    from typer.testing import CliRunner

    answer = CliRunner().invoke(_failing(error), ["broken"])
    assert (answer.exit_code, answer.stderr) == (code, text)


@pytest.mark.parametrize("arguments", [["broken", "-v"], ["-v", "broken"]])
def test_v_shows_the_traceback(arguments: list[str]) -> None:
    from typer.testing import CliRunner

    answer = CliRunner().invoke(_failing(KeyError("x")), arguments)
    assert "Traceback (most recent call last)" in answer.stderr
    assert answer.stderr.endswith("error: KeyError: 'x'\n")


@pytest.mark.parametrize(("environment", "is_red"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_errors_are_red_on_a_terminal_unless_no_color_is_set(tmp_path: Path, environment: dict[str, str], is_red: bool) -> None:
    import pty

    main, other = pty.openpty()
    clean = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR", "SMARTFLOW_HOME")}
    command = [sys.executable, "-m", "smartflow_assets.cli", "sources"]
    with subprocess.Popen(
        command, cwd=tmp_path, stderr=other, stdout=subprocess.DEVNULL, env=clean | {"TERM": "xterm"} | environment
    ) as process:
        os.close(other)
        said = b""
        while True:
            try:
                block = os.read(main, 4096)
            except OSError:  # the terminal is gone with its last writer
                break
            if not block:
                break
            said += block
        process.wait()
    os.close(main)
    assert b"error:" in said
    assert (b"\x1b[1;31m" in said) == is_red


def test_quiet_keeps_the_noise_of_libraries_out_and_lets_our_own_words_through(tmp_path: Path) -> None:
    program = (
        "import os, sys, subprocess, logging\nfrom smartflow_assets.commands import terminal\n"
        "logging.basicConfig(stream=sys.stderr)\n"
        "print('before')\n"
        "with terminal.quiet():\n"
        "    print('noise'); print('noise', file=sys.stderr); os.write(2, b'noise'); logging.error('noise')\n"
        "    subprocess.run(['echo', 'noise'])\n"
        "    terminal.result('line'); terminal.say('talk')\n"
        "    log = logging.getLogger('ours'); log.addHandler(terminal.Notes(logging.WARNING)); log.info('noise'); log.warning('waiting')\n"
        "print('after')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("before\nline\nafter\n", "talk\nnote: waiting\n")


@pytest.mark.parametrize("until", ["2026-11-01", "2026-11-30"])
def test_a_span_that_ends_before_it_begins_is_refused_and_nothing_is_made(smartflow: Smartflow, home: Path, until: str) -> None:
    answer = smartflow("run", "shop", "--since", "2026-11-30", "--until", until)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == f"error: --since 2026-11-30 is not before --until {until}. Exchange them, or name a later end.\n"
    assert not (home / "data/warehouse").exists()
