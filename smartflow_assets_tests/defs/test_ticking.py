"""A daemon that is dead is seen by `smartflow run`, told once, and over with the next tick; one that was stopped is missed by nobody."""

import os
import time
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.settings import Settings
from smartflow_assets.defs import ticking
from smartflow_assets.defs.sensors import outbox_sensor
from smartflow_assets.stages import heartbeat, outside_switch
from smartflow_assets.stages.heartbeat import last_beat
from smartflow_assets_tests.defs.test_watch import Watcher, causes, told
from smartflow_assets_tests.defs.test_watched_ticks import Daemon
from smartflow_assets_tests.homes import Home
from smartflow_assets_tests.receivers import hook_server


def age(settings: Settings, length: timedelta, content: str | None = None) -> None:
    """The newest beat was so long ago, and the machine has been awake since, unless the content says otherwise."""
    then, beaten = time.time() - length.total_seconds(), time.monotonic() - length.total_seconds()
    settings.heartbeat.write_text(f"{beaten:.3f}\n" if content is None else content)
    os.utime(settings.heartbeat, (then, then))


def look(home: Home) -> str:
    """What `smartflow run` does when it has done its work."""
    return ticking.look_for_daemon(home.settings, Catalogue.load(home.settings)) if heartbeat.needs_a_look(home.settings) else ""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A home without an instance."""
    settings = Settings(tmp_path)
    settings.sources.mkdir(parents=True)
    return settings


@pytest.fixture
def daemon(home: Home) -> Daemon:
    return Daemon(home, "smartflow_watch_sensor")


@pytest.fixture
def ticked(home: Home, daemon: Daemon, monkeypatch) -> Home:
    """A home whose sensors are on, and whose instance is the one that commands open."""
    monkeypatch.setenv("DAGSTER_HOME", home.instance.root_directory)
    return home


def test_a_dead_daemon_is_told_once_and_over_with_the_next_tick(ticked):
    watcher = Watcher(ticked, "")
    watcher.tick()
    age(ticked.settings, timedelta(hours=3))
    for _ in range(3):
        assert "nothing runs by schedule" in look(ticked)
    assert causes(ticked) == ["daemon"]
    watcher.cursor = None  # the daemon is another process
    watcher.tick()
    assert causes(ticked) == []
    opened, resolved = told(ticked)
    assert opened[1].startswith("[critical] Dagster's daemon is dead: no tick since ")
    assert resolved == ("resolved", "[resolved] Dagster's daemon after 3 h")


def test_no_daemon_no_heartbeat_no_incident(ticked):
    assert look(ticked) == ""
    Watcher(ticked, "").tick()
    assert last_beat(ticked.settings) is not None
    heartbeat.stop(ticked.settings)
    assert look(ticked) == ""
    assert causes(ticked) == []


def test_a_daemon_whose_schedules_and_sensors_are_off_is_not_missed(ticked, daemon):
    age(ticked.settings, timedelta(hours=3))
    daemon.switch_off()
    Daemon(ticked, "of_a_stranger")
    assert look(ticked) == ""
    assert causes(ticked) == []


def test_one_that_is_missed_and_was_stopped_on_purpose_is_over_when_its_heartbeat_is_removed(ticked):
    Watcher(ticked, "").tick()
    age(ticked.settings, timedelta(hours=3))
    look(ticked)
    ticked.settings.heartbeat.unlink()  # as the message says
    for _ in range(2):
        assert look(ticked) == ""
    assert ticked.table("incidents")["resolved_reason"].tolist() == ["it was stopped on purpose"]
    assert [event for event, _ in told(ticked)] == ["opened", "resolved"]
    assert not heartbeat.needs_a_look(ticked.settings)


def test_a_look_that_died_after_its_mark_is_made_again(ticked, monkeypatch):
    age(ticked.settings, timedelta(hours=3))
    with monkeypatch.context() as full_disk:
        full_disk.setattr(ticking, "record", lambda *args, **more: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            look(ticked)
    look(ticked)
    assert causes(ticked) == ["daemon"]
    Watcher(ticked, "").tick()
    assert causes(ticked) == [] and not ticked.settings.missed_heartbeat.exists()


def test_a_machine_that_slept_has_no_dead_daemon(settings):
    age(settings, timedelta(hours=9), f"{time.monotonic() - 20:.3f}\n")  # of which it was awake for 20 s
    assert last_beat(settings).age < timedelta(minutes=1)
    assert not heartbeat.needs_a_look(settings)


def test_a_machine_that_was_started_anew_gives_the_daemon_five_minutes(settings, monkeypatch):
    age(settings, timedelta(hours=9), "900000.000\n")
    for awake, is_dead in ((100.0, False), (400.0, True)):
        monkeypatch.setattr(heartbeat.time, "monotonic", lambda awake=awake: awake)
        assert last_beat(settings).is_dead is is_dead


@pytest.mark.parametrize("content", ["", "half a num", "\x00\x00"])
def test_a_heartbeat_that_cannot_be_read_is_as_old_as_its_file(settings, content, monkeypatch):
    monkeypatch.setattr(heartbeat.time, "monotonic", lambda: 900_000.0)
    for hours in (0, 9):
        age(settings, timedelta(hours=hours), content)
        assert last_beat(settings).is_dead is bool(hours)


def test_ticks_beat_at_most_every_five_seconds_and_a_full_disk_stops_none(settings, monkeypatch):
    assert heartbeat.beat(settings)
    assert not heartbeat.beat(settings)
    age(settings, timedelta(seconds=6))
    assert heartbeat.beat(settings)
    settings.heartbeat.unlink()
    settings.heartbeat.mkdir()
    assert not heartbeat.beat(settings)


@pytest.fixture
def switch(settings: Settings, monkeypatch):
    """Calls now, as the first tick of a process does, and waits for the end of it."""
    monkeypatch.setattr(outside_switch, "_due", {"called": None, "logged": None})

    def call(text: str = "heartbeat_url: ${HEARTBEAT_URL}") -> bool:
        settings.home_file.write_text(f"{text}\n")
        outside_switch._due["called"] = None
        thread = outside_switch.call_outside(settings, os.environ)
        if thread is not None:
            thread.join()
        return thread is not None

    return call


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_tick_calls_the_address_outside_once_a_minute(settings, switch, monkeypatch, method):
    with hook_server() as server:
        monkeypatch.setenv("HEARTBEAT_URL", f"{server.url}?token=hush-hush")
        text = f"heartbeat_url: ${{HEARTBEAT_URL}}\nheartbeat_method: {method}\n"
        assert switch(text)
        assert outside_switch.call_outside(settings, os.environ) is None  # within the minute
    assert server.calls == [(method.upper(), "/hook?token=hush-hush")]


def test_the_address_of_a_call_that_fails_stands_nowhere(settings, switch, monkeypatch, caplog):
    monkeypatch.setenv("HEARTBEAT_URL", "http://127.0.0.1:9/hush-hush?token=hush-hush")
    for _ in range(3):
        switch()
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "heartbeat_url: 127.0.0.1 cannot be reached (ConnectError)"
    ]
    assert settings.failed_call.read_text() == "127.0.0.1 cannot be reached (ConnectError)\n"
    assert "hush" not in caplog.text
    with hook_server() as server:
        monkeypatch.setenv("HEARTBEAT_URL", server.url)
        switch()
    assert not settings.failed_call.exists()


@pytest.mark.parametrize("address", ["", "no address", "http://[half", "ftp://host/hush-hush"])
def test_an_address_that_is_none_fails_the_call_and_not_the_tick(settings, switch, monkeypatch, address):
    monkeypatch.setenv("HEARTBEAT_URL", address)
    assert switch()
    assert settings.failed_call.exists() and "hush" not in settings.failed_call.read_text()
    ticking.note_tick(settings)


def test_a_receiver_that_hangs_holds_no_tick_up(home, monkeypatch):
    with hook_server() as server:
        server.hangs = True
        monkeypatch.setattr(outside_switch, "_due", {"called": None, "logged": None})
        monkeypatch.setenv("HEARTBEAT_URL", server.url)
        home.settings.home_file.write_text("heartbeat_url: ${HEARTBEAT_URL}\n")
        outbox_sensor(dg.build_sensor_context(instance=home.instance))
        assert not home.settings.failed_call.exists()  # the tick is over before the call is
