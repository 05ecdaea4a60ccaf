"""Models of single records: how strange one row of a table is beside the rows that were learnt from, and which columns say so.

`columns` makes numbers of a row, `detectors` say how strange they are, `tail` gives that its meaning, `model` puts them
together, `explanation` says it to people. Here is what a source's YAML may say of it.
"""

import math
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from smartflow_assets.core.declared import Declared
from smartflow_assets.core.records.detectors import RecordDetector, RecordMahalanobis
from smartflow_assets.core.temporal.notation import Frequency, Rate

LEAST_ROWS = 1000
"""Fewer rows say too little of their own tail."""
LEAST_SURPRISE = 2.0  # one in a hundred: a larger budget of false alerts does not lower the threshold further


def _by_name(value: object) -> object:
    return {"type": value} if isinstance(value, str) else value


DetectorOrName = Annotated[
    RecordDetector, BeforeValidator(_by_name, json_schema_input_type=Literal["mahalanobis", "isolation_forest"] | RecordDetector)
]


class Records(Declared):
    """Judge each row by itself, beside the series that rows become."""

    columns: tuple[str, ...] = Field(
        default=(),
        description="Columns that a record is judged by: numeric ones, and categories that stand in `encode`. Default: all "
        "numeric columns and all of encode.",
    )
    detectors: tuple[DetectorOrName, ...] = Field(
        default=(RecordMahalanobis(),),
        description="Whose surprise is averaged: mahalanobis, isolation_forest, by name or with their parameters.",
    )
    false_alerts: Rate = Field(
        default=Frequency(1, "day"),
        description="How many usual records may be flagged, such as 1 per day or 3 per week. It sets the threshold "
        "by how many rows a day has; never more than one row in a hundred.",
    )

    @model_validator(mode="after")
    def _somebody_judges(self) -> Self:
        if not self.detectors:
            raise ValueError("name at least one of the detectors mahalanobis and isolation_forest")
        return self


def surprise_threshold_for(rows_per_day: float, budget: Frequency) -> float:
    """The surprise from which a record is anomalous: of usual records so many have it as the budget allows.

    >>> [surprise_threshold_for(rows, Frequency(1, "day")) for rows in (1000, 1e6, 50)]
    [3.0, 6.0, 2.0]
    """
    return max(LEAST_SURPRISE, math.log10(max(rows_per_day, 1e-9) / budget.per_day))
