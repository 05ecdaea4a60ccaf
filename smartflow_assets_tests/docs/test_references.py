"""The references in docs/ are what docs/generate.py writes of the models, the tables and the commands as they are now."""

import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from smartflow_assets.adapters.warehouse.marts import MARTS
from smartflow_assets.adapters.warehouse.tables import RAW_COLUMNS, TABLES
from smartflow_assets.cli import app
from smartflow_assets.config.catalogue import channel_schema, json_schema

DOCS = Path(__file__).parents[2] / "docs"


def generate(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(folder / "generate.py"), *arguments], capture_output=True, text=True, check=False)


@pytest.mark.soak
def test_the_references_are_those_of_the_code_as_it_is() -> None:
    done = generate(DOCS, "--check")
    assert done.returncode == 0, f"{done.stderr}Run `python docs/generate.py` and commit what it wrote."


@pytest.mark.soak
def test_a_page_that_differs_is_named_and_written_anew(tmp_path: Path) -> None:
    for name in ("generate.py", "yaml-reference.md", "data-dictionary.md", "cli-reference.md"):
        shutil.copy(DOCS / name, tmp_path)
    edited = tmp_path / "cli-reference.md"
    edited.write_text(edited.read_text().replace("## doctor", "## physician"))
    checked = generate(tmp_path, "--check")
    assert checked.returncode == 1 and "docs/cli-reference.md is not what" in checked.stderr
    assert generate(tmp_path).returncode == 0
    assert "## doctor" in edited.read_text()


@pytest.mark.parametrize("schema", [json_schema(), channel_schema()], ids=["sources", "channels"])
def test_every_key_of_the_models_stands_in_the_yaml_reference_with_its_description(schema: dict) -> None:
    page = " ".join((DOCS / "yaml-reference.md").read_text().split())
    for model in (schema, *schema.get("$defs", {}).values()):
        for key, field in model.get("properties", {}).items():
            description = " ".join(field.get("description", "").replace("|", "\\|").split())
            assert key == "type" or f"| `{key}` |" in page, key
            assert description in page, f"{key}: {description}"
            assert description or key == "type", f"{model.get('title')}.{key} has no description"


def test_every_column_and_every_view_stands_in_the_data_dictionary() -> None:
    page = (DOCS / "data-dictionary.md").read_text()
    for column in (*RAW_COLUMNS, *(column for table in TABLES.values() for column in table.columns)):
        assert f"| `{column.name}` | {column.type} |" in page
        assert column.description.replace("|", "\\|") in page
    for mart in MARTS.values():
        assert f"## {mart.name}\n" in page and mart.description in page
        assert duckdb.extract_statements(mart.example), mart.example


def test_every_command_stands_in_the_command_line_reference_with_its_examples() -> None:
    page = (DOCS / "cli-reference.md").read_text()
    for command in app.registered_commands:
        assert f"\n## {command.name}\n" in page
        for line in (command.epilog or "").splitlines()[1:]:
            assert line.strip().replace("\\[", "[") in page
