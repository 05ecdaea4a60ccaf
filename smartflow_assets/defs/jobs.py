"""The two jobs: watch one source, train one source.

Both run their steps in one process: twelve steps cost 5 CPU seconds that way and 30 with a process each, since every step
would import the world again.
"""

import dagster as dg

from smartflow_assets.defs.assets import ASSETS

MONITOR_JOB = "monitor_source"
TRAIN_JOB = "train_source"
_KEYS = frozenset(key for asset in ASSETS for key in asset.keys)
_IMPLICIT_JOB = "__ASSET_JOB"
LAUNCHPAD = {"resources": {"options": {"config": {"since": "", "until": "", "as_of": "", "dry_run": False, "send": True}}}}
TRAINING_LAUNCHPAD = {"resources": {"options": {"config": {"as_of": "", "dry_run": False, "retrain": True}}}}

monitor_source = dg.define_asset_job(
    MONITOR_JOB,
    selection=dg.AssetSelection.all(),
    config=LAUNCHPAD,
    executor_def=dg.in_process_executor,
    description="Read what is new of one source, clean it, score it, group what is wrong into incidents, tell people once, publish the "
    "copy for analysts. Trains only what has no usable model. Running it again with nothing new changes nothing.",
)

train_source = dg.define_asset_job(
    TRAIN_JOB,
    selection=dg.AssetSelection.assets("trained_models"),
    config=TRAINING_LAUNCHPAD,
    executor_def=dg.in_process_executor,
    description="Learn one source anew from its training window, without the windows of incidents. Scores that stand keep standing.",
)


def our_job(run: dg.DagsterRun) -> str | None:
    """The job that a run is counted as; None for a run that is not ours, which is neither closed nor failed by us.

    An instance may be shared. Backfills and "Materialize" in the UI run as an implicit job, and watch a source as monitor_source does.
    """
    if run.job_name in (MONITOR_JOB, TRAIN_JOB):
        return run.job_name
    is_ours = run.job_name.startswith(_IMPLICIT_JOB) and bool(_KEYS & (run.asset_selection or set()))
    return MONITOR_JOB if is_ours else None
