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


@dataclass(frozen=True)
class Scaler:
    """(value - center) / unit; `asdict` stores it, `Scaler(**stored)` is the same again.

    >>> scaler = Scaler.fit(np.array([10.0, 20.0, np.nan, 30.0]), "min_max")
    >>> scaler.transform(np.array([10.0, 40.0])), float(scaler.inverse(np.array([0.5]))[0])
    (array([0. , 1.5]), 20.0)
    """

    center: float = 0.0
    unit: float = 1.0

    @classmethod
    def fit(cls, values: NDArray[np.float64], scale: Scale) -> Self:
        """Learn from the finite of `values`: mean and standard deviation, minimum and range, or median and the deviation
        that the quartiles imply; `none` learns nothing.

        The unit is never zero: values that hardly move are measured in their standard deviation, a constant in 5 % of its
        level, zeros in ones.
        """
        known = np.clip(values[np.isfinite(values)], -LARGEST, LARGEST)
        if scale == "none" or not len(known):
            return cls()
        low, middle, high = np.quantile(known, [0.25, 0.5, 0.75])
        deviation = known.std()
        center, spread = {
            "standard": (known.mean(), deviation),
            "min_max": (known.min(), np.ptp(known)),
            "robust": (middle, (high - low) / QUARTILES_OF_A_NORMAL),
        }[scale]
        candidates = (spread, deviation, 0.05 * abs(middle))
        unit = next((float(size) for size in candidates if size > 1e-12 * abs(middle)), 1.0)
        return cls(float(center), unit)

    def transform(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values in the series' own unit to scaled ones."""
        return (values - self.center) / self.unit

    def inverse(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scaled values back to the series' own unit."""
        return values * self.unit + self.center
