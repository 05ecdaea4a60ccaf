"""All definitions, and the policy that holds for each of them, in one place."""
import dagster as dg

from smartflow_assets.defs.assets import alerting, detection, ingestion, modelling, preparation, serving
from smartflow_assets.defs.jobs import monitor_source, train_source
from smartflow_assets.defs.resources import RunOptions
from smartflow_assets.defs.schedules import monitor_schedule, train_schedule
from smartflow_assets.defs.sensors import all_sensors

ASSETS: list[dg.AssetsDefinition] = [
    ingestion.raw_records,
    preparation.clean_series,
    preparation.series_features,
    preparation.rule_violations,
    modelling.trained_models,
    detection.anomaly_scores,
    detection.anomalies,
    alerting.incidents,
    alerting.alert_sends,
    serving.analyst_snapshot,
]


def build_definitions() -> dg.Definitions:
    """Everything that Dagster loads. Sources are partitions, so nothing here depends on the YAML files."""
    return dg.Definitions(
        assets=ASSETS,
        jobs=[monitor_source, train_source],
        schedules=[monitor_schedule, train_schedule],
        sensors=list(all_sensors()),
        resources={"options": RunOptions()},
        executor=dg.in_process_executor,
    )
