"""Plug-ins whose `type` is taken, or no literal, are left out with one sentence; the union is built without them."""

import os
import re
import subprocess
import sys
from abc import ABC, abstractmethod
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel, Field

from smartflow_assets.core import extensions

ROOT = Path(__file__).parents[2]
CLASHING = {
    # group: (base class, type, registry, union, a YAML of that type)
    "readers": ("adapters.readers.base:BaseReader", "csv", "adapters.readers:READERS", "Reader", {"path": "a.csv", "time": "at"}),
    "detectors": ("core.detectors.base:BaseDetector", "zscore", "core.detectors:DETECTORS", "Detector", {}),
    "channels": ("adapters.channels.base:BaseChannel", "file", "adapters.channels:CHANNELS", "Channel", {}),
    "rules": ("core.rules.base:BaseRule", "threshold", "core.rules:RULES", "Rule", {"metric": "cpu", "above": 3}),
}
PROGRAM = """\
import importlib
from pydantic import TypeAdapter
module, name = {registry!r}.split(":")
module = importlib.import_module(f"smartflow_assets.{{module}}")
found = TypeAdapter(getattr(module, {union!r})).validate_python({{"type": {kind!r}, **{values!r}}})
print(type(found).__module__, getattr(module, name)[{kind!r}] is type(found))
"""


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """A folder in which a package is installed whose four plug-ins each have the type of a built-in one."""
    entry_points, code = "", "from typing import Literal\n"
    for group, (base, kind, *_) in CLASHING.items():
        module, name = base.split(":")
        entry_points += f"[smartflow.{group}]\nours = acme_clash.{group}:Ours\n"
        package = tmp_path / "acme_clash"
        package.mkdir(exist_ok=True)
        (package / "__init__.py").touch()
        lines = [
            code + f"from smartflow_assets.{module} import {name}",
            f"class Ours({name}, frozen=True):",
            f'    type: Literal["{kind}"] = "{kind}"',
        ]
        (package / f"{group}.py").write_text("\n".join(lines))
    information = tmp_path / "acme_clash-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-clash\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(entry_points)
    return tmp_path


def python(packages: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(packages), str(ROOT)])}
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False, env=environment, cwd=packages)


def sentence(group: str) -> str:
    kind = CLASHING[group][1]
    plugin = f"smartflow.{group}: acme_clash.{group}:Ours of acme-clash"
    return f"{plugin} is left out: its type '{kind}' is that of a built-in one; give it a `type` of its own"


@pytest.mark.integration
@pytest.mark.parametrize("group", CLASHING)
def test_a_plugin_with_a_built_in_type_is_left_out_with_one_sentence(packages: Path, group: str) -> None:
    _, kind, registry, union, values = CLASHING[group]
    done = python(packages, "-c", PROGRAM.format(registry=registry, union=union, kind=kind, values=values))
    assert done.returncode == 0, done.stderr
    module, is_registered = done.stdout.split()
    assert module.startswith("smartflow_assets.") and is_registered == "True"
    assert done.stderr.count(sentence(group)) == 1


@pytest.mark.integration
@pytest.mark.soak
def test_validate_goes_on_with_the_built_in_types_and_says_each_sentence_once(packages: Path) -> None:
    (packages / "data" / "sources").mkdir(parents=True)
    (packages / "data" / "sources" / "room.yaml").write_text(
        "name: room\nread: {type: csv, path: room.csv, time: at}\nmetrics: [celsius]\ntime_bucket: {every: 1h}\nschedule: manual\n"
        "detectors: [{type: zscore}]\nrules: [{type: threshold, metric: celsius, above: 60}]\nalerts: {to: [file]}\n"
    )
    (packages / "data" / "channels.yaml").write_text("file: {type: file}\n")
    (packages / "data" / "room.csv").write_text("at,celsius\n2026-03-01T00:00:00Z,20\n")
    done = python(
        packages, "-c", "import os, sys; os.environ['SMARTFLOW_HOME'] = '.'; from smartflow_assets.cli import main; main()", "validate"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert [done.stderr.count(sentence(group)) for group in CLASHING] == [1, 1, 1, 1]


class Kind(BaseModel):
    """The base class of a union of the tests."""


class BuiltIn(Kind):
    """A built-in member."""

    type: Literal["built_in"] = "built_in"


class First(Kind):
    """The plug-in whose entry point comes first by name."""

    type: Literal["ours"] = "ours"


class Second(Kind):
    """A plug-in with the same type."""

    type: Literal["ours"] = "ours"


class Nameless(Kind):
    """A plug-in whose type could be anything."""

    type: str = "nameless"


class Untyped(Kind):
    """A plug-in without a type."""


class OtherDefault(Kind):
    """A plug-in whose `type` says one thing and whose default another."""

    type: Literal["other"] = "others"  # pyright: ignore[reportAssignmentType]


class Spaced(Kind):
    """A plug-in with a type that no YAML would write."""

    type: Literal["a b"] = "a b"


class Abstract(Kind, ABC):
    """A plug-in that forgot its verb."""

    type: Literal["abstract"] = "abstract"

    @abstractmethod
    def speak(self) -> None:
        """What it does."""


class Forward(Kind):
    """A plug-in with a field of a type that is nowhere."""

    type: Literal["forward"] = "forward"
    other: "Undefined | None" = None  # noqa: F821  # pyright: ignore[reportUndefinedVariable]


class Aliased(Kind):
    """A plug-in whose type is called otherwise in YAML."""

    type: Literal["aliased"] = Field(default="aliased", alias="kind")


REFUSED = {
    "OtherDefault": "its type has another default",
    "Spaced": "its type 'a b' is not made of small letters",
    "Abstract": "it has no `speak`; write it",
    "Forward": "its fields cannot be described",
    "Aliased": "its fields cannot be described",
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_plugin_that_would_stop_every_command_is_left_out(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(extensions, "entry_points", lambda group: [EntryPoint("it", f"{__name__}:{name}", group)])
    with pytest.warns(RuntimeWarning, match=re.escape(REFUSED[name])):
        assert extensions.registry("smartflow.kinds", Kind, [BuiltIn]) == {"built_in": BuiltIn}


@pytest.mark.parametrize("line", ["sys.exit()", "sys.exit('bye')", "raise GeneratorExit", "print('hello'); raise SystemExit(3)"])
def test_a_plugin_that_exits_when_it_is_imported_is_left_out_and_prints_nothing_on_stdout(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    module = f"exits_{abs(hash(line))}"
    (tmp_path / f"{module}.py").write_text(f"import sys\n{line}\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(extensions, "entry_points", lambda group: [EntryPoint("it", f"{module}:It", group)])
    with pytest.warns(RuntimeWarning, match="is left out"):
        assert extensions.registry("smartflow.kinds", Kind, [BuiltIn]) == {"built_in": BuiltIn}
    assert capsys.readouterr().out == ""


def test_of_two_plugins_with_one_type_the_first_by_entry_point_stays_and_each_needs_a_literal_type(monkeypatch: pytest.MonkeyPatch) -> None:
    group = "smartflow.kinds"
    points = [EntryPoint(name, f"{__name__}:{value}", group) for name, value in (("d", "Untyped"), ("b", "Second"), ("a", "First"))]
    points.append(EntryPoint("c", f"{__name__}:Nameless", group))
    monkeypatch.setattr(extensions, "entry_points", lambda group: points)
    with pytest.warns(RuntimeWarning) as told:
        assert extensions.registry(group, Kind, [BuiltIn]) == {"built_in": BuiltIn, "ours": First}
    assert [str(warning.message) for warning in told] == [
        f"{group}: {__name__}:Second is left out: its type 'ours' is that of {__name__}:First; give it a `type` of its own",
        f'{group}: {__name__}:Nameless is left out: its type is not a literal of one text; declare `type: Literal["c"] = "c"`',
        f'{group}: {__name__}:Untyped is left out: its type is not a literal of one text; declare `type: Literal["d"] = "d"`',
    ]
