"""Figures of the files of a home: sizes, the heartbeat, and which locks are held.

No database is opened, so they are there when it cannot be.
"""

import shutil
from contextlib import suppress

from smartflow_assets.adapters.warehouse.locks import AdvisoryLock
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.settings import Settings
from smartflow_assets.serve.metrics.readings import Readings
from smartflow_assets.stages.heartbeat import last_beat


def read_files(settings: Settings, catalogue: Catalogue, readings: Readings) -> None:
    """Takes down what files say. A file that goes meanwhile has no figure."""
    readings.add("smartflow_sources", len(catalogue.sources), state="ok")
    readings.add("smartflow_sources", len(catalogue.broken), state="broken")
    readings.add("smartflow_sources_in_other", len(catalogue.names) - len(readings.sources))
    for name, file in (("live", settings.warehouse_file), ("published", settings.published_file)):
        with suppress(OSError):
            readings.add("smartflow_warehouse_size_bytes", file.stat().st_size, file=name)
    folder = next(folder for folder in (settings.warehouse_file.parent, *settings.warehouse_file.parents) if folder.exists())
    disk = shutil.disk_usage(folder)
    readings.add("smartflow_disk_size_bytes", disk.total)
    readings.add("smartflow_disk_free_bytes", disk.free)
    if (beat := last_beat(settings)) is not None:
        readings.add("smartflow_heartbeat_timestamp_seconds", beat.at.timestamp())
    _locks(settings, catalogue, readings)


def _locks(settings: Settings, catalogue: Catalogue, readings: Readings) -> None:
    """Who holds a lock is asked for an instant, as `smartflow doctor` does, so nobody is kept waiting."""
    held = {file.stem for file in settings.locks.glob("*.lock") if AdvisoryLock(file).holder() is not None}
    readings.add("smartflow_runs_under_way", sum(name.startswith("run-") for name in held))
    readings.add("smartflow_sources_under_way", len(held & {*catalogue.names}))
    warehouse = settings.warehouse_file.with_name(f"{settings.warehouse_file.name}.lock")
    readings.add("smartflow_warehouse_locked", AdvisoryLock(warehouse, is_beside_shared=True).holder() is not None)
