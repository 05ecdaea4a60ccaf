"""Libraries of the optional extras: only training needs them, and who has not installed them is told which and how."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from smartflow_assets.core.errors import SourceError


def library(name: str, *, detector: str, extra: str) -> Any:
    """The module `name`; SourceError when it is not installed."""
    try:
        return import_module(name)
    except ImportError as error:
        raise SourceError(
            f"the detector {detector} is trained by {name.split('.')[0]}, which is not installed",
            remedy=f"Run pip install 'smartflow[{extra}]', or take another detector.",
        ) from error
