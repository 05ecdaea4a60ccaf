"""Which tests a column gets, and which all columns together."""

from collections.abc import Sequence

import numpy as np

from smartflow_assets.core.drift.base import BaseDriftTest, Sample
from smartflow_assets.core.drift.chi_square import ChiSquare
from smartflow_assets.core.drift.domain_classifier import DomainClassifier
from smartflow_assets.core.drift.kolmogorov_smirnov import KolmogorovSmirnov
from smartflow_assets.core.drift.missingness import Missingness
from smartflow_assets.core.drift.wasserstein import Wasserstein

_FEW_VALUES, _FEW_ROWS, _JOINT_ROWS = 12, 100, 200


def column_tests(listed: Sequence[BaseDriftTest] | None, reference: Sample, current: Sample) -> list[BaseDriftTest]:
    """Of the listed tests those that suit the column; of `auto` (None): for numbers Kolmogorov-Smirnov and, from a hundred rows on,
    Wasserstein; chi-square for categories and numbers of at most twelve values; missingness where anything is missing."""
    if listed is not None:
        return [test for test in listed if not test.is_joint and reference.kind in test.suits]
    tests: list[BaseDriftTest] = []
    known = np.concatenate([reference.known(), current.known()])
    if reference.kind == "category":
        tests.append(ChiSquare())
    else:
        tests.append(ChiSquare() if len(np.unique(known)) <= _FEW_VALUES else KolmogorovSmirnov())
        if min(len(reference.known()), len(current.known())) >= _FEW_ROWS:
            tests.append(Wasserstein())
    if len(known) < len(reference.values) + len(current.values):
        tests.append(Missingness())
    return tests


def joint_tests(listed: Sequence[BaseDriftTest] | None, reference: Sample, current: Sample) -> list[BaseDriftTest]:
    """The tests of all columns together; `auto` asks the domain classifier from two hundred rows on. Both samples have two dimensions."""
    if reference.values.shape[1] < 2:
        return []
    if listed is not None:
        return [test for test in listed if test.is_joint]
    return [DomainClassifier()] if min(len(reference.values), len(current.values)) >= _JOINT_ROWS else []
