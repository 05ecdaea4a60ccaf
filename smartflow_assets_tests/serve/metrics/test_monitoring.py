"""docs/monitoring as operators use it: rules that promtool tries, a dashboard whose every question a real Prometheus answers."""

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from ruamel.yaml import YAML

from smartflow_assets.serve.metrics.declarations import METRICS
from smartflow_assets_tests.serve.metrics.watched_home import busy_home, service_of
from smartflow_assets_tests.serve.served import serving

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not (shutil.which("promtool") and shutil.which("prometheus")), reason="they come with Debian's prometheus"),
]
FOLDER = Path(__file__).parents[3] / "docs/monitoring"
RULES, TRIALS, DASHBOARD = (FOLDER / name for name in ("smartflow.rules.yml", "smartflow.rules.test.yml", "smartflow.dashboard.json"))


def promtool(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, check=False)


@pytest.mark.soak
def test_the_rules_are_valid_and_each_does_what_its_trial_says() -> None:
    checked, tried = promtool("check", "rules", RULES), promtool("test", "rules", TRIALS)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert tried.returncode == 0, tried.stdout + tried.stderr


def test_each_alert_has_a_trial_in_which_it_fires_and_most_one_in_which_it_does_not() -> None:
    yaml = YAML(typ="safe")
    alerts = {rule["alert"] for group in yaml.load(RULES)["groups"] for rule in group["rules"] if "alert" in rule}
    trials = [trial for test in yaml.load(TRIALS)["tests"] for trial in test["alert_rule_test"]]
    assert {trial["alertname"] for trial in trials if trial["exp_alerts"]} == alerts
    assert len({trial["alertname"] for trial in trials if not trial["exp_alerts"]}) >= len(alerts) / 3


@pytest.mark.soak
def test_a_rule_that_is_wrong_fails_its_trial(tmp_path: Path) -> None:
    shutil.copy(TRIALS, tmp_path)
    (tmp_path / RULES.name).write_text(
        RULES.read_text().replace("smartflow:heartbeat_age:seconds > 300", "smartflow:heartbeat_age:seconds > 3000")
    )
    tried = promtool("test", "rules", tmp_path / TRIALS.name)
    assert tried.returncode == 1 and "SmartFlowHeartbeatDead" in tried.stderr and "SmartFlowPublishedCopyOld" not in tried.stderr


def test_rules_and_panels_ask_for_metrics_that_there_are() -> None:
    known = {*METRICS, *(f"{name}_bucket" for name in METRICS)}
    words = set("".join(sign if sign.isalnum() or sign in "_:" else " " for sign in RULES.read_text() + DASHBOARD.read_text()).split())
    asked = {word for word in words if word.startswith("smartflow_") and ":" not in word}
    groups = {"smartflow_recordings", "smartflow_service", "smartflow_sources", "smartflow_incidents_and_messages", "smartflow_source"}
    assert asked - known - groups == set()


def test_the_dashboard_is_what_its_script_writes(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, FOLDER / "dashboard.py", "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stderr}Run `python docs/monitoring/dashboard.py` and commit what it wrote."
    shutil.copy(FOLDER / "dashboard.py", tmp_path)
    (tmp_path / DASHBOARD.name).write_text(DASHBOARD.read_text().replace("Feeds silent", "Feeds"))
    edited = subprocess.run([sys.executable, tmp_path / "dashboard.py", "--check"], capture_output=True, text=True, check=False)
    assert edited.returncode == 1 and "is not what `python docs/monitoring/dashboard.py` writes" in edited.stderr


def test_each_panel_has_an_id_and_each_of_its_questions_a_name_of_its_own() -> None:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    ids = [panel["id"] for panel in panels]
    assert len(set(ids)) == len(ids) and 0 not in ids
    for panel in panels:
        names = [target["refId"] for target in panel.get("targets", ())]
        assert len(set(names)) == len(names) and all(names), panel["title"]


@contextmanager
def scraping(folder: Path, target: str) -> Iterator[str]:
    """A Prometheus of its own that scrapes `target` each second under our rules; yields its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    shutil.copy(RULES, folder)
    (folder / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s, evaluation_interval: 1s}\n"
        f"rule_files: [{RULES.name}]\n"
        f"scrape_configs: [{{job_name: smartflow, static_configs: [{{targets: ['{target}']}}]}}]\n"
    )
    arguments = [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/tsdb", f"--web.listen-address=127.0.0.1:{port}"]
    with (folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen(["prometheus", *arguments], stdout=log, stderr=log)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def asked(address: str, expression: str) -> list[dict]:
    """The series that an expression has now; AssertionError where Prometheus refuses it."""
    response = httpx.get(f"{address}/api/v1/query", params={"query": expression})
    if response.status_code == 503:  # it is starting
        return []
    answer = response.json()
    assert answer["status"] == "success", f"{expression}: {answer.get('error')}"
    return answer["data"]["result"]


def answered(address: str, expression: str, patience: float = 30) -> list[dict]:
    """The same, as soon as there is one."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        try:
            if found := asked(address, expression):
                return found
        except httpx.TransportError:
            pass
        time.sleep(0.5)
    return []


@pytest.mark.soak
def test_each_question_of_the_dashboard_and_each_recording_is_answered_by_a_real_prometheus(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with serving(service_of(busy_home(home, datetime.now(UTC)))) as server, scraping(tmp_path, server.base_url.netloc.decode()) as address:
        for path in ("/api/data/shop", "/api/status", "/api/nothing"):
            server.get(path)
        assert answered(address, "count_over_time(up[1m]) >= 4"), (tmp_path / "prometheus.log").read_text()
        panels = [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel.get("targets")]
        for panel in panels:
            for target in panel["targets"]:
                expression = target["expr"]
                for name, value in {"$instance": ".*", "$source": ".*", "$__rate_interval": "30s"}.items():
                    expression = expression.replace(name, value)
                found = answered(address, expression, patience=5)
                assert found and not any(one["value"][1] == "NaN" for one in found), f"{panel['title']}: {expression}: {found}"
        rules = YAML(typ="safe").load(RULES)["groups"][0]["rules"]
        for rule in rules:
            assert answered(address, rule["record"], patience=5), rule["record"]
        groups = httpx.get(f"{address}/api/v1/rules").json()["data"]["groups"]
        health = {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}
        assert len(health) == sum(len(group["rules"]) for group in YAML(typ="safe").load(RULES)["groups"])
        assert set(health.values()) == {"ok"}, health
        pending = {alert["labels"]["alertname"] for alert in httpx.get(f"{address}/api/v1/alerts").json()["data"]["alerts"]}
        assert {"SmartFlowFeedSilent", "SmartFlowRunFailing", "SmartFlowMessagesGivenUp", "SmartFlowMessagesWaiting"} <= pending
        assert not pending & {"SmartFlowServerDown", "SmartFlowAbsent", "SmartFlowHeartbeatDead", "SmartFlowPublishedCopyOld"}
