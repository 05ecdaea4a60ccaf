"""Scaling of a series for models that need comparable numbers, and the way back to its own unit.

Fitted in training and stored with the model as plain JSON; detection and plots invert it, so that a user only ever sees the
unit that the series was written in.
"""

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

Scale = Literal["none", "standard", "min_max", "robust"]
QUARTILES_OF_A_NORMAL = 1.349  # a robust unit is then comparable with a standard deviation
LARGEST = 1e150  # larger values have no variance in doubles
SMALL_SHARE = 0.01  # of the usual size: values below it are measured straight, by the ruler that is logarithmic above it
FARTHEST = 340.0  # logarithms beyond this are clipped: about LARGEST times the usual size


@dataclass(frozen=True)
class Scaler:
    """(value - center) / unit; `asdict` stores it, `Scaler(**stored)` is the same again.

    With `log_unit` the value is first read on a logarithmic ruler, asinh(value / log_unit): a factor is the same distance
    everywhere above about twice `log_unit`; zero is at 0, and negative values mirror positive ones.

    >>> scaler = Scaler.fit(np.array([10.0, 20.0, np.nan, 30.0]), "min_max")
    >>> scaler.transform(np.array([10.0, 40.0])), float(scaler.inverse(np.array([0.5]))[0])
    (array([0. , 1.5]), 20.0)
    """

    center: float = 0.0
    unit: float = 1.0
    log_unit: float | None = None

    @classmethod
    def fit(cls, values: NDArray[np.float64], scale: Scale, *, is_log: bool = False) -> Self:
        """Learn from the finite of `values`: mean and standard deviation, minimum and range, or median and the deviation
        that the quartiles imply; `none` learns nothing. `is_log`: of their logarithms, where 1 % of the median size of the
        values that are not zero is the unit in which zero and negative values have a place.

        The unit is never zero: values that hardly move are measured in their standard deviation, a constant in 5 % of its
        level, zeros in ones.
        """
        known = np.clip(values[np.isfinite(values)], -LARGEST, LARGEST)
        log_unit = None
        if is_log:
            sizes = np.abs(known[np.abs(known) > 1 / LARGEST])
            log_unit = SMALL_SHARE * float(np.median(sizes)) if len(sizes) else 1.0
            known = np.arcsinh(known / log_unit)
        if scale == "none" or not len(known):
            return cls(log_unit=log_unit)
        low, middle, high = np.quantile(known, [0.25, 0.5, 0.75])
        deviation = known.std()
        center, spread = {
            "standard": (known.mean(), deviation),
            "min_max": (known.min(), np.ptp(known)),
            "robust": (middle, (high - low) / QUARTILES_OF_A_NORMAL),
        }[scale]
        candidates = (spread, deviation, 0.05 * abs(middle))
        unit = next((float(size) for size in candidates if size > 1e-12 * abs(middle)), 1.0)
        return cls(float(center), unit, log_unit)

    def transform(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values in the series' own unit to scaled ones."""
        if self.log_unit is not None:
            values = np.arcsinh(values / self.log_unit)
        return (values - self.center) / self.unit

    def inverse(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scaled values back to the series' own unit."""
        values = values * self.unit + self.center
        return values if self.log_unit is None else np.sinh(np.clip(values, -FARTHEST, FARTHEST)) * self.log_unit
