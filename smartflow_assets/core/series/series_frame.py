"""A frame of many series, taken apart: for each series the numbers of its rows in order of time.

Accepts any order of rows; refuses what cannot be judged (missing columns, text for numbers, unreadable times, a time that
occurs twice) in a sentence that names the series. Feature tables are aligned to it by series and time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from smartflow_assets.core.errors import SourceError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def times_of(column: pd.Series) -> NDArray[np.datetime64]:
    """Times as datetime64[us] in UTC; a time without a zone is taken as UTC. SourceError for what is no time."""
    try:
        times = pd.to_datetime(column, utc=True, format=None if pd.api.types.is_datetime64_any_dtype(column) else "ISO8601")
    except (ValueError, TypeError) as error:
        raise SourceError(f"column {column.name!r} holds no times: {error}", remedy="Parse it before detection.") from error
    if times.isna().any():
        raise SourceError(f"column {column.name!r} has {int(times.isna().sum())} rows without a time", remedy="Drop them.")
    return times.dt.tz_localize(None).to_numpy(dtype="datetime64[us]")


@dataclass(frozen=True)
class SeriesFrame:
    """time and value in the order of the frame; rows[series]: row numbers in order of time."""

    time: NDArray[np.datetime64]
    value: NDArray[np.float64]
    rows: Mapping[str, NDArray[np.int64]]

    @classmethod
    def of(cls, frame: pd.DataFrame) -> SeriesFrame:
        """Check and index a frame with the columns series, observed_at, value."""
        absent = [name for name in ("series", "observed_at", "value") if name not in frame.columns]
        if absent:
            raise SourceError(
                f"the frame has no column {absent[0]!r} but {', '.join(map(str, frame.columns))}",
                remedy="It needs series, observed_at and value.",
            )
        try:
            value = frame["value"].to_numpy(dtype=np.float64, na_value=np.nan)
        except (ValueError, TypeError) as error:
            raise SourceError(f"column 'value' holds no numbers: {error}", remedy="Write NaN where one is missing.") from error
        time = times_of(frame["observed_at"])
        codes, names = pd.factorize(frame["series"])
        if (codes < 0).any():
            raise SourceError(f"{int((codes < 0).sum())} rows have no series", remedy="Name the series of every row.")
        if len(names) == 1:
            groups = [np.arange(len(codes))]
        else:
            order = np.argsort(codes, kind="stable")
            groups = np.split(order, np.cumsum(np.bincount(codes, minlength=len(names)))[:-1]) if len(names) else []
        rows: dict[str, NDArray[np.int64]] = {}
        for name, group in zip(names, groups, strict=True):
            distances = np.diff(time[group])
            if (distances <= np.timedelta64(0, "us")).any():
                group = group[np.argsort(time[group], kind="stable")]
                distances = np.diff(time[group])
                twice = np.flatnonzero(distances == np.timedelta64(0, "us"))
                if len(twice):
                    raise SourceError(
                        f"series {name}: {len(twice)} times occur twice, the first is {time[group[twice[0]]]}Z",
                        remedy="Aggregate or drop the duplicates.",
                    )
            rows[str(name)] = group
        return cls(time, value, rows)


@dataclass(frozen=True)
class FeatureTable:
    """Feature values by series: times in order, and a matrix with one column for each name."""

    names: tuple[str, ...]
    by_series: Mapping[str, tuple[NDArray[np.datetime64], NDArray[np.float64]]]

    @classmethod
    def of(cls, features: pd.DataFrame, names: tuple[str, ...] = ()) -> FeatureTable:
        """Index a frame with series, observed_at and one column per feature; `names` chooses and orders the columns."""
        names = names or tuple(str(column) for column in features.columns if column not in ("series", "observed_at", "source"))
        absent = [name for name in names if name not in features.columns]
        if absent:
            raise SourceError(f"the features lack {absent[0]!r}, which the model was trained with", remedy="Train it again.")
        frame = SeriesFrame.of(features.assign(value=0.0)[["series", "observed_at", "value"]])
        matrix = features[list(names)].to_numpy(dtype=np.float64, na_value=np.nan)
        return cls(names, {name: (frame.time[rows], matrix[rows]) for name, rows in frame.rows.items()})

    def at(self, series: str, times: NDArray[np.datetime64]) -> NDArray[np.float64]:
        """The features of these times, NaN where there are none."""
        found = np.full((len(times), len(self.names)), np.nan)
        if series in self.by_series:
            known, matrix = self.by_series[series]
            place = np.minimum(np.searchsorted(known, times), len(known) - 1)
            match = known[place] == times
            found[match] = matrix[place[match]]
        return found
