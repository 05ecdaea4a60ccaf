"""Links in messages: what they show, what they do, and that they do it once."""

from datetime import timedelta

from smartflow_assets.adapters.files.link_key import link_key
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.core.incidents.signed_link import sign
from smartflow_assets.stages.message_background import MessageBackground
from smartflow_assets_tests.homes import START, STEP, WEB, Home, daily_series, write_rows
from smartflow_assets_tests.serve.served import SPIKE_AT, service_of, serving

OPEN_AT = START + (SPIKE_AT + 1) * STEP


def opened(folder) -> tuple[Home, str]:
    """A home whose newest row is a spike, so that its incident is open."""
    home = Home(folder)
    home.write_source("web", WEB)
    rows = daily_series(7).iloc[: SPIKE_AT + 1].copy()
    rows.loc[SPIKE_AT, "value"] = 4000
    write_rows(home.settings.data / "examples/web.csv", rows)
    home.run_stages("web", OPEN_AT)
    home.warehouse.publish("test")
    [incident] = home.table("incidents", "state = 'open'")["incident_id"]
    return home, incident


def test_the_address_in_a_message_shows_what_it_does_and_does_it_once(tmp_path):
    home, incident = opened(tmp_path)
    service = service_of(home)
    with serving(service) as client:
        address = str(client.base_url).rstrip("/")
        facts = MessageBackground(home.warehouse, Catalogue.load(home.settings), {"SMARTFLOW_SERVE_URL": address}).facts("web", incident)
        assert facts["page"] == f"{address}/#/incident/{incident}"
        path = facts["act"].removeprefix(address)
        for _ in range(3):  # a scanner of mail looks
            shown = client.get(path)
            assert shown.status_code == 200 and "Acknowledge" in shown.text and "Nothing has happened yet" in shown.text
        assert home.count("incident_events", "event = 'acknowledged'") == 0
        assert client.post(path, data={"act": "delete"}).status_code == 422
        done = client.post(path, data={"act": "ack", "note": "<script>alert(1)</script>"})
        assert done.status_code == 200 and "acknowledged" in done.text and "<script>" not in done.text
        stored = home.table("incident_events", "event = 'acknowledged'")
        assert stored["by_whom"].tolist() == ["a link in a message"] and home.count("incidents", "state = 'acknowledged'") == 1
        for answer in (client.get(path), client.post(path, data={"act": "snooze"})):
            assert answer.status_code == 410 and "used already" in answer.text
        assert home.count("incident_events", "event = 'snoozed'") == 0


def test_a_link_that_is_forged_or_old_leads_nowhere(tmp_path):
    home, incident = opened(tmp_path)
    service = service_of(home)
    now, key = service.now(), link_key(home.settings.link_key)
    assert home.settings.link_key.stat().st_mode & 0o777 == 0o600 and link_key(home.settings.link_key) == key
    old, other = sign(key, incident, now - timedelta(days=8)), sign(b"another", incident, now)
    with serving(service) as client:
        for text in (old, other, f"{incident}.99999999999.{'0' * 40}", "nothing", "%3Cscript%3E"):
            for answer in (client.get(f"/a/{text}"), client.post(f"/a/{text}", data={"act": "ack"})):
                assert answer.status_code == 410, answer.text
    assert home.count("incident_events", "event = 'acknowledged'") == 0


def test_of_what_is_over_nothing_can_be_done(home):
    [incident] = home.table("incidents")["incident_id"]
    service = service_of(home)
    with serving(service) as client:
        answer = client.get(f"/a/{sign(link_key(home.settings.link_key), incident, service.now())}")
        assert answer.status_code == 410 and "it is over" in answer.text
