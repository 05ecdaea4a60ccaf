"""Which runs of the Dagster instance are ours, and as which job they count.

An instance may be shared: a user's own DAGSTER_HOME wins. Runs of other people's jobs are neither settled nor failed by us.
"""

import dagster as dg

from smartflow_assets.defs.assets import ASSETS
from smartflow_assets.defs.jobs import MONITOR_JOB, TRAIN_JOB

_KEYS = frozenset(key for asset in ASSETS for key in asset.keys)
_IMPLICIT_JOB = "__ASSET_JOB"


def our_job(run: dg.DagsterRun) -> str | None:
    """The job that a run is counted as; None for a stranger's. Backfills and "Materialize" in the UI run as an implicit job, and
    watch a source as monitor_source does."""
    if run.job_name in (MONITOR_JOB, TRAIN_JOB):
        return run.job_name
    is_ours = run.job_name.startswith(_IMPLICIT_JOB) and bool(_KEYS & (run.asset_selection or set()))
    return MONITOR_JOB if is_ours else None
