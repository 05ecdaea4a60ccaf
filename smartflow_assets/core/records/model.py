"""A fitted model of records: numbers of a record, raw scores of its detectors, their mean surprise, and each column's part in it.

A record's surprise is a function of the record and of this model alone. What is stored is plain values, arrays and, for a
forest, its estimator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from smartflow_assets.core.errors import ModelError
from smartflow_assets.core.model_parts import ModelParts
from smartflow_assets.core.preparation.category_encoding import LearntEncoding
from smartflow_assets.core.records.columns import RecordColumns, learn_columns
from smartflow_assets.core.records.detectors import BUILT_IN, RecordForest, RecordMahalanobis
from smartflow_assets.core.records.tail import Tail

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORM = 1
"""Raised whenever a stored model would score differently: an older one is then refused and learnt anew."""
LARGEST = 40.0
DECIMALS = 9  # the last bits of a logarithm depend on how many are taken at once


@dataclass(frozen=True)
class RecordModel:
    """Detectors with what each has learnt and its tail, in the same order. `rows_per_day` is how many rows the training had."""

    columns: RecordColumns
    detectors: tuple[RecordMahalanobis | RecordForest, ...]
    fitted: tuple[ModelParts, ...]
    tails: tuple[Tail, ...]
    rows_per_day: float

    def surprise(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        """The surprise of each record of a frame of numbers, 0 to 40."""
        return np.minimum(self._surprise(frame), LARGEST).round(DECIMALS)

    def contributions(self, frame: pd.DataFrame) -> pd.DataFrame:
        """records x columns: each column's share in the surprise. They sum to 1; all 0 where no column makes a difference.

        The mean of what goes of the surprise when the column alone has its most usual value, and what comes when it alone has
        not: the first sees columns that disagree, the second those that are strange together (Shapley's first and last step).
        """
        whole, typical = self._surprise(frame), self.columns.typical(frame)
        least = self._surprise(typical)
        parts = pd.DataFrame(0.0, index=frame.index, columns=self.columns.names)
        for name in self.columns.names:
            alone = typical.assign(**{each: frame[each] for each in self.columns.numbers_of(name)})
            moved = whole - self._surprise(self.columns.without(frame, name)) + self._surprise(alone) - least
            parts[name] = np.maximum(moved, 0.0)
        total = parts.sum(axis=1)
        return parts.div(total.where(total > 0, 1.0), axis=0).round(4)

    def _surprise(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        numbers = self.columns.see(frame)
        total = np.zeros(len(frame))
        for detector, model, tail in zip(self.detectors, self._prepared, self.tails, strict=True):
            total = total + tail.surprise(detector.measure(model, numbers))
        return total / len(self.detectors)

    @cached_property
    def _prepared(self) -> list[dict[str, Any]]:
        return [detector.prepare(fitted) for detector, fitted in zip(self.detectors, self.fitted, strict=True)]

    def check(self) -> None:
        """Judge one record, so that a model that another version wrote in another form fails here and not in the middle of a run."""
        names = [number for name in self.columns.names for number in self.columns.numbers_of(name)]
        self.surprise(pd.DataFrame(0.0, index=[0], columns=names))

    def parts(self) -> ModelParts:
        """Plain values, arrays and estimators, those of a detector named `<place>.<name>`."""
        parameters = {
            "form": FORM,
            "rows_per_day": self.rows_per_day,
            "columns": self.columns.parameters(),
            "detectors": [
                {"settings": detector.model_dump(mode="json"), "learnt": dict(fitted.parameters), "scale": tail.scale, "shape": tail.shape}
                for detector, fitted, tail in zip(self.detectors, self.fitted, self.tails, strict=True)
            ],
        }
        arrays = {"coefficients": self.columns.coefficients, "residual_unit": self.columns.residual_unit}
        estimators: dict[str, Any] = {}
        for place, (fitted, tail) in enumerate(zip(self.fitted, self.tails, strict=True)):
            arrays |= {f"{place}.tail_scores": tail.scores, f"{place}.tail_shares": tail.shares}
            arrays |= {f"{place}.{name}": value for name, value in fitted.arrays.items()}
            estimators |= {f"{place}.{name}": value for name, value in fitted.estimators.items()}
        return ModelParts(parameters, arrays, estimators)

    @classmethod
    def from_parts(cls, parts: ModelParts) -> RecordModel:
        """The model that `parts()` took apart; ModelError when another version of the program wrote it."""
        p = parts.parameters
        if p.get("form") != FORM:
            raise ModelError(
                f"the stored model of records has form {p.get('form')}, this version reads form {FORM}", remedy="It is learnt again."
            )
        by_type = {detector.model_fields["type"].default: detector for detector in BUILT_IN}
        detectors, fitted, tails = list[RecordMahalanobis | RecordForest](), list[ModelParts](), list[Tail]()
        for place, stored in enumerate(p["detectors"]):
            own = {name.removeprefix(f"{place}."): value for name, value in parts.arrays.items() if name.startswith(f"{place}.")}
            tails.append(Tail(own.pop("tail_scores"), own.pop("tail_shares"), stored["scale"], stored["shape"]))
            estimators = {name.removeprefix(f"{place}."): value for name, value in parts.estimators.items() if name.startswith(f"{place}.")}
            fitted.append(ModelParts(stored["learnt"], own, estimators))
            detectors.append(by_type[stored["settings"]["type"]].model_validate(stored["settings"]))
        return cls(RecordColumns.stored(p["columns"], parts.arrays), tuple(detectors), tuple(fitted), tuple(tails), p["rows_per_day"])


def learn_records(
    frame: pd.DataFrame,
    numeric: Sequence[str],
    encodings: Sequence[LearntEncoding],
    detectors: Sequence[RecordMahalanobis | RecordForest],
    *,
    rows_per_day: float,
) -> RecordModel:
    """A model of training records as numbers: `numeric` columns, and those that `encodings` make."""
    columns = learn_columns(frame, numeric, encodings)
    numbers = columns.see(frame)
    fitted, tails = list[ModelParts](), list[Tail]()
    for detector in detectors:
        fitted.append(detector.learn(numbers))
        tails.append(Tail.learn(detector.measure(detector.prepare(fitted[-1]), numbers)))
    return RecordModel(columns, tuple(detectors), tuple(fitted), tuple(tails), rows_per_day)
