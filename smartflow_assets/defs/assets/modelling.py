"""Modelling: what is normal for a source, learnt and stored with its hash."""

import dagster as dg

from smartflow_assets.defs.metadata import NOTE, asset_arguments, kept, numbers, picture
from smartflow_assets.defs.resources import RunOptions
from smartflow_assets.stages import modelling, records


@dg.asset(**asset_arguments("trained_models", "modelling", ["scikitlearn"], deps=["series_features"]))
def trained_models(context: dg.AssetExecutionContext, options: RunOptions) -> dg.MaterializeResult:
    """Train what has no usable model (monitor_source) or all (train_source)."""
    trained = modelling.trained_models(options.run_with_bucket)
    outcome = trained.summary + records.learn_records_anew(options.run_with_bucket)
    context.log.info(outcome)
    metadata = numbers(
        {"dagster/row_count": trained.table_rows, "models_trained": trained.trained_count, "training_rows": trained.training_rows}
    )
    metadata |= {"outcome": outcome} | ({NOTE: trained.note} if trained.note else {})
    if (learnt := trained.learnt_from) is None:
        metadata |= kept(context, "plot")
    else:
        metadata |= picture(context, lambda: modelling.training_picture(options.run_with_bucket, learnt), "training window")
    return dg.MaterializeResult(metadata=metadata)
