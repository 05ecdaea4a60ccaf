"""Backup and restore: all of a home that cannot be made again, as one folder of plain files with a hash for each.

In it: the warehouse, the models, the sources with their defaults and channels, inbox and outbox, and Dagster's history. Not in
it: the feeds that the sources read, secrets (they stand in the environment), and what runs make again by themselves (the
published copy, exports, locks). Runs may go on while a backup is made; each database is one moment of its own.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from smartflow_assets.adapters.files.access import make_folder, make_private_folder, private
from smartflow_assets.adapters.files.folder_copy import copy_folder, files_below, sha256_of
from smartflow_assets.adapters.warehouse.locks import AdvisoryLock
from smartflow_assets.adapters.warehouse.tables import SCHEMA_VERSION
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.config.home import share_of
from smartflow_assets.config.settings import Settings
from smartflow_assets.core.errors import SmartflowError, WarehouseError

FORMAT = 1
MANIFEST = "backup.json"
_WAREHOUSE = "warehouse/smartflow.duckdb"
_HISTORY = ("history", "schedules", "storage", "dagster.yaml")  # of DAGSTER_HOME; whatever else lies there is not ours
Told = Callable[[Path], None]


@dataclass(frozen=True)
class Manifest:
    """What a backup holds: row counts by table, and the hash of every file."""

    format: int
    smartflow: str
    created_at: str
    schema_version: int | None
    tables: dict[str, int]
    files: dict[str, str]


def back_up(settings: Settings, dagster_home: Path, target: Path, *, now: datetime, told: Told) -> Manifest:
    """Write a backup into `target`, as a whole or not at all. SmartflowError when something is there already."""
    target = target.absolute()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise SmartflowError(f"{target} is not empty", remedy="Name a new folder, such as one with the date in its name.")
    if target.resolve().is_relative_to(settings.data.resolve()):
        raise SmartflowError(f"{target} lies in the home that is to be backed up", remedy="Name a folder elsewhere.")
    part = target.with_name(f"{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    make_private_folder(part)
    try:
        with private():
            manifest = _fill(part, settings, dagster_home, now, told)
        if target.exists():
            target.rmdir()
        part.replace(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return manifest


def _fill(part: Path, settings: Settings, dagster_home: Path, now: datetime, told: Told) -> Manifest:
    Warehouse(settings.warehouse_file, settings.published_file).copy_to(part / _WAREHOUSE)  # before the models that its rows name
    for name, folder in _folders(settings):
        copy_folder(folder, part / name, told, skipped=lambda path: any(step.startswith(".") for step in path.parts[-3:]))
    for name, file in _files(settings):
        if file.is_file():
            shutil.copy2(file, part / name)
    for name in _HISTORY:
        if (dagster_home / name).is_file():
            (part / "dagster").mkdir(exist_ok=True)
            shutil.copy2(dagster_home / name, part / "dagster" / name)
        copy_folder(dagster_home / name, part / "dagster" / name, told)
    has_rows = (part / _WAREHOUSE).exists()
    tables, schema = _what_it_holds(part / _WAREHOUSE, settings) if has_rows else ({}, None)
    for left in (part / "warehouse").glob("smartflow.duckdb.*"):
        left.unlink()
    hashes = {path.relative_to(part).as_posix(): sha256_of(path) for path in files_below(part)}
    manifest = Manifest(FORMAT, version("smartflow"), now.isoformat(timespec="seconds"), schema, tables, hashes)
    (part / MANIFEST).write_text(json.dumps(asdict(manifest), indent=1), encoding="utf-8")
    return manifest


def _what_it_holds(copy: Path, settings: Settings) -> tuple[dict[str, int], int]:
    """The rows by table and the schema version of a copy of the warehouse. SmartflowError where that is damaged: a backup of it would be
    found out when it is needed."""
    copied = Warehouse(copy, copy)
    try:
        copied.require_sound()
        return copied.tables(), copied.schema_version
    except WarehouseError as error:
        error.where = str(settings.warehouse_file)
        raise


def read_manifest(folder: Path) -> Manifest:
    """What the backup says of itself. SmartflowError when the folder is none, or is of a later version."""
    try:
        manifest = Manifest(**json.loads((folder / MANIFEST).read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise SmartflowError(f"{folder} is no backup: it has no {MANIFEST}", remedy="Name a folder that `smartflow backup` made.") from None
    except (ValueError, TypeError) as error:
        raise SmartflowError(f"{folder / MANIFEST} cannot be read", remedy="Take another backup.") from error
    if manifest.format > FORMAT or (manifest.schema_version or 0) > SCHEMA_VERSION:
        raise SmartflowError(
            f"the backup was made by smartflow {manifest.smartflow}, which is later than this one",
            where=str(folder),
            remedy="Upgrade SmartFlow, then restore.",
        )
    return manifest


def restore(settings: Settings, dagster_home: Path, folder: Path, *, is_replacing: bool, aside: Path, told: Told) -> Manifest:
    """Put a backup back, after every file of it was found whole. What it replaces is moved to `aside`.

    SmartflowError, and nothing is changed, when a file of the backup is damaged, when a run is under way, or when the home has
    rows or other sources already and `is_replacing` is False.
    """
    manifest = read_manifest(folder)
    for name, sha256 in manifest.files.items():
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()) or not path.is_file() or sha256_of(path) != sha256:
            remedy = "Nothing was changed; take another one."
            raise SmartflowError(f"{name} of the backup is damaged or gone", where=str(folder), remedy=remedy)
        told(path)
    if busy := _run_under_way(settings):
        raise SmartflowError(f"a run is under way: {busy}", remedy="Stop `smartflow ui` and wait for its runs, then restore.")
    if not is_replacing and (there := _what_is_there(settings, dagster_home, folder)):
        raise SmartflowError(f"{there} is there already", remedy=f"--replace moves what it replaces to {aside}.")
    if (folder / _WAREHOUSE).exists():
        Warehouse(settings.warehouse_file, settings.published_file).put_back(folder / _WAREHOUSE, aside / _WAREHOUSE)
    else:  # its rows name models that go
        for file in (settings.warehouse_file, settings.published_file):
            _move(file, aside / "warehouse" / file.name)
    for name, target in _parts(settings, dagster_home):
        _replace(folder / name, target, aside / name, told)
    if (folder / _WAREHOUSE).exists():
        Warehouse(settings.warehouse_file, settings.published_file, share=share_of(settings)).publish("restore", is_forced=True)
    return manifest


def _replace(copy: Path, target: Path, aside: Path, told: Told) -> None:
    """Put a copy in the place of a part of the home. A part that the backup lacks goes too: it is of another time than the rest."""
    _move(target, aside)
    if copy.is_dir():
        with private():
            copy_folder(copy, target, told)
    elif copy.is_file():
        make_folder(target.parent)
        shutil.copy2(copy, target)


def _move(path: Path, aside: Path) -> None:
    """Also to another disk: a folder of the home may be mounted."""
    if path.exists():
        aside.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(path, aside)


def _parts(settings: Settings, dagster_home: Path) -> Iterator[tuple[str, Path]]:
    """All that a restore replaces beside the warehouse: its name in the backup, and where it belongs."""
    yield from _folders(settings)
    yield from _files(settings)
    yield from ((f"dagster/{name}", dagster_home / name) for name in _HISTORY)


def _folders(settings: Settings) -> Iterator[tuple[str, Path]]:
    yield from (("sources", settings.sources), ("models", settings.models), ("inbox", settings.inbox), ("outbox", settings.outbox))


def _files(settings: Settings) -> Iterator[tuple[str, Path]]:
    yield from (("defaults.yaml", settings.defaults_file), ("channels.yaml", settings.channels_file), ("home.yaml", settings.home_file))


def _what_is_there(settings: Settings, dagster_home: Path, folder: Path) -> Path | None:
    """The first thing of the home that the backup would replace by another."""
    if settings.warehouse_file.exists():
        return settings.warehouse_file
    for name, part in _parts(settings, dagster_home):
        for path in [part] if part.is_file() else files_below(part):
            copy = folder / name / path.relative_to(part) if part.is_dir() else folder / name
            if not copy.is_file() or sha256_of(copy) != sha256_of(path):
                return path
    return None


def _run_under_way(settings: Settings) -> str:
    for path in settings.locks.glob("run-*.lock"):
        if (holder := AdvisoryLock(path).holder()) is not None:
            return str(holder)
    return ""
