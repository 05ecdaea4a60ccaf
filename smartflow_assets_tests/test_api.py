"""The public surface: which names it has, where each comes from, and what importing it costs."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from smartflow_assets import api
from smartflow_assets_tests.test_conventions import HEAVY

NAMES = {
    *("detect", "DetectionSettings"),
    *("BaseDetector", "Result", "History", "ModelParts", "Rows", "State", "SeriesFacts"),
    *("BaseReader", "FeedReader", "Page", "FileReader", "PathReader", "ReadContext", "ProbeContext", "Wanted", "Staged", "TimeColumn"),
    *("stage_file", "stage_rows", "Layout", "Delimited", "JsonRecords", "Parquet", "SourceError"),
    *("BaseChannel", "Message", "Preview", "Secret", "resolve", "DeliveryError", "Duration"),
    *("BaseAction", "Done", "Hands", "Matter"),
    *("BaseRule", "Finding", "Lasting", "buckets", "run_lengths"),
}


def loaded_by(code: str) -> set[str]:
    """The top-level modules that a new process has loaded after this code."""
    program = f"{code}\nimport sys, json; print(json.dumps(sorted(sys.modules)))"
    run = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True)
    return set(json.loads(run.stdout.splitlines()[-1]))


def test_the_surface_is_these_names() -> None:
    """Taking one away or renaming it breaks the packages of others: say so in CHANGELOG.md, and keep the old name for one version."""
    assert set(api.__all__) == NAMES == set(dir(api))
    assert all(getattr(api, name) is not None for name in api.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'Detector'"):
        _ = api.Detector  # pyright: ignore[reportAttributeAccessIssue]


def test_type_checkers_see_each_name_where_it_is_imported_from() -> None:
    tree = ast.parse(Path(api.__file__).read_text())
    (checked,) = (node for node in tree.body if isinstance(node, ast.If))
    imports = {node.module: tuple(alias.name for alias in node.names) for node in checked.body if isinstance(node, ast.ImportFrom)}
    assert imports == api._HOMES


@pytest.mark.parametrize("code", ["from smartflow_assets.api import *", "import smartflow_assets.testing"])
def test_importing_it_loads_nothing_heavy(code: str) -> None:
    assert {name.split(".")[0] for name in loaded_by(code)} & HEAVY == set()


def test_a_channel_is_written_without_loading_detectors() -> None:
    loaded = loaded_by("from smartflow_assets.api import BaseChannel, DeliveryError, Message, Secret, resolve")
    assert not any(name.startswith("smartflow_assets.core.detectors") for name in loaded)


def test_detect_goes_on_to_be_found_where_it_was() -> None:
    from smartflow_assets.core.detection import detect

    assert detect is api.detect


def test_the_guide_of_plug_ins_imports_from_the_surface_alone() -> None:
    guide = (Path(api.__file__).parents[1] / "docs" / "extending.md").read_text()
    assert set(re.findall(r"smartflow_assets[.\w]*", guide)) == {"smartflow_assets.api", "smartflow_assets.testing"}


def test_the_guide_of_plug_ins_lists_every_name_of_the_surface() -> None:
    guide = (Path(api.__file__).parents[1] / "docs" / "extending.md").read_text()
    table = guide.partition("## What there is to import")[2].partition("\n## ")[0]
    listed = {name for row in table.splitlines() if row.startswith("| `") for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert listed == set(api.__all__)


def test_the_package_says_that_it_is_typed() -> None:
    assert (Path(api.__file__).parent / "py.typed").is_file()
