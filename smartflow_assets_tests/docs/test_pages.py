"""README and docs are done as a reader does them, one page after the other in one home: what they say works, prints and links."""

import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import TypeAdapter
from ruamel.yaml import YAML

from smartflow_assets.adapters.channels import Channel
from smartflow_assets.adapters.warehouse.marts import MARTS
from smartflow_assets.cli import app
from smartflow_assets.config.source import Source
from smartflow_assets.core.detectors import DETECTORS
from smartflow_assets.core.drift import DRIFT_TESTS
from smartflow_assets.core.rules import RULES
from smartflow_assets_tests.docs.pages import DOCS, ROOT, Block, Reader, blocks

README = ROOT / "README.md"
FOLLOWED = {  # in this order, and how many blocks each must have at least, so that none is skipped unseen
    README: 5,
    DOCS / "getting-started.md": 5,
    DOCS / "own-source.md": 12,
    DOCS / "analysts.md": 10,
    DOCS / "operations.md": 3,
    DOCS / "monitoring.md": 3,
    DOCS / "extending.md": 5,
    DOCS / "algorithms.md": 3,
    DOCS / "tuning.md": 2,
    DOCS / "webhooks.md": 1,
    DOCS / "incidents.md": 8,
    DOCS / "data-dictionary.md": len(MARTS),
}
ALL = [README, *sorted(DOCS.glob("*.md"))]
FRAGMENTS = [block for page in ALL for block in blocks(page) if block.language == "yaml" and block.path is None]


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    """A reader whose home has one of the examples, watched up to the promotion, and a file of orders."""
    home = tmp_path_factory.mktemp("reader")
    shutil.copytree(ROOT / "data/examples", home / "data/examples")
    (home / "data/sources").mkdir()
    for name in ("sources/web_traffic.yaml", "defaults.yaml", "channels.yaml"):
        shutil.copy(ROOT / "data" / name, home / "data" / name)
    times = pd.date_range("2026-01-05", periods=24 * 30, freq="h")
    quantity = 50 + 20 * np.sin(np.arange(len(times)) / 24 * 2 * np.pi) + np.random.default_rng(1).normal(0, 2, len(times))
    pd.DataFrame({"created_at": times, "quantity": quantity.round()}).to_csv(home / "data/examples/orders.csv", index=False)
    someone = Reader(home)
    someone.started(["smartflow", "run", "web_traffic", "--as-of", "2026-02-17T10:00"], "before the first page")
    return someone


@pytest.mark.soak  # a reader's walk through all pages is eighty commands, which take minutes by their nature
@pytest.mark.parametrize("page", FOLLOWED, ids=lambda page: page.name)
def test_what_a_page_says_can_be_done(reader: Reader, page: Path) -> None:
    assert reader.follow(page) >= FOLLOWED[page]


@pytest.mark.soak
def test_the_notebook_runs_from_its_first_cell_to_its_last(reader: Reader) -> None:
    cells = [cell for cell in json.loads((DOCS / "analysis.ipynb").read_text())["cells"] if cell["cell_type"] == "code"]
    assert len(cells) >= 5 and all(cell["outputs"] == [] for cell in cells)
    code = "\n".join(f"exec(compile({''.join(cell['source'])!r}, 'cell {number}', 'exec'))" for number, cell in enumerate(cells, start=1))
    reader.started([sys.executable, "-c", f"import matplotlib\nmatplotlib.use('agg')\n{code}"], "analysis.ipynb")


@pytest.mark.parametrize("block", FRAGMENTS, ids=str)
def test_every_piece_of_yaml_is_one_that_validate_accepts(block: Block) -> None:
    said = YAML(typ="safe").load(block.text)
    if set(said) <= set(Source.model_fields):
        Source.model_validate({"name": "some", "read": {"type": "csv", "path": "some.csv", "time": "at"}} | said)
    else:
        for channel in said.values():
            TypeAdapter(Channel).validate_python(channel)


@pytest.mark.parametrize("page", ALL, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    anchors: dict[Path, set[str]] = {}
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if target.startswith(("http:", "https:", "mailto:")):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        assert path.exists(), target
        if anchor and path.suffix == ".md":
            anchors.setdefault(
                path,
                {
                    re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
                    for title in re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
                },
            )
            assert anchor in anchors[path], target


def test_the_index_names_every_page() -> None:
    index = (DOCS / "README.md").read_text()
    pages = {page.name for page in [*DOCS.glob("*.md"), *DOCS.glob("*.ipynb")]} - {"README.md"}
    assert {name for name in pages if f"]({name})" not in index} == set()


def test_every_command_that_a_page_names_exists() -> None:
    known = {each.name for each in (*app.registered_commands, *app.registered_groups)}
    for page in ALL:
        named = re.findall(r"^smartflow ([a-z-]+)", "\n".join(block.text for block in blocks(page)), re.MULTILINE)
        assert set(re.findall(r"`smartflow ([a-z][a-z-]+)[ `]", page.read_text()) + named) <= known, page.name


def test_the_guide_of_algorithms_knows_every_detector_rule_and_drift_test() -> None:
    text = (DOCS / "algorithms.md").read_text()
    for model in (*DETECTORS.values(), *RULES.values(), *DRIFT_TESTS.values()):
        assert f"| `{model.model_fields['type'].default}` |" in text, model
