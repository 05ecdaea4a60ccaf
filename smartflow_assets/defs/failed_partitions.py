"""The check that says of each source whether its last run has left a stage failed, with which and why.

A run that went well says so itself, in its last stage. Of one that failed no stage behind the failure is asked anything, so that is told
when it is closed.
"""

import logging

import dagster as dg

from smartflow_assets.defs.metadata import counted, numbers
from smartflow_assets.defs.names import MONITOR_JOB, asset_key, prefixed
from smartflow_assets.defs.partitions import SOURCES
from smartflow_assets.stages.run_closing import RunRecord

UNFAILED = dg.AssetCheckSpec(
    "no_partition_is_failed",
    asset=asset_key("analyst_snapshot"),
    partitions_def=SOURCES,
    description="The last run of the source went through all its stages. Red until one does; a stage that failed is an incident by itself.",
)


def gone_well() -> dg.AssetCheckResult:
    """What the last stage of a run that got so far says."""
    return dg.AssetCheckResult(
        check_name=UNFAILED.name, passed=True, severity=dg.AssetCheckSeverity.WARN, description="The last run went through all its stages."
    )


def report_failed(instance: dg.DagsterInstance, record: RunRecord) -> None:
    """Show a source as failed whose run to watch it has ended so."""
    if record.job != MONITOR_JOB or record.status not in ("failed", "killed"):
        return
    stages = [failure for failure in record.failures if not failure.cause.startswith("check:")]
    at = f"{record.started_at:%Y-%m-%d %H:%M} UTC"
    told = (
        "; ".join(f"{failure.cause} failed: {failure.message.removeprefix(f'{record.source}: ')}" for failure in stages)
        or "its process was killed"
    )
    done = f" Before that {counted(len(record.seconds), 'stage')} went well." if record.seconds else ""
    answer = dg.AssetCheckEvaluation(
        asset_key=UNFAILED.asset_key,
        check_name=UNFAILED.name,
        passed=False,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"In its last run, of {at}, {told.rstrip('.')}.{done}",
        metadata={"run": dg.MetadataValue.dagster_run(record.run_id), **numbers({"stages_failed": len(stages)})},
        partition=record.source,
    )
    event = dg.DagsterEvent(
        event_type_value=dg.DagsterEventType.ASSET_CHECK_EVALUATION.value,
        job_name=prefixed(record.job),
        message=f"{record.source}: {UNFAILED.name} is red",
        event_specific_data=answer,
    )
    # an answer of the run: Dagster keeps one without a run once for each partition, and refuses the next
    instance.report_dagster_event(event, record.run_id, logging.INFO)
