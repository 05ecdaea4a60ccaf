"""What training a source leaves behind, and how it is taken apart for storage.

Most detectors learn while they score, from the rows since `context_from`; what is stored is small: the settings, the facts
of each series, and the estimators of those that train. The scores of a row are a pure function of this and of the clean rows
from `context_from` to it, so any number of runs over the same rows gives the same scores, to the bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any

import pandas as pd

from smartflow_assets.core.detection.calendar_effects import CalendarEffects
from smartflow_assets.core.detection.settings import DetectionSettings
from smartflow_assets.core.errors import ModelError
from smartflow_assets.core.model_parts import ModelParts
from smartflow_assets.core.series.facts import SeriesFacts
from smartflow_assets.core.series.scaling import Scaler

FORM = 4
"""Raised whenever a stored model would score differently: an older one is then refused and trained anew."""
CALENDAR = "calendar"
"""Where the effects of special days stand among the parts; no detector is called so."""


@dataclass(frozen=True)
class FittedModels:
    """One training of one source.

    step: distance of rows. context_from: the first row whose state counts; pass the rows from there on. scored_from: rows
    before it are warming_up (only after a first training). series: facts by series id. fitted: by detector type. surprise_thresholds:
    of the series whose budget of false alarms asks for a higher one than the settings. calendar_effects: what special days do to the
    series, None where the calendar names none or nothing was seen of them.
    """

    settings: DetectionSettings
    step: timedelta
    context_from: pd.Timestamp
    trained_to: pd.Timestamp
    scored_from: pd.Timestamp
    series: Mapping[str, SeriesFacts]
    fitted: Mapping[str, ModelParts]
    feature_names: tuple[str, ...] = field(default=())
    surprise_thresholds: Mapping[str, float] = field(default_factory=dict[str, float])
    calendar_effects: CalendarEffects | None = None

    def surprise_threshold(self, series: str) -> float:
        """The combined surprise from which a row of this series is anomalous."""
        return self.surprise_thresholds.get(series, self.settings.surprise_threshold)

    def parts(self) -> ModelParts:
        """Plain values, arrays and estimators; arrays and estimators are named `<detector>.<name>`."""
        parameters: dict[str, Any] = {
            "form": FORM,
            "settings": self.settings.model_dump(mode="json"),
            "step_seconds": self.step.total_seconds(),
            "context_from": self.context_from.isoformat(),
            "trained_to": self.trained_to.isoformat(),
            "scored_from": self.scored_from.isoformat(),
            "feature_names": list(self.feature_names),
            "series": {name: asdict(facts) for name, facts in self.series.items()},
            "cuts": dict(self.surprise_thresholds),  # the key of model files that were stored before
            "detectors": {name: fitted.parameters for name, fitted in self.fitted.items()},
        }
        arrays = {f"{name}.{key}": value for name, fitted in self.fitted.items() for key, value in fitted.arrays.items()}
        estimators = {f"{name}.{key}": value for name, fitted in self.fitted.items() for key, value in fitted.estimators.items()}
        if self.calendar_effects is not None:
            effects = self.calendar_effects.parts()
            parameters[CALENDAR] = effects.parameters
            arrays |= {f"{CALENDAR}.{key}": value for key, value in effects.arrays.items()}
        return ModelParts(parameters, arrays, estimators)

    @classmethod
    def from_parts(cls, parts: ModelParts) -> FittedModels:
        """The models that `parts()` took apart; ModelError when another version of the program wrote them."""
        p = parts.parameters
        if p.get("form") != FORM:
            raise ModelError(f"the stored model has form {p.get('form')}, this version reads form {FORM}", remedy="Train the source again.")

        def own(named: Mapping[str, Any], detector: str) -> dict[str, Any]:
            return {key.removeprefix(f"{detector}."): value for key, value in named.items() if key.startswith(f"{detector}.")}

        return cls(
            settings=DetectionSettings.model_validate(p["settings"]),
            step=timedelta(seconds=p["step_seconds"]),
            context_from=pd.Timestamp(p["context_from"]),
            trained_to=pd.Timestamp(p["trained_to"]),
            scored_from=pd.Timestamp(p["scored_from"]),
            series={name: SeriesFacts(**facts | {"scaler": Scaler(**facts["scaler"])}) for name, facts in p["series"].items()},
            fitted={
                name: ModelParts(parameters, own(parts.arrays, name), own(parts.estimators, name))
                for name, parameters in p["detectors"].items()
            },
            feature_names=tuple(p["feature_names"]),
            surprise_thresholds=p["cuts"],
            calendar_effects=CalendarEffects.from_parts(ModelParts(p[CALENDAR], own(parts.arrays, CALENDAR))) if CALENDAR in p else None,
        )
