"""The partitions are the YAML files: added when a file appears, removed when it has gone for good.

A broken file keeps its partition, so that it fails loudly in its own run. A removed one closes its incidents; its rows stay. A file is
removed once nothing in data/sources has changed for a minute: editors and `git checkout` take a file away to put another in its place,
and what a look in between closed would be told, and opened again, for nothing.
"""

from dataclasses import dataclass
from datetime import datetime

import dagster as dg

from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.defs.names import PARTITION_SET
from smartflow_assets.stages.alerting import close_incidents_of
from smartflow_assets.stages.configuration_log import is_at_rest, note_files
from smartflow_assets.stages.scheduling.due_sources import each_by_itself


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
    """Add a partition for each source of the catalogue that has none. -> those added; a name that Dagster refuses keeps no other out."""
    missing = sorted(set(catalogue.names) - set(instance.get_dynamic_partitions(PARTITION_SET)))
    try:
        if missing:
            instance.add_dynamic_partitions(PARTITION_SET, missing)
        return tuple(missing)
    except Exception:
        return tuple(each_by_itself(missing, lambda name: instance.add_dynamic_partitions(PARTITION_SET, [name]) is None))


def match_partitions(instance: dg.DagsterInstance, catalogue: Catalogue, warehouse: Warehouse, *, now: datetime) -> PartitionChange:
    """Add what the catalogue has, remove what it has not, and close the incidents of what was removed.

    Nothing is removed while data/sources itself is gone, which is a folder being moved or a disk that is not mounted, nor while files
    come and go in it.
    """
    added = add_partitions(instance, catalogue)
    if not is_at_rest(catalogue.settings.sources, now):
        return PartitionChange(added, ())
    reason = "the source was removed from data/sources"

    def remove(source: str) -> bool:
        close_incidents_of(warehouse, source, now=now, reason=reason, policy=catalogue.alert_policy(source))
        instance.delete_dynamic_partition(PARTITION_SET, source)
        return True

    gone = sorted(set(instance.get_dynamic_partitions(PARTITION_SET)) - set(catalogue.names))
    removed = tuple(each_by_itself(gone, remove))
    if removed and note_files(warehouse, catalogue.names, now=now, run_id="catalogue"):
        warehouse.publish("catalogue", is_forced=True)  # no run of theirs will
    return PartitionChange(added, removed)
