"""What must hold for the source as a whole: light imports, nothing in core that nobody reaches, no dependency that nothing imports,
a charter for each module."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import smartflow_assets

PACKAGE = Path(smartflow_assets.__file__).parent
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.read_text().strip())
SURFACE = {path for path in MODULES if path.is_relative_to(PACKAGE / "testing") or path == PACKAGE / "api.py"}
UNIMPORTED = {  # dependencies that nothing here imports, and why they are there
    "dagster-webserver": "`dagster dev`, which `smartflow ui` runs, serves its pages with it",
    "pytz": "duckdb imports it by itself when it fetches TIMESTAMPTZ",
}
HEAVY = {
    "sklearn",
    "scipy",
    "numba",
    "skops",
    "prophet",
    "great_expectations",
    "torch",
    "statsmodels",
    "matplotlib",
    "apprise",
    "holidays",
    "psycopg",
}


def test_definitions_load_nothing_heavy():
    code = "import sys, json; import smartflow_assets.definitions; print(json.dumps(sorted(sys.modules)))"
    loaded = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.splitlines()[-1])
    assert HEAVY & {name.split(".")[0] for name in loaded} == set()


def test_every_folder_of_core_but_the_kernels_is_type_checked_strictly():
    strict = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["tool"]["basedpyright"]["strict"]
    folders = {path.name for path in (PACKAGE / "core").iterdir() if (path / "__init__.py").is_file()} - {"kernels"}
    assert set(strict) == {"smartflow_assets/core/*.py", *(f"smartflow_assets/core/{name}" for name in folders)}


@pytest.mark.soak
def test_each_dependency_is_imported_or_allowed_by_name_with_the_reason():
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["project"]
    required = {_plain(re.match(r"[\w.-]+", line)[0]) for line in project["dependencies"]}
    distributions = packages_distributions()
    imported = {_plain(name) for module in _imported() for name in distributions.get(module, ())}
    assert required - imported == set(UNIMPORTED), (
        "take an unused dependency out of pyproject.toml, and a needless allowance out of UNIMPORTED"
    )


def _plain(distribution: str) -> str:
    """As package indexes compare names."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def _imported() -> set[str]:
    """The top-level modules that the package imports, at any depth of its code."""
    nodes = [node for path in MODULES for node in ast.walk(ast.parse(path.read_text()))]
    plain = {alias.name.split(".")[0] for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return plain | {(node.module or "").split(".")[0] for node in nodes if isinstance(node, ast.ImportFrom)}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_each_module_opens_with_its_charter(path):
    assert ast.get_docstring(ast.parse(path.read_text()))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_has_a_name_that_says_nothing(path):
    assert path.stem not in {"utils", "helpers", "common", "misc"}


@pytest.mark.soak
def test_every_public_part_of_core_is_reached_by_an_asset_or_a_command():
    """By name: what the outer layers mention is reached, and what a reached function or class mentions is reached too."""
    definitions: dict[str, list[tuple[str, set[str]]]] = {}
    reached: set[str] = set()
    for path in MODULES:
        if path in SURFACE:  # it offers parts of core to others; that nobody here needs them is just what is asked
            continue
        tree = ast.parse(path.read_text())
        if PACKAGE / "core" not in path.parents:
            reached |= _names(tree)
            continue
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                for name, body in _parts(node):
                    definitions.setdefault(name, []).append((str(path.relative_to(PACKAGE)), body))
            elif not isinstance(node, ast.Import | ast.ImportFrom):
                reached |= _names(node)  # module level: it runs when the module is imported
    waiting = list(reached)
    while waiting:
        for _, body in definitions.get(waiting.pop(), ()):
            waiting += body - reached
            reached |= body
    public = [(name, where) for name, places in definitions.items() for where, _ in places if not name.startswith("_")]
    lonely = {f"{where}: {name}" for name, where in public if name not in reached}
    assert sorted(lonely) == []


def _parts(node: ast.FunctionDef | ast.ClassDef) -> list[tuple[str, set[str]]]:
    """A function; or a class (its fields, decorators, private parts) and each public method on its own."""
    if isinstance(node, ast.FunctionDef):
        return [(node.name, _names(node) - {node.name})]
    methods = [part for part in node.body if isinstance(part, ast.FunctionDef) and not part.name.startswith("_") and not _is_hook(part)]
    own = set().union(*(_names(part) for part in (*node.bases, *node.decorator_list, *(p for p in node.body if p not in methods))), set())
    return [(node.name, own), *((method.name, _names(method) - {method.name}) for method in methods)]


def _is_hook(method: ast.FunctionDef) -> bool:
    """Called by pydantic, not by us."""
    return any("validator" in ast.dump(decorator) or "serializer" in ast.dump(decorator) for decorator in method.decorator_list)


def _names(node: ast.AST) -> set[str]:
    found = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
    found |= {part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute)}
    return found | {alias.name for part in ast.walk(node) if isinstance(part, ast.ImportFrom) for alias in part.names}
