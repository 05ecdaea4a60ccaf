"""How a series is judged: detectors, ensemble, where the threshold lies, and what is let pass.

Every key can stand in a source's YAML, for the source or for one metric. What the settings do is in `detection`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field, field_validator, model_validator

from smartflow_assets.core.declared import Declared
from smartflow_assets.core.detection.ensemble import Ensemble
from smartflow_assets.core.detectors import AUTO, GUARDS, BaseDetector, Detector
from smartflow_assets.core.series.scaling import Scale
from smartflow_assets.core.series.surprise import to_surprise
from smartflow_assets.core.temporal.notation import Frequency, Rate

if TYPE_CHECKING:
    from numpy.typing import NDArray

FLAG_KEYS = ("sensitivity", "threshold", "direction", "ignore_small_changes")
"""What decides which scores are flagged; detectors learn and score alike whatever these say."""
_PERCENT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*%\s*")


class ThresholdSettings(Declared):
    """`threshold: {score: 0.99}`, `threshold: {false_alerts: 1 per week}`, or both."""

    score: float | None = Field(
        default=None, gt=0, lt=1, description="anomaly score, 0 to 1, from which a row is anomalous, instead of sensitivity"
    )
    false_alerts: Rate | None = Field(
        default=None,
        description="how many alarms a calm series may raise, such as 1 per week. Learnt for each series when models are trained, "
        "without rows of open incidents, it only ever raises the threshold",
    )

    @model_validator(mode="after")
    def _check(self) -> ThresholdSettings:
        if self.score is None and self.false_alerts is None:
            raise ValueError("write {score: 0.99} or {false_alerts: 1 per week}")
        return self


def _change(value: object) -> object:
    if isinstance(value, str):
        number = _PERCENT.fullmatch(value)
        if number is None:
            raise ValueError(f"{value!r} is neither a number nor a percentage such as 5%")
        return f"{float(number[1]):g}%"
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value < 0:
        raise ValueError("a size of change cannot be negative")
    return value


class DetectionSettings(Declared):
    """How a series is judged; every key can stand in a source's YAML."""

    detectors: Literal["auto"] | tuple[Detector, ...] = Field(
        default="auto",
        description=f"auto: {len(AUTO)} components averaged; or a list such as [{{type: seasonal}}, {{type: isolation_forest}}]",
    )
    ensemble: Ensemble = Field(default=Ensemble(), description="how the detectors' words become one")
    sensitivity: Literal["low", "medium", "high"] = Field(default="medium", description="where the threshold lies, one for all series")
    threshold: ThresholdSettings | None = Field(default=None, description="the threshold as an anomaly score, or a budget of false alarms")
    direction: Literal["both", "spike", "drop"] = Field(default="both", description="flag both, only too high, or only too low")
    ignore_small_changes: str | float | None = Field(
        default=None, description="changes smaller than this are not flagged: 5% of the expected value, or a number in its unit"
    )
    scale: Scale = Field(default="robust", description="scaling of what models see")

    _valid_change = field_validator("ignore_small_changes", mode="before")(_change)

    @model_validator(mode="after")
    def _check_members(self) -> DetectionSettings:
        listed = [d.type for d in (AUTO if self.detectors == "auto" else self.detectors)]
        if not listed:
            raise ValueError("detectors is empty; name at least one, or auto")
        twice = sorted({name for name in listed if listed.count(name) > 1})
        if twice:
            raise ValueError(f"detector {twice[0]} is listed twice")
        for name in self.ensemble.members or ():
            if name not in listed:
                raise ValueError(f"ensemble member {name} is not among the detectors: {', '.join(listed)}")
        if self.detectors != "auto" and (needed := self.ensemble.at_least) is not None and needed > (count := self._voters or 1):
            are = "is 1 that votes" if count == 1 else f"are {count} that vote"
            raise ValueError(f"ensemble.at_least is {needed}, but of the detectors there {are}; write {count} or less")
        return self

    @property
    def surprise_threshold(self) -> float:
        """The combined surprise from which a row is anomalous; a budget may raise it for some series."""
        if self.threshold is not None and self.threshold.score is not None:
            return to_surprise(self.threshold.score)
        return self.ensemble.surprise_threshold(self._voters or 1, self.sensitivity)

    @property
    def _voters(self) -> int:
        """How many detectors are members of the ensemble; guards speak for themselves."""
        return sum(not detector.is_guard for detector in self.active())

    def learns_like(self, other: DetectionSettings) -> bool:
        """Whether a training under `other` leaves what one under these settings would: the two differ at most in where the flag lies.
        A budget of false alarms is learnt above a threshold, so with one that has to be the same.

        >>> DetectionSettings(sensitivity="high").learns_like(DetectionSettings(direction="drop"))
        True
        >>> DetectionSettings(detectors=[{"type": "mad"}]).learns_like(DetectionSettings())
        False
        """
        if self.budget is not None or other.budget is not None:
            return self == other
        return self.model_copy(update={key: getattr(other, key) for key in FLAG_KEYS}) == other

    @property
    def budget(self) -> Frequency | None:
        """False alarms that a series may raise."""
        return self.threshold.false_alerts if self.threshold else None

    def is_small(self, change: NDArray[np.float64], expected: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which changes `ignore_small_changes` lets pass.

        >>> DetectionSettings(ignore_small_changes="5%").is_small(np.array([4.0, 6.0]), np.array([100.0, 100.0])).tolist()
        [True, False]
        """
        limit = self.ignore_small_changes
        if limit is None:
            return np.zeros(len(change), np.bool_)
        if isinstance(limit, str):
            return np.abs(change) < float(limit.rstrip("%")) / 100 * np.abs(expected)
        return np.abs(change) < limit

    def active(self) -> tuple[BaseDetector, ...]:
        """The detectors that run: those listed (members of the ensemble first named), and the guards."""
        listed = AUTO if self.detectors == "auto" else self.detectors
        if self.ensemble.members is not None:
            listed = tuple(d for d in listed if d.type in self.ensemble.members or d.is_guard)
        types = {d.type for d in listed}
        return (*listed, *(guard for guard in GUARDS if guard.type not in types))
