"""Who is answered: roles, hosts, limits; each request over a real connection."""

import itertools
import json
import socket
from datetime import UTC, datetime, timedelta

import pytest

from smartflow_assets.core.errors import SmartflowError
from smartflow_assets.serve.access.tokens import Role, TokenFile
from smartflow_assets_tests.serve.served import service_of, serving, token

NOW = datetime(2026, 3, 9, tzinfo=UTC)


def test_a_token_is_found_by_what_was_shown_once(tmp_path):
    file = TokenFile(tmp_path / "serve/tokens.json")
    text = file.create("anna", Role.operator, NOW, NOW + timedelta(days=1))
    assert file.file.stat().st_mode & 0o777 == 0o600
    assert text not in file.file.read_text() and text.split("_", 2)[2] not in file.file.read_text()
    assert (file.found(text, NOW).name, file.found(text, NOW).role) == ("anna", "operator")
    assert file.found(text[:-1] + ("A" if text[-1] != "A" else "B"), NOW) is None
    assert file.found(text, NOW + timedelta(days=1)) is None
    assert TokenFile(file.file).found(text, NOW) is not None, "another process knows it too"
    file.revoke("anna")
    assert file.found(text, NOW) is None


def test_a_file_of_tokens_that_others_may_read_is_refused(tmp_path):
    file = TokenFile(tmp_path / "tokens.json")
    file.create("anna", Role.reader, NOW)
    file.file.chmod(0o640)
    with pytest.raises(SmartflowError, match="chmod 600"):
        file.tokens()


def test_reading_is_open_on_this_machine_until_the_first_token_is_made(home):
    with serving(service_of(home)) as client:
        assert client.get("/api/status").status_code == 200
        assert client.get("/api/me").json() == {"name": "anonymous", "role": "reader", "is_open": True}
        header = token(home, Role.reader)
        assert client.get("/api/status").status_code == 401
        assert client.get("/api/me").json()["role"] is None
        assert client.get("/api/status", headers=header).status_code == 200


def test_elsewhere_reading_needs_a_token_from_the_start(home):
    with serving(service_of(home, is_loopback=False)) as client:
        answer = client.get("/api/anomalies")
        assert answer.status_code == 401 and answer.headers["www-authenticate"].startswith("Bearer")


def test_each_role_may_do_what_it_may(home):
    headers = {None: {}, **{role: token(home, role) for role in Role}}
    with serving(service_of(home)) as client:
        incident = client.get("/api/incidents?state=all", headers=headers[Role.reader]).json()["items"][0]["incident_id"]
        asked = {
            ("GET", "/api/anomalies"): Role.reader,
            ("GET", f"/api/incidents/{incident}"): Role.reader,
            ("POST", f"/api/incidents/{incident}/comment"): Role.operator,
        }
        for ((method, address), needed), (role, header) in itertools.product(asked.items(), headers.items()):
            answer = client.request(method, address, headers=header, json={"note": "looked at"} if method == "POST" else None)
            expected = 401 if role is None else 200 if role.may(needed) else 403
            assert answer.status_code == expected, (method, address, role, answer.text)


def test_writing_asks_for_a_token_even_where_reading_is_open(home):
    with serving(service_of(home)) as client:
        incident = client.get("/api/incidents?state=all").json()["items"][0]["incident_id"]
        assert client.post(f"/api/incidents/{incident}/ack", json={}).status_code == 401


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "169.254.169.254"])
def test_a_foreign_host_is_not_answered(client, host):
    answer = client.get("/api/status", headers={"Host": host})
    assert answer.status_code in (400, 421)
    assert "point_count" not in answer.text


def test_pages_of_other_origins_may_not_write(home):
    header = token(home, Role.admin)
    with serving(service_of(home)) as client:
        answer = client.post("/api/incidents/abcd/ack", headers=header | {"Origin": "https://evil.example"}, json={})
        assert answer.status_code == 403
        assert "access-control-allow-origin" not in client.get("/api/status", headers=header | {"Origin": "https://evil.example"}).headers


def test_a_token_in_an_address_is_refused_and_not_repeated(home):
    text = token(home, Role.reader)["Authorization"].removeprefix("Bearer ")
    with serving(service_of(home)) as client:
        for address in (f"/api/status?token={text}", f"/api/status?x=%73{text[1:]}", f"/api/incidents/{text}"):
            answer = client.get(address)
            assert answer.status_code == 400 and text not in answer.text


def test_a_body_that_is_too_large_is_refused_before_it_is_read(client):
    address = (client.base_url.host, client.base_url.port)
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(
            b"POST /api/incidents/abcd/ack HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            b"Content-Length: 104857600\r\n\r\n"
        )
        assert b" 413 " in connection.recv(200)
    chunks = (b"x" * 65536 for _ in range(200))
    answer = client.post("/api/incidents/abcd/ack", content=chunks, headers={"Content-Type": "application/json"})
    assert answer.status_code == 413


def test_whoever_asks_too_often_is_told_when_to_ask_again(home):
    with serving(service_of(home, requests_per_second=5.0)) as client:
        answers = [client.get("/api/me") for _ in range(40)]
        late = [each for each in answers if each.status_code == 429]
        assert 20 <= len(late) < 40 and int(late[0].headers["retry-after"]) >= 1
        assert late[0].headers["content-type"] == "application/problem+json"
        assert client.get("/health").status_code == 200
        assert client.get("/api/me", headers=token(home, Role.reader)).status_code == 200, "another caller is not held up"


def test_decisions_are_written_with_the_name_of_the_token(home):
    header = token(home, Role.operator, "anna")
    with serving(service_of(home)) as client:
        [incident] = client.get("/api/incidents?state=all", headers=header).json()["items"]
        name = incident["incident_id"]
        told = client.post(f"/api/incidents/{name}/comment", headers=header, json={"note": "the proxy <b>again</b>"}).json()
        assert told["comments"][-1]["said"] == "the proxy <b>again</b>" and told["comments"][-1]["by"] == "anna"
        stored = home.table("incident_events", "event = 'commented'")
        assert stored["by_whom"].tolist() == ["anna"] and json.loads(stored["payload"].iloc[0])["note"] == "the proxy <b>again</b>"
        for body, status in (({}, 422), ({"note": " "}, 422), ({"nothing": 1}, 422)):
            assert client.post(f"/api/incidents/{name}/comment", headers=header, json=body).status_code == status
        judged = client.post(f"/api/incidents/{name}/feedback", headers=header, json={"verdict": "true_positive"})
        assert judged.status_code == 200 and home.count("feedback", "given_by = 'anna'") == 1
        assert client.post(f"/api/incidents/{name}/feedback", headers=header, json={}).status_code == 422


def test_what_a_proxy_hands_on_is_not_of_this_machine(client):
    assert client.get("/api/status").status_code == 200
    for header in ("X-Forwarded-For", "Forwarded", "Via"):
        assert client.get("/api/status", headers={header: "203.0.113.9"}).status_code == 401


def test_a_header_that_never_ends_is_ended(client):
    with socket.create_connection((client.base_url.host, client.base_url.port), timeout=10) as connection:
        connection.sendall(b"GET /api/me HTTP/1.1\r\nHost: localhost\r\nX: ")
        sent = 0
        try:
            while sent < 2_000_000:
                sent += connection.send(b"a" * 10_000)
            answer = connection.recv(100)
        except OSError:
            answer = b""
        assert sent < 2_000_000 or answer == b"" or b" 400 " in answer
    assert client.get("/health").status_code == 200


@pytest.mark.parametrize(
    "body",
    [b'{"note": "\\ud800"}', b'{"note": NaN}', b'{"note": ' + b"[" * 900 + b"]" * 900 + b"}", b'{"note": 1' + b"0" * 400 + b"}", b"{"],
)
def test_what_json_cannot_hold_is_refused_at_the_door(home, body):
    header = token(home, Role.admin) | {"Content-Type": "application/json"}
    with serving(service_of(home)) as client:
        for method, address in (("POST", "/api/incidents/abcdabcd/comment"), ("PUT", "/api/views/mine"), ("POST", "/api/submit")):
            answer = client.request(method, address, content=body, headers=header)
            assert answer.status_code == 422 and answer.headers["content-type"] == "application/problem+json", (address, answer.text)
        assert client.get("/api/views", headers=header).json()["items"] == []


def test_two_hosts_are_none(client):
    with socket.create_connection((client.base_url.host, client.base_url.port), timeout=10) as connection:
        connection.sendall(b"GET /api/status HTTP/1.1\r\nHost: evil.example\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert connection.recv(100).split(b" ")[1] in (b"400", b"421")


def test_a_lost_or_broken_file_of_tokens_lets_nobody_in(home):
    header = token(home, Role.reader)
    service = service_of(home)
    with serving(service) as client:
        assert client.get("/api/status", headers=header).status_code == 200
        service.tokens.file.chmod(0o644)
        told = client.get("/api/status", headers=header)
        assert told.status_code == 503 and str(home.folder) not in told.text
        service.tokens.file.unlink()
        assert client.get("/api/status").status_code == 401 and client.get("/api/status", headers=header).status_code == 401
