"""Markers by folder, unless a test or its module bears one of its own: what a test needs says how it is run (Makefile)."""

from pathlib import Path

import pytest

HERE = Path(__file__).parents[1]
MARKERS = {  # folders of smartflow_assets_tests; doctests and what stands above the folders are units
    "core": "unit",
    "config": "unit",
    "adapters": "integration",
    "stages": "integration",
    "defs": "integration",
    "serve": "integration",
    "commands": "e2e",
    "end_to_end": "e2e",
    "docs": "e2e",
}
TRAINED_OUTSIDE = ("attention", "lstm", "prophet", "sarima")  # detectors whose doctests call torch, Stan or statsmodels
ORDER = ("e2e", "integration", "unit")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test, and begin with the longest files, so that two cores end together."""
    for item in items:
        if not any(item.get_closest_marker(name) for name in ORDER):
            parts = item.path.relative_to(HERE).parts
            folder = parts[1] if parts[0] == "smartflow_assets_tests" else ""
            is_slow = isinstance(item, pytest.DoctestItem) and item.path.stem in TRAINED_OUTSIDE
            item.add_marker("integration" if is_slow else "unit" if isinstance(item, pytest.DoctestItem) else MARKERS.get(folder, "unit"))
    items.sort(key=lambda item: ORDER.index(next(name for name in ORDER if item.get_closest_marker(name))))
