from datetime import timedelta

import pandas as pd
import pytest

from smartflow_assets_tests.homes import START, Home, daily_series, write_rows
from smartflow_assets_tests.serve.page.browser import HOSTILE, chromium
from smartflow_assets_tests.serve.served import filled, service_of, serving

SHOP = """
name: shop
description: <b>Orders</b> of each hour
owner: team:shop
tags: {domain: "<u>sales</u>"}
runbook: https://wiki.example.com/shop
read: {type: csv, path: examples/shop.csv, time: timestamp}
metrics: [{name: orders, column: value, aggregate: sum, unit: "</b>"}]
dimensions: [region]
time_bucket: {every: 1h, settle: 0s}
calendar: {timezone: Europe/Berlin}
rules: [{type: threshold, name: flood, metric: orders, above: 1500, severity: critical}]
alerts: {to: [file], max_age: 3650 days}
"""
PLAIN = tuple(f"r{number:02d}" for number in range(27))  # with the hostile ones more than one page of series


@pytest.fixture(scope="session")
def page_home(tmp_path_factory):
    """`web` with one spike, `shop` with thirty series: three called as markup; these and the last have an incident that goes on."""
    home: Home = filled(tmp_path_factory.mktemp("page"))
    home.write_source("shop", SHOP)
    hourly = daily_series(7, step=timedelta(hours=1))
    rows = []
    for region in (*HOSTILE, *PLAIN):
        each = hourly.assign(region=region)
        if region in (*HOSTILE, PLAIN[-1]):
            each.loc[len(each) - 3 :, "value"] = 4000
        rows.append(each)
    write_rows(home.settings.data / "examples/shop.csv", pd.concat(rows).sort_values("timestamp"))
    home.run_stages("shop", START + timedelta(days=7), run_id="shop")
    home.warehouse.publish("test")
    return home


@pytest.fixture(scope="module")
def address(page_home):
    with serving(service_of(page_home)) as client:
        yield str(client.base_url)


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started
