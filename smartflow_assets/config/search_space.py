"""Which settings of a source a search may change, to which values, and how a choice of them is written into its YAML.

Only detection can differ, never how rows are read and cleaned, and only keys of the source: the keys of its metrics stay.
A key without effect under the other settings (such as the share that a forest's own flag marks, where flags
are not asked) is not offered. The search is core.evaluation.settings_search.
"""

import math
from collections.abc import Sequence
from typing import Any

from smartflow_assets.config.source import Source
from smartflow_assets.core.detection.ensemble import SENSITIVITY
from smartflow_assets.core.detection.settings import DetectionSettings
from smartflow_assets.core.detectors import AUTO, DETECTORS, BaseDetector
from smartflow_assets.core.errors import SourceError
from smartflow_assets.core.evaluation.settings_search import Parameter, Point, Value
from smartflow_assets.core.series.surprise import to_anomaly_score

TUNABLE: dict[str, dict[str, tuple[Value, ...]]] = {
    "isolation_forest": {
        "contamination": (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2),
        "n_estimators": (50, 100, 200, 400),
        "max_samples": (64, 128, 256, 512, 1024, 4096),
    },
    "prophet": {"changepoint_prior_scale": (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0)},
}
"""Values of the keys of a detector that are searched, beside its present one and its default."""
OWN_FLAG = ("contamination",)  # count only where the detectors' own flags decide
THRESHOLD_FACTORS: tuple[Value, ...] = tuple(sorted({0.4, 0.5, 0.6, 0.7, 1.5, 2.0, 2.5, *SENSITIVITY.values()}))
"""Times the usual threshold, in surprise, of as many detectors; what `sensitivity` says is among them."""
ADDED = ("isolation_forest", "seasonal", "mad")  # detectors that may be added: quick ones that see what others do not
ADDED_JOINT = "mahalanobis"
NAMES = (*dict.fromkeys(key for keys in TUNABLE.values() for key in keys), "detectors", "threshold")
"""What `--parameters` may name."""


def search_space(source: Source, metrics: Sequence[str], names: Sequence[str] = ()) -> tuple[Parameter, ...]:
    """What a search may change for a source with these metrics: all of it, or what is named. SourceError when something that is
    named has no effect with the settings that stand."""
    found = [*_detector_keys(source), *_components(source, metrics), *_threshold(source)]
    for name in names:
        if not any(parameter.name == name for parameter in found):
            raise SourceError(f"{name} cannot be tuned: {_reason(source, name)}", source=source.name)
    return tuple(parameter for parameter in found if not names or parameter.name in names)


def put(values: dict[str, Any], source: Source, point: Point) -> None:
    """Change the values of a source's YAML, plain or as ruamel holds them, so that they say a point of its search space."""
    changes = {key.removeprefix("detectors."): value for key, value in point.items() if key != "threshold"}
    listed = [detector.type for detector in _listed(source)]
    if changes:
        entries = values.get("detectors")
        if not isinstance(entries, list):
            entries = values["detectors"] = [_written(detector) for detector in _listed(source)]
        for key, value in changes.items():
            kind, _, name = key.partition(".")
            place = next((at for at, entry in enumerate(entries) if entry["type"] == kind), None)
            if name and place is not None:
                entries[place][name] = value
            elif value is True:
                entries.append({"type": kind})
            elif place is not None:
                del entries[place]
        listed = [entry["type"] for entry in entries]
    if "threshold" in point:
        _put_threshold(values, source, float(point["threshold"]), listed)


def described(point: Point) -> str:
    """A point in words, such as `contamination 0.01, without mad, threshold x 1.6`."""
    said = []
    for key, value in point.items():
        kind, _, name = key.removeprefix("detectors.").partition(".")
        if key == "threshold":
            word = next((word for word, times in SENSITIVITY.items() if times == value), None)
            said.append(f"sensitivity {word}" if word else f"threshold x {value:g}")
        else:
            said.append(f"{name} {value:g}" if name else f"{'with' if value else 'without'} {kind}")
    return ", ".join(said) or "as they are"


def _put_threshold(values: dict[str, Any], source: Source, factor: float, listed: Sequence[str]) -> None:
    """In words where there is one for it, else as a score. A threshold in the defaults holds until this file says null."""
    word = next((word for word, times in SENSITIVITY.items() if times == factor), None)
    if word is None:
        members = len([kind for kind in listed if not DETECTORS[kind].is_guard]) or 1
        surprise = source.ensemble.surprise_threshold(members, "medium") * factor
        digits = math.ceil(surprise) + 1  # two digits of what is left to one
        values["threshold"] = {"score": round(to_anomaly_score(surprise), digits)}
        return
    is_inherited = source.threshold is not None and "threshold" not in values
    values.pop("threshold", None)
    if is_inherited:
        values["threshold"] = None
    if source.sensitivity != word:
        values["sensitivity"] = word


def _listed(source: Source) -> tuple[BaseDetector, ...]:
    return AUTO if source.detectors == "auto" else source.detectors


def _written(detector: BaseDetector) -> dict[str, Any]:
    """A detector as a YAML says it: with what differs from its defaults."""
    return {"type": detector.type} | detector.model_dump(mode="json", exclude_defaults=True)


def _detector_keys(source: Source) -> list[Parameter]:
    found = []
    for detector in _listed(source):
        for name, values in TUNABLE.get(detector.type, {}).items():
            if name in OWN_FLAG and not source.ensemble.by_flags:
                continue
            present, default = getattr(detector, name), type(detector).model_fields[name].default
            values = tuple(sorted({*values, present, default}))
            found.append(Parameter(f"detectors.{detector.type}.{name}", name, values, present, default))
    return found


def _components(source: Source, metrics: Sequence[str]) -> list[Parameter]:
    """Each detector that is listed may go, unless so many have to agree (`ensemble.at_least`), and some others may come."""
    if source.ensemble.members is not None:
        return []
    listed = [detector.type for detector in _listed(source)]
    members = [kind for kind in listed if not DETECTORS[kind].is_guard and source.ensemble.at_least is None]
    gone = [Parameter(f"detectors.{kind}", "detectors", (True, False), True, True) for kind in members]
    joint = (ADDED_JOINT,) if len(metrics) > 1 else ()
    return [
        *gone,
        *(Parameter(f"detectors.{kind}", "detectors", (False, True), False, False) for kind in (*ADDED, *joint) if kind not in listed),
    ]


def _threshold(source: Source) -> list[Parameter]:
    if source.ensemble.by_flags or _has_budget(source):
        return []
    usual = DetectionSettings(detectors=source.detectors, ensemble=source.ensemble).surprise_threshold
    present = SENSITIVITY[source.sensitivity] if source.threshold is None else round(source.surprise_threshold / usual, 3)
    return [Parameter("threshold", "threshold", tuple(sorted({*THRESHOLD_FACTORS, present})), present, 1.0)]


def _has_budget(source: Source) -> bool:
    return getattr(source.threshold, "false_alerts", None) is not None


def _reason(source: Source, name: str) -> str:
    if name == "threshold":
        return (
            f"with combine: {source.ensemble.combine} the detectors' own flags decide"
            if source.ensemble.by_flags
            else "it is a budget of false alerts, which is learnt"
        )
    if name == "detectors":
        return "ensemble.members names those that take part"
    owner = next(kind for kind, keys in TUNABLE.items() if name in keys)
    if owner not in [detector.type for detector in _listed(source)]:
        return f"it belongs to {owner}, which is not among the detectors"
    return f"it sets {owner}'s own flag, which counts with combine: any or vote only; here it is {source.ensemble.combine}"
