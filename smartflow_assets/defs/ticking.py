"""That a daemon ticks, and what is told when it does not any more.

Each tick of ours is a beat (`stages.heartbeat`) and calls the address outside, if there is one. A dead daemon starts no sensor that could
say so: `smartflow run` and `smartflow doctor` do. The incident `daemon` is over with the next tick (`watch`).
"""

import os
from datetime import UTC, datetime

from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.settings import Settings
from smartflow_assets.core.incidents.run_failures import Failure
from smartflow_assets.core.incidents.watched import DAEMON, OF_NO_SOURCE, Matter
from smartflow_assets.core.text_format import lasting
from smartflow_assets.defs.instance import open_instance
from smartflow_assets.defs.resources import open_warehouse
from smartflow_assets.defs.watched_ticks import is_ours, running
from smartflow_assets.stages.alerting import drain_outbox
from smartflow_assets.stages.heartbeat import beat, last_beat
from smartflow_assets.stages.outside_switch import call_outside
from smartflow_assets.stages.watched_incidents import record

ON_PURPOSE = "If it was stopped on purpose: rm {path}"


def note_tick(settings: Settings) -> None:
    """A tick of ours is at work; costs it a look at a file, and never fails it."""
    if settings.sources.is_dir():  # else a code server that was started in the wrong folder
        beat(settings)
        call_outside(settings, os.environ)


def is_expected(settings: Settings) -> bool:
    """Whether a schedule or sensor of ours is on, so that somebody should be ticking."""
    with open_instance(settings.dagster_home) as instance:
        return any(is_ours(state) for state in running(instance))


def look_for_daemon(settings: Settings, catalogue: Catalogue) -> str:
    """Make an incident of a daemon that is dead, once, and end that of one which nobody misses any more; deliver what is due.

    -> what is said of a dead one; empty where there is none, or nobody expects one.
    """
    newest = last_beat(settings)
    if newest is not None and not newest.is_dead:
        return ""  # the next tick says the rest
    now, warehouse = datetime.now(UTC), open_warehouse(settings)
    if newest is None or not is_expected(settings):
        if settings.missed_heartbeat.exists():
            why = "it was stopped on purpose" if newest is None else "its schedules and sensors are switched off"
            record(warehouse, catalogue, [], {DAEMON: why}, now=now, run_id=f"{DAEMON} {now.isoformat()}")
            settings.missed_heartbeat.unlink(missing_ok=True)
            _deliver(warehouse, catalogue, settings, now)
        return ""
    failure = Failure(
        DAEMON,
        "Dagster's daemon or the code server is dead, or it cannot reach this home.",
        title=f"{Matter('daemon')} is dead: no tick since {newest.at:%Y-%m-%d %H:%M} UTC",
        next_step=f"Start it again: smartflow ui, or the service that runs it. {ON_PURPOSE.format(path=settings.heartbeat)}",
        since=newest.at,
    )
    settings.missed_heartbeat.touch(mode=0o600)
    record(warehouse, catalogue, [failure], {}, now=now, run_id=f"{DAEMON} {newest.at.isoformat()}")
    _deliver(warehouse, catalogue, settings, now)
    return f"no tick since {newest.at:%Y-%m-%d %H:%M} UTC ({lasting(newest.age)}): nothing runs by schedule, no message is retried"


def _deliver(warehouse: Warehouse, catalogue: Catalogue, settings: Settings, now: datetime) -> None:
    """No sensor does it now."""
    drain_outbox(warehouse, catalogue, settings, now=now, run_id=DAEMON, environment=os.environ, sources=(OF_NO_SOURCE,))
    warehouse.publish(DAEMON, is_forced=True)
