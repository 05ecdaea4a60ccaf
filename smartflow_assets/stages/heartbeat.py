"""The heartbeat: a file that every tick of ours touches, and what its age says of the daemon.

A daemon that is dead starts no sensor, so somebody else has to see it: `smartflow run` and `smartflow doctor` look at the file. A
clean stop removes it. Its age is the time for which the machine has been awake since, by the clock that does not go on while it sleeps:
a laptop that wakes has no dead daemon, and one that was started anew gives the daemon five minutes from then on.
"""

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from smartflow_assets.adapters.files.access import private
from smartflow_assets.config.settings import Settings

AT_MOST_EVERY = 5.0  # seconds: ticks come in bunches
DEAD_AFTER = timedelta(minutes=5)


@dataclass(frozen=True)
class Heartbeat:
    """The newest beat: when it was, and for how long the machine has been awake since."""

    at: datetime
    age: timedelta

    @property
    def is_dead(self) -> bool:
        """Whether it is older than any daemon that lives leaves it."""
        return self.age > DEAD_AFTER


def beat(settings: Settings) -> bool:
    """Note that a tick of ours is at work. -> whether it was written, which it is at most every five seconds. Never raises: a tick has
    other things to do."""
    path = settings.heartbeat
    with suppress(OSError):
        if 0 <= time.time() - path.stat().st_mtime < AT_MOST_EVERY:
            return False
    try:
        with private():
            new = path.with_name(f"{path.name}.{os.getpid()}")
            new.write_text(f"{time.monotonic():.3f}\n")
            new.replace(path)
    except OSError:  # a full disk or a read-only one: doctor tells
        return False
    return True


def last_beat(settings: Settings) -> Heartbeat | None:
    """The newest beat; None where no daemon ever ran, or where it was stopped on purpose."""
    try:
        wall, text = settings.heartbeat.stat().st_mtime, settings.heartbeat.read_text()
    except OSError:
        return None
    awake = time.monotonic()
    try:
        beaten = float(text)
    except ValueError:
        beaten = 0.0
    since = awake - beaten if beaten <= awake else awake  # the machine was started anew: since then
    age = min(max(time.time() - wall, 0.0), since)
    return Heartbeat(datetime.fromtimestamp(wall, UTC), timedelta(seconds=age))


def needs_a_look(settings: Settings) -> bool:
    """Whether anything is to be told of the daemon: it is dead, or the incident of a dead one is of one that nobody misses any more.
    Costs a look at a file."""
    newest = last_beat(settings)
    return settings.missed_heartbeat.exists() if newest is None else newest.is_dead


def stop(settings: Settings) -> None:
    """The daemon was stopped on purpose: nobody is to miss it."""
    settings.heartbeat.unlink(missing_ok=True)
