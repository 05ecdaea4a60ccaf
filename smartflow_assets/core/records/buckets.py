"""Strange records of one bucket together: what is said of them, and how that joins what detectors say of series."""

from typing import Any

import pandas as pd

from smartflow_assets.core.series.series_id import RECORDS_METRIC
from smartflow_assets.core.severity import worst


def of_bucket(strange: pd.DataFrame | None) -> dict[str, Any]:
    """What is said of a bucket: the worst severity, each column's mean share, and the explanation of its strangest record."""
    if strange is None:
        return {}
    strange = strange.sort_values(["raw_score", "observed_at", "_origin", "_row"], ascending=[False, True, True, True])
    total: dict[str, float] = {}
    for shares in strange["contributions"]:
        for name, share in shares.items():
            total[name] = total.get(name, 0.0) + share / len(strange)
    return {
        "severity": worst(strange["severity"]),
        "explanation": strange["explanation"].iloc[0],
        "contributions": {name: round(total[name], 4) for name in sorted(total, key=lambda name: (-total[name], name))},
    }


def record_components(rows: pd.DataFrame) -> pd.DataFrame:
    """What each column has in the strange records of a bucket, as rows of detector_scores; `rows` of `judge`, where those of records
    have `contributions` by column."""
    parts = [
        {"series": row["series"], "observed_at": row["observed_at"], "detector": f"{RECORDS_METRIC}:{column}", "share": share}
        for row in rows.to_dict("records")
        if isinstance(row.get("contributions"), dict)
        for column, share in row["contributions"].items()
    ]
    return pd.DataFrame(parts, columns=["series", "observed_at", "detector", "share"])
