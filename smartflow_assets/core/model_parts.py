"""What a fitted model is made of when it leaves memory: plain values, arrays and named estimators.

Detection takes its models apart into these parts and builds them again; the model store writes and reads them without
pickle. Neither knows the other.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray


@dataclass(frozen=True)
class ModelParts:
    """`parameters` is JSON-able, `arrays` hold numbers or truth values, `estimators` are scikit-learn's."""

    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any])
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict[str, NDArray[Any]])
    estimators: Mapping[str, Any] = field(default_factory=dict[str, Any])
