"""The assets, one module for each stage; together they are the picture of the architecture."""

from typing import cast

import dagster as dg

from smartflow_assets.defs.assets import alerting, contracts, detection, drift, ingestion, modelling, preparation, profile, serving

ASSETS = cast(
    list[dg.AssetsDefinition],
    [
        ingestion.raw_records,
        contracts.schema_checks,
        drift.drift_checks,
        profile.data_profile,
        preparation.clean_series,
        preparation.series_features,
        preparation.rule_violations,
        modelling.trained_models,
        detection.anomaly_scores,
        detection.record_anomalies,
        detection.anomalies,
        detection.detection_quality,
        alerting.incidents,
        alerting.alert_sends,
        serving.analyst_snapshot,
        serving.anomaly_exports,
    ],
)
