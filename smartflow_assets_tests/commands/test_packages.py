"""A package of somebody else, installed as pip installs it: its reader, detector and channel stand in YAML and work in a run."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pytest

from smartflow_assets_tests.commands.conftest import Answer

ROOT = Path(__file__).parents[2]
PACKAGE = Path(__file__).parent / "acme"
ENTRY_POINTS = """\
[smartflow.readers]
acme_log = acme.log_reader:AcmeLog
[smartflow.detectors]
acme_heat = acme.heat:AcmeHeat
[smartflow.channels]
acme_bell = acme.bell:AcmeBell
"""
SOURCE = """\
name: room
read: {type: acme_log, log: room.log, time: at, unit: celsius}
metrics: [celsius]
dimensions: [room]
time_bucket: {every: 1h, settle: 0s}
schedule: manual
detectors: [{type: acme_heat, calm: 4}]
ensemble: {combine: any}
rules: [{type: threshold, name: fire, metric: celsius, above: 60, severity: critical}]
alerts: {to: [bell], max_age: 30 days}
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home whose source, log and channel are all Acme's; the package lies installed in `packages`."""
    packages = tmp_path / "packages"
    shutil.copytree(PACKAGE, packages / "acme", ignore=shutil.ignore_patterns("__pycache__"))
    (packages / "acme-1.0.dist-info").mkdir()
    (packages / "acme-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (packages / "acme-1.0.dist-info" / "entry_points.txt").write_text(ENTRY_POINTS)
    home = tmp_path / "home"
    (home / "data" / "sources").mkdir(parents=True)
    (home / "data" / "sources" / "room.yaml").write_text(SOURCE)
    (home / "data" / "channels.yaml").write_text("bell: {type: acme_bell, file: rung.txt}\n")
    lines = [
        f"2026-03-{1 + hour // 24:02}T{hour % 24:02}:00:00Z room=kitchen celsius={20 + hour % 5 + 60 * (hour == 190)}"
        for hour in range(200)
    ]
    (home / "data" / "room.log").write_text("\n".join(lines) + "\n")
    return home


PROGRAM = """
import json, sys
from pathlib import Path
from smartflow_assets_tests.commands.conftest import call

for files, arguments in json.load(sys.stdin):
    for path, text in files.items():
        Path(path).unlink() if text is None else Path(path).write_text(text)
    answer = call(*arguments)
    print(json.dumps([answer.code, answer.out, answer.err]))
"""
Step = tuple[dict[str, str | None], Sequence[str]]


def process(home: Path, *arguments: str, packages: str = "packages", input: str = "") -> subprocess.CompletedProcess[str]:
    """Python that starts with the package on its path: what is installed is looked up once, when it is first asked for."""
    paths = os.pathsep.join([str(home.parent / packages), str(ROOT)])
    environment = {**os.environ, "PYTHONPATH": paths, "SMARTFLOW_HOME": str(home)}
    environment.pop("DAGSTER_HOME", None)
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False, env=environment, cwd=home, input=input)


def smartflow(home: Path, *steps: Step) -> list[Answer]:
    """Commands of one process, each after files of the home were written, or removed where there is no text."""
    done = process(home, "-c", PROGRAM, input=json.dumps(steps))
    assert done.returncode == 0, done.stderr
    return [Answer(*json.loads(line)) for line in done.stdout.splitlines()]


def validate(home: Path, packages: str = "packages") -> subprocess.CompletedProcess[str]:
    return process(home, "-m", "smartflow_assets.cli", "validate", packages=packages)


def published(home: Path, statement: str) -> list[tuple]:
    with duckdb.connect(str(home / "data/warehouse/analyst.duckdb"), read_only=True) as connection:
        return connection.execute(statement).fetchall()


@pytest.mark.soak
def test_validate_accepts_what_an_installed_package_offers_and_a_run_uses_it(home: Path) -> None:
    run = ["run", "room", "--as-of", "2026-03-09T08:00"]
    valid, ran, again = smartflow(home, ({}, ["validate"]), ({}, run), ({}, run))
    assert valid.code == 0, valid.out + valid.err
    assert ran.code == 0, ran.out + ran.err
    assert published(home, "SELECT count(*), min(_origin), max(celsius) FROM raw.room") == [(200, "room.log", 80)]
    assert ("acme_heat",) in published(home, "SELECT DISTINCT detector FROM detector_scores")
    assert published(home, "SELECT list_contains(detectors, 'acme_heat'), rules FROM anomalies") == [(True, ["fire"])]
    subjects = (home / "data" / "rung.txt").read_text().splitlines()
    assert subjects and all("room" in subject and "celsius" in subject for subject in subjects)
    assert "rows in 0 " in again.out


@pytest.mark.soak
def test_keys_of_a_package_are_described_checked_and_change_the_rows(home: Path) -> None:
    yaml = "data/sources/room.yaml"
    wrong = SOURCE.replace("unit: celsius", "unit: fahrenheit").replace("calm:", "clam:")
    schema, refused, ran, failed = smartflow(
        home,
        ({}, ["config-schema"]),
        ({yaml: wrong}, ["validate"]),
        ({yaml: SOURCE.replace("unit: celsius", "unit: kelvin")}, ["run", "room", "--as-of", "2026-03-09T08:00"]),
        ({"data/room.log": None}, ["run", "room", "--as-of", "2026-03-09T09:00"]),
    )
    assert "What the temperature is given in." in schema.out and "Scaled value up to which nothing is flagged." in schema.out
    assert refused.code == 1
    assert "`read.unit` must be celsius or kelvin, found 'fahrenheit'" in refused.out
    assert "`detectors[1].clam`: did you mean `detectors[1].calm`?" in refused.out
    assert ran.code == 0
    assert f"raw_records: read.log: there is no such file ({home}/data/room.log). Correct read.log." in failed.err
    assert published(home, "SELECT count(*), min(celsius) FROM raw.room") == [(200, -253)]


@pytest.mark.soak
def test_without_the_package_its_types_are_refused_by_name_and_a_broken_one_stops_nothing_else(home: Path) -> None:
    refused = validate(home, packages="nothing")
    assert refused.returncode == 1
    for said in (
        "`read.type: acme_log` is not available",
        "`detectors[1].type: acme_heat` is not available",
        "channel bell: `type: acme_bell` is not available",
        "Install the package that brings it in this environment. Known are ",
    ):
        assert said in refused.stdout, refused.stdout
    (home.parent / "packages" / "acme" / "log_reader.py").write_text("import no_such_library\n")
    broken = validate(home)
    assert (
        "smartflow.readers: acme.log_reader:AcmeLog of acme is left out: ModuleNotFoundError: No module named 'no_such_library'"
        in broken.stderr
    )
    assert "`read.type: acme_log` is not available" in broken.stdout
    assert "acme_heat" not in broken.stdout
