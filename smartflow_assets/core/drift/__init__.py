"""Has a distribution moved? The drift tests: the union below is the registry.

Being listed here, or offered by an installed package under the entry point group `smartflow.drift_tests`, lets a YAML name a test and
puts it into the conformance tests. `find_drift` puts them to the rows of a source; what `auto` means is said here.
"""

from typing import TYPE_CHECKING

from smartflow_assets.core.drift.base import BaseDriftTest
from smartflow_assets.core.drift.chi_square import ChiSquare
from smartflow_assets.core.drift.domain_classifier import DomainClassifier
from smartflow_assets.core.drift.jensen_shannon import JensenShannon
from smartflow_assets.core.drift.kolmogorov_smirnov import KolmogorovSmirnov
from smartflow_assets.core.drift.missingness import Missingness
from smartflow_assets.core.drift.psi import Psi
from smartflow_assets.core.drift.wasserstein import Wasserstein
from smartflow_assets.core.extensions import registry_on_demand

BUILT_IN: tuple[type[BaseDriftTest], ...] = (
    Psi,
    KolmogorovSmirnov,
    Wasserstein,
    JensenShannon,
    ChiSquare,
    Missingness,
    DomainClassifier,
)

if TYPE_CHECKING:
    DRIFT_TESTS: dict[str, type[BaseDriftTest]]
    """Every drift test by its type; a built-in one cannot be replaced by a plug-in."""
    DriftTest = BaseDriftTest
else:
    __getattr__ = registry_on_demand(__name__, ("DRIFT_TESTS", "DriftTest"), "smartflow.drift_tests", BaseDriftTest, BUILT_IN)
