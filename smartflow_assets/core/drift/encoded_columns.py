"""Columns of any type as numbers: what is a number stays one, what is not becomes the code of a category.

An infinity is no value, as an empty cell is none. Times and lengths of time are left out: they move by nature.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from smartflow_assets.core.drift.base import Kind


@dataclass(frozen=True)
class EncodedColumns:
    """`values`: (rows, columns) in the order of `kinds`, NaN where nothing is known; `labels`: the texts of each category's codes;
    `left_out`: columns that could not be encoded, and why."""

    values: NDArray[np.float64]
    kinds: Mapping[str, Kind]
    labels: Mapping[str, NDArray[np.object_]]
    left_out: Mapping[str, str]


def encoded_columns(rows: pd.DataFrame, names: Sequence[str]) -> EncodedColumns:
    """The named columns, sorted by name, so that their order makes no difference.

    >>> found = encoded_columns(pd.DataFrame({"shop": ["b", "a", None], "paid": [1, np.inf, 3]}), ["shop", "paid"])
    >>> found.values.tolist(), dict(found.kinds)
    ([[1.0, 1.0], [nan, 0.0], [3.0, nan]], {'paid': 'number', 'shop': 'category'})
    """
    values: list[NDArray[np.float64]] = []
    kinds: dict[str, Kind] = {}
    labels: dict[str, NDArray[np.object_]] = {}
    left_out: dict[str, str] = {}
    for name in sorted(names):
        column = rows[name]
        if pd.api.types.is_datetime64_any_dtype(column) or pd.api.types.is_timedelta64_dtype(column):
            left_out[name] = "times move by nature"
        elif pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
            number = column.to_numpy(dtype=float, na_value=np.nan)
            values.append(np.where(np.isfinite(number), number, np.nan))
            kinds[name] = "number"
        else:
            codes, texts = pd.factorize(column.astype(object).map(str, na_action="ignore"), sort=True)
            values.append(np.where(codes < 0, np.nan, codes))
            kinds[name], labels[name] = "category", np.asarray(texts, dtype=object)
    table = np.column_stack(values) if values else np.zeros((len(rows), 0))
    return EncodedColumns(table, kinds, labels, left_out)
