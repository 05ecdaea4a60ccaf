"""The two scales on which a row's strangeness stands, and the way from one to the other.

Surprise is -log10 of a tail probability: 3 is one row in a thousand. It has no upper end, so rows are ranked, combined and
compared with a threshold by it. The anomaly score is 1 - 10^-surprise, in [0, 1]: what tables and people are shown. A threshold
is named after its scale: `surprise_threshold`, `score_threshold`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, overload

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@overload
def to_anomaly_score(surprise: float) -> float: ...
@overload
def to_anomaly_score(surprise: NDArray[np.float64]) -> NDArray[np.float64]: ...
def to_anomaly_score(surprise: float | NDArray[np.float64]) -> float | NDArray[np.float64]:
    """1 - 10^-surprise, in [0, 1]; 1.0 in doubles from a surprise of 16 on, so rank by the surprise itself.

    >>> to_anomaly_score(np.array([0.0, 1.0, 3.0])).tolist(), to_anomaly_score(2.0)
    ([0.0, 0.9, 0.999], 0.99)
    """
    score = np.asarray(-np.expm1(-np.log(10) * surprise))
    return score if score.ndim else float(score)


@overload
def to_surprise(anomaly_score: float) -> float: ...
@overload
def to_surprise(anomaly_score: NDArray[np.float64]) -> NDArray[np.float64]: ...
def to_surprise(anomaly_score: float | NDArray[np.float64]) -> float | NDArray[np.float64]:
    """-log10(1 - anomaly score); infinite for a score of 1.

    >>> to_surprise(np.array([0.9, 0.999])).round(9).tolist(), round(to_surprise(0.99), 9)
    ([1.0, 3.0], 2.0)
    """
    surprise = np.asarray(-np.log10(1 - anomaly_score))
    return surprise if surprise.ndim else float(surprise)
