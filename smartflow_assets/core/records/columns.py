"""The columns of a record as numbers that can be compared: how far from usual, how far from usual for its categories, how rare.

A numeric column is measured on the ruler, straight or logarithmic, on which the training records lie more evenly around their
median: amounts, durations and sizes mostly on the logarithmic one. Its residual is what the record's one-hot categories do not
explain, since 9,000 is usual for electronics and strange for groceries. An empty cell is as rare as empty cells were.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from smartflow_assets.core.preparation.category_encoding import LearntEncoding

if TYPE_CHECKING:
    from numpy.typing import NDArray

Kind = Literal["number", "one_hot", "frequency"]
USUAL = 2.326
"""Units around the middle within which 98 % of evenly spread records lie: what people are told is usual."""
FARTHEST = 1e3  # in units: beyond it nothing is stranger
KEPT = 0.97
STEPS = 3  # of trimming
RIDGE = 1e-6


@dataclass(frozen=True)
class Number:
    """A numeric column. On the logarithmic ruler `shift` is added first, and what is below `floor` then counts as it."""

    name: str
    is_log: bool
    shift: float
    floor: float
    center: float
    unit: float
    median: float
    missing: float
    kind: Kind = "number"

    def straight(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Distance from the median in units; 0 for what is empty."""
        ruled = np.log(np.maximum(values + self.shift, self.floor)) if self.is_log else values
        return np.nan_to_num(np.clip((ruled - self.center) / self.unit, -FARTHEST, FARTHEST), nan=0.0)

    def value_at(self, straight: NDArray[np.float64]) -> NDArray[np.float64]:
        """The value at a distance from the median."""
        ruled = self.center + self.unit * straight
        return np.exp(np.minimum(ruled, 700.0)) - self.shift if self.is_log else ruled


@dataclass(frozen=True)
class Category:
    """A column of categories. `shares`: by encoded column, of the training records; of a `frequency` the record's own number is it."""

    name: str
    kind: Kind
    shares: dict[str, float]
    least: float


@dataclass(frozen=True)
class RecordNumbers:
    """Records x numeric columns: `residual` given the categories, and `straight`; records x columns: `rarity`, -2 ln(share)."""

    residual: NDArray[np.float64]
    straight: NDArray[np.float64]
    rarity: NDArray[np.float64]

    @property
    def matrix(self) -> NDArray[np.float64]:
        """All of it side by side."""
        return np.column_stack([self.residual, self.straight, self.rarity])


@dataclass(frozen=True)
class RecordColumns:
    """What was learnt of the columns; `coefficients` (1 + one-hot columns, numeric columns) is what categories explain of the numbers."""

    numbers: tuple[Number, ...]
    categories: tuple[Category, ...]
    coefficients: NDArray[np.float64]
    residual_unit: NDArray[np.float64]

    @property
    def names(self) -> list[str]:
        """The names of all columns, as the raw rows have them."""
        return [*(number.name for number in self.numbers), *(category.name for category in self.categories)]

    def see(self, frame: pd.DataFrame) -> RecordNumbers:
        """The records of a frame of numbers (`encoded_records`)."""
        straight = _stacked([number.straight(_values(frame, number.name)) for number in self.numbers], len(frame))
        residual = (straight - self._explained(frame)) / self.residual_unit
        is_empty = _stacked([np.isnan(_values(frame, number.name)) for number in self.numbers], len(frame)).astype(bool)
        residual = np.where(is_empty, 0.0, np.clip(residual, -FARTHEST, FARTHEST))
        rarity = [
            _surprisal(np.where(empty, number.missing, 1 - number.missing)) for number, empty in zip(self.numbers, is_empty.T, strict=True)
        ]
        rarity += [_surprisal(np.maximum(self.share(frame, category), category.least)) for category in self.categories]
        return RecordNumbers(residual, straight, _stacked(rarity, len(frame)))

    def usual(self, frame: pd.DataFrame) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """By numeric column: between which values 98 % of the records lie that have each record's one-hot categories."""
        middle = self._explained(frame)
        ends: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]] = {}
        for at, number in enumerate(self.numbers):
            low, high = (number.value_at(middle[:, at] + side * USUAL * self.residual_unit[at]) for side in (-1, 1))
            ends[number.name] = low, high
        return ends

    @property
    def conditions(self) -> list[str]:
        """The columns of one-hot categories, which numbers are measured by."""
        return [category.name for category in self.categories if category.kind == "one_hot"]

    def share(self, frame: pd.DataFrame, category: Category) -> NDArray[np.float64]:
        """The share of the training records that have each record's category."""
        if category.kind == "frequency":
            return _values(frame, next(iter(category.shares)))
        total = np.zeros(len(frame))
        for name, share in category.shares.items():
            total = total + np.where(_values(frame, name) > 0, share, 0.0)
        return total

    def without(self, frame: pd.DataFrame, name: str) -> pd.DataFrame:
        """The same records with the most usual value in one column."""
        number = next((number for number in self.numbers if number.name == name), None)
        if number is not None:
            return frame.assign(**{name: number.median})
        category = next(category for category in self.categories if category.name == name)
        commonest = max(category.shares, key=lambda encoded: category.shares[encoded])
        if category.kind == "frequency":
            return frame.assign(**{commonest: category.shares[commonest]})
        return frame.assign(**{encoded: float(encoded == commonest) for encoded in category.shares})

    def typical(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The same number of records, with the most usual value in every column."""
        for name in self.names:
            frame = self.without(frame, name)
        return frame

    def numbers_of(self, name: str) -> list[str]:
        """The columns of numbers that a column is made of."""
        return next((list(category.shares) for category in self.categories if category.name == name), [name])

    def _explained(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        """What the categories explain; summed column by column, so that a record has the same bits in any batch."""
        total = np.zeros((len(frame), len(self.numbers))) + self.coefficients[0]
        for weights, name in zip(self.coefficients[1:], _one_hot_names(self.categories), strict=True):
            total = total + _values(frame, name)[:, None] * weights
        return total

    def parameters(self) -> dict[str, Any]:
        """What JSON stores of it: everything but the arrays."""
        return {"numbers": [number.__dict__ for number in self.numbers], "categories": [each.__dict__ for each in self.categories]}

    @classmethod
    def stored(cls, parameters: Mapping[str, Any], arrays: Mapping[str, NDArray[np.float64]]) -> RecordColumns:
        """What `parameters` and the two arrays were made of."""
        return cls(
            tuple(Number(**each) for each in parameters["numbers"]),
            tuple(Category(**each) for each in parameters["categories"]),
            arrays["coefficients"],
            arrays["residual_unit"],
        )


def learn_columns(frame: pd.DataFrame, numeric: Sequence[str], encodings: Sequence[LearntEncoding]) -> RecordColumns:
    """Learn the columns of training records. `numeric`: the columns that are numbers, `encodings`: those of categories."""
    ordinal = [encoding.column_of("") for encoding in encodings if encoding.encoding == "ordinal"]
    numbers = tuple(_number(name, _values(frame, name)) for name in [*numeric, *ordinal])
    categories = tuple(_category(encoding, frame) for encoding in encodings if encoding.encoding != "ordinal")
    names = _one_hot_names(categories)
    plain = RecordColumns(numbers, categories, np.zeros((1 + len(names), len(numbers))), np.ones(len(numbers)))
    straight = plain.see(frame).straight
    design = np.column_stack([np.ones(len(frame)), *(_values(frame, name) for name in names)])
    coefficients, unit = np.zeros((design.shape[1], len(numbers))), np.ones(len(numbers))
    for at, number in enumerate(numbers):
        is_known = ~np.isnan(_values(frame, number.name))
        if is_known.any():
            coefficients[:, at], unit[at] = _regression(design[is_known], straight[is_known, at])
    return RecordColumns(numbers, categories, coefficients, unit)


def _regression(design: NDArray[np.float64], values: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Coefficients, and the robust spread of what they leave; the farthest 3 % of the records are not learnt from."""
    kept = np.ones(len(values), np.bool_)
    coefficients = np.zeros(design.shape[1])
    left = values
    for _ in range(STEPS):
        near = design[kept]
        squares: NDArray[np.float64] = near.T @ near + RIDGE * len(near) * np.eye(design.shape[1])
        coefficients = np.asarray(np.linalg.solve(squares, near.T @ values[kept]), np.float64)
        left = values - design @ coefficients
        kept = np.abs(left) <= np.quantile(np.abs(left), KEPT)
    return coefficients, _spread(left)


def _number(name: str, values: NDArray[np.float64]) -> Number:
    known = values[~np.isnan(values)]
    missing = (np.isnan(values).sum() + 1) / (len(values) + 2)
    if not len(known):
        return Number(name, False, 0.0, 0.0, 0.0, 1.0, 0.0, float(missing))
    shift = 0.0 if known.min() > 0 else float(known[known > 0].min()) if known.min() == 0 < known.max() else np.nan
    is_log = bool(shift == shift and _lean(np.log(known + shift)) < _lean(known))
    floor = float((known.min() + shift) * 1e-3) if is_log else 0.0
    ruled = np.log(known + shift) if is_log else known
    return Number(
        name, is_log, shift if is_log else 0.0, floor, float(np.median(ruled)), _spread(ruled), float(np.median(known)), float(missing)
    )


def _category(encoding: LearntEncoding, frame: pd.DataFrame) -> Category:
    least = 1 / (len(frame) + 1)
    kind: Kind = "frequency" if encoding.encoding == "frequency" else "one_hot"
    if kind == "frequency":
        return Category(encoding.column, kind, {encoding.names[0]: max(encoding.shares.values(), default=1.0)}, least)
    return Category(encoding.column, kind, {name: float(_values(frame, name).mean()) for name in encoding.names}, least)


def _lean(values: NDArray[np.float64]) -> float:
    """How unevenly values lie around their median: 0 for as far above as below, 1 for all on one side."""
    low, middle, high = np.quantile(values, [0.02, 0.5, 0.98])
    return abs(high + low - 2 * middle) / (high - low) if high > low else 0.0


def _spread(values: NDArray[np.float64]) -> float:
    """Standard deviation as the middle of the values has it; of all where most are the same; never 0."""
    middle = 1.4826 * float(np.median(np.abs(values - np.median(values))))
    return max(middle or float(values.std()), 1e-6 * max(1.0, abs(float(np.median(values)))))


def _surprisal(share: NDArray[np.float64]) -> NDArray[np.float64]:
    return -2 * np.log(share)


def _one_hot_names(categories: Sequence[Category]) -> list[str]:
    return [name for category in categories if category.kind == "one_hot" for name in category.shares]


def _values(frame: pd.DataFrame, name: str) -> NDArray[np.float64]:
    return frame[name].to_numpy(float)


def _stacked(columns: Sequence[NDArray[Any]], rows: int) -> NDArray[np.float64]:
    return np.column_stack(columns).astype(float) if columns else np.zeros((rows, 0))
