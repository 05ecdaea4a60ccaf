"""What things were called before their names had a prefix, and which runs of those names were this home's.

Another project may have a job `monitor_source` too, so a name proves nothing. A run was ours if its lock lies in this home, or if
it bears our tag, names one of our sources and stands in a history that is this home's alone.
Remove this file with `carry_over` when no home of version 8 or earlier is left.
"""

import dagster as dg

from smartflow_assets.config.catalogue import source_files
from smartflow_assets.config.settings import Settings
from smartflow_assets.defs.name_claim import is_own_instance
from smartflow_assets.defs.partitions import PARTITION_TAG, SOURCE_TAG
from smartflow_assets.defs.resources import run_lock

OLD_PARTITION_SET = "sources"
OLD_OPTIONS = "options"
OLD_JOBS = ("monitor_source", "train_source")


def has_old_name(run: dg.DagsterRun, stages: frozenset[str]) -> bool:
    """Whether the run is called as ours were: by its job, or by the assets that it was asked for."""
    asked = run.asset_selection or set()
    return run.job_name in OLD_JOBS or (bool(asked) and all(len(key.path) == 1 and key.path[0] in stages for key in asked))


def was_ours(run: dg.DagsterRun, instance: dg.DagsterInstance, settings: Settings) -> bool:
    """Whether a run of such a name was this home's."""
    if run_lock(settings, run.run_id).path.exists():
        return True
    source = run.tags.get(PARTITION_TAG, "")
    is_tagged = bool(source) and run.tags.get(SOURCE_TAG) == source and any(path.stem == source for path in source_files(settings))
    return is_tagged and is_own_instance(instance, settings)
