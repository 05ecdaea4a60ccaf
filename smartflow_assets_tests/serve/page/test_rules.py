"""The rule editor: slider, preview, diff, file, and the next run."""

import re
from datetime import timedelta

import pytest
from playwright.sync_api import expect

from smartflow_assets.serve.access.tokens import Role
from smartflow_assets_tests.homes import START, daily_series, write_rows
from smartflow_assets_tests.serve.page.browser import visiting
from smartflow_assets_tests.serve.served import service_of, serving, token

pytestmark = pytest.mark.soak


def secret(home, role: Role) -> str:
    return token(home, role)["Authorization"].removeprefix("Bearer ")


def test_a_slider_shows_what_it_would_find_and_what_is_saved_is_what_the_next_run_flags(browser, home):
    file = home.settings.sources / "web.yaml"
    file.write_text(file.read_text() + "# a word of ours\n")
    before = file.read_text()
    with serving(service_of(home)) as client, visiting(browser, str(client.base_url), secret(home, Role.admin)) as visit:
        page = visit.open("#/source/web?edit=1")
        outcome = page.locator(".outcome")
        expect(outcome).to_contain_text("Move a slider")
        expect(page.get_by_role("button", name="Save …")).to_be_disabled()
        page.get_by_role("spinbutton", name=re.compile("above")).fill("660")
        counts = page.locator(".compared tr", has_text="Anomalies").locator("td")
        expect(counts.last).not_to_have_text("1", timeout=60_000)  # the process beside the server starts at the first preview
        now, then = (int(each) for each in counts.all_inner_texts())
        assert then > now == home.count("anomalies")
        expect(page.get_by_label(re.compile("above$"))).to_have_value("660")  # the slider went along
        page.get_by_role("button", name="Save …").click()
        expect(page.locator(".diff .add")).to_contain_text("660")
        expect(page.locator(".diff .cut")).to_contain_text("1500")
        page.keyboard.press("Escape")
        assert file.read_text() == before
        page.get_by_role("button", name="Save …").click()
        page.get_by_role("button", name="Write the file").click()
        expect(page.locator(".toast.good")).to_contain_text("web: rules saved")
        assert file.read_text() == before.replace("above: 1500", "above: 660")
        expect(page.get_by_role("button", name="Save …")).to_be_disabled()
    rows = daily_series(8)
    write_rows(home.settings.data / "examples/web.csv", rows)
    home.run_stages("web", START + timedelta(days=8), run_id="next")
    broken = home.table("rule_violations", f"observed_at >= TIMESTAMPTZ '{(START + timedelta(days=7)).isoformat()}'")
    assert len(broken) == int((rows["value"][7 * 288 :] > 660).sum()) > 0


def test_nothing_is_saved_before_its_preview_has_come(browser, home):
    with serving(service_of(home)) as client, visiting(browser, str(client.base_url), secret(home, Role.admin)) as visit:
        held = []
        visit.page.route("**/api/rules/preview", lambda route: held.append(route))
        page = visit.open("#/source/web?edit=1")
        save = page.get_by_role("button", name="Save …")
        page.get_by_role("spinbutton", name=re.compile("above")).fill("660")
        expect(page.locator(".working")).to_contain_text("Working out")
        expect(save).to_be_disabled()
        expect(page.locator(".working")).to_contain_text("The server is busy")
        held.pop().fulfill(status=503, json={"title": "busy", "detail": "all workers are busy"})
        expect(page.locator(".outcome .error")).to_contain_text("all workers are busy")
        expect(page.locator(".working")).to_be_hidden()
        expect(save).to_be_enabled()  # refused: the diff may be looked at all the same
        page.get_by_role("spinbutton", name=re.compile("above")).fill("670")
        expect(save).to_be_disabled()
        visit.page.unroute("**/api/rules/preview")
        visit.complaints = [each for each in visit.complaints if "status of 503" not in each]


def test_who_may_not_save_is_told_so_and_nothing_is_written(browser, home):
    before = (home.settings.sources / "web.yaml").read_text()
    with serving(service_of(home)) as client, visiting(browser, str(client.base_url), secret(home, Role.operator)) as visit:
        page = visit.open("#/source/web?edit=1")
        page.get_by_label("Sensitivity").select_option("high")
        expect(page.locator(".compared")).to_be_visible(timeout=60_000)
        expect(page.locator(".working")).to_be_hidden()
        expect(page.get_by_role("button", name="Save …")).to_be_disabled()
        expect(page.locator(".rules .foot")).to_contain_text("Saving needs the role admin")
        page.get_by_role("button", name="Undo").click()
        expect(page.get_by_label("Sensitivity")).to_have_value("1")  # medium, the second of three
        page.get_by_role("button", name="Close the rules").click()
        expect(page.get_by_label("Sensitivity")).to_have_count(0)
        assert "edit" not in page.url
    with serving(service_of(home)) as client, visiting(browser, str(client.base_url), secret(home, Role.reader)) as visit:
        page = visit.open("#/source/web?edit=1")
        expect(page.get_by_label("Sensitivity")).to_be_disabled()
        expect(page.get_by_role("spinbutton", name=re.compile("above"))).to_be_disabled()
        expect(page.get_by_role("button", name="Save …")).to_have_attribute("title", re.compile("needs the role admin"))
    assert (home.settings.sources / "web.yaml").read_text() == before


def test_other_detectors_are_tried_before_anybody_writes_them(browser, home):
    with serving(service_of(home)) as client, visiting(browser, str(client.base_url), secret(home, Role.operator)) as visit:
        page = visit.open("#/source/web?edit=1")
        choices = page.get_by_label("Detectors", exact=True).locator("option")
        expect(choices.filter(has_text="Isolation forest and Prophet")).to_have_count(1)
        page.get_by_label("Detectors", exact=True).select_option(label="mad, alone")
        expect(page.locator(".outcome")).to_contain_text("that takes a while")
        expect(page.locator(".outcome")).to_contain_text("learnt anew", timeout=90_000)
        expect(page.locator(".compared")).to_be_visible()
