"""What every detector of the registry must do, whatever it computes: a new type is tested by being listed.

The checks themselves are `smartflow_assets.testing`'s, which authors of plug-ins run as well.
"""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import pytest

from smartflow_assets.core.detectors import DETECTORS, BaseDetector, Detector
from smartflow_assets.testing import DETECTOR_CHECKS

EXTRAS = {"lstm": "torch", "attention": "torch", "sarima": "statsmodels"}  # what training needs
ESTIMATORS = ("isolation_forest",)  # stored by skops, which imports torch where there is one
TRAINED_OUTSIDE = ("prophet", *EXTRAS)
SMALLER: dict[str, dict[str, Any]] = {  # what trains long: no promise hangs on how much is learnt
    "isolation_forest": {"n_estimators": 20},
    "autoencoder": {"epochs": 30},
    "sarima": {"order": (1, 0, 0), "seasonal_order": (0, 1, 0)},
    "lstm": {"epochs": 10},
    "attention": {"epochs": 10},
}


def _case(kind: str, check: Callable[[BaseDetector], None]) -> Any:
    needs = EXTRAS.get(kind)
    marks = [] if needs is None else [pytest.mark.skipif(find_spec(needs) is None, reason=f"{needs} is not installed")]
    if kind in TRAINED_OUTSIDE or (kind in ESTIMATORS and "storage" in check.__name__):
        marks.append(pytest.mark.integration)
    return pytest.param(DETECTORS[kind](**SMALLER.get(kind, {})), check, id=f"{kind}-{check.__name__}", marks=marks)


@pytest.mark.parametrize("detector, check", [_case(kind, check) for kind in DETECTORS for check in DETECTOR_CHECKS])
def test_every_detector_keeps_every_promise(detector: BaseDetector, check: Callable[[BaseDetector], None]) -> None:
    check(detector)


def test_each_type_names_its_own_class() -> None:
    assert all(type(model()) is model and model().type == name for name, model in DETECTORS.items())


def test_the_union_reads_every_type_and_refuses_others() -> None:
    from pydantic import TypeAdapter, ValidationError

    union = TypeAdapter(Detector)
    assert [union.validate_python({"type": name}).type for name in DETECTORS] == list(DETECTORS)
    with pytest.raises(ValidationError, match="expected tags"):
        union.validate_python({"type": "zscor"})
    with pytest.raises(ValidationError, match="sigma"):
        union.validate_python({"type": "zscore", "sigma": 3})
