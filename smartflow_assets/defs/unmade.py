"""What a run of several sources has not made of one of them, said so that the pages of the assets show it.

Dagster writes down by itself what a run of assets is about to make. A run of several is none, so it writes down what it has not made, when
that is known: a partition that was to be made by a run that failed, and was not, is shown as failed until it is made.
"""

import logging
from collections.abc import Iterable

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationPlanned
from dagster._core.definitions.partitions.subset import DefaultPartitionsSubset
from dagster._core.events import AssetMaterializationPlannedData

from smartflow_assets.defs.names import EACH_SOURCE


def report_unmade(instance: dg.DagsterInstance, run: dg.DagsterRun, source: str, assets: Iterable[dg.AssetsDefinition]) -> None:
    """Show the partition of the source as failed, on these assets and their checks, once the run has failed."""
    for asset in assets:
        planned = [
            dg.DagsterEvent(
                event_type_value=dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED.value,
                job_name=run.job_name,
                message=f"{source}: {spec.name} of {asset.key.to_user_string()} was not asked",
                event_specific_data=AssetCheckEvaluationPlanned(
                    asset_key=asset.key, check_name=spec.name, partitions_subset=DefaultPartitionsSubset({source})
                ),
                step_key=EACH_SOURCE,
            )
            for spec in asset.check_specs
        ]
        planned.append(
            dg.DagsterEvent(
                event_type_value=dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED.value,
                job_name=run.job_name,
                message=f"{source}: {asset.key.to_user_string()} was not made",
                event_specific_data=AssetMaterializationPlannedData(asset.key, partition=source),
                step_key=EACH_SOURCE,
            )
        )
        for event in planned:
            instance.report_dagster_event(event, run.run_id, logging.INFO)
