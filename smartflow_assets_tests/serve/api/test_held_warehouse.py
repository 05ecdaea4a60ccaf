"""Decisions while a stranger has the warehouse file open: they are refused soon, with who holds it, and can be made once he lets go."""

import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from smartflow_assets.commands.serve import _warehouse
from smartflow_assets.serve.access.tokens import Role
from smartflow_assets.serve.service import Access, Service
from smartflow_assets_tests.homes import Home
from smartflow_assets_tests.serve.served import LIVE, serving, token

HOLD = "import duckdb, sys; connection = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"


@contextmanager
def held(file):
    with subprocess.Popen([sys.executable, "-c", HOLD, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as stranger:
        assert stranger.stdout.readline() == "open\n"
        yield stranger
        stranger.stdin.close()


def as_served(home) -> Service:
    return Service(home.settings, _warehouse(home.settings), Access(frozenset({"127.0.0.1"}), requests_per_second=0.0), lambda *_: {})


def test_a_decision_does_not_wait_until_a_stranger_lets_go(home):
    header, incident = token(home, Role.operator, "anna"), home.table("incidents", "source = 'web'")["incident_id"][0]
    with serving(as_served(home)) as client:
        with held(home.settings.warehouse_file) as stranger:
            for action, body in (("comment", {"note": "on it"}), ("feedback", {"verdict": "true_positive"})):
                began = time.monotonic()
                answer = client.post(f"/api/incidents/{incident}/{action}", json=body, headers=header)
                assert time.monotonic() - began < 12 and answer.status_code == 503, answer.text
                assert f"PID {stranger.pid}" in answer.json()["detail"] and answer.headers["retry-after"] == "5"
                assert "Close it there" in answer.json()["remedy"] and str(home.folder) not in answer.text
        answer = client.post(f"/api/incidents/{incident}/comment", json={"note": "on it"}, headers=header)
        assert answer.status_code == 200, answer.text
    assert home.table("api_audit")[["action", "outcome"]].values.tolist() == [["comment", "done"]]


def test_a_submission_that_takes_long_says_why(tmp_path):
    home = Home(tmp_path / "live")
    home.write_source("live", LIVE)
    header, service = token(home, Role.operator), as_served(home)
    sent = service.submissions.add("live", [{"at": "2026-03-09", "load": 1}], None, "anna", datetime.now(UTC))
    service.access = Access(service.access.hosts, requests_per_second=0.0, is_reading_only=True)  # nobody files it
    with serving(service) as client:
        ask = f"/api/submissions/{sent.submission_id}"
        assert client.get(ask, headers=header).json()["note"] is None
        service.now = lambda: datetime.now(UTC) + timedelta(minutes=1)
        told = client.get(ask, headers=header).json()
        assert told["state"] == "waiting" and "smartflow doctor" in told["note"]
