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


def _parameter(detector: BaseDetector) -> Any:
    needs = EXTRAS.get(detector.type)
    lacks = needs is not None and find_spec(needs) is None
    return pytest.param(detector, id=detector.type, marks=pytest.mark.skipif(lacks, reason=f"{needs} is not installed"))


@pytest.mark.parametrize("check", DETECTOR_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("detector", [_parameter(model()) for model in DETECTORS.values()])
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
