"""The metrics of one source side by side: what a detector sees that judges several of them at once.

Siblings are the series with the same dimensions and another metric. Each row is given the residual of every metric at the
same time, as further columns of its features, so that a row can be judged by what the others did.
"""

from collections.abc import Collection
from datetime import timedelta

import numpy as np
import pandas as pd

from smartflow_assets.core import features as row_features
from smartflow_assets.core.series_id import metric_and_dimensions

PREFIX = "residual of "


def add(features: pd.DataFrame, *, step: timedelta, names: Collection[str] = ()) -> pd.DataFrame:
    """`features` (series, observed_at, …) with a column `residual of <metric>` for each metric in it, in the unit of that metric;
    NaN where it has no row at that time. A residual is the seasonal one, or for steps without a season the change since the
    row before. names: columns that must be there, whether or not their metric has come. Columns that are there stay.
    """
    if not any(str(column).startswith(PREFIX) for column in features.columns):
        parts = {name: metric_and_dimensions(str(name)) for name in features["series"].unique()}
        keys = pd.DataFrame(
            {
                "metric": [parts[name][0] for name in features["series"]],
                "dimensions": [parts[name][1] for name in features["series"]],
                "observed_at": features["observed_at"].to_numpy(),
                "residual": features[row_features.residual_column(step)].to_numpy(),
            }
        )
        wide = keys.pivot(index=["dimensions", "observed_at"], columns="metric", values="residual").add_prefix(PREFIX)
        found = wide.reindex(pd.MultiIndex.from_frame(keys[["dimensions", "observed_at"]])).set_index(features.index)
        features = pd.concat([features, found], axis=1)
    return features.assign(**{name: np.nan for name in names if name.startswith(PREFIX) and name not in features.columns})
