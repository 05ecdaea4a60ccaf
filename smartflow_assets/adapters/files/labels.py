"""Known anomalies of a source: the CSV that `labels:` names, with which detection is measured."""

from pathlib import Path

import pandas as pd

from smartflow_assets.core.errors import SourceError

COLUMNS = ("series", "started_at", "ended_at")


def read_labels(path: Path, source: str) -> pd.DataFrame:
    """series, started_at and ended_at (UTC; the starts of the first and the last labelled bucket) of each known anomaly.

    SourceError when the file is not there, lacks a column or holds a time that cannot be read.
    """
    remedy = "A labels file has the columns series, started_at and ended_at; times are ISO, UTC where they name no zone."
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise SourceError("the labels are no regular file", source=source, where=str(path), remedy=remedy)
    try:
        rows = pd.read_csv(path, dtype=str)
    except (OSError, ValueError) as error:
        raise SourceError(f"the labels cannot be read: {error}", source=source, where=str(path), remedy=remedy) from error
    if missing := [name for name in COLUMNS if name not in rows]:
        raise SourceError(f"the labels have no column {missing[0]}", source=source, where=str(path), remedy=remedy)
    labels = rows[list(COLUMNS)].copy()
    for name in COLUMNS[1:]:
        times = pd.to_datetime(labels[name], utc=True, errors="coerce", format="ISO8601")
        if times.isna().any():
            line = int(times.isna().to_numpy().argmax()) + 2
            found = f"{name} in line {line} is not a time: {labels[name].iloc[line - 2]!r}"
            raise SourceError(found, source=source, where=str(path), remedy=remedy)
        labels[name] = times.dt.as_unit("us")
    return labels
