"""What the chart of a series shows beyond its newest bucket."""

import re

import pytest
from playwright.sync_api import Page, expect

from smartflow_assets_tests.serve.page.browser import visiting

pytestmark = pytest.mark.soak
FORETOLD = re.compile(r"; expected next \d+.* \(\d+.* to \d+.*\), at 2026-03-09 ")
OPTION = """([chart, id]) => {
    const option = echarts.getInstanceByDom(chart).getOption();
    return { max: option.xAxis[0].max, points: (option.series.find((series) => series.id === id)?.data ?? []).map(({ value }) => value) };
}"""


def drawn(page: Page, name: str) -> dict[str, list[list[float]]]:
    """Where the axis of time ends, and the points of one series of the chart."""
    return page.evaluate(OPTION, [page.locator(".chart").first.element_handle(), name])


def test_a_chart_goes_on_beyond_its_newest_bucket(browser, address):
    with visiting(browser, address) as visit:
        held = []
        visit.page.route("**/api/forecast/**", lambda route: held.append(route))
        page = visit.open("#/source/web?span=24+h")
        chart = page.locator(".chart").first
        expect(page.locator(".chart canvas")).to_be_visible()
        expect(chart).to_have_attribute("aria-label", re.compile("strange points in this window$"))
        before = drawn(page, "value")
        assert drawn(page, "forecast")["points"] == []
        assert len(held) == 1  # asked for once the chart was drawn
        held.pop().continue_()
        expect(chart).to_have_attribute("aria-label", FORETOLD, timeout=60_000)  # the process beside the server starts
        after = drawn(page, "forecast")
        newest = before["points"][-1][0]
        assert after["points"][0][0] == newest + 300_000
        assert before["max"] < after["max"] <= before["max"] + (before["max"] - before["points"][0][0]) * 0.26
        assert drawn(page, "value")["points"] == before["points"]
        box = chart.bounding_box()
        assert box is not None
        chart.hover(position={"x": box["width"] - 60, "y": 80})
        expect(page.locator(".tip-body")).to_contain_text(
            re.compile(r"2026-03-09 0\d:\d\d UTC\s*expected\s*\d+(\.\d)? \(\d+(\.\d)? to \d+(\.\d)?\)")
        )
        chart.hover(position={"x": 200, "y": 80})
        expect(page.locator(".tip-body")).to_contain_text("usually")


def test_the_live_window_has_it_and_does_not_jump(browser, address):
    with visiting(browser, address) as visit:
        page = visit.open("#/source/web?live=1")
        expect(page.locator(".chart").first).to_have_attribute("aria-label", FORETOLD, timeout=60_000)
        first = drawn(page, "forecast")
        page.wait_for_timeout(4_500)  # two ticks
        assert drawn(page, "forecast") == first
        assert len(first["points"]) == 15


def test_small_charts_and_windows_of_the_past_have_none(browser, address):
    for place in ("#/source/web?size=small", "#/source/web?from=1772496000000&to=1772582400000"):
        with visiting(browser, address) as visit:
            asked = []
            visit.page.on("request", lambda request, asked=asked: asked.append(request.url))
            page = visit.open(place)
            expect(page.locator(".chart canvas").first).to_be_visible()
            page.wait_for_timeout(500)
            assert drawn(page, "forecast")["points"] == [] and not [each for each in asked if "forecast/" in each]


def test_a_chart_without_a_forecast_is_whole(browser, address):
    with visiting(browser, address) as visit:
        visit.page.route("**/api/forecast/**", lambda route: route.fulfill(json={"at": [], "why_not": "no model was trained yet"}))
        page = visit.open("#/source/web")
        expect(page.locator(".chart canvas").first).to_be_visible()
        page.wait_for_timeout(500)
        assert drawn(page, "value")["points"] and drawn(page, "forecast")["points"] == []
