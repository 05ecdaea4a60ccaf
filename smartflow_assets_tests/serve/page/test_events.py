"""What happens while the page is open: messages, sound, a server that goes and comes back, decisions."""

import re
import threading
from datetime import timedelta

import pytest
from playwright.sync_api import expect

from smartflow_assets.commands.serve import _run_source
from smartflow_assets.serve.access.tokens import Role
from smartflow_assets.serve.feed.event_log import Event, EventLog
from smartflow_assets_tests.homes import START, Home, daily_series, write_rows
from smartflow_assets_tests.serve.page.browser import visiting
from smartflow_assets_tests.serve.served import LIVE, free_port, service_of, serving, token

pytestmark = pytest.mark.soak
BEEPS = """
window.beeps = 0;
window.AudioContext = class {
  constructor() { this.state = "running"; this.currentTime = 0; this.destination = {}; }
  createOscillator() { window.beeps += 1; return { frequency: {}, connect: (next) => next, start() {}, stop() {} }; }
  createGain() { const gain = { setValueAtTime() {}, exponentialRampToValueAtTime() {} }; return { gain, connect: (next) => next }; }
};
"""


def push(home, *events: Event) -> None:
    """As another server of this home would: into the log that all of them read."""
    EventLog(home.settings.serve / "events.sqlite").take(events, "2026-03-09T00:00:00+00:00")


def anomaly(number: int, severity: str = "critical") -> Event:
    facts = {
        "source": "web",
        "series": "requests",
        "severity": severity,
        "started_at": START.isoformat(),
        "explanation": f"{number} <b>requests</b>. Then more.",
    }
    return Event.of(f"anomaly:pushed-{number}", "anomaly", "web", facts)


def test_a_new_anomaly_is_told_by_a_toast_and_one_sound_once_sound_is_on(browser, home):
    with serving(service_of(home)) as client, visiting(browser, str(client.base_url)) as visit:
        visit.page.add_init_script(BEEPS)
        page = visit.open()
        expect(page.locator("html[data-stream=live]")).to_have_count(1)
        expect(page.locator("article.source").first).to_be_visible()
        push(home, anomaly(1))
        expect(page.locator(".toast")).to_contain_text("1 <b>requests</b>")
        assert page.evaluate("window.beeps") == 0  # muted until somebody asks for sound
        page.get_by_role("button", name="Sound").click()
        expect(page.get_by_role("button", name="Sound")).to_have_attribute("aria-pressed", "true")
        before = page.evaluate("window.beeps")
        page.get_by_role("button", name="Dismiss").click()
        push(home, anomaly(2, "warning"))
        expect(page.locator(".toast")).to_contain_text("2 <b>requests</b>")
        assert page.evaluate("window.beeps") == before + 1
        page.reload()
        expect(page.get_by_role("button", name="Sound")).to_have_attribute("aria-pressed", "true")  # remembered


def test_two_hundred_at_once_are_three_and_a_number(browser, home):
    with serving(service_of(home)) as client, visiting(browser, str(client.base_url)) as visit:
        visit.page.add_init_script(BEEPS)
        page = visit.open()
        expect(page.locator("html[data-stream=live]")).to_have_count(1)
        page.get_by_role("button", name="Sound").click()
        before = page.evaluate("window.beeps")
        push(home, *(anomaly(number) for number in range(200)))
        expect(page.locator(".toast").last).to_contain_text("and 197 more")
        expect(page.locator(".toast")).to_have_count(4)
        assert page.evaluate("window.beeps") == before + 2  # the two tones of one critical sound
        page.locator("#history summary").click()
        expect(page.locator("#history-list li")).to_have_count(20)


def test_deliveries_are_told_as_well(browser, home):
    with serving(service_of(home)) as client, visiting(browser, str(client.base_url)) as visit:
        page = visit.open()
        expect(page.locator("html[data-stream=live]")).to_have_count(1)
        facts = {
            "source": "web",
            "series": "requests",
            "channel": "sheet_webhook",
            "status": "sent",
            "event": "opened",
            "incident_id": None,
            "title": "4,000 requests",
            "at": START.isoformat(),
            "error": None,
        }
        push(home, Event.of("delivery:1", "delivery", "web", facts))
        expect(page.locator(".toast.good")).to_contain_text("sheet_webhook: sent")
        expect(page.locator(".toast.good")).to_contain_text("web · requests")


@pytest.mark.parametrize("is_told_before", [True, False], ids=["after an event", "after none"])
def test_a_page_goes_on_by_itself_after_a_restart_and_misses_nothing(browser, home, is_told_before):
    port = free_port()
    with visiting(browser, f"http://127.0.0.1:{port}") as visit:
        with serving(service_of(home), port):
            page = visit.open()
            expect(page.locator("html[data-stream=live]")).to_have_count(1)
            expect(page.locator("article.source").first).to_be_visible()
            if is_told_before:
                push(home, anomaly(1))
                expect(page.locator(".toast")).to_contain_text("1 <b>requests</b>")
        expect(page.locator("#connection")).to_contain_text("Reconnecting")
        points = page.locator("#card-points .figure").inner_text()
        push(home, anomaly(2))  # while no server runs
        rows = daily_series(8)
        write_rows(home.settings.data / "examples/web.csv", rows)
        home.run_stages("web", START + timedelta(days=8))
        home.warehouse.publish("test", is_forced=True)
        with serving(service_of(home), port):
            expect(page.locator("#connection")).to_be_hidden()
            expect(page.locator(".toast", has_text="2 <b>requests</b>")).to_be_visible()
            expect(page.locator("#card-points .figure")).not_to_have_text(points)
        visit.complaints = [
            each for each in visit.complaints if "ERR_CONNECTION_REFUSED" not in each and "ERR_INCOMPLETE" not in each
        ]  # the browser's own, of the server that was away


def test_a_copy_that_was_taken_away_is_said_in_the_place_of_figures(browser, home):
    home.settings.published_file.unlink()
    with serving(service_of(home)) as client, visiting(browser, str(client.base_url)) as visit:
        page = visit.open()
        expect(page.locator("#state")).to_have_text("Copy missing")
        expect(page.locator("#card-state")).to_contain_text("smartflow run")
        for card in ("points", "anomalies", "rate"):
            expect(page.locator(f"#card-{card} .figure")).to_have_text("–")
        expect(page.locator("article.source", has_text="web")).to_contain_text("unknown")
        expect(page.locator("article.source dd").nth(4)).to_have_text("–")
        expect(page.locator("main")).not_to_contain_text("never run")
        visit.complaints = [each for each in visit.complaints if "503" not in each]  # the browser's own, of lists that need the copy


def test_a_decision_asks_for_a_token_and_is_written(browser, home):
    secret = token(home, Role.operator, "anna")["Authorization"].removeprefix("Bearer ")
    reader = token(home, Role.reader, "rita")["Authorization"].removeprefix("Bearer ")
    incident = home.table("incidents", "state = 'resolved' AND source = 'web'")["incident_id"][0]
    with serving(service_of(home)) as client, visiting(browser, str(client.base_url)) as visit:
        page = visit.open(f"#/incident/{incident}")
        dialog = page.get_by_role("dialog", name="Log in")
        expect(dialog).to_be_visible()  # tokens were made, so reading is not open any more
        expect(page.locator("html[data-stream=closed]")).to_have_count(1)
        assert visit.complaints == []  # who may not read is asked to log in before anything else is asked for
        dialog.get_by_label("Token").fill("sf_wrong")
        dialog.get_by_role("button", name="Log in").click()
        expect(dialog.get_by_role("alert")).to_contain_text("the token is not known")
        dialog.get_by_label("Token").fill(reader)
        dialog.get_by_role("button", name="Log in").click()
        expect(page.locator("main h1")).to_contain_text("4,000")
        expect(page.get_by_role("button", name="Comment")).to_be_disabled()
        expect(page.get_by_role("button", name="Comment")).to_have_attribute("title", re.compile("needs the role operator: log in"))
        page.get_by_role("button", name="rita (reader)").click()  # out
        page.get_by_role("button", name="Log in").click()
        dialog.get_by_label("Token").fill(secret)
        dialog.get_by_label("Remember me").check()
        dialog.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("button", name="anna (operator)")).to_be_visible()
        expect(page.locator("html[data-stream=live]")).to_have_count(1)  # what happens before that is in the lists alone
        page.get_by_role("button", name="Comment").click()
        page.get_by_role("textbox", name="Comment").fill("<b>the proxy</b> again")
        page.get_by_role("dialog").get_by_role("button", name="Comment").click()
        expect(page.locator(".timeline")).to_contain_text("<b>the proxy</b> again")
        expect(page.locator(".timeline")).to_contain_text("commented by anna")
        page.locator("#history summary").click()
        expect(page.locator("#history-list")).to_contain_text("commented: ")
        expect(page.locator(".toast")).to_have_count(1)  # one's own decision is told once
        expect(page.locator(".toast")).to_have_class(re.compile("good"))
        page.reload()  # remembered
        expect(page.get_by_role("button", name="anna (operator)")).to_be_visible()
        assert secret not in page.url and page.evaluate("document.cookie") == ""
        visit.complaints = [
            each for each in visit.complaints if not re.search(r"status of 40[13]", each)
        ]  # the browser's own, of answers that were asked for
    said = home.table("incident_events", "event = 'commented'")
    assert list(said["by_whom"]) == ["anna"] and "<b>the proxy</b> again" in said["payload"][0]


def test_many_tabs_share_one_stream_and_go_on_when_the_one_that_reads_is_closed(browser, home):
    service = service_of(home)
    with serving(service) as client, visiting(browser, str(client.base_url)) as visit:
        tabs = [visit.open(), *(visit.page.context.new_page() for _ in range(7))]
        for tab in tabs:
            if tab is not visit.page:
                tab.goto(f"{visit.address}/")
            expect(tab.locator("html[data-stream=live]")).to_have_count(1)
        assert service.listeners.count == 1
        push(home, anomaly(1))
        for tab in tabs:
            expect(tab.locator(".toast")).to_contain_text("1 <b>requests</b>")
        tabs[0].close()
        expect(tabs[1].locator("#connection")).to_be_hidden()
        push(home, anomaly(2))
        for tab in tabs[1:]:
            expect(tab.locator(".toast", has_text="2 <b>requests</b>")).to_be_visible()


def test_a_row_that_is_sent_is_judged_told_and_drawn(browser, tmp_path):
    live = Home(tmp_path / "live")
    live.write_source("live", LIVE)
    header = token(live, Role.operator, "feed")
    history = daily_series(3)
    with (
        serving(service_of(live, _run_source)) as client,
        visiting(browser, str(client.base_url), header["Authorization"].removeprefix("Bearer ")) as visit,
    ):

        def send(rows):
            answer = client.post("/api/submit", json={"source": "live", "rows": rows}, headers=header)
            assert answer.status_code == 202, answer.text
            address = answer.json()["status_url"]
            for _ in range(1200):
                said = client.get(address, headers=header).json()
                if said["state"] in ("done", "failed"):
                    break
                threading.Event().wait(0.1)
            assert said["error"] is None and said["state"] == "done"

        send([{"at": row.timestamp, "load": row.value} for row in history.itertuples()])
        page = visit.open("#/source/live?live=1")
        expect(page.locator("html[data-stream=live]")).to_have_count(1)
        expect(page.locator(".chart canvas")).to_be_visible()
        before = page.locator(".chart-panel .now").inner_text()
        end = START + timedelta(days=3)
        send([{"at": (end + timedelta(minutes=5 * step)).isoformat(), "load": 5000} for step in range(2)])
        expect(page.locator(".toast.critical").first).to_contain_text("5,000")
        expect(page.locator(".chart-panel .now")).to_have_text("5,000")
        assert before != "5,000"
        expect(page.locator("#nav-incidents")).to_have_text("1")


def test_a_test_message_is_sent_and_said(browser, home):
    secret = token(home, Role.operator)["Authorization"].removeprefix("Bearer ")
    with serving(service_of(home)) as client, visiting(browser, str(client.base_url), secret) as visit:
        page = visit.open("#/deliveries")
        row = page.locator(".channels li", has_text="file")
        expect(row).to_contain_text("used by broken, web")
        row.get_by_role("button", name="Send a test message").click()
        page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
        expect(page.get_by_role("dialog")).to_have_count(0)
        row.get_by_role("button", name="Send a test message").click()
        page.get_by_role("dialog").get_by_role("button", name="Send").click()
        expect(page.locator(".toast.good")).to_contain_text("file: test sent")
    assert list(home.table("api_audit", "action = 'try_channel'")["target"]) == ["file"]


def test_views_of_a_token_are_kept_by_the_server(browser, home):
    secret = token(home, Role.reader, "rita")["Authorization"].removeprefix("Bearer ")
    with serving(service_of(home)) as client:
        with visiting(browser, str(client.base_url), secret) as visit:
            page = visit.open("#/incidents?state=all&source=web")
            expect(page.locator("tbody tr").first).to_be_visible()
            page.get_by_role("button", name="Saved views").click()
            page.get_by_label("Save what is shown as").fill("ours")
            page.get_by_role("button", name="Save", exact=True).click()
            expect(page.get_by_role("link", name="ours")).to_be_visible()
        with visiting(browser, str(client.base_url), secret) as visit:  # another browser
            page = visit.open()
            page.get_by_role("button", name="Saved views").click()
            page.get_by_role("link", name="ours").click()
            expect(page).to_have_url(re.compile("state=all&source=web"))
            page.get_by_role("button", name="Saved views").click()
            page.get_by_role("button", name="Delete ours").click()
            expect(page.get_by_role("dialog")).to_contain_text("None yet.")
    assert home.count("saved_views") == 0
