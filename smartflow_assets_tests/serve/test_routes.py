"""Every route that there is: who may ask it, and that its description says what it answers."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from fastapi.routing import APIRoute

from smartflow_assets.serve.access.caller import administers, operates, reads
from smartflow_assets.serve.access.tokens import Role
from smartflow_assets.serve.api import ROUTERS
from smartflow_assets_tests.serve.served import service_of, serving, token

NEEDED = {reads: Role.reader, operates: Role.operator, administers: Role.admin}
OPEN = {"/health", "/ready", "/api/me", "/a/{signed}"}
"""What anybody may ask: it tells nothing of the data, or bears a signature of its own."""
FILLED = {
    "source": "web",
    "incident_id": "abcdabcd",
    "action": "ack",
    "submission_id": "0" * 16,
    "name": "none",
    "what": "scores",
    "signed": "none",
}


def routes() -> list[APIRoute]:
    return [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]


def needed(route: APIRoute) -> Role | None:
    found = [NEEDED[each.call] for each in route.dependant.dependencies if each.call in NEEDED]
    assert len(found) <= 1, route.path
    return found[0] if found else None


def test_each_route_but_a_few_asks_who_asks():
    without = {route.path for route in routes() if needed(route) is None}
    assert without == OPEN


def test_each_route_answers_each_role_as_it_may(home):
    headers = {None: {}, **{role: token(home, role) for role in Role}}
    service, asked = service_of(home), 0
    with serving(service) as client:
        for route in routes():
            role = needed(route)
            if role is None or "stream" in route.path:
                continue
            address = re.sub(r"{(\w+)}", lambda match: FILLED[match[1]], route.path)
            for method in route.methods:
                for who, header in headers.items():
                    answer = client.request(method, address, headers=header, json={} if method in ("POST", "PUT") else None)
                    told = (method, address, who, answer.text)
                    if who is None:
                        assert answer.status_code == 401, told
                    elif not who.may(role):
                        assert answer.status_code == 403, told
                    else:
                        assert answer.status_code not in (401, 403, 500), told
                    asked += 1
    assert asked > 80


def test_a_parameter_that_a_route_does_not_know_is_refused(client):
    answer = client.get("/api/anomalies", params={"seriess": "web"})
    assert (answer.status_code, answer.json()["field"]) == (422, "seriess")
    assert answer.json()["remedy"] == "Did you mean series?"
    assert client.get("/api/me?x=1").json()["remedy"] == "It takes none."
    assert client.get("/a/none?utm_source=mail").status_code == 410  # of the link, to which mail programs add theirs


def test_each_address_that_is_read_tells_its_head_alone(client):
    for route in routes():
        if "GET" not in route.methods or "stream" in route.path:
            continue
        address = re.sub(r"{(\w+)}", lambda match: FILLED[match[1]], route.path)
        head, whole = client.head(address), client.get(address)
        assert (head.status_code, head.headers["content-type"]) == (whole.status_code, whole.headers["content-type"]), address
        assert not head.content, address
    with client.stream("HEAD", "/api/stream/anomalies") as answer:
        assert answer.status_code == 200
    assert client.head("/").status_code == 200


def test_the_stream_asks_for_a_token_too(home):
    token(home, Role.reader)
    with serving(service_of(home)) as client:
        assert client.get("/api/stream/anomalies").status_code == 401


@pytest.mark.soak
def test_whatever_the_description_allows_is_answered_as_it_says(home):
    """Asked by a program that makes questions of the description: those that it allows, and those that it does not."""
    header = token(home, Role.admin)
    checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,response_headers_conformance"
    with serving(service_of(home, _no_run)) as client:
        asked = subprocess.run(
            [
                Path(sys.executable).with_name("schemathesis"),
                "run",
                f"{str(client.base_url).rstrip('/')}/openapi.json",
                "-H",
                f"Authorization: {header['Authorization']}",
                *("--checks", checks, "--exclude-path-regex", "stream", "--max-examples", "15", "--seed", "1"),
                *("--phases", "examples,coverage,fuzzing", "--request-timeout", "60", "--continue-on-failure", "--no-color"),
            ],
            capture_output=True,
            text=True,
            check=False,
            cwd=home.folder,
        )
        assert asked.returncode == 0, asked.stdout[-6000:]
        assert int(re.search(r"(\d+) generated", asked.stdout)[1]) > 500


def _no_run(home, source):
    return {"run_id": "", "is_success": True, "failures": [], "notes": []}
