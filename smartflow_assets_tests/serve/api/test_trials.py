"""Predictions, previews and changes over HTTP, on a real server: what is asked comes to what the stages say, and who may not, may not."""

import json
from typing import Any

import httpx
import pytest

from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.serve.access.tokens import Role
from smartflow_assets.serve.api.predict import MOST_ROWS
from smartflow_assets_tests.homes import STEP, Home
from smartflow_assets_tests.serve.served import NOW, service_of, serving, token

LIMIT = {"source": "web", "changes": {"rules.0.above": 650}, "days": 6}


class Asked:
    """A server on a home of its own, and a header for each role."""

    def __init__(self, home: Home, client: httpx.Client) -> None:
        self.home, self.client = home, client
        self.headers = {role: token(home, role) for role in Role}

    def post(self, path: str, body: Any, role: Role | None = Role.admin) -> httpx.Response:
        return self.client.post(f"/api/{path}", json=body, headers=self.headers[role] if role else {})

    @property
    def yaml(self) -> str:
        return (self.home.settings.sources / "web.yaml").read_text()


@pytest.fixture
def asked(home: Home):
    with serving(service_of(home)) as client:
        yield Asked(home, client)


def test_roles_and_bodies_that_are_refused(asked):
    for path, body, needed in (
        ("predict", {"source": "web", "rows": [{"timestamp": "2026-03-09", "value": 1}]}, Role.operator),
        ("rules/preview", LIMIT, Role.operator),
        ("configure", {"source": "web", "changes": {}}, Role.admin),
    ):
        assert asked.post(path, body, None).status_code == 401
        for role in Role:
            if not role.may(needed):
                assert asked.post(path, body, role).status_code == 403
        assert asked.post(path, body | {"source": "nobody"}).status_code == 404
        assert asked.post(path, body | {"unknown": 1}).status_code == 422
    too_many = {"source": "web", "rows": [{"timestamp": "2026-03-09"}] * (MOST_ROWS + 1)}
    assert asked.post("predict", too_many).status_code == 422
    answer = asked.client.post("/api/predict", content=b" " * (5 * 1024**2 + 1), headers=asked.headers[Role.admin])
    assert answer.status_code == 413


def test_the_choices_and_sliders_of_a_source_are_of_its_data(asked):
    told = asked.client.get("/api/configuration/web", headers=asked.headers[Role.reader]).json()
    (limit,) = [each for each in told["sliders"] if each["path"] == "rules.0.above"]
    assert (limit["value"], limit["unit"]) == (1500, "") and limit["least"] == 0 and limit["largest"] >= 4000 and limit["step"] <= 50
    assert told["values"]["sensitivity"] == "medium" and told["values"]["rules"][0]["above"] == 1500
    assert "to" not in told["values"]["alerts"] and "read" not in told["values"] and "mad" in told["choices"]["detectors"]
    for each in told["sliders"]:
        assert each["least"] <= each["value"] <= each["largest"] and 0 < each["step"] <= each["largest"] - each["least"], each
    assert asked.client.get("/api/configuration/nobody", headers=asked.headers[Role.reader]).status_code == 404


@pytest.mark.soak
def test_a_slider_leads_by_its_preview_to_the_yaml_and_to_the_next_run(asked):
    before = asked.yaml
    seen = asked.post("rules/preview", LIMIT, Role.operator).json()
    assert seen["method"] == "stored" and seen["after"]["anomaly_count"] > seen["before"]["anomaly_count"] >= 1
    assert seen["thresholds"] == [{"series": "requests", "rule": "threshold", "value": 650.0}]
    assert any(each["is_new"] for each in seen["anomalies"]) and "+rules: [{type: threshold, metric: requests, above: 650}]" in seen["diff"]
    assert asked.yaml == before, "a preview writes nothing"

    change = {"source": "web", "changes": LIMIT["changes"], "expected_hash": seen["hash"]}
    shown = asked.post("configure", change).json()
    assert shown == {"diff": seen["diff"], "written": False, "hash": seen["hash"], "problems": []} and asked.yaml == before
    done = asked.post("configure", change | {"write": True}).json()
    assert done["written"] and "above: 650" in asked.yaml and asked.post("configure", change | {"write": True}).status_code == 409

    asked.home.run_stages("web", NOW, since=NOW - 6 * 288 * STEP, until=NOW)
    found = asked.home.table("anomalies", f"started_at >= '{NOW - 6 * 288 * STEP}' ORDER BY started_at")
    assert [each["started_at"] for each in seen["anomalies"]] == [f"{at:%Y-%m-%dT%H:%M:%SZ}" for at in found["started_at"]]
    assert Catalogue.load(asked.home.settings).source("web").rules[0].above == 650


def test_who_changed_what_is_kept(asked):
    assert asked.post("configure", {"source": "web", "changes": {"sensitivity": "high"}, "write": True}).json()["written"]
    for changes in ({"read.path": "/etc/passwd"}, {"alerts.to": ["pager"]}, {"description": "${HOME}"}, {"rules.0": {"type": "acme"}}):
        answer = asked.post("configure", {"source": "web", "changes": changes, "write": True})
        assert answer.status_code == 403 and answer.json()["remedy"], answer.text
    wrong = {"source": "web", "changes": {"sensitivity": "highest", "rules.0.above": "many"}}
    shown, refused = asked.post("configure", wrong).json(), asked.post("configure", wrong | {"write": True})
    assert not shown["written"] and len(shown["problems"]) == 2 and "sensitivity" in shown["problems"][0] + shown["problems"][1]
    assert refused.status_code == 422 and refused.headers["content-type"] == "application/problem+json" and refused.json()["remedy"]
    rows = asked.home.table("api_audit", "TRUE ORDER BY happened_at")
    assert rows["outcome"].tolist() == ["done", *["refused"] * 5] and set(rows["done_by"]) == {"admin"} and set(rows["source"]) == {"web"}
    assert json.loads(rows["before"][0]) == {"sensitivity": None} and json.loads(rows["after"][0]) == {"sensitivity": "high"}
    assert rows["request_id"].is_unique and "sensitivity: high" in asked.yaml and "passwd" not in asked.yaml


@pytest.mark.soak
def test_rows_are_predicted_beside_the_server(asked):
    rows = [
        {"timestamp": f"{NOW:%Y-%m-%dT%H:%M:%SZ}", "value": 500},
        {"timestamp": f"{NOW + STEP:%Y-%m-%dT%H:%M:%SZ}", "value": 5000},
        {"timestamp": "soon", "value": 1},
    ]
    told = asked.post("predict", {"source": "web", "rows": rows}, Role.operator).json()
    assert [(each["series"], each["value"], each["is_anomaly"], each["state"], each["rows"]) for each in told["rows"]] == [
        ("requests", 500, False, "scored", [0]),
        ("requests", 5000, True, "scored", [1]),
    ]
    assert told["rows"][1]["rules"] == {"threshold": "5,000 is above 1,500"} and told["unread"][0]["row"] == 2
    assert told["model_id"] == asked.home.table("trained_models")["model_id"][0]
    assert asked.post("predict", {"source": "broken", "rows": rows}).status_code == 422


def test_the_description_has_an_example_of_each_body(asked):
    described = asked.client.get("/openapi.json").json()
    for path in ("/api/predict", "/api/rules/preview", "/api/configure"):
        body = described["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        assert described["components"]["schemas"][body["$ref"].rpartition("/")[2]]["examples"]
