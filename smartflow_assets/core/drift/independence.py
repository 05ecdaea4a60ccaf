# pyright: reportMissingTypeStubs=false
# scipy has none.
"""Whether the rows of a column come independently of each other, as chance alone would deal them.

Where they do, textbook limits hold and no past is needed. Where they do not (a season, a trend, a level that wanders, rows that come in
clusters) ordinary windows differ by far more, and only the past can say by how much.
"""

import numpy as np
from numpy.typing import NDArray

FEWEST_ROWS = 100
"""With fewer, dependence could not be seen, and is taken for granted."""
_SIGNIFICANCE = 0.001  # columns of truly independent rows that are taken for dependent, which costs them power and no false alarm
_BLOCK_ROWS, _MOST_BLOCKS, _FREQUENT = 10, 200, 5


def are_independent(values: NDArray[np.float64], windows: NDArray[np.int64], *, is_category: bool) -> bool:
    """True if neither the level nor the spread of the rows, nor the shares of the commonest categories, nor that of empty cells, differ
    between `windows` or between short blocks by more than chance, and if no row resembles the one before it.

    `values` in order of time, NaN where a cell is empty; `windows`: the number of the stretch that a row lies in.

    >>> values = np.random.default_rng(0).normal(size=1000)
    >>> quarters = np.arange(1000) // 250
    >>> are_independent(values, quarters, is_category=False), are_independent(np.sort(values), quarters, is_category=False)
    (True, False)
    """
    from scipy.special import chdtrc, ndtr

    count = len(values)
    if count < FEWEST_ROWS:
        return False
    blocks = np.arange(count) * min(_MOST_BLOCKS, count // _BLOCK_ROWS) // count
    tails: list[float] = []
    for scores in _scores(values, is_category):
        centred = scores - scores.mean()
        variance = float((centred**2).mean())
        if variance < 1e-12:
            continue
        for groups in (windows, blocks):
            sizes, sums = np.bincount(groups), np.bincount(groups, centred)
            is_used = sizes > 0
            between = float((sums[is_used] ** 2 / sizes[is_used]).sum()) / variance * (count - 1) / count
            tails.append(float(chdtrc(max(1, int(is_used.sum()) - 1), between)) if is_used.sum() > 1 else 1.0)
        echo = float((centred[1:] * centred[:-1]).mean()) / variance
        tails.append(float(ndtr(-echo * np.sqrt(count))))
    return not tails or min(tails) * len(tails) >= _SIGNIFICANCE


def _scores(values: NDArray[np.float64], is_category: bool) -> list[NDArray[np.float64]]:
    """What is compared between blocks, one number a row each."""
    is_missing = np.isnan(values)
    scores = [is_missing.astype(float)]
    if is_category:
        kinds, counts = np.unique(values[~is_missing], return_counts=True)
        common = kinds[np.argsort(-counts, kind="stable")[:_FREQUENT]]
        return scores + [(values == kind).astype(float) for kind in common]
    ranks = np.full(len(values), 0.5)
    known = np.sort(values[~is_missing])
    if len(known):
        mine = values[~is_missing]
        ranks[~is_missing] = (np.searchsorted(known, mine, side="left") + np.searchsorted(known, mine, side="right")) / (2 * len(known))
    return [*scores, ranks, np.abs(ranks - 0.5)]
