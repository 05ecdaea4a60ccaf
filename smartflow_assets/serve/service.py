"""What the routes are given: the home, the copy that is read, who may ask, what happens, and what works beside the server."""

import asyncio
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from smartflow_assets.adapters.warehouse.published_copy import PublishedCopy, Snapshot
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.config.catalogue import Catalogue, source_files
from smartflow_assets.config.settings import Settings
from smartflow_assets.serve.access.tokens import TokenFile
from smartflow_assets.serve.answers import Answers
from smartflow_assets.serve.beside import Beside
from smartflow_assets.serve.feed.event_log import EventLog
from smartflow_assets.serve.feed.listeners import Listeners
from smartflow_assets.serve.queries import state
from smartflow_assets.serve.submissions.ledger import SubmissionLedger

_LOOK_AGAIN_AFTER = 1.0  # seconds: a page asks ten things at once, and the files are the same for all of them


@dataclass(frozen=True)
class Access:
    """From where the server is asked: the hosts that it answers to, whether all are of this machine, its path behind a proxy, and
    whether it only reads (then several processes may answer)."""

    hosts: frozenset[str]
    is_loopback: bool = True
    root_path: str = ""
    requests_per_second: float = 50.0
    is_reading_only: bool = False


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Service:
    """One server of one home. `run_source` runs a source as `smartflow run` does, in whatever process it is called: (home, source) ->
    what became of it, as plain values; it is handed in, since only the command line knows Dagster."""

    settings: Settings
    warehouse: Warehouse
    access: Access
    run_source: Callable[[str, str], dict[str, Any]]
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    now: Callable[[], datetime] = _now

    def __post_init__(self) -> None:
        self.published = PublishedCopy(self.settings.published_file)
        self.tokens = TokenFile(self.settings.serve / "tokens.json")
        self.events = EventLog(self.settings.serve / "events.sqlite")
        self.listeners = Listeners()
        self.answers = Answers()
        self.submissions = SubmissionLedger(self.settings.serve / "submissions.sqlite")
        self.has_submissions = threading.Event()
        self.runs = Beside()
        self.trials = Beside()
        self.learning = Beside()
        self.under_way = dict[tuple[str, str], asyncio.Future[bytes]]()
        """Answers that are worked out beside the server now, by (copy and files, question); known to the event loop alone."""
        self._totals_turn = threading.Lock()
        self._totals: tuple[str, dict[str, Any], dict[str, int]] | None = None
        self._catalogue: Catalogue | None = None
        self._catalogue_state, self._looked_at = "", 0.0
        self._mutex = threading.Lock()

    def catalogue(self) -> Catalogue:
        """All sources as their files say them now, at most a second ago."""
        return self._known_catalogue()[0]

    @property
    def catalogue_state(self) -> str:
        """A name for what the files say: other files have another name."""
        return self._known_catalogue()[1]

    def _known_catalogue(self) -> tuple[Catalogue, str]:
        with self._mutex:
            if self._catalogue is None or time.monotonic() - self._looked_at > _LOOK_AGAIN_AFTER:
                state = _state_of_files(self.settings)
                if self._catalogue is None or state != self._catalogue_state:
                    self._catalogue, self._catalogue_state = Catalogue.load(self.settings), state
                self._looked_at = time.monotonic()
            return self._catalogue, self._catalogue_state

    @property
    def is_copy_lost(self) -> bool:
        """Whether there is a warehouse and no copy of it: somebody took it away, or the first run has not published yet."""
        return not self.published.generation and self.settings.warehouse_file.exists()

    def totals(self, snapshot: Snapshot) -> tuple[dict[str, Any], dict[str, int]]:
        """Totals of the home, and open incidents by severity; worked out once for each copy."""
        with self._totals_turn:
            if self._totals is None or self._totals[0] != snapshot.generation:
                self._totals = (snapshot.generation, state.totals(snapshot), state.open_incidents(snapshot))
            return dict(self._totals[1]), self._totals[2]

    def newest_time(self, source: str | None, before: datetime | None) -> datetime:
        """The newest time of the data, of a source or of all, and not after `before`."""
        with self.published.snapshot() as snapshot:
            newest = state.newest_day(snapshot, [source] if source else None) or self.now()
        return min(newest, before) if before else newest

    def forget_catalogue(self) -> None:
        """Look at the files again at the next question: they were written just now."""
        with self._mutex:
            self._looked_at = 0.0

    def close(self) -> None:
        """End what works beside the server, and let the files go."""
        self.runs.close(patience=4.0)  # a run that is killed is gone on with by the next one
        self.trials.close()
        self.learning.close()
        self.events.close()
        self.submissions.close()
        self.published.close()


def _state_of_files(settings: Settings) -> str:
    files = [*source_files(settings), settings.defaults_file, settings.channels_file, settings.home_file]
    newest, size, count = 0, 0, 0
    for file in files:
        try:
            status = file.stat()
        except OSError:
            continue
        newest, size, count = max(newest, status.st_mtime_ns), size + status.st_size, count + 1
    return f"{count}-{newest:x}-{size:x}"
