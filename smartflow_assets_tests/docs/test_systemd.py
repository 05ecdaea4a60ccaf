"""The units in docs/systemd are such as systemd takes, shut the services in, and call commands that there are."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import typer

from smartflow_assets.cli import app

UNITS = sorted((Path(__file__).parents[2] / "docs/systemd").iterdir())
SERVICES = [unit for unit in UNITS if unit.suffix == ".service"]
PROGRAM = "/srv/smartflow/.venv/bin/smartflow"
pytestmark = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not here")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the units, in which a program that is on this machine stands in for ours."""
    folder = tmp_path_factory.mktemp("units")
    for unit in UNITS:
        (folder / unit.name).write_text(unit.read_text().replace(PROGRAM, "/usr/bin/true"))
    return folder


def analyzed(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *map(str, arguments)], capture_output=True, text=True, check=False)


def test_systemd_finds_nothing_wrong(installed: Path) -> None:
    done = analyzed("verify", "--man=no", "--recursive-errors=no", *sorted(installed.iterdir()))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_a_unit_with_a_word_that_systemd_does_not_know_is_found(installed: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.service"
    wrong.write_text((installed / "smartflow-serve.service").read_text().replace("ProtectSystem=", "ProtectSistem="))
    assert "ProtectSistem" in analyzed("verify", "--man=no", "--recursive-errors=no", wrong).stderr


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.stem)
def test_a_service_is_exposed_to_little(installed: Path, unit: Path) -> None:
    done = analyzed("security", "--offline=true", "--no-pager", "--threshold=20", installed / unit.name)
    assert done.returncode == 0, done.stdout
    assert re.search(r"Overall exposure level for \S+: [01]\.\d", done.stdout)


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.stem)
def test_a_service_calls_a_command_that_there_is_and_says_where_the_home_is(unit: Path) -> None:
    text = unit.read_text()
    [line] = re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)
    program, name, *options = shlex.split(line)
    assert program == PROGRAM
    command = getattr(typer.main.get_command(app), "commands")[name]  # noqa: B009 (typer calls it a command)
    default = getattr(command, "commands", {}).get("start", command)
    known = {option for parameter in default.params for option in parameter.opts}
    assert {option for option in options if option.startswith("-")} <= known
    assert "SMARTFLOW_HOME=/srv/smartflow" in text and "ReadWritePaths=/srv/smartflow/data" in text
    assert not re.search(r"^StandardOutput=", text, re.MULTILINE), "logs go to the journal"
