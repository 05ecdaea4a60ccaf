"""The two jobs of one source: watch it, train it; and what is asked of runs of all our jobs. `many_sources` has the job of several,
`pruning` that of none.

Both run their steps in one process: twelve steps cost 5 CPU seconds that way and 30 with a process each, since every step
would import the world again.
"""

from collections.abc import Iterable
from typing import Any

import dagster as dg

from smartflow_assets.config.settings import Settings
from smartflow_assets.defs.assets import ASSETS
from smartflow_assets.defs.names import EACH_SOURCE, MONITOR_JOB, MONITOR_MANY_JOB, OPTIONS, PRUNE_JOB, TRAIN_JOB, asset_key, prefixed
from smartflow_assets.defs.old_names import has_old_name, was_ours
from smartflow_assets.defs.partitions import PARTITION_TAG

_KEYS = frozenset(key for asset in ASSETS for key in asset.keys)
_STAGES = frozenset(key.path[-1] for key in _KEYS)
_IMPLICIT_JOB = "__ASSET_JOB"
LAUNCHPAD = {"resources": {OPTIONS: {"config": {"since": "", "until": "", "as_of": "", "dry_run": False, "send": True}}}}
TRAINING_LAUNCHPAD = {"resources": {OPTIONS: {"config": {"as_of": "", "dry_run": False, "retrain": True}}}}

monitor_source = dg.define_asset_job(
    prefixed(MONITOR_JOB),
    selection=dg.AssetSelection.assets(*_KEYS),
    config=LAUNCHPAD,
    executor_def=dg.in_process_executor,
    description="Read what is new of one source, clean it, score it, group what is wrong into incidents, tell people once, publish the "
    "copy for analysts. Trains only what has no usable model. Running it again with nothing new changes nothing.",
)

train_source = dg.define_asset_job(
    prefixed(TRAIN_JOB),
    selection=dg.AssetSelection.assets(asset_key("trained_models")),
    config=TRAINING_LAUNCHPAD,
    executor_def=dg.in_process_executor,
    description="Learn one source anew from its training window, without the windows of incidents. Scores that stand keep standing.",
)


def our_job(run: dg.DagsterRun, instance: dg.DagsterInstance, settings: Settings) -> str | None:
    """The job that a run of this home is counted as, without the prefix; None for any other run, which is neither closed nor failed
    by us.

    An instance may be shared. Backfills and "Materialize" in the UI run as an implicit job, and watch a source as monitor_source does;
    so does a run of several. Runs from before names had a prefix are known by their old ones.
    """
    for job in (MONITOR_JOB, TRAIN_JOB, PRUNE_JOB):
        if run.job_name == prefixed(job):
            return job
    if is_of_many(run):
        return MONITOR_JOB
    is_implicit = run.job_name.startswith(_IMPLICIT_JOB)
    if is_implicit and _KEYS & (run.asset_selection or set()):
        return MONITOR_JOB
    if is_old_run(run) and was_ours(run, instance, settings):
        return MONITOR_JOB if is_implicit else run.job_name
    return None


def is_of_many(run: dg.DagsterRun) -> bool:
    """Whether it is a run of several sources."""
    return run.job_name == prefixed(MONITOR_MANY_JOB)


def run_sources(run: dg.DagsterRun, known: Iterable[str]) -> tuple[str, ...]:
    """The sources that a run was asked for; a run of several that names none was asked for all that are `known`."""
    if not is_of_many(run):
        return (run.tags[PARTITION_TAG],) if PARTITION_TAG in run.tags else ()
    ops: Any = run.run_config.get("ops") or {}
    return tuple(dict.fromkeys(ops.get(EACH_SOURCE, {}).get("config", {}).get("sources") or known))


def is_old_run(run: dg.DagsterRun) -> bool:
    """Whether a run is called as ours were before names had a prefix."""
    return has_old_name(run, _STAGES)
