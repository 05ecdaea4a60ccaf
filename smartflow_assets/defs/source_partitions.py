"""The partitions are the YAML files: added when a file appears, removed when it goes.

A broken file keeps its partition, so that it fails loudly in its own run. A removed one closes its incidents; its rows stay.
"""

from dataclasses import dataclass
from datetime import datetime

import dagster as dg

from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.defs.partitions import SOURCES
from smartflow_assets.stages.alerting import close_incidents_of
from smartflow_assets.stages.configuration_log import note_files

NAME = str(SOURCES.name)


@dataclass(frozen=True)
class PartitionChange:
    """Sources whose partitions came and went."""

    added: tuple[str, ...]
    removed: tuple[str, ...]

    def __str__(self) -> str:
        if not self.added and not self.removed:
            return "the partitions are the sources"
        return "; ".join(f"{verb} {', '.join(names)}" for verb, names in (("added", self.added), ("removed", self.removed)) if names)


def add_partitions(instance: dg.DagsterInstance, catalogue: Catalogue) -> tuple[str, ...]:
    """Add a partition for each source of the catalogue that has none. -> those added."""
    added = tuple(sorted(set(catalogue.names) - set(instance.get_dynamic_partitions(NAME))))
    if added:
        instance.add_dynamic_partitions(NAME, list(added))
    return added


def match_partitions(instance: dg.DagsterInstance, catalogue: Catalogue, warehouse: Warehouse, *, now: datetime) -> PartitionChange:
    """Add what the catalogue has, remove what it has not, and close the incidents of what was removed.

    Nothing is removed while data/sources itself is gone: that is a folder being moved or a disk that is not mounted.
    """
    added = add_partitions(instance, catalogue)
    if not catalogue.settings.sources.is_dir():
        return PartitionChange(added, ())
    removed = tuple(sorted(set(instance.get_dynamic_partitions(NAME)) - set(catalogue.names)))
    for source in removed:
        close_incidents_of(
            warehouse, source, now=now, reason="the source was removed from data/sources", policy=catalogue.alert_policy(source)
        )
        instance.delete_dynamic_partition(NAME, source)
    if removed and note_files(warehouse, catalogue.names, now=now, run_id="catalogue"):
        warehouse.publish("catalogue", is_forced=True)  # no run of theirs will
    return PartitionChange(added, removed)
