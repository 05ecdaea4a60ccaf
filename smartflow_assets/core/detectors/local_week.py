"""Where in the local week a row lies, for guards that know what comes back by hour and weekday."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from smartflow_assets.core.series.facts import DAY, SeriesFacts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from smartflow_assets.core.series.blocks import Rows

LONGEST_WEEK = 20_160
"""Rows of a week that is remembered, one each 30 seconds: a state is rebuilt from 20,000 rows (`training.CONTEXT_ROWS`), which hold no
week of finer ones."""


def season_of_week(facts: SeriesFacts) -> int:
    """Rows in a season of which seven are remembered; 0 where they are too many."""
    return facts.period if 7 * facts.period <= LONGEST_WEEK else 0


def rows_ahead(rows: Rows, timezone: str, season: int, last: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many rows the local clock is ahead of UTC at each row; `last`: at the newest row with a time, changed in place.

    Where a season is a week, this is at most a row too many: nothing beside a limit of rows.
    """
    if timezone == "UTC" or rows.times is None:
        return np.zeros(rows.count, np.int64)
    known = np.flatnonzero(~np.isnat(rows.times))
    local = pd.DatetimeIndex(rows.times[known]).tz_localize("UTC").tz_convert(timezone).tz_localize(None).to_numpy()
    offsets = (local - rows.times[known]) / np.timedelta64(1, "s")
    ahead = np.concatenate([last, np.rint(offsets / DAY * season).astype(np.int64)])
    last[0] = ahead[-1]
    return ahead[np.searchsorted(known, np.arange(rows.count), side="right")]
