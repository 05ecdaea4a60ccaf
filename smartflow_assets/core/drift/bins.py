"""Two samples as counts in the same bins: what PSI, Jensen-Shannon and chi-square compare.

Bins of numbers hold about equal shares of both samples together; a category is a bin, but for those that are too rare to compare, which
share one. Both follow from the two samples alone and treat them alike, so it makes no difference which one comes first.
"""

import numpy as np
from numpy.typing import NDArray

from smartflow_assets.core.drift.base import Sample

MOST_CATEGORIES = 50
_FEWEST_ROWS = 10  # of the smaller sample in a bin of numbers: with fewer, divergences exceed their limit twice as often as they should
_FEWEST_EXPECTED = 5.0  # rows of a category in the smaller sample, as textbooks ask of chi-square


def bin_counts(reference: Sample, current: Sample, bins: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rows of each sample in each bin; at most `bins` of numbers and `MOST_CATEGORIES` of categories.

    >>> bin_counts(Sample(np.arange(4.0)), Sample(np.arange(4.0) + 2), 2)
    (array([3., 1.]), array([1., 3.]))
    """
    first, second = reference.known(), current.known()
    if reference.kind == "category":
        return _category_counts(first, second)
    bins = max(2, min(bins, min(len(first), len(second)) // _FEWEST_ROWS))
    edges = np.unique(np.quantile(np.concatenate([first, second]), np.arange(1, bins) / bins, method="inverted_cdf"))
    return tuple(np.bincount(np.searchsorted(edges, values), minlength=len(edges) + 1).astype(float) for values in (first, second))  # type: ignore[return-value]


def _category_counts(first: NDArray[np.float64], second: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    _, codes = np.unique(np.concatenate([first, second]), return_inverse=True)
    kinds = int(codes.max()) + 1
    counts = np.stack([np.bincount(part, minlength=kinds) for part in (codes[: len(first)], codes[len(first) :])]).astype(float)
    total = counts.sum(axis=0)
    order = np.lexsort((-counts[0], -total))  # categories as frequent as each other are interchangeable
    needed = _FEWEST_EXPECTED * (len(first) + len(second)) / min(len(first), len(second))
    kept = order[:MOST_CATEGORIES][total[order[:MOST_CATEGORIES]] >= needed]
    others = counts.sum(axis=1) - counts[:, kept].sum(axis=1)
    table = np.column_stack([counts[:, kept], others]) if others.any() else counts[:, kept]
    return table[0], table[1]
