# pyright: reportMissingTypeStubs=false
# scipy has none.
"""Can a classifier tell from which window a row comes, where no single column may help it? (two-sample test by classification,
Lopez-Paz and Oquab 2017)

It learns from half of the rows and is tested on the other half, in turn. It sees ranks: each column is ranked within its own window
(the distributional transform, Rüschendorf 2009), so that in both windows each column by itself is uniform, and only what columns have to
do with each other is left. What has moved alone is the business of the other tests, and a season of a column is no drift here.
"""

from itertools import combinations
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from smartflow_assets.core.drift.base import BaseDriftTest, Difference, Sample
from smartflow_assets.core.drift.chance import normal

MOST_COLUMNS = 16
_MOST_ROWS = 2_000  # of each window: the deviation by chance is then below .02
_PAIRS = 10  # that may have a say: one broken relation is found among a hundred sound ones, and ten as well
_MEAN_SIZE = float(np.sqrt(2 / np.pi))  # of a normal score


class DomainClassifier(BaseDriftTest, frozen=True):
    """Twice the area under the ROC curve less one (Somers' D: 0 by guessing, 1 without an error) of Fisher's linear discriminant on
    products of two columns' normal scores and of their sizes: a correlation that breaks, turns or appears, also one that is not linear.

    >>> rng = np.random.default_rng(0)
    >>> first, noise = rng.normal(size=(2, 400))
    >>> bound, free = (Sample(np.column_stack([first, second])) for second in (first + noise, np.roll(first + noise, 1)))
    >>> DomainClassifier().compare(bound, bound).statistic, round(DomainClassifier().compare(bound, free).statistic, 1)
    (0.0, 0.4)
    """

    type: Literal["domain_classifier"] = "domain_classifier"
    at_least: float = Field(
        default=0.1,
        gt=0,
        lt=1,
        description="The smallest Somers' D (twice the area under the ROC curve less one) that counts as drift, however sure it is.",
    )
    is_joint: ClassVar[bool] = True
    is_share: ClassVar[bool] = True

    def compare(self, reference: Sample, current: Sample) -> Difference:
        first, second = (_products(normal_scores(_shuffled(sample.values[:_MOST_ROWS]))) for sample in (reference, current))
        halves = [(first[part::2], second[part::2]) for part in (0, 1)]
        advantages = [_advantage(*tested, _discriminant(*learnt)) for learnt, tested in (halves, halves[::-1])]
        rows = len(first) // 2, len(second) // 2
        # each of the two is a Mann-Whitney statistic of rows that were not learnt from; their mean varies no more than one of them
        deviation = np.sqrt((sum(rows) + 1) / (3 * rows[0] * rows[1]))
        return Difference(max(0.0, float(np.mean(advantages))), normal(float(deviation), is_two_sided=False))


def _shuffled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows in an order by lot, the same for the same rows in whatever order."""
    return values[np.lexsort(values.T)][np.random.default_rng(len(values)).permutation(len(values))]


def normal_scores(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each column's ranks within the sample as normal scores (rows, columns); an empty cell ranks lowest, and equal values are ranked
    among themselves by lot, always in the same way."""
    from scipy.special import ndtri

    rng = np.random.default_rng(len(values))
    filled = np.where(np.isnan(values), -np.inf, values)
    scores = np.empty_like(filled)
    for column in range(filled.shape[1]):
        scores[np.lexsort((rng.random(len(filled)), filled[:, column])), column] = np.arange(1, len(filled) + 1)
    return ndtri(scores / (len(filled) + 1))


def related_columns(values: NDArray[np.float64]) -> list[int]:
    """The columns that have most to do with others, at most `MOST_COLUMNS`, in their order; those of one value have nothing."""
    scores = normal_scores(values)
    varied = [at for at in range(values.shape[1]) if len(np.unique(values[:, at])) > 1]
    if len(varied) <= MOST_COLUMNS:
        return varied
    relation: NDArray[np.float64] = (np.corrcoef(scores[:, varied], rowvar=False) ** 2).sum(axis=0)
    return sorted(varied[int(at)] for at in np.argsort(-relation, kind="stable")[:MOST_COLUMNS])


def _products(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Products of two columns' scores, of one's score with the other's size, and of their sizes: four for each pair."""
    sizes = np.abs(scores) - _MEAN_SIZE
    pairs = list(combinations(range(scores.shape[1]), 2))
    left, right = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    return np.hstack([one[:, left] * other[:, right] for one in (scores, sizes) for other in (scores, sizes)])


def _discriminant(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights of the features: Fisher's discriminant on those whose means differ most, by their standard error."""
    gap = second.mean(axis=0) - first.mean(axis=0)
    error = np.sqrt(first.var(axis=0) / len(first) + second.var(axis=0) / len(second)) + 1e-9
    chosen = np.argsort(-np.abs(gap / error), kind="stable")[:_PAIRS]
    within = np.cov(first[:, chosen], rowvar=False, ddof=0) + np.cov(second[:, chosen], rowvar=False, ddof=0)
    within = np.atleast_2d(within) + 0.05 * np.eye(len(chosen))
    weights = np.zeros(first.shape[1])
    weights[chosen] = np.linalg.solve(within, gap[chosen])
    return weights


def _advantage(first: NDArray[np.float64], second: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    """How often a row of the second has the higher score, less how often it has the lower one."""
    low, high = np.sort(first @ weights), second @ weights
    wins = np.searchsorted(low, high, side="left") + np.searchsorted(low, high, side="right")
    return float(wins.mean() / len(low) - 1)
