"""Saved views, test messages, and what the audit says of all that was done."""

import json

from smartflow_assets.serve.access.tokens import Role
from smartflow_assets_tests.receivers import hook_server
from smartflow_assets_tests.serve.served import service_of, serving, token


def audit(home):
    return home.table("api_audit").sort_values("happened_at")[["done_by", "role", "action", "target", "outcome"]].values.tolist()


def test_a_view_is_that_of_its_token(home):
    anna, bob = token(home, Role.reader, "anna"), token(home, Role.reader, "bob")
    with serving(service_of(home)) as client:
        view = {"hash": "#/source/web", "thresholds": {"requests": 900}, "name": "<b>"}
        assert client.put("/api/views/mornings", headers=anna, json=view).status_code == 200
        assert client.put("/api/views/mornings", headers=anna, json=view | {"hash": "#/"}).status_code == 200
        [item] = client.get("/api/views", headers=anna).json()["items"]
        assert (item["name"], item["value"]["hash"], item["value"]["name"]) == ("mornings", "#/", "<b>")
        assert client.get("/api/views", headers=bob).json()["items"] == []
        assert client.delete("/api/views/mornings", headers=bob).status_code == 404
        assert client.put("/api/views/large", headers=anna, json={"x": "y" * 30_000}).status_code == 422
        assert client.delete("/api/views/mornings", headers=anna).status_code == 200
        assert client.get("/api/views", headers=anna).json()["items"] == []
        assert client.put("/api/views/mornings", json=view).status_code == 401
    assert audit(home) == [
        ["anna", "reader", "save_view", "mornings", "done"],
        ["anna", "reader", "save_view", "mornings", "done"],
        ["anna", "reader", "remove_view", "mornings", "done"],
    ]


def test_a_test_message_goes_out_and_no_address_is_shown(home, monkeypatch):
    with hook_server() as receiver:
        monkeypatch.setenv("HOOK_URL", receiver.url)
        home.write_channels("hook: {type: webhook, url: '${HOOK_URL}'}\nlost: {type: webhook, url: '${NOT_SET}'}\n")
        header, reader = token(home, Role.operator), token(home, Role.reader)
        with serving(service_of(home)) as client:
            told = client.get("/api/channels", headers=reader)
            assert [(each["channel"], each["missing"]) for each in told.json()["items"]] == [
                ("file", []),
                ("hook", []),
                ("lost", ["NOT_SET"]),
            ]
            assert receiver.url not in told.text
            assert client.post("/api/channels/hook/test", headers=reader).status_code == 403
            assert client.post("/api/channels/hook/test", headers=header).json() == {"channel": "hook", "sent": True, "error": None}
            assert client.post("/api/channels/lost/test", headers=header).json()["sent"] is False
            assert client.post("/api/channels/hok/test", headers=header).json()["remedy"].startswith("Did you mean hook")
        assert len(receiver.posts) == 1


def test_decisions_stand_in_the_audit_with_what_was_said_and_no_secret(home, monkeypatch):
    monkeypatch.setenv("SHOP_TOKEN", "very-secret-value")
    header = token(home, Role.operator, "anna")
    with serving(service_of(home)) as client:
        [incident] = client.get("/api/incidents?state=all", headers=header).json()["items"]
        note = {"note": "it said very-secret-value"}
        assert client.post(f"/api/incidents/{incident['incident_id']}/comment", headers=header, json=note).status_code == 200
        assert client.post(f"/api/incidents/{incident['incident_id']}/snooze", headers=header, json={"for": "-1h"}).status_code == 422
    assert [row[2:] for row in audit(home)] == [
        ["comment", incident["incident_id"], "done"],
        ["snooze", incident["incident_id"], "refused"],
    ]
    stored = home.table("api_audit", "action = 'comment'").iloc[0]
    assert "very-secret-value" not in str(stored["after"]) and "it said" in json.loads(stored["after"])["note"]
