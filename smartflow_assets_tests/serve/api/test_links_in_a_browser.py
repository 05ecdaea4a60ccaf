"""The button of a link in a mail, pressed in a browser: what it sends with it is the browser's."""

import pytest
from playwright.sync_api import sync_playwright

from smartflow_assets.adapters.files.link_key import link_key
from smartflow_assets.core.incidents.signed_link import sign
from smartflow_assets_tests.serve.api.test_links import opened
from smartflow_assets_tests.serve.served import service_of, serving


@pytest.mark.soak
def test_a_person_presses_acknowledge(tmp_path):
    home, incident = opened(tmp_path)
    service = service_of(home)
    with serving(service) as client, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(f"{client.base_url}/a/{sign(link_key(home.settings.link_key), incident, service.now())}")
        page.get_by_label("Why, for the others:").fill("on it")
        page.get_by_role("button", name="Acknowledge").click()
        page.wait_for_selector("text=acknowledged")
        browser.close()
    assert home.count("incidents", "state = 'acknowledged'") == 1
