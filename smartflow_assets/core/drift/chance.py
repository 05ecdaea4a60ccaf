# pyright: reportMissingTypeStubs=false
# scipy has none.
"""Distributions of a statistic where rows are independent and nothing has changed, as tail probability and its inverse.

Each function makes one from the sizes of two samples. They are asymptotic, so that a check costs no permutations, and hold from some
thirty rows on. scipy.special alone is loaded, when a figure is asked for.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Chance:
    """`p_value(statistic)`: how often chance reaches it; `limit(p)`: what chance exceeds with probability p."""

    p_value: Callable[[float], float]
    limit: Callable[[float], float]


def effective_rows(reference: int, current: int) -> float:
    """The rows of two samples as one number: the variance of a difference of means is that of one row divided by it.

    >>> effective_rows(500, 500)
    250.0
    """
    return reference * current / (reference + current)


def kolmogorov(rows: float) -> Chance:
    """The largest distance of two distribution functions, with Stephens' correction (1970) for few rows."""
    factor = math.sqrt(rows) + 0.12 + 0.11 / math.sqrt(rows)

    def limit(p: float) -> float:
        from scipy.special import kolmogi

        return float(kolmogi(p)) / factor

    def p_value(statistic: float) -> float:
        from scipy.special import kolmogorov as tail

        return float(tail(statistic * factor))

    return Chance(p_value, limit)


def chi_square(degrees: int, factor: float, power: int) -> Chance:
    """`factor` times the `power` of the statistic is a chi-square variable.

    >>> round(chi_square(1, 100.0, 2).p_value(0.196), 3)
    0.05
    """

    def limit(p: float) -> float:
        from scipy.special import chdtri

        return (float(chdtri(max(degrees, 1), p)) / factor) ** (1 / power)

    def p_value(statistic: float) -> float:
        from scipy.special import chdtrc

        return float(chdtrc(max(degrees, 1), factor * max(statistic, 0.0) ** power))

    return Chance(p_value, limit)


def gamma(mean: float, variance: float, skewness: float) -> Chance:
    """A positive statistic with these moments: Pearson's type III, a gamma variable that begins elsewhere than at 0. Without any variance
    nothing above 0 comes by chance."""
    if variance <= 0:
        return Chance(lambda statistic: float(statistic <= 0), lambda p: 0.0)
    shape, scale = 4 / skewness**2, math.sqrt(variance) * skewness / 2
    start = mean - shape * scale

    def limit(p: float) -> float:
        from scipy.special import gammainccinv

        return start + float(gammainccinv(shape, p)) * scale

    def p_value(statistic: float) -> float:
        from scipy.special import gammaincc

        return float(gammaincc(shape, max(0.0, (statistic - start) / scale)))

    return Chance(p_value, limit)


def normal(deviation: float, *, is_two_sided: bool) -> Chance:
    """A normal statistic around 0: what lies above it; or the size of one, both sides."""
    sides = 2 if is_two_sided else 1

    def limit(p: float) -> float:
        from scipy.special import ndtri

        return -deviation * float(ndtri(p / sides))

    def p_value(statistic: float) -> float:
        from scipy.special import ndtr

        return min(1.0, sides * float(ndtr(-statistic / deviation)))

    return Chance(p_value, limit)
