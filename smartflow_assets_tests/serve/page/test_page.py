"""What people see first, and that it is theirs alone: nothing from elsewhere, nothing of the data run as code."""

import re

import pytest
from playwright.sync_api import expect

from smartflow_assets_tests.serve.page.browser import HOSTILE, visiting


def test_the_overview_counts_what_the_warehouse_holds(browser, address, page_home):
    with visiting(browser, address) as visit:
        page = visit.open()
        expect(page.locator("#card-points .figure")).to_have_text(f"{page_home.count('clean_series'):,}")
        expect(page.locator("#card-anomalies .figure")).to_have_text(f"{page_home.count('anomalies'):,}")
        expect(page.locator("#state")).to_have_text("Critical")
        expect(page.locator("article.source")).to_have_count(3)
        expect(page.locator("article.source", has_text="broken").first).to_contain_text("nothing")  # what is wrong with its file
        expect(page.locator(".open-list a").first).to_be_visible()
        expect(page.locator("#clock")).to_have_text(re.compile(r"^\d\d:\d\d:\d\d UTC$"))


@pytest.mark.parametrize(
    "place",
    [
        "#/anomalies",
        "#/incidents?state=all",
        "#/deliveries",
        "#/checks",
        "#/source/shop",
        "#/nowhere",
        "#/source/nothing",
        "#/source/%E0%A4%A",
    ],
)
def test_no_place_asks_elsewhere_or_complains(browser, address, place):
    with visiting(browser, address) as visit:
        page = visit.open(place)
        expect(page.locator("main .skeleton")).to_have_count(0)
        expect(page.locator("html[data-stream=live]")).to_have_count(1)


def test_markup_in_names_is_shown_as_text(browser, address):
    with visiting(browser, address) as visit:
        page = visit.open("#/source/shop?size=large")
        for name in HOSTILE:
            expect(page.locator("article h3", has_text=name)).to_be_visible()
        expect(page.locator("main")).to_contain_text("<b>Orders</b> of each hour")
        expect(page.locator("main")).to_contain_text("<u>sales</u>")
        chart = page.locator(".chart:has(canvas)").first
        chart.hover(position={"x": 300, "y": 80})
        expect(page.locator(".tip-body")).to_contain_text("</b>")  # the unit
        page.goto(f"{address}/#/incidents")
        page.locator("main td a", has_text="orders").or_(page.locator("main td.wide a")).first.click()
        expect(page.locator("main h1")).to_be_visible()
        assert page.locator("main img, main script, main b, main i:not([aria-hidden]), main u").count() == 0


def test_a_link_that_is_no_web_address_is_text(browser, address):
    with visiting(browser, address) as visit:
        page = visit.open("#/source/shop")
        expect(page.get_by_role("link", name="Runbook")).to_have_attribute("href", "https://wiki.example.com/shop")
        shown = page.evaluate("import('./dom.js').then(({ outward }) => outward('javascript:alert(1)', 'x').outerHTML)")
        assert shown == "<span>x</span>"
