"""What models may learn from: how much of a history that nobody has seen before, and what of it when some rows were flagged.

The numbers of this policy stand here alone; which rows a stage reads, and what flags them, is the business of its callers.
"""

import numpy as np
import pandas as pd

LEARN_PARTS = 3
"""One in so many parts of a new history is learnt from; the rest is judged without having been learnt."""
LEARN_SHARE = 1 / LEARN_PARTS
NEW_NORMAL_SHARE = 0.2
"""When more than this share of the rows was flagged, they are learnt from all the same: so much is not strange, it is normal now."""


def first_rows(count: int) -> int:
    """How many of `count` rows are learnt from when nothing was learnt before.

    >>> first_rows(100)
    33
    """
    return count // LEARN_PARTS


def is_new_normal(is_flagged: pd.Series | np.ndarray) -> bool:
    """Whether so many of the rows were flagged that they are learnt from all the same; False when there is no row.

    >>> is_new_normal(np.array([True, False, False, False, False])), is_new_normal(np.array([True, True, False, False]))
    (False, True)
    """
    return bool(len(is_flagged)) and bool(is_flagged.mean() > NEW_NORMAL_SHARE)


def without_flagged(values: pd.Series, is_flagged: pd.Series, series: pd.Series) -> pd.Series:
    """The values with NaN where they were flagged; a series in which that is more than `NEW_NORMAL_SHARE` keeps all of its own.

    `series` names the series of each row; all three have the same index.
    """
    share = is_flagged.groupby(series).transform("mean")
    return values.mask(is_flagged & (share <= NEW_NORMAL_SHARE))
