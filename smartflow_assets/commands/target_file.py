"""A file that a command writes because the user named it: it may lie anywhere, but not in the place of what the home lives by."""

import os
from pathlib import Path

from smartflow_assets.commands.terminal import UsageError
from smartflow_assets.core.errors import SmartflowError


def writable(path: Path, option: str = "-o") -> Path:
    """The path of a file that can be written. UsageError where its folder is not there, and for a file of the home's own."""
    not_of_home(path, option)
    if not path.absolute().parent.is_dir():
        raise UsageError(f"{option} {path}: there is no folder {path.parent}", remedy="Make it first, or write elsewhere.")
    if path.is_dir():
        raise UsageError(f"{option} {path}: that is a folder", remedy=f"Name a file: {path / 'page.html'}.")
    return path


def in_folder(path: Path, option: str = "-o") -> Path:
    """The path. SmartflowError where its folder is not there, UsageError for a file of the home's own."""
    if not not_of_home(path, option).absolute().parent.is_dir():
        raise SmartflowError(f"{path.parent}: no such folder", remedy="Make it first, or write elsewhere.")
    return path


def not_of_home(path: Path, option: str = "-o") -> Path:
    """The path. UsageError where it, or what it links to, is a file or lies in a folder that the home cannot do without."""
    from smartflow_assets.config.settings import Settings

    settings = Settings.from_environment(os.environ)
    if not settings.sources.is_dir():  # no home
        return path
    target = path.resolve()
    if target == settings.schema_file.resolve():  # `smartflow config-schema` makes it anew at any time
        return path
    for own in settings.vital:
        if target.is_relative_to(own.resolve()):
            what = f"{own} is a folder of SmartFlow's own" if own.is_dir() else "that is a file of SmartFlow's own"
            raise UsageError(f"{option} {path}: {what}", remedy="Write elsewhere, such as data/reports.")
    return path
