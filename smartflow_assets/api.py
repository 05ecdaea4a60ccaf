"""All that other packages may rely on: `detect`, the five base classes of plug-ins, and what is needed to write a plug-in of each kind.

What is not listed here may move or change in any version. Each name is imported when it is first asked for: a plug-in may be
imported while the union that it joins is being built, and writing a channel must not load what detectors need.
docs/extending.md shows plug-ins of these kinds and lists these names; `smartflow_assets.testing` checks plug-ins.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from smartflow_assets.adapters.channels.base import BaseChannel, Preview
    from smartflow_assets.adapters.readers.base import BaseReader
    from smartflow_assets.adapters.readers.feed import FeedReader, Page
    from smartflow_assets.adapters.readers.files import FileReader, PathReader
    from smartflow_assets.adapters.scans import Delimited, JsonRecords, Layout, Parquet
    from smartflow_assets.adapters.secret_references import Secret, resolve
    from smartflow_assets.adapters.staging.contract import ProbeContext, ReadContext, Staged, TimeColumn, Wanted
    from smartflow_assets.adapters.staging.stage import stage_file, stage_rows
    from smartflow_assets.core.detection import DetectionSettings, detect
    from smartflow_assets.core.detectors.base import BaseDetector, History, Result
    from smartflow_assets.core.errors import DeliveryError, SourceError
    from smartflow_assets.core.incidents.messages import Message
    from smartflow_assets.core.model_parts import ModelParts
    from smartflow_assets.core.remediation.base import BaseAction, Done, Hands
    from smartflow_assets.core.remediation.matter import Matter
    from smartflow_assets.core.rules.base import BaseRule, Finding, Lasting, buckets, run_lengths
    from smartflow_assets.core.series.blocks import Rows, State
    from smartflow_assets.core.series.facts import SeriesFacts
    from smartflow_assets.core.temporal.notation import Duration

__all__ = [
    "BaseAction",
    "BaseChannel",
    "BaseDetector",
    "BaseReader",
    "BaseRule",
    "Delimited",
    "DeliveryError",
    "DetectionSettings",
    "Done",
    "Duration",
    "FeedReader",
    "FileReader",
    "Finding",
    "Hands",
    "History",
    "JsonRecords",
    "Lasting",
    "Layout",
    "Matter",
    "Message",
    "ModelParts",
    "Page",
    "Parquet",
    "PathReader",
    "Preview",
    "ProbeContext",
    "ReadContext",
    "Result",
    "Rows",
    "Secret",
    "SeriesFacts",
    "SourceError",
    "Staged",
    "State",
    "TimeColumn",
    "Wanted",
    "buckets",
    "detect",
    "resolve",
    "run_lengths",
    "stage_file",
    "stage_rows",
]

_HOMES = {
    "smartflow_assets.adapters.channels.base": ("BaseChannel", "Preview"),
    "smartflow_assets.adapters.readers.base": ("BaseReader",),
    "smartflow_assets.adapters.readers.feed": ("FeedReader", "Page"),
    "smartflow_assets.adapters.readers.files": ("FileReader", "PathReader"),
    "smartflow_assets.adapters.scans": ("Delimited", "JsonRecords", "Layout", "Parquet"),
    "smartflow_assets.adapters.secret_references": ("Secret", "resolve"),
    "smartflow_assets.adapters.staging.contract": ("ProbeContext", "ReadContext", "Staged", "TimeColumn", "Wanted"),
    "smartflow_assets.adapters.staging.stage": ("stage_file", "stage_rows"),
    "smartflow_assets.core.detection": ("DetectionSettings", "detect"),
    "smartflow_assets.core.detectors.base": ("BaseDetector", "History", "Result"),
    "smartflow_assets.core.errors": ("DeliveryError", "SourceError"),
    "smartflow_assets.core.incidents.messages": ("Message",),
    "smartflow_assets.core.model_parts": ("ModelParts",),
    "smartflow_assets.core.remediation.base": ("BaseAction", "Done", "Hands"),
    "smartflow_assets.core.remediation.matter": ("Matter",),
    "smartflow_assets.core.rules.base": ("BaseRule", "Finding", "Lasting", "buckets", "run_lengths"),
    "smartflow_assets.core.series.blocks": ("Rows", "State"),
    "smartflow_assets.core.series.facts": ("SeriesFacts",),
    "smartflow_assets.core.temporal.notation": ("Duration",),
}
_MODULES = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """The object of that name, from the module that holds it today."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found = getattr(import_module(_MODULES[name]), name)
    return found


def __dir__() -> list[str]:
    return __all__
