"""Markers by folder: what a test needs says how it is run (Makefile)."""

from pathlib import Path

import pytest

HERE = Path(__file__).parents[1]
MARKERS = {  # folders of smartflow_assets_tests; doctests and what stands above the folders are units
    "core": "unit",
    "config": "unit",
    "adapters": "integration",
    "stages": "integration",
    "defs": "integration",
    "commands": "e2e",
    "end_to_end": "e2e",
    "docs": "e2e",
}
ORDER = ("e2e", "integration", "unit")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test, and begin with the longest files, so that two cores end together."""
    for item in items:
        parts = item.path.relative_to(HERE).parts
        folder = parts[1] if parts[0] == "smartflow_assets_tests" else ""
        item.add_marker("unit" if isinstance(item, pytest.DoctestItem) else MARKERS.get(folder, "unit"))
    items.sort(key=lambda item: ORDER.index(next(name for name in ORDER if item.get_closest_marker(name))))
