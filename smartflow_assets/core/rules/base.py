"""What every rule has, and how a rule is put to the rows of a source.

A rule is a frozen pydantic model: what a person writes in YAML is what is evaluated. Most rules look at one series at a
time and only say in `find` which of its rows break them; `expression` looks across metrics and replaces `evaluate`.
A rule sees a row's own past and nothing else, so its verdict does not depend on how runs split the data.
"""

from datetime import timedelta
from math import ceil
from typing import Annotated, Any, NamedTuple, cast

import numpy as np
import pandas as pd
from pydantic import ConfigDict, Field, model_validator

from smartflow_assets.core.declared import Declared
from smartflow_assets.core.severity import Severity
from smartflow_assets.core.temporal.notation import Duration
from smartflow_assets.core.typed_rows import typed_rows

Lasting = Annotated[Duration, Field(alias="for", description="How long without a break before it counts.")]
"""The key `for`, which Python keeps for itself."""
VIOLATION_COLUMNS = ["series", "rule", "observed_at", "value", "limit_value", "severity", "message"]


class Finding(NamedTuple):
    """One row that breaks a rule: its position, the limit it broke (NaN where there is no single number), the words."""

    row: int
    limit: float
    text: str


class BaseRule(Declared):
    """Name, reach and weight of a rule; `type` and the parameters come with each rule."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    name: str = Field(default="", pattern=r"^[a-z][a-z0-9_]{0,63}$", description="What anomalies and messages call it; default: its type.")
    metric: str | None = Field(default=None, description="The metric it holds for; default: every metric of the source.")
    severity: Severity = Field(default="warning", description="How bad a violation is: info, warning or critical.")
    message: str | None = Field(default=None, description="Your own words, put before the numbers in every message.")

    @model_validator(mode="before")
    @classmethod
    def _name_after_type(cls, data: Any) -> Any:
        return {"name": cls.model_fields["type"].default} | cast(dict[str, Any], data) if isinstance(data, dict) else data

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics it names; empty when it holds for all."""
        return () if self.metric is None else (self.metric,)

    def lookback(self, step: timedelta) -> timedelta:
        """How much before the first wanted row must be given, so that no verdict changes with more; `step` is the bucket."""
        raise NotImplementedError

    def find(self, times: np.ndarray, values: np.ndarray, step: timedelta) -> list[Finding]:
        """The rows of one series that break the rule.

        `times`: int64 microseconds, ascending; `values`: float64 of the same length, NaN where nothing was observed.
        """
        raise NotImplementedError

    def evaluate(self, rows: pd.DataFrame, step: timedelta) -> pd.DataFrame:
        """Violations (`VIOLATION_COLUMNS`) among rows `series, metric, dimensions, observed_at, value`, in order of time."""
        mine = rows if self.metric is None else rows[rows["metric"] == self.metric]
        found: list[pd.DataFrame] = []
        for series, group in mine.groupby("series", sort=True):
            if len(findings := self.find(microseconds(group["observed_at"]), group["value"].to_numpy(float), step)):
                found.append(self.violations(str(series), group, findings))
        return pd.concat(found, ignore_index=True) if found else no_violations()

    def violations(self, series: str, rows: pd.DataFrame, findings: list[Finding]) -> pd.DataFrame:
        """Findings among `rows` (observed_at, value) as rows of the table rule_violations, without its source."""
        at = [finding.row for finding in findings]
        return pd.DataFrame(
            {
                "series": pd.Series([series] * len(at), dtype=object),
                "rule": pd.Series([self.name] * len(at), dtype=object),
                "observed_at": rows["observed_at"].iloc[at].reset_index(drop=True),
                "value": rows["value"].iloc[at].to_numpy(float),
                "limit_value": np.array([finding.limit for finding in findings], dtype=float),
                "severity": pd.Series([self.severity] * len(at), dtype=object),
                "message": pd.Series([self._say(finding.text) for finding in findings], dtype=object),
            }
        )

    def _say(self, numbers: str) -> str:
        return f"{self.message} ({numbers})" if self.message else numbers


def no_violations() -> pd.DataFrame:
    """The empty frame of violations, typed."""
    return typed_rows([], VIOLATION_COLUMNS, {"observed_at": "datetime64[us, UTC]", "value": float, "limit_value": float})


def microseconds(times: pd.Series) -> np.ndarray:
    """Aware times as int64 microseconds since the epoch."""
    return times.dt.as_unit("us").astype("int64").to_numpy()


def buckets(duration: timedelta, step: timedelta) -> int:
    """How many buckets in a row make up a duration: at least one, a begun bucket counts whole."""
    return max(1, ceil(duration / step))


def run_lengths(holds: np.ndarray, times: np.ndarray, step: timedelta) -> np.ndarray:
    """For each row, how many rows in a row up to it hold. A hole of more than half a bucket in the times ends a run.

    >>> run_lengths(np.array([True, True, False, True]), np.array([0, 60, 120, 180]) * 1_000_000, timedelta(minutes=1))
    array([1, 2, 0, 1])
    """
    position = np.arange(len(holds))
    is_start = np.r_[True, np.diff(times) > 1.5 * (step / timedelta(microseconds=1))][: len(holds)]
    # the last row before the current run: the newest that does not hold, or the one before a hole
    before = np.maximum(np.where(holds, -1, position), np.where(is_start, position - 1, -1))
    return np.where(holds, position - np.maximum.accumulate(before), 0) if len(holds) else np.zeros(0, dtype=int)
