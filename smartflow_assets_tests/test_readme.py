"""The README is run: its source is a source, its commands end with 0, its Python prints something."""
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
NOT_HERE = ("smartflow ui",)  # runs until it is ended; end_to_end/test_dagster_ui.py runs it


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_every_command_and_every_snippet_works(tmp_path):
    home = tmp_path / "home"
    shutil.copytree(ROOT / "data", home / "data", ignore=shutil.ignore_patterns("warehouse", "dagster", "outbox", "reports", "exports"))
    (home / "data" / "sources" / "orders.yaml").write_text(blocks("yaml")[0])
    times = pd.date_range("2026-01-05", periods=24 * 30, freq="h")
    quantity = 50 + 20 * np.sin(np.arange(len(times)) / 24 * 2 * np.pi) + np.random.default_rng(1).normal(0, 2, len(times))
    pd.DataFrame({"created_at": times, "quantity": quantity.round()}).to_csv(home / "data" / "examples" / "orders.csv", index=False)
    environment = {**os.environ, "SMARTFLOW_HOME": str(home)}
    environment.pop("DAGSTER_HOME", None)
    lines = [line.split("   #")[0].strip() for block in blocks("sh") for line in block.splitlines()]
    commands = [line for line in lines if line.startswith("smartflow ") and not line.startswith(NOT_HERE)]
    assert len(commands) >= 9
    for line in commands:
        program = Path(sys.executable).with_name("smartflow")
        done = subprocess.run([str(program), *shlex.split(line)[1:]], cwd=home, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    for snippet in blocks("python"):
        done = subprocess.run([sys.executable, "-W", "ignore", "-c", snippet], cwd=home, env=environment, capture_output=True, text=True)
        assert done.returncode == 0 and done.stdout.strip(), f"{snippet}\n{done.stdout}\n{done.stderr}"


def test_links_lead_somewhere():
    targets = [target for target in re.findall(r"\]\(([^)#]+)\)", README) if not target.startswith("http")]
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_marts_that_are_named_exist():
    from smartflow_assets.adapters import marts

    named = re.search(r"views: (.*?)\.\n", README, re.DOTALL)
    assert named is not None
    for view in re.findall(r"`(\w+)`", named[1]):
        assert view in Path(marts.__file__).read_text(), view
