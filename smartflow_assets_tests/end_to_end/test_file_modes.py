"""Who may read the files of a home: its owner alone, but for the published copy and exports; and a second user at the copy."""

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from smartflow_assets.adapters.files.access import everyday_umask, make_folder, offer, private
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.home import read_home, share_of
from smartflow_assets.config.problems import InvalidFileError
from smartflow_assets.defs.instance import open_instance
from smartflow_assets_tests.homes import START, STEP, WEB, Home, daily_series, write_rows

SECOND_USER = 65534  # nobody


@pytest.fixture(scope="module")
def run_home() -> Iterator[Home]:
    """A home that a run of Dagster's has filled, outside of pytest's folders, which nobody else may enter."""
    with tempfile.TemporaryDirectory(prefix="smartflow-modes-") as folder, pytest.MonkeyPatch.context() as patch:
        patch.delenv("DAGSTER_HOME", raising=False)
        before = os.umask(0o022)
        try:
            Path(folder).chmod(0o755)
            home = Home(Path(folder))
            write_rows(home.settings.data / "examples/web.csv", daily_series(3))
            with open_instance(home.settings.dagster_home) as instance:
                home = Home(Path(folder), instance)
                home.write_source("web", WEB + "detectors: [{type: mad}]\n")
                patch.setenv("SMARTFLOW_HOME", folder)
                rows = daily_series(3.5)
                rows.loc[rows.index[-20:], "value"] = 5000.0
                write_rows(home.settings.data / "examples/web.csv", rows)
                assert home.run("web", START + 1000 * STEP).is_success
                yield home
        finally:
            os.umask(before)
            os.environ.pop("DAGSTER_HOME", None)


def modes(home: Home) -> dict[str, str]:
    """The mode of everything that was written below the home but what the test wrote itself."""
    own = {"sources", "examples"}
    paths = [path for path in sorted(home.settings.data.rglob("*")) if path.relative_to(home.settings.data).parts[0] not in own]
    return {path.relative_to(home.settings.data).as_posix(): f"{stat.S_IMODE(path.stat().st_mode):03o}" for path in paths}


@pytest.mark.soak
def test_new_files_are_for_their_owner_alone_but_for_what_is_there_to_be_read(run_home: Home) -> None:
    found = modes(run_home)
    shared = {name: mode for name, mode in found.items() if mode not in ("600", "700")}
    assert shared == {
        "warehouse": "755",
        "warehouse/analyst.duckdb": "644",
        "exports": "755",
        "exports/web": "755",
        "exports/web/anomalies.csv": "644",
        "exports/web/anomalies.json": "644",
    }
    for private_one in ("warehouse/smartflow.duckdb", "warehouse/models", "warehouse/locks", "outbox", "dagster", "dagster/dagster.yaml"):
        assert private_one in found, found
    assert any(name.startswith("outbox/") for name in found)
    assert any(name.endswith(".db") for name in found)


@pytest.mark.parametrize(("share", "file", "folder"), [("owner", "600", "700"), ("group", "640", "750"), ("all", "644", "755")])
@pytest.mark.soak
def test_the_home_says_who_may_read_the_copy(run_home: Home, share: str, file: str, folder: str) -> None:
    run_home.settings.home_file.write_text(f"share: {share}\n")
    try:
        run_home.warehouse.publish("test", is_forced=True)
        found = modes(run_home)
        assert (found["warehouse/analyst.duckdb"], found["warehouse"]) == (file, folder)
        assert found["warehouse/smartflow.duckdb"] == "600"
    finally:
        run_home.settings.home_file.unlink()
        run_home.settings.published_file.parent.chmod(0o755)


def test_a_home_file_that_cannot_be_used_is_refused_by_line_and_shares_nothing(run_home: Home) -> None:
    run_home.settings.home_file.write_text("# who may read\nshared: all\n")
    try:
        with pytest.raises(InvalidFileError, match=r"`shared`: did you mean `share`\? \(.*home.yaml, line 2\)"):
            read_home(run_home.settings)
        assert share_of(run_home.settings) == "owner"
        with pytest.raises(InvalidFileError, match="did you mean `share`"):
            Catalogue.load(run_home.settings).source("web")
    finally:
        run_home.settings.home_file.unlink()


LOOK = """
import os, sys
from pathlib import Path
import duckdb

# the interpreter may lie where only root can read it: who we are is changed once all is loaded
os.setgroups([]), os.setgid(SECOND_USER), os.setuid(SECOND_USER)
folder, stop = Path(sys.argv[1]), Path(sys.argv[2])
copies, rows, is_over = set(), set(), False
while not is_over:
    is_over = bool(copies) and stop.exists()  # one look more: the copy is the last thing that a run makes
    with duckdb.connect(str(folder / "analyst.duckdb"), read_only=True) as copy:
        copies.add(copy.execute("SELECT CAST(published_at AS VARCHAR) FROM snapshot_info").fetchall()[0])
        rows.add(copy.execute("SELECT count(*) FROM raw.web").fetchall()[0][0])
    if len(copies) == 1:
        print("looking", flush=True)
for name in ("models", "locks", "../dagster", "../outbox"):
    try:
        print("could look into", name, os.listdir(folder / name))
    except PermissionError:
        pass
for name in ("smartflow.duckdb", "smartflow.duckdb.lock"):
    try:
        print("could open", (folder / name).open("rb"))
    except PermissionError:
        pass
print(len(copies) > 1, sorted(rows))
"""


@pytest.mark.soak
def test_a_second_user_queries_the_copy_while_a_run_writes_and_sees_nothing_else(run_home: Home) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can start a process as another user")
    rows, stop = run_home.count("raw.web"), run_home.folder / "stop"
    command = [sys.executable, "-c", LOOK.replace("SECOND_USER", str(SECOND_USER)), str(run_home.settings.published_file.parent), str(stop)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/") as second:
        assert second.stdout is not None and second.stdout.readline() == "looking\n"
        write_rows(run_home.settings.data / "examples/web.csv", daily_series(4))
        assert run_home.run("web", START + 1150 * STEP).is_success
        stop.touch()
        out, err = second.communicate(timeout=60)
    told = [line for line in out.splitlines() if line != "looking"]
    assert (told, err) == ([f"True [{rows}, {run_home.count('raw.web')}]"], "")


def test_what_is_private_ends_and_processes_that_are_started_meanwhile_know_the_everyday_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with private():
            (tmp_path / "a").touch()
            with private():
                (tmp_path / "b").touch()
            (tmp_path / "c").touch()
            ask = "from smartflow_assets.adapters.files.access import everyday_umask, private\nwith private(): print(oct(everyday_umask()))"
            child = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
            offer(tmp_path / "c")
        (tmp_path / "d").touch()
        make_folder(tmp_path / "deep" / "er", "group")
        assert child.stdout == "0o27\n"
        assert everyday_umask() == 0o027
        assert "SMARTFLOW_UMASK" not in os.environ
        found = {path.name: f"{stat.S_IMODE(path.stat().st_mode):o}" for path in tmp_path.rglob("*")}
        assert found == {"a": "600", "b": "600", "c": "640", "d": "640", "deep": "750", "er": "750"}
    finally:
        os.umask(before)
