"""One tick of the watch over what is not ours: read what is new, look at ticks, end what is over, tell people once.

Each part is tried by itself and none fails the tick, since a tick that fails forgets how far it had come. What cannot be done now is said
in the reason of the tick and tried again by the next one: an incident knows up to which record it was told.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from smartflow_assets.config.alerts_for import AlertsFor
from smartflow_assets.config.catalogue import Catalogue, home_error
from smartflow_assets.config.settings import Settings
from smartflow_assets.core.incidents.watched import DAEMON, Matter
from smartflow_assets.defs.resources import open_warehouse
from smartflow_assets.defs.watched_assets import gone
from smartflow_assets.defs.watched_events import Seen, newest_number, read_piece, seen_in
from smartflow_assets.defs.watched_ticks import is_ours_by_name, look_at_ticks
from smartflow_assets.stages.heartbeat import DEAD_AFTER
from smartflow_assets.stages.watched_incidents import open_matters, record, recorded_up_to

PIECES = 5  # a tick: the rest is for the next one
LOOK_EVERY = 120.0  # seconds between two looks at ticks and assets
NOT_ASKED = "nobody asks for it any more (alerts_for in data/home.yaml)"


@dataclass
class Cursor:
    """How far the watch has come. `feed` names the numbering of records, which begins anew with a new history; times are of the clock."""

    feed: str = ""
    number: int | None = None
    awake_since: float = 0.0
    seen_at: float = 0.0
    looked_at: float = 0.0
    known: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str | None) -> "Cursor":
        """From what the sensor has kept; a new one where that cannot be read."""
        try:
            return cls(**json.loads(text)) if text else cls()
        except (ValueError, TypeError):
            return cls()

    def write(self) -> str:
        """As the sensor keeps it."""
        return json.dumps(asdict(self))


def watch(
    instance: dg.DagsterInstance,
    settings: Settings,
    text: str | None,
    *,
    repository: dg.RepositoryDefinition | None,
    log: Callable[[str], object],
) -> tuple[str, str]:
    """-> the new cursor, and what the tick says. `log` is called in an except block."""
    cursor, now = Cursor.read(text), time.time()
    if now - cursor.seen_at > DEAD_AFTER.total_seconds():
        cursor.awake_since = now
    cursor.seen_at = now
    if home_error(settings) is not None:  # every run tells it; what was asked for is not known until it is mended
        return cursor.write(), "data/home.yaml cannot be used (smartflow validate)"
    catalogue, said = Catalogue.load(settings), list[str]()
    asked = catalogue.home.alerts_for
    parts: list[Callable[[], str]] = [
        lambda: _look(instance, catalogue, cursor, asked or AlertsFor(), repository),
        lambda: _read(instance, catalogue, cursor, asked),
    ]
    for part in parts:
        try:
            said.append(part())
        except Exception as error:
            log("the watch over checks, runs and ticks could not do a part of its work; the next tick tries again")
            said.append(f"could not look ({type(error).__name__})")
    return cursor.write(), "; ".join(filter(None, said)) or "nothing new"


def _look(
    instance: dg.DagsterInstance, catalogue: Catalogue, cursor: Cursor, asked: AlertsFor, repository: dg.RepositoryDefinition | None
) -> str:
    """Ticks that failed or are missing, and open incidents that are over for a reason that no record tells."""
    now = datetime.fromtimestamp(cursor.seen_at, UTC)
    is_first = cursor.awake_since == cursor.seen_at  # of a daemon that was missed
    if not is_first and cursor.seen_at - cursor.looked_at < LOOK_EVERY:
        return ""
    warehouse = open_warehouse(catalogue.settings)
    is_new = not catalogue.settings.warehouse_file.exists()
    matters = {} if is_new else open_matters(warehouse)
    seen = look_at_ticks(
        instance,
        asked,
        zones=_zones(repository),
        still_open=matters,
        now=now,
        awake_since=datetime.fromtimestamp(cursor.awake_since, UTC),
    )
    ended, known = gone(instance, repository, matters.values(), cursor.known)
    ended |= {cause: NOT_ASKED for cause, matter in matters.items() if not _is_asked(matter, asked)}
    if DAEMON in matters:
        ended[DAEMON] = "it ticks again"
    news = _recorded(catalogue, Seen(seen.failures, {**ended, **seen.ended}), now, f"watch-ticks {cursor.seen_at:.0f}")
    if DAEMON in matters:
        catalogue.settings.missed_heartbeat.unlink(missing_ok=True)
    cursor.looked_at, cursor.known = cursor.seen_at, known
    return news


def _read(instance: dg.DagsterInstance, catalogue: Catalogue, cursor: Cursor, asked: AlertsFor | None) -> str:
    """What the event log has of others since the last tick; from its end on where nobody has asked yet."""
    newest = newest_number(instance)
    if asked is None:
        cursor.number = None
        return ""
    if cursor.number is None or newest < cursor.number:  # the first tick, or a history that began anew or lost its end
        cursor.feed, cursor.number = f"{cursor.seen_at:.0f}", newest
        return f"reads from record {newest} on"
    news = list[str]()
    for _ in range(PIECES):
        if newest <= cursor.number:
            break
        piece = read_piece(instance, cursor.number)
        if piece.records:
            news.append(_take(instance, catalogue, cursor.feed, piece, asked))
        cursor.number = piece.upto  # and not `newest`: a record with a smaller number may be committed later
        if not piece.is_cut:
            break
    return "; ".join(filter(None, news))


def _take(instance: dg.DagsterInstance, catalogue: Catalogue, feed: str, piece: Any, asked: AlertsFor) -> str:
    warehouse, settings = open_warehouse(catalogue.settings), catalogue.settings
    is_there = settings.warehouse_file.exists()
    told = recorded_up_to(warehouse, feed) if is_there else -1
    piece = piece._replace(records=[(number, entry) for number, entry in piece.records if number > told])
    matters = open_matters(warehouse) if is_there else {}
    seen = seen_in(piece, instance, settings, asked, matters)
    return _recorded(catalogue, seen, datetime.now(UTC), f"watch {feed} {piece.upto}")


def _recorded(catalogue: Catalogue, seen: Seen, now: datetime, run_id: str) -> str:
    if not seen.failures and not seen.ended:
        return ""
    warehouse = open_warehouse(catalogue.settings)
    if not record(warehouse, catalogue, tuple(seen.failures.values()), seen.ended, now=now, run_id=run_id):
        return ""
    warehouse.publish("watch")
    failed = f"failed: {', '.join(seen.failures)}" if seen.failures else ""
    return "; ".join(filter(None, (failed, f"passed: {len(seen.ended)}" if seen.ended else "")))


def _is_asked(matter: Matter, asked: AlertsFor) -> bool:
    match matter.kind:
        case "check" | "materialization":
            return asked.has_asset(matter.name)
        case "run":
            return is_ours_by_name(matter.name) or asked.has_job(matter.name)
        case "schedule" | "sensor":
            return is_ours_by_name(matter.name) or asked.has_schedule(matter.name.partition(" (")[0])
        case _:
            return True


def _zones(repository: dg.RepositoryDefinition | None) -> Mapping[str, str]:
    return {} if repository is None else {each.name: each.execution_timezone or "UTC" for each in repository.schedule_defs}
