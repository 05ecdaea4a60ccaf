"""Which home has our prefix on a Dagster instance: two with the same one would take each other's partitions and runs for theirs.

The instance keeps the folder of the home beside the prefix, in the small store in which Dagster's daemon keeps its cursors. A
home that was moved takes its prefix along, since its old folder is gone; a copy of a home with a history of its own is at home in it.
"""

from pathlib import Path

import dagster as dg

from smartflow_assets.config.name_prefix import PREFIX_VARIABLE
from smartflow_assets.config.settings import Settings
from smartflow_assets.core.errors import SmartflowError
from smartflow_assets.defs.names import PREFIX

_KEYS = "smartflow/home_of_prefix/"
_KEY = f"{_KEYS}{PREFIX}"


def claim_prefix(instance: dg.DagsterInstance, settings: Settings) -> None:
    """Write down that the prefix is this home's. SmartflowError when another home that is still there has it."""
    if not settings.sources.is_dir():
        return  # no home: a code server that was started in the wrong folder
    ours = str(settings.home.resolve())
    theirs = instance.daemon_cursor_storage.get_cursor_values({_KEY}).get(_KEY)
    if theirs == ours:
        return
    if theirs and Settings(Path(theirs)).sources.is_dir() and not Path(theirs).samefile(ours) and not is_own_instance(instance, settings):
        raise SmartflowError(
            f"two homes have the prefix {PREFIX!r} on one Dagster instance: {theirs} was there first, {ours} is this one",
            remedy=f"Give this home another: {PREFIX_VARIABLE}={PREFIX[:30]}_2 beside SMARTFLOW_HOME={ours}, wherever it is run.",
        )
    instance.daemon_cursor_storage.set_cursor_values({_KEY: ours})


def is_of_another_home(instance: dg.DagsterInstance, prefix: str) -> bool:
    """Whether another home on this instance has the prefix: it tells of its own by itself."""
    return prefix not in ("", PREFIX) and bool(instance.daemon_cursor_storage.get_cursor_values({f"{_KEYS}{prefix}"}))


def is_own_instance(instance: dg.DagsterInstance, settings: Settings) -> bool:
    """Whether the history lies in this home, in files: then no other home was meant to use it."""
    is_in_files = type(instance.run_storage).__name__.startswith("Sqlite")
    return is_in_files and Path(instance.root_directory).resolve().is_relative_to(settings.home.resolve())
