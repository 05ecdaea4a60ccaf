"""What a check found: a row for each column and test, the verdict over all of them, and the samples that a picture shows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import pandas as pd

from smartflow_assets.core.drift.windows import Window
from smartflow_assets.core.typed_rows import typed_rows

ALL_COLUMNS = "*"
"""The column of a joint test."""
Rule = Literal["independent rows", "past windows", "warming up", "too few rows"]
CHECK_COLUMNS = [
    "column_name",
    "test",
    "reference_from",
    "reference_to",
    "current_from",
    "current_to",
    "reference_rows",
    "current_rows",
    "statistic",
    "p_value",
    "adjusted_p_value",
    "limit_value",
    "rule",
    "past_windows",
    "is_drifted",
    "message",
]
_TYPES = {
    **dict.fromkeys(("reference_from", "reference_to", "current_from", "current_to"), "datetime64[us, UTC]"),
    **dict.fromkeys(("reference_rows", "current_rows", "past_windows"), "int64"),
    **dict.fromkeys(("statistic", "p_value", "adjusted_p_value", "limit_value"), float),
    "is_drifted": bool,
}


@dataclass(frozen=True)
class DriftCheck:
    """One column by one test. `statistic`: the effect size; `p_value`: how often so much comes where nothing has changed, by chance and
    in past windows, whichever is more; `adjusted_p_value`: the same for all tests of the check together (Holm); `limit_value`: the
    statistic from which on it is drift. `rule` says where the limit comes from, or why there is none: then all but the statistic are NaN.
    `past_windows`: how many the limit is learnt from."""

    column_name: str
    test: str
    statistic: float
    p_value: float
    adjusted_p_value: float
    limit_value: float
    rule: Rule
    past_windows: int
    is_drifted: bool
    message: str

    @property
    def excess(self) -> float:
        """The statistic in limits: from 1 on it is drift; 0 where there is no limit."""
        return self.statistic / self.limit_value if self.limit_value > 0 else 0.0


@dataclass(frozen=True)
class DriftReport:
    """A check of one source. `samples`: reference and current values of the columns that moved most, for `drift_plot`, in that order;
    `left_out`: columns that no test can compare, and why."""

    window: Window
    reference_rows: int
    current_rows: int
    checks: tuple[DriftCheck, ...]
    samples: Mapping[str, tuple[pd.Series, pd.Series]] = field(default_factory=dict[str, tuple[pd.Series, pd.Series]])
    left_out: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def is_drifted(self) -> bool:
        """Whether anything has."""
        return any(check.is_drifted for check in self.checks)

    @property
    def drifted_columns(self) -> list[str]:
        """The columns that have by themselves, the furthest first."""
        return [name for name, _ in self.moved if any(check.is_drifted for check in self.checks if check.column_name == name)]

    @property
    def joint(self) -> tuple[DriftCheck, ...]:
        """The checks of all columns together."""
        return tuple(check for check in self.checks if check.column_name == ALL_COLUMNS)

    @property
    def moved(self) -> list[tuple[str, float]]:
        """Each column and how far it moved, in limits by the test that saw most of it; the furthest first."""
        excess: dict[str, float] = {}
        for check in self.checks:
            if check.column_name != ALL_COLUMNS:
                excess[check.column_name] = max(check.excess, excess.get(check.column_name, 0.0))
        return sorted(excess.items(), key=lambda item: (-item[1], item[0]))

    def frame(self) -> pd.DataFrame:
        """A row for each check (`CHECK_COLUMNS`)."""
        shared = {
            "reference_from": self.window.reference_from,
            "reference_to": self.window.current_from,
            "current_from": self.window.current_from,
            "current_to": self.window.current_to,
            "reference_rows": self.reference_rows,
            "current_rows": self.current_rows,
        }
        return typed_rows([vars(check) | shared for check in self.checks], CHECK_COLUMNS, _TYPES)
