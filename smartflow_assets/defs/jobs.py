"""The two jobs: watch one source, train one source.

Both run their steps in one process: twelve steps cost 5 CPU seconds that way and 30 with a process each, since every step
would import the world again.
"""

import dagster as dg

from smartflow_assets.config.settings import Settings
from smartflow_assets.defs.assets import ASSETS
from smartflow_assets.defs.names import MONITOR_JOB, OPTIONS, TRAIN_JOB, asset_key, prefixed
from smartflow_assets.defs.old_names import has_old_name, was_ours

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

    An instance may be shared. Backfills and "Materialize" in the UI run as an implicit job, and watch a source as monitor_source does.
    Runs from before names had a prefix are known by their old ones.
    """
    for job in (MONITOR_JOB, TRAIN_JOB):
        if run.job_name == prefixed(job):
            return job
    is_implicit = run.job_name.startswith(_IMPLICIT_JOB)
    if is_implicit and _KEYS & (run.asset_selection or set()):
        return MONITOR_JOB
    if is_old_run(run) and was_ours(run, instance, settings):
        return MONITOR_JOB if is_implicit else run.job_name
    return None


def is_old_run(run: dg.DagsterRun) -> bool:
    """Whether a run is called as ours were before names had a prefix."""
    return has_old_name(run, _STAGES)
