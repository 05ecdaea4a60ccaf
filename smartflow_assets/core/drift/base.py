"""What every drift test is: a frozen pydantic model with a literal `type` and one verb, `compare`.

`compare` measures how far two windows of one column (or of all columns, where `is_joint`) lie apart, as an effect size that does not
grow with the number of rows, and says what chance alone would make of it. Whether that is more than usual for this very column, and
the verdict over many columns, are left to `past_windows` and `find_drift`.
"""

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from smartflow_assets.core.declared import Declared
from smartflow_assets.core.drift.chance import Chance

Kind = Literal["number", "category"]
_LARGEST = 700.0  # exponent of a floating-point number
FEWEST_ROWS = 30
"""Values that a window needs before a test says anything of it."""


@dataclass(frozen=True)
class Sample:
    """A bounded sample of a window. `values`: numbers, or codes of categories, with NaN where a cell is empty; of one column (rows),
    or of several (rows, columns) for a joint test."""

    values: NDArray[np.float64]
    kind: Kind = "number"

    def known(self) -> NDArray[np.float64]:
        """The values of one column that are there."""
        return self.values[~np.isnan(self.values)]


@dataclass(frozen=True)
class Difference:
    """`statistic` is an effect size, 0 where nothing differs; `chance` its distribution where rows are
    independent and nothing has changed."""

    statistic: float
    chance: Chance


class BaseDriftTest(Declared, frozen=True):
    """Parent of all drift tests; a subclass adds `type: Literal[...]`, the default of `at_least` and `compare`."""

    type: str
    at_least: float = Field(description="The smallest statistic that counts as drift, however sure it is.")

    suits: ClassVar[tuple[Kind, ...]] = ("number", "category")
    """The kinds of columns that it can compare."""
    is_joint: ClassVar[bool] = False
    """It compares all columns at once; its samples have two dimensions."""
    is_share: ClassVar[bool] = False
    """Its statistic lies between 0 and 1, so past statistics are compared by their arcsines, others by their logarithms."""
    reads_missing: ClassVar[bool] = False
    """It looks at what is missing, so a window without values is no reason to be silent."""

    def compare(self, reference: Sample, current: Sample) -> Difference:
        """How far two samples lie apart. Each has `FEWEST_ROWS` rows at least (values, unless `reads_missing`)."""
        raise NotImplementedError

    def scaled(self, statistic: Any) -> Any:
        """Statistics on the scale on which those of past windows scatter evenly around their mean; what is negligible is all one."""
        return np.arcsin(np.sqrt(statistic)) if self.is_share else np.log(np.maximum(statistic, self.at_least / 10))

    def unscaled(self, value: float) -> float:
        """The statistic of a value that `scaled` gave; that of a share is never above 1."""
        return math.sin(min(value, math.pi / 2)) ** 2 if self.is_share else math.exp(min(value, _LARGEST))
