"""Each control changes what it says: on the page, in its address, in the file that is saved."""

import csv
import io
import json
import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from smartflow_assets_tests.serve.page.browser import visiting

pytestmark = pytest.mark.soak
PLACES = ("", "#/anomalies", "#/incidents?state=all", "#/deliveries", "#/checks", "#/source/shop", "#/source/web?live=1")


def charts(page: Page) -> list[str]:
    """The names of the series whose chart stands on the page."""
    return page.locator("article.chart-panel h3").all_inner_texts()


def shown_window(page: Page) -> str:
    return page.locator(".window-line > span").first.inner_text()


def test_charts_come_as_one_scrolls_and_only_those_in_view_are_drawn(browser, address):
    with visiting(browser, address) as visit:
        page = visit.open("#/source/shop?size=large")
        expect(page.locator("article.chart-panel")).to_have_count(21)  # a page of 20, and the strange one that is not on it
        expect(page.locator(".chart canvas").first).to_be_visible()
        assert page.locator(".chart canvas").count() < 30
        page.locator(".sentinel").scroll_into_view_if_needed()
        expect(page.locator("article.chart-panel")).to_have_count(30)
        expect(page.locator("article.chart-panel").first.locator("canvas")).to_have_count(0)  # out of view again


def test_search_window_zoom_and_size_stand_in_the_address(browser, address):
    with visiting(browser, address) as visit:
        page = visit.open("#/source/shop")
        page.get_by_role("searchbox", name="Search series").fill("r1")
        expect(page.locator("article.chart-panel")).to_have_count(10)
        assert all("r1" in name for name in charts(page)) and "q=r1" in page.url
        page.get_by_role("button", name="24 h").click()
        expect(page).to_have_url(re.compile("span=24"))
        expect(page.locator(".window-line")).to_contain_text("2026-03-08 00:00 to 2026-03-09 01:00 CET")  # in the zone of the source
        page.get_by_role("button", name="Zoom in").click()
        expect(page).to_have_url(re.compile(r"from=\d+&to=\d+"))
        expect(page.locator(".window-line")).to_contain_text("2026-03-08 06:15 to 2026-03-08 18:45 CET")
        page.get_by_role("button", name="Earlier").click()
        expect(page.locator(".window-line")).to_contain_text("2026-03-08 00:00 to 2026-03-08 12:30 CET")
        page.get_by_role("button", name="Large").click()
        expect(page.locator(".charts.small")).to_have_count(0)
        again = page.url
        page.goto("about:blank")
        page.goto(again)  # as a link that was sent on
        expect(page.locator("article.chart-panel")).to_have_count(10)
        expect(page.locator(".window-line")).to_contain_text("2026-03-08 00:00 to 2026-03-08 12:30 CET")
        page.get_by_role("button", name="Reset").click()
        expect(page.locator(".window-line")).to_contain_text("2026-03-02")


def test_a_drag_over_a_chart_zooms_and_a_double_click_goes_back(browser, address):
    with visiting(browser, address) as visit:
        page = visit.open("#/source/web")
        canvas = page.locator(".chart canvas").first
        expect(canvas).to_be_visible()
        before, box = shown_window(page), canvas.bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + 300, box["y"] + 80)
        page.mouse.down()
        page.mouse.move(box["x"] + 500, box["y"] + 90, steps=4)
        page.mouse.up()
        expect(page).to_have_url(re.compile(r"from=\d+&to=\d+"))
        expect(page.locator(".window-line > span").first).not_to_have_text(before)
        canvas.dblclick()
        expect(page.locator(".window-line > span").first).to_have_text(before)


def test_a_mark_leads_to_its_incident(browser, address, page_home):
    incident = page_home.table("incidents", "source = 'web'")["incident_id"][0]
    where = """chart => {
        const drawn = echarts.getInstanceByDom(chart);
        const marks = drawn.getOption().series.find(series => series.id === "critical").data;
        return drawn.convertToPixel({ xAxisIndex: 0, yAxisIndex: 0 }, marks[0].value);
    }"""
    with visiting(browser, address) as visit:
        page = visit.open("#/source/web")
        expect(page.locator(".chart canvas")).to_be_visible()
        chart = page.locator(".chart")
        x, y = chart.evaluate(where)
        chart.hover(position={"x": x, "y": y})
        expect(page.locator(".tip-body .strange")).to_have_text("critical")
        expect(page.locator(".tip-title")).to_contain_text("4,000")
        chart.click(position={"x": x, "y": y})
        expect(page).to_have_url(re.compile(f"#/incident/{incident}"))
        expect(page.locator("main .chart canvas")).to_be_visible()
        page.go_back()
        expect(page.locator("main h1")).to_have_text("web")


def test_a_line_of_ones_own_is_kept_in_a_view(browser, address):
    with visiting(browser, address) as visit:
        page = visit.open("#/source/web")
        page.get_by_role("button", name="A line of your own on requests").click()
        page.get_by_label("Value").fill("900")
        page.keyboard.press("Enter")
        expect(page).to_have_url(re.compile(r"line=requests%3A900"))
        page.get_by_role("button", name="Saved views").click()
        page.get_by_label("Save what is shown as").fill("limit of the shop")
        page.get_by_role("button", name="Save", exact=True).click()
        page.get_by_role("button", name="Close").click()
        page.goto(f"{address}/#/")
        page.get_by_role("button", name="Saved views").click()
        page.get_by_role("link", name="limit of the shop").click()
        expect(page).to_have_url(re.compile(r"#/source/web\?line=requests%3A900"))
        expect(page.locator("main h1")).to_have_text("web")


def test_filters_choose_rows(browser, address, page_home):
    with visiting(browser, address) as visit:
        page = visit.open("#/incidents?state=all")
        expect(page.locator("tbody tr")).to_have_count(page_home.count("incidents", "group_id IS NULL"))
        page.get_by_label("All sources").select_option("web")
        expect(page.locator("tbody tr")).to_have_count(page_home.count("incidents", "source = 'web' AND group_id IS NULL"))
        assert "source=web" in page.url
        page.goto(f"{address}/#/")
        page.get_by_label("All tags").select_option("domain=sales")
        expect(page.locator("article.source h3")).to_have_text(["web"])
        page.get_by_label("All tags").select_option("")
        page.get_by_role("searchbox").fill("shop")
        expect(page.locator("article.source h3")).to_have_text(["shop", "web"])  # its owner is team:shop
        page.get_by_label("All states").select_option("broken")
        expect(page.locator("article.source")).to_have_count(0)


def test_exports_read_back_equal(browser, address, page_home):
    table = page_home.table("anomaly_scores", "source = 'web'")
    with visiting(browser, address) as visit:
        page = visit.open("#/source/web?span=30%20d")
        expect(page.locator(".chart canvas").first).to_be_visible()
        read = {}
        for form, which in (("CSV", "all points"), ("CSV", "only anomalies"), ("JSON", "all points"), ("JSON", "only anomalies")):
            page.locator(".menu summary").click()
            with page.expect_download() as saved:
                page.get_by_role("button", name=f"{form}, {which}").click()
            text = saved.value.path().read_text()
            read[form, which] = list(csv.DictReader(io.StringIO(text))) if form == "CSV" else json.loads(text)
        for form in ("CSV", "JSON"):
            assert len(read[form, "all points"]) == len(table)
            assert len(read[form, "only anomalies"]) == int(table["is_anomaly"].sum()) > 0
        assert [float(row["value"]) for row in read["CSV", "all points"]] == [row["value"] for row in read["JSON", "all points"]]
        assert sorted(row["value"] for row in read["JSON", "all points"]) == sorted(table["value"])


def test_series_with_anomalies_come_first_unless_somebody_wants_them_by_name(browser, address):
    with visiting(browser, address) as visit:
        page = visit.open("#/source/shop?size=large")
        expect(page.locator("article.chart-panel")).to_have_count(21)  # a page, and the strange one of another
        first = charts(page)
        assert "r26" in first[3] and "r00" in first[4]  # by name it is the last of thirty
        page.locator(".sentinel").scroll_into_view_if_needed()
        expect(page.locator("article.chart-panel")).to_have_count(30)
        assert len({*charts(page)}) == 30
        page.get_by_label("Order", exact=True).select_option("By name")
        expect(page).to_have_url(re.compile("order=name"))
        expect(page.locator("article.chart-panel h3").nth(3)).to_contain_text("r00")
        page.get_by_role("button", name="Small").click()
        expect(page.locator("article.chart-panel h3", has_text=re.compile("^r05$"))).to_be_visible()  # what all have in common is left out


def test_anomalies_are_those_of_the_window_of_the_charts_or_all(browser, address, page_home):
    spike = page_home.table("anomalies", "source = 'web'")["started_at"][0]
    before = [int(spike.timestamp() * 1000) - hours * 3_600_000 for hours in (30, 6)]
    with visiting(browser, address) as visit:
        page = visit.open(f"#/source/web?from={before[0]}&to={before[1]}")
        tab = page.get_by_role("tabpanel")
        expect(tab).to_contain_text("In the window of the charts: 2026-03-07 08:20 to 2026-03-08 08:20 UTC")
        expect(tab).to_contain_text("No anomalies here.")
        expect(page.locator(".chart-panel .now")).to_contain_text("last: ")  # the window ends before the newest bucket
        tab.get_by_role("button", name="All anomalies").click()
        expect(tab.locator("tbody tr")).to_have_count(page_home.count("anomalies", "source = 'web'"))
        page.get_by_role("button", name="Reset").click()
        expect(tab).to_contain_text("All anomalies of this source")
        tab.get_by_role("button", name="Only the window of the charts").click()
        expect(tab.locator("tbody tr")).to_have_count(1)
        newest = page_home.table("clean_series", "source = 'web'").sort_values("observed_at")["value"].iloc[-1]
        expect(page.locator(".chart-panel .now")).to_have_text(f"{newest:g}")  # and not the mean of the last point


def test_an_export_of_a_search_holds_what_was_found(browser, address):
    with visiting(browser, address) as visit:
        page = visit.open("#/source/shop?q=r05")
        expect(page.locator("article.chart-panel")).to_have_count(1)
        page.locator(".menu summary").click()
        expect(page.locator(".menu-note")).to_contain_text("names with “r05”; times are UTC")
        with page.expect_download() as saved:
            page.get_by_role("button", name="CSV, all points").click()
        rows = list(csv.DictReader(io.StringIO(saved.value.path().read_text())))
        assert rows and {"r05" in row["series"] for row in rows} == {True}


def test_on_a_phone_an_incident_says_what_is_wrong_below_its_severity(browser, address):
    with visiting(browser, address, viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True) as visit:
        page = visit.open("#/incidents?state=all&source=web")
        severity, title = page.locator("tbody .chip").first.bounding_box(), page.locator("tbody td.wide a").first.bounding_box()
        assert severity and title and title["y"] > severity["y"] and title["x"] + title["width"] <= 360


def test_light_and_dark_follow_the_system_until_somebody_chooses(browser, address):
    with visiting(browser, address, color_scheme="dark") as visit:
        page = visit.open()
        ground = "getComputedStyle(document.body).backgroundColor"
        dark = page.evaluate(ground)
        page.get_by_role("button", name="Light or dark").click()
        light = page.evaluate(ground)
        assert light != dark
        page.reload()
        assert page.evaluate(ground) == light
        page.get_by_role("button", name="Light or dark").click()
        assert page.evaluate(ground) == dark


def test_the_keyboard_is_enough(browser, address):
    with visiting(browser, address) as visit:
        page = visit.open()
        expect(page.locator("article.source").first).to_be_visible()
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        page.keyboard.press("g")
        page.keyboard.press("i")
        expect(page.locator("main h1")).to_have_text("Incidents")
        page.keyboard.press("/")
        expect(page.get_by_role("searchbox")).to_be_focused()
        page.keyboard.type("g o t")  # typing is no command
        expect(page.locator("main h1")).to_have_text("Incidents")
        expect(page).to_have_url(re.compile("q=g"))
        expect(page.get_by_role("searchbox")).to_be_focused()  # though the list was drawn anew
        page.locator("main").focus()
        page.keyboard.press("?")
        expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
        page.get_by_label("Use single keys").uncheck()
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
        page.keyboard.press("g")
        page.keyboard.press("o")
        expect(page.locator("main h1")).to_have_text("Incidents")  # single keys are off
        page.goto(f"{address}/#/source/web")
        page.get_by_role("tab", name="Anomalies").focus()
        page.keyboard.press("ArrowRight")
        expect(page.get_by_role("tab", name="Incidents")).to_be_focused()
        expect(page.get_by_role("tabpanel").get_by_role("region", name="Incidents")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_screen_reader_stumbles_over_nothing_serious(browser, address, page_home, scheme):
    incident = page_home.table("incidents", "source = 'shop'")["incident_id"][0]
    with visiting(browser, address, color_scheme=scheme) as visit:
        page = visit.open()
        page.locator("#history summary").click()
        found = []
        for place in (*PLACES, f"#/incident/{incident}", "#/source/web?edit=1"):
            page.goto(f"{address}/{place}")
            expect(page.locator("main .skeleton")).to_have_count(0)
            found += [
                (place, each["id"], each["nodes"][0]["target"])
                for each in Axe().run(page).response["violations"]
                if each["impact"] in ("serious", "critical")
            ]
        page.keyboard.press("?")
        found += [
            ("keys", each["id"], each["nodes"][0]["target"])
            for each in Axe().run(page).response["violations"]
            if each["impact"] in ("serious", "critical")
        ]
        assert found == []


@pytest.mark.parametrize("place", PLACES)
def test_on_a_phone_nothing_is_wider_than_the_screen(browser, address, place):
    with visiting(browser, address, viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True) as visit:
        page = visit.open(place)
        expect(page.locator("main .skeleton")).to_have_count(0)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
