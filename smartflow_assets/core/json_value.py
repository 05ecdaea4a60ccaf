"""Values of frames and events as JSON knows them: no numpy, no pandas; NaN, NaT, NA and infinity are null.

The one place for tables, events, messages and the output of commands. The caller chooses how times are written. Readers of
databases and of users' functions write their values themselves: there NaN must stay a value that staging can refuse.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from math import isfinite
from typing import Any, cast

import numpy as np
import pandas as pd


def utc_text(moment: datetime) -> str:
    """An aware moment as ISO 8601 in UTC.

    >>> utc_text(datetime(2026, 3, 1, 9, tzinfo=UTC))
    '2026-03-01T09:00:00+00:00'
    """
    return moment.astimezone(UTC).isoformat()


def json_value(
    value: Any, *, write_time: Callable[[datetime], Any] = utc_text, write_other: Callable[[Any], Any] = lambda value: value
) -> Any:
    """The value with all that it holds as JSON knows it; mappings are objects, sequences and sets are lists.

    `write_time` says how times are written, `write_other` what becomes of a value of any other type (default: it stays, and
    `json.dumps` refuses it).

    >>> json_value({"n": np.float64(1.5), "none": [float("nan"), float("inf"), pd.NaT], "at": pd.Timestamp("2026-03-01", tz="UTC")})
    {'n': 1.5, 'none': [None, None, None], 'at': '2026-03-01T00:00:00+00:00'}
    """

    def inner(held: Any) -> Any:
        return json_value(held, write_time=write_time, write_other=write_other)

    if value is None or value is pd.NaT or value is pd.NA:
        return None
    if isinstance(value, datetime):
        return write_time(value)
    if isinstance(value, Mapping):
        return {str(name): inner(held) for name, held in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, list | tuple | set | frozenset | np.ndarray):
        return [inner(held) for held in cast("Iterable[Any]", value)]
    if isinstance(value, np.generic):
        return inner(value.item())
    if isinstance(value, float):
        return value if isfinite(value) else None
    return value if isinstance(value, str | int | bool) else write_other(value)
