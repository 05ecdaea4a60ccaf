"""All definitions, and the policy that holds for each of them, in one place."""

from functools import cache

import dagster as dg

from smartflow_assets.defs.assets import ASSETS
from smartflow_assets.defs.jobs import monitor_source, train_source
from smartflow_assets.defs.many_sources import monitor_sources
from smartflow_assets.defs.names import OPTIONS
from smartflow_assets.defs.pruning import prune_home_job, prune_schedule
from smartflow_assets.defs.resources import RunOptions
from smartflow_assets.defs.rule_preview import preview_rules_job
from smartflow_assets.defs.schedules import monitor_many_schedule, monitor_schedule, train_schedule
from smartflow_assets.defs.sensors import all_sensors
from smartflow_assets.defs.weekly_report import weekly_report, weekly_report_job, weekly_report_schedule


@cache
def build_definitions() -> dg.Definitions:
    """Everything that Dagster loads. Sources are partitions, so nothing here depends on the YAML files, and it is made once.

    It brings no executor and nothing without our prefix, so `dg.Definitions.merge` takes it beside any other project.
    """
    return dg.Definitions(
        assets=[*ASSETS, weekly_report],
        jobs=[monitor_source, monitor_sources, train_source, prune_home_job, preview_rules_job, weekly_report_job],
        schedules=[monitor_schedule, monitor_many_schedule, train_schedule, prune_schedule, weekly_report_schedule],
        sensors=list(all_sensors()),
        resources={OPTIONS: RunOptions()},
    )
