"""A page of the documentation as what its reader does: files to write, commands to run, questions to ask.

Conventions, the same for readers and for tests: a block whose first line is a comment with a path is a file; `sh` is run line by
line by bash; `text` after it is what it prints (… stands for anything); `sql` is asked of the published copy; `python` prints
something. Blocks of other languages are shown, not run.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import duckdb

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
INSTALL = "python -m pip install ./"
NOT_HERE = {  # commands of the pages that the tests do not run, and why
    "git clone": "needs the network",
    "cd ": "only after the clone",
    "make ": "installs, or replays for a minute; the end-to-end tests do that",
    "smartflow ui": "runs until it is ended; end_to_end/test_dagster_ui.py runs it",
    "smartflow serve": "runs until it is ended; docs/test_serve_guide.py runs it",
    "smartflow restore": "commands/test_backup.py restores; here it would take the home of the next pages away",
    "sudo ": "changes the machine",
    "crontab": "changes the machine",
    "export ": "the reader's own PATH",
    INSTALL: "builds with the network; `install` does what is left",
}
FEWER = {  # what a command tries by default takes a minute; the tests try less, with the same command
    "smartflow tune orders": " --trials 4",
}
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_FILE = re.compile(r"^(?:#|--|//) ([\w./-]+\.\w+)$")


@dataclass(frozen=True)
class Block:
    """One fenced block; `path` is the file that it is, if it is one."""

    page: str
    line: int
    language: str
    text: str

    @property
    def path(self) -> str | None:
        found = _FILE.match(self.text.partition("\n")[0])
        return found[1] if found else None

    @property
    def commands(self) -> list[str]:
        """The lines that can be run here."""
        lines = [line for line in self.text.splitlines() if not line.startswith(("#", *NOT_HERE))]
        return [
            next((start + more + line.removeprefix(start) for start, more in FEWER.items() if line.startswith(start)), line)
            for line in lines
        ]

    def __str__(self) -> str:
        return f"{self.page}, line {self.line}"


def blocks(page: Path) -> list[Block]:
    text = page.read_text()
    return [Block(page.name, text[: found.start()].count("\n") + 1, found[1], found[2]) for found in _BLOCK.finditer(text)]


@dataclass
class Reader:
    """Somebody who does in a home what the pages say."""

    home: Path

    @property
    def environment(self) -> dict[str, str]:
        paths = {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "SMARTFLOW_HOME": str(self.home),
            "PYTHONPATH": os.pathsep.join([str(self.home / "packages"), str(self.home), str(ROOT)]),
            "PYTHONWARNINGS": "ignore",
        }
        return {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"} | paths

    def follow(self, page: Path) -> int:
        """Do all that the page says; how many blocks were done. AssertionError names the line of the page that does not hold."""
        printed, done = "", 0
        for block in blocks(page):
            if block.path is not None:
                (self.home / block.path).parent.mkdir(parents=True, exist_ok=True)
                (self.home / block.path).write_text(block.text)
            elif block.language == "sh":
                printed = self.run(block)
            elif block.language == "text" and printed:
                self.compare(block, printed)
            elif block.language == "sql":
                self.ask(block)
            elif block.language == "python":
                said = self.started([sys.executable, "-c", block.text], str(block))
                assert said.strip(), f"{block}: it prints nothing"
            else:
                continue
            done += 1
        return done

    def run(self, block: Block) -> str:
        """What the commands of a block print."""
        for line in block.text.splitlines():
            if line.startswith(INSTALL):
                self.install(self.home / line.removeprefix(INSTALL))
        script = "\n".join(block.commands)
        return self.started(["bash", "-euo", "pipefail", "-c", script], str(block)) if script.strip() else ""

    def started(self, command: list[str], where: str) -> str:
        done = subprocess.run(command, cwd=self.home, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{where}: exit code {done.returncode}\n{command[-1]}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def install(self, project: Path) -> None:
        """Lay a package down as pip does, without the network that a build needs: its modules, and its entry points beside them."""
        said = tomllib.loads((project / "pyproject.toml").read_text())
        for package in said["tool"]["setuptools"]["packages"]:
            shutil.copytree(project / package, self.home / "packages" / package)
        about = self.home / "packages" / f"{said['project']['name'].replace('-', '_')}-{said['project']['version']}.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {said['project']['name']}\nVersion: {said['project']['version']}\n")
        groups = (
            f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in points.items())
            for group, points in said["project"]["entry-points"].items()
        )
        (about / "entry_points.txt").write_text("\n".join(groups))

    def compare(self, block: Block, printed: str) -> None:
        """Each line of the block stands in what was printed; columns may be wider or narrower."""
        lines = [" ".join(line.split()) for line in printed.splitlines()]
        for line in filter(None, (" ".join(line.split()) for line in block.text.splitlines())):
            pattern = ".*".join(map(re.escape, line.split("…")))
            assert any(re.fullmatch(pattern, found) for found in lines), f"{block}: `{line}` is not printed, but\n{printed}"

    def ask(self, block: Block) -> None:
        with duckdb.connect(str(self.home / "data/warehouse/analyst.duckdb"), read_only=True) as warehouse:
            for statement in duckdb.extract_statements(block.text):
                try:
                    warehouse.execute(statement).fetchall()
                except duckdb.Error as error:
                    raise AssertionError(f"{block}: {error}\n{statement.query}") from error
