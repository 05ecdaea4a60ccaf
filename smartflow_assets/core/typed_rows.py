"""Dicts as a frame whose columns have their types, whether there are any or none.

Most runs find nothing, and a frame without rows takes as long to be made and typed as one with a thousand: each is made once.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import pandas as pd


def typed_rows(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], types: Mapping[str, Any]) -> pd.DataFrame:
    """The rows with these columns, those of `types` with that type.

    >>> typed_rows([], ["at", "count"], {"count": "int64"}).dtypes["count"]
    dtype('int64')
    """
    if not len(rows):
        return _without_rows(tuple(columns), tuple(types.items())).copy()
    frame = pd.DataFrame(rows, columns=list(columns))
    others = {name: kind for name, kind in types.items() if frame[name].dtype != kind}
    return frame.astype(others) if others else frame  # to a type that they have, columns would be copied one by one


@cache
def _without_rows(columns: tuple[str, ...], types: tuple[tuple[str, Any], ...]) -> pd.DataFrame:
    return pd.DataFrame(columns=list(columns)).astype(dict(types))
