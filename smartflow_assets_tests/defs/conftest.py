"""The temporary home of the end-to-end tests, with a calm source in it."""

import pytest

from smartflow_assets_tests.end_to_end.conftest import home
from smartflow_assets_tests.homes import Home, daily_series, write_rows

__all__ = ["home", "shop"]

SHOP = """
name: shop
read: {type: csv, path: examples/shop.csv, time: timestamp}
metrics: [{name: orders, column: value, aggregate: sum}]
time_bucket: {every: 5min, settle: 0s}
schedule: 1min
"""


@pytest.fixture
def shop(home: Home) -> Home:
    """A home with the source `shop`, whose partition nobody has made yet."""
    (home.settings.sources / "shop.yaml").write_text(SHOP)
    write_rows(home.settings.data / "examples" / "shop.csv", daily_series(1))
    return home
