"""`smartflow backup` and `smartflow restore`: a home as one folder, and back."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from smartflow_assets.commands import home, terminal

BACKUP_EXAMPLES = """
smartflow backup /mnt/backups/smartflow-2026-03-01
smartflow backup "/mnt/backups/$(date +%F)" && ls -d /mnt/backups/*
"""
RESTORE_EXAMPLES = """
smartflow restore /mnt/backups/smartflow-2026-03-01
SMARTFLOW_HOME=/srv/fresh smartflow restore /mnt/backups/2026-03-01
smartflow restore /mnt/backups/2026-03-01 --replace
"""


def backup(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="New or empty folder for the backup.", show_default=False)],
) -> None:
    """Copy the warehouse, models, sources, channels, inbox, outbox and Dagster's history into a folder; runs may go on.

    Feeds that sources read and secrets are not in it. Every file has its hash in backup.json; a damaged warehouse is refused.
    """
    settings = home.open_home()
    from smartflow_assets.stages.maintenance.backup import back_up

    with terminal.progress(None, "copying") as advance:
        manifest = back_up(
            settings, _dagster_home(settings.dagster_home), folder, now=datetime.now(UTC), told=lambda path: advance(1, path.name)
        )
    rows = terminal.count(sum(manifest.tables.values()), "row")
    terminal.result(f"{folder}: {terminal.count(len(manifest.files), 'file')}, {rows} in {len(manifest.tables)} tables")


def restore(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder that `smartflow backup` made.", show_default=False)],
    replace: Annotated[
        bool, typer.Option("--replace", help="Also into a home that has rows; what was there is moved aside, not deleted.")
    ] = False,
) -> None:
    """Put a backup back: same rows, models, sources and run history.

    Every file is verified first. Stop `smartflow ui` before; feeds and secrets are not part of a backup.
    """
    from smartflow_assets.config.settings import Settings
    from smartflow_assets.stages.maintenance.backup import restore as put_back

    settings = Settings.from_environment(os.environ)
    now = datetime.now(UTC)
    aside = settings.data / f"before-restore-{now:%Y%m%dT%H%M%SZ}"
    with terminal.progress(None, "verifying") as advance:
        manifest = put_back(
            settings,
            _dagster_home(settings.dagster_home),
            folder,
            is_replacing=replace,
            aside=aside,
            told=lambda path: advance(1, path.name),
        )
    terminal.result(f"{settings.data}: as it was at {manifest.created_at}, {terminal.count(sum(manifest.tables.values()), 'row')}")
    if aside.exists():
        terminal.note(f"what was there before lies in {aside}; delete it when you do not need it")


def _dagster_home(ours: Path) -> Path:
    return Path(os.environ.get("DAGSTER_HOME") or ours)


COMMANDS = (("backup", backup, BACKUP_EXAMPLES), ("restore", restore, RESTORE_EXAMPLES))
