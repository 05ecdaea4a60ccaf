"""Schedules that missed a slot and sensors that fail in a row, by the history that Dagster's daemon leaves."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteInstigatorOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    ScheduleInstigatorData,
    SensorInstigatorData,
    TickData,
    TickStatus,
)
from dagster_shared.error import SerializableErrorInfo

from smartflow_assets_tests.defs.test_watch import Watcher, causes, told
from smartflow_assets_tests.homes import Home

NOW = datetime.now(UTC).replace(second=0, microsecond=0)


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    """The minute of each test: what is looked at is by the clock of the machine, and a suite takes minutes."""
    monkeypatch.setitem(globals(), "NOW", datetime.now(UTC).replace(second=0, microsecond=0))


class Daemon:
    """What a daemon writes of one schedule or sensor, without a daemon."""

    def __init__(self, home: Home, name: str, cron: str | None = None, location: str = "elsewhere") -> None:
        self.instance, repository = home.instance, RemoteRepositoryOrigin(RegisteredCodeLocationOrigin(location), "__repository__")
        data = SensorInstigatorData() if cron is None else ScheduleInstigatorData(cron, (NOW - timedelta(days=30)).timestamp())
        self.kind = InstigatorType.SENSOR if cron is None else InstigatorType.SCHEDULE
        origin = RemoteInstigatorOrigin(repository, name)
        self.state = InstigatorState(origin, self.kind, InstigatorStatus.DECLARED_IN_CODE, data)
        self.instance.add_instigator_state(self.state)

    def ticks(self, at: datetime, status: TickStatus = TickStatus.SKIPPED, error: str = "") -> None:
        self.instance.create_tick(
            TickData(
                self.state.instigator_origin_id,
                self.state.instigator_name,
                self.kind,
                status,
                at.timestamp(),
                selector_id=self.state.selector_id,
                end_timestamp=at.timestamp(),
                error=SerializableErrorInfo(f"{error}\n", [], "ValueError") if error else None,
            )
        )

    def is_given(self, cron: str, iterated: datetime) -> None:
        """The daemon last came by then, and read this cron line."""
        data = ScheduleInstigatorData(cron, (NOW - timedelta(days=30)).timestamp(), iterated.timestamp())
        self.instance.update_instigator_state(self.state.with_data(data))

    def switch_off(self) -> None:
        self.instance.update_instigator_state(self.state.with_status(InstigatorStatus.STOPPED))


@pytest.fixture
def watcher(home: Home) -> Watcher:
    """A watch that has been awake for an hour."""
    watcher = Watcher(home)
    watcher.tick()
    look(watcher)
    return watcher


def look(watcher: Watcher, awake: timedelta = timedelta(hours=1)) -> None:
    """The next look at ticks, of a daemon that has been awake for so long."""
    since = (datetime.now(UTC) - awake).timestamp()
    watcher.cursor = json.dumps(json.loads(watcher.cursor or "{}") | {"looked_at": 0.0, "awake_since": since})
    watcher.tick()


def test_a_schedule_that_missed_its_slot_is_an_incident_until_it_ticks(home, watcher):
    hourly = Daemon(home, "refresh", "0 * * * *")
    slot = NOW.replace(minute=0) - timedelta(hours=3)
    hourly.ticks(slot)
    for _ in range(3):
        look(watcher)
    assert causes(home) == ["schedule:refresh"]
    due = slot + timedelta(hours=1)
    assert told(home) == [("opened", f"[critical] schedule refresh should have ticked at {due:%Y-%m-%d %H:%M} UTC and did not")]
    assert home.table("incidents")["opened_at"][0] == due
    hourly.ticks(NOW.replace(minute=0))
    look(watcher)
    assert home.table("incidents")["resolved_reason"].tolist() == ["it ticks again"]


def test_a_schedule_of_ours_is_looked_at_though_nobody_asks(home):
    watcher = Watcher(home, "")
    watcher.tick()
    Daemon(home, "smartflow_monitor_schedule", "* * * * *").ticks(NOW - timedelta(minutes=30))
    Daemon(home, "refresh", "* * * * *").ticks(NOW - timedelta(minutes=30))
    look(watcher)
    assert causes(home) == ["schedule:smartflow_monitor_schedule"]


def test_after_a_pause_of_the_daemon_schedules_have_ten_minutes_to_come_to_it(home, watcher):
    Daemon(home, "refresh", "* * * * *").ticks(NOW - timedelta(hours=5))
    look(watcher, awake=timedelta(minutes=9))
    assert causes(home) == []
    look(watcher, awake=timedelta(minutes=11))
    assert causes(home) == ["schedule:refresh"]


def test_a_daily_schedule_in_an_unknown_zone_is_late_after_a_day_and_an_hour(home, watcher):
    """The cron line is read in a zone four hours behind, and another code location does not say so."""
    slot = NOW - timedelta(days=1, minutes=30)
    local = slot - timedelta(hours=4)
    daily = f"{local.minute} {local.hour} * * *"
    Daemon(home, "half_an_hour_late", daily).ticks(slot)  # which a change to summer time excuses
    Daemon(home, "a_day_late", daily).ticks(slot - timedelta(days=1))
    look(watcher)
    assert causes(home) == ["schedule:a_day_late"]


def test_a_failed_tick_is_no_tick(home, watcher):
    hourly = Daemon(home, "refresh", "0 * * * *")
    slot = NOW.replace(minute=0) - timedelta(hours=3)
    hourly.ticks(slot)
    hourly.ticks(slot + timedelta(hours=1), TickStatus.FAILURE, "ValueError: no such partition")
    look(watcher)
    assert causes(home) == ["schedule:refresh"]


def test_three_failed_ticks_in_a_row_are_an_incident_with_their_error(home, watcher):
    sensor = Daemon(home, "on_file")
    sensor.ticks(NOW - timedelta(minutes=9))
    for minutes in (3, 2):
        sensor.ticks(NOW - timedelta(minutes=minutes), TickStatus.FAILURE, "ValueError: no such bucket")
    look(watcher)
    assert causes(home) == []
    sensor.ticks(NOW - timedelta(minutes=1), TickStatus.FAILURE, "ValueError: no such bucket")
    look(watcher)
    look(watcher)
    assert told(home) == [("opened", "[critical] sensor on_file failed 3 times in a row: ValueError: no such bucket")]
    sensor.ticks(NOW)
    look(watcher)
    assert causes(home) == []


def test_what_is_switched_off_is_missed_by_nobody(home, watcher):
    schedule = Daemon(home, "refresh", "* * * * *")
    schedule.ticks(NOW - timedelta(hours=1))
    look(watcher)
    schedule.switch_off()
    look(watcher)
    assert home.table("incidents")["resolved_reason"].tolist() == ["it is switched off or gone"]
    Daemon(home, "other", "* * * * *").switch_off()
    look(watcher)
    assert causes(home) == []


def test_two_of_one_name_in_two_code_locations_are_two(home, watcher):
    Daemon(home, "refresh", "* * * * *", location="a").ticks(NOW - timedelta(hours=1))
    Daemon(home, "refresh", "* * * * *", location="b").ticks(NOW)
    look(watcher)
    assert causes(home) == ["schedule:refresh (a)"]


def test_a_schedule_whose_ticks_were_pruned_is_not_late(home, watcher):
    """Dagster keeps skipped ticks for two days; a weekly schedule has none then, and its state says when the daemon last came by."""
    Daemon(home, "weekly", "0 6 * * 1").is_given(f"0 6 * * {(NOW - timedelta(days=2)).isoweekday() % 7}", NOW - timedelta(minutes=50))
    look(watcher)
    assert causes(home) == []


def test_a_schedule_that_is_hourly_since_today_has_not_missed_the_hours_before(home, watcher):
    schedule = Daemon(home, "refresh", "0 6 * * 1")
    schedule.ticks(NOW - timedelta(days=3))
    schedule.is_given("* * * * *", NOW - timedelta(minutes=5))
    look(watcher)
    assert causes(home) == []
    schedule.is_given("* * * * *", NOW - timedelta(minutes=50))  # and now nobody comes by any more
    look(watcher)
    assert causes(home) == ["schedule:refresh"]


def test_a_schedule_that_has_failed_since_is_late_though_the_daemon_comes_by(home, watcher):
    schedule = Daemon(home, "refresh", "0 * * * *")
    slot = NOW.replace(minute=0) - timedelta(hours=3)
    schedule.ticks(slot)
    schedule.ticks(slot + timedelta(hours=1), TickStatus.FAILURE, "ValueError: no such partition")
    schedule.is_given("0 * * * *", NOW)
    look(watcher)
    assert causes(home) == ["schedule:refresh"]


def test_a_daemon_that_comes_back_ends_nothing_before_the_schedule_ticks(home, watcher):
    schedule = Daemon(home, "refresh", "* * * * *")
    schedule.ticks(NOW - timedelta(hours=1))
    look(watcher)
    look(watcher, awake=timedelta(0))
    assert causes(home) == ["schedule:refresh"]
    schedule.ticks(NOW)
    look(watcher, awake=timedelta(0))
    assert causes(home) == []
