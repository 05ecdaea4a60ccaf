"""What Dagster tells nobody of: a failed blocking check, a failed check of a stranger, a failed run, a dead daemon. One message each."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import dagster as dg
import psutil
import pytest

from smartflow_assets.config.settings import Settings
from smartflow_assets.defs.instance import INSTANCE_SETTINGS
from smartflow_assets.defs.resources import open_warehouse
from smartflow_assets.defs.sensors import outbox_sensor
from smartflow_assets.stages.heartbeat import last_beat
from smartflow_assets_tests.defs.test_ticking import age, look
from smartflow_assets_tests.defs.test_watch import Watcher, causes, materialize, run_nightly
from smartflow_assets_tests.defs.test_watched_ticks import Daemon
from smartflow_assets_tests.end_to_end.test_dagster_ui import wait_for
from smartflow_assets_tests.homes import daily_series, write_rows

MAIL = "mail: {{type: email, host: 127.0.0.1, port: {port}, security: none, sender: smartflow@example.org, to: [ops@example.org]}}\n"
FOUR = ["check:shop/orders/fresh", "check:shop/orders/not_null", "daemon", "run:nightly"]
WEB = """
name: web
read: {type: csv, path: examples/web.csv, time: timestamp}
metrics: [{name: requests, column: value, aggregate: sum}]
time_bucket: {every: 5min, settle: 0s}
schedule: manual
"""


@pytest.mark.soak
def test_each_of_four_failures_is_one_mail_however_often_it_is_seen(home, mailbox, monkeypatch):
    monkeypatch.setenv("DAGSTER_HOME", home.instance.root_directory)
    monkeypatch.setenv("SMARTFLOW_UI_URL", "https://dagster.example.org/")
    home.write_channels(MAIL.format(port=mailbox.port))
    Daemon(home, "smartflow_watch_sensor")
    watcher = Watcher(home)
    watcher.asks('alerts_for: "*"', to="mail")
    watcher.tick()
    for _ in range(3):
        materialize(home, "not_null", "fresh")  # one blocks and ends the run; of one that warns Dagster says nothing in any case
        run_nightly(home, "load")
        watcher.tick()
    age(home.settings, timedelta(hours=1))
    for _ in range(3):
        look(home)
    assert causes(home) == FOUR
    since = f"{last_beat(home.settings).at:%Y-%m-%d %H:%M} UTC"
    assert sorted(mail["subject"] for mail in mailbox.mails) == [
        f"[critical] Dagster's daemon is dead: no tick since {since}",
        "[critical] check not_null of shop/orders failed: 3 nulls",
        "[critical] run of nightly failed in step load: RuntimeError: the disk is full",
        "[warning] check fresh of shop/orders failed: hours 7",
    ]
    texts = "\n".join(mail.get_body(("plain",)).get_content() for mail in mailbox.mails)
    assert "Look at it: https://dagster.example.org/assets/shop/orders?view=checks&checkDetail=not_null" in texts
    assert "https://dagster.example.org/runs/" in texts and "rm " in texts
    materialize(home)
    run_nightly(home)
    watcher.cursor = json.dumps(json.loads(watcher.cursor) | {"seen_at": 0.0})  # the daemon was away for an hour
    watcher.tick()
    assert causes(home) == []
    outbox_sensor(dg.build_sensor_context(instance=home.instance))
    assert sum(mail["subject"].startswith("[resolved]") for mail in mailbox.mails) == 4 and len(mailbox.mails) == 8


@contextmanager
def daemon_of(settings: Settings, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    """A real daemon in a group of processes of its own; what is left of it at the end is killed."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    log = settings.home / "daemon.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *command, "--port", port], cwd=settings.home, stdout=output, stderr=output, start_new_session=True
        )
        try:
            yield process
        finally:
            kill_all(process)
            sys.stderr.write(log.read_text()[-3000:])  # shown when something failed


def kill_all(process: "subprocess.Popen[bytes]") -> None:
    """As the kernel does when memory is short, with everything that it has started."""
    with suppress(psutil.NoSuchProcess):
        family = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
        for member in family:
            with suppress(psutil.NoSuchProcess):
                member.kill()
    process.wait(20)


@pytest.mark.soak
def test_a_real_daemon_sees_another_code_location_is_killed_and_comes_back(tmp_path: Path, monkeypatch) -> None:
    settings = Settings(tmp_path)
    settings.sources.mkdir(parents=True)
    settings.dagster_home.mkdir()
    (settings.sources / "web.yaml").write_text(WEB)
    write_rows(settings.data / "examples" / "web.csv", daily_series(1))
    (settings.dagster_home / "dagster.yaml").write_text(json.dumps(INSTANCE_SETTINGS))
    settings.home_file.write_text('alerts_for: "*"\nalerts: {to: [file]}\n')
    monkeypatch.setenv("SMARTFLOW_HOME", str(tmp_path))
    monkeypatch.setenv("DAGSTER_HOME", str(settings.dagster_home))
    own, theirs = "smartflow_assets.definitions", "smartflow_assets_tests.defs.strangers"

    def run() -> str:
        done = subprocess.run([sys.executable, "-m", "smartflow_assets.cli", "run"], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stderr

    def opened() -> list[str]:
        rows = open_warehouse(settings).read("SELECT cause FROM incidents WHERE state = 'open' ORDER BY cause")
        return rows["cause"].tolist()

    with daemon_of(settings, "smartflow_assets.cli", "ui") as ui:
        wait_for(settings.heartbeat.exists, 120, "heartbeat")
        ui.send_signal(signal.SIGTERM)
        assert ui.wait(60) == 0
    assert not settings.heartbeat.exists()  # a clean stop
    assert "daemon" not in run()

    with daemon_of(settings, "dagster", "dev", "-m", own, "-m", theirs) as daemon, dg.DagsterInstance.get() as instance:
        home = type("Home", (), {"instance": instance, "settings": settings})()

        def is_watching() -> bool:
            states = [state for state in instance.all_instigator_state() if state.instigator_name == "smartflow_watch_sensor"]
            cursor = states[0].instigator_data.cursor if states and states[0].instigator_data else None
            return bool(cursor) and json.loads(cursor)["number"] is not None

        wait_for(is_watching, 150, "first tick of the watch")
        materialize(home, "not_null", "fresh")
        run_nightly(home, "load")
        wait_for(lambda: opened() == [cause for cause in FOUR if cause != "daemon"], 90, "incidents of the strangers")
        kill_all(daemon)
    assert "daemon" not in run()  # it may be back at any moment
    age(settings, timedelta(hours=1))
    assert "Dagster's daemon: no tick since" in run()
    assert "nothing runs by schedule" in run()
    assert opened() == FOUR
    with daemon_of(settings, "smartflow_assets.cli", "ui"), dg.DagsterInstance.get() as instance:
        wait_for(lambda: "daemon" not in opened(), 150, "end of the incident of the daemon")
        wait_for(lambda: _told(settings).get("daemon") == ["opened", "resolved"], 90, "message that it is back")
    told = _told(settings)
    assert {cause: events for cause, events in told.items() if cause != "daemon"} == {
        cause: ["opened"] for cause in FOUR if cause != "daemon"
    }


def _told(settings: Settings) -> dict[str, list[str]]:
    """Events that the channel `file` got, by cause."""
    told: dict[str, list[str]] = {}
    for path in settings.outbox.rglob("*.json"):
        message = json.loads(path.read_text())
        told.setdefault(message["cause"], []).append(message["event"])
    return {cause: sorted(events) for cause, events in told.items()}
