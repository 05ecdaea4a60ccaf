"""`smartflow metrics`: the figures without a server."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families as parsed

from smartflow_assets_tests.commands.conftest import Smartflow


def test_a_new_home_has_figures_though_nothing_has_run(smartflow: Smartflow, home: Path) -> None:
    answer = smartflow("metrics")
    assert answer.code == 0 and answer.err == ""
    values = {one.name: one.value for family in parsed(answer.out) for one in family.samples if one.labels.get("state") != "broken"}
    assert values["smartflow_sources"] == 1 and values["smartflow_published_readable"] == 0
    assert not (home / "data/warehouse").exists(), "whoever looks makes nothing"


def test_the_file_is_replaced_as_a_whole_and_everybody_may_read_it(smartflow: Smartflow, home: Path) -> None:
    file = home / "smartflow.prom"
    file.write_text("of before")
    file.chmod(0o600)
    before = file.stat().st_ino
    answer = smartflow("metrics", "-o", str(file))
    assert (answer.code, answer.out) == (0, "")
    assert file.stat().st_mode & 0o777 == 0o644 and file.stat().st_ino != before
    assert file.read_text().startswith("# HELP smartflow_build_info")
    assert [each.name for each in home.iterdir() if each.name.startswith(".")] == [], "no part is left"


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool comes with Debian's prometheus")
def test_promtool_takes_the_file_as_it_is(smartflow: Smartflow, home: Path) -> None:
    assert smartflow("metrics", "-o", str(home / "smartflow.prom")).code == 0
    text = (home / "smartflow.prom").read_text()
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_a_file_that_cannot_be_written_is_named_with_what_to_do(smartflow: Smartflow, home: Path) -> None:
    answer = smartflow("metrics", "-o", str(home / "nowhere/smartflow.prom"))
    assert (answer.code, answer.out) == (1, "") and f"{home}/nowhere: no such folder. Make it first" in answer.err
    answer = smartflow("metrics", "-o", str(home))
    assert answer.code == 1 and f"{home} is a folder. Name a file in it, such as {home}/smartflow.prom" in answer.err


def test_a_name_that_the_exporter_does_not_read_is_told(smartflow: Smartflow, home: Path) -> None:
    answer = smartflow("metrics", "-o", str(home / "smartflow.txt"))
    assert answer.code == 0 and "the node exporter reads files that end in .prom alone" in answer.err
    assert (home / "smartflow.txt").exists()


def test_without_the_extra_it_is_named(smartflow: Smartflow, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "smartflow_assets.serve.metrics.exposition", raising=False)
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    answer = smartflow("metrics")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err == "error: smartflow metrics needs the package prometheus_client. pip install 'smartflow[serve]'\n"


@pytest.mark.soak
def test_figures_need_neither_dagster_nor_detectors(home: Path) -> None:
    code = "import sys; from smartflow_assets.cli import app; app(['metrics'], standalone_mode=False); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], cwd=home, capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stderr.split()}
    assert {"dagster", "numba", "sklearn", "scipy", "matplotlib", "fastapi"} & loaded == set() and "smartflow_assets" in loaded
