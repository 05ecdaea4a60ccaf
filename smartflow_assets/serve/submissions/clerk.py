"""The clerk: a thread that files what was sent and has its source run, one source after the other.

What comes while a run is under way waits, and goes with the next one together. A run that fails is told in the submissions that it was
for; their rows stay in the inbox, so the next run of the source takes them all the same.
"""

import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from datetime import datetime

from smartflow_assets.adapters.staging.contract import SetAside
from smartflow_assets.core.errors import WarehouseBusyError
from smartflow_assets.serve.service import Service
from smartflow_assets.stages.audit import Audited, note

_log = logging.getLogger("smartflow.serve")
LOOK_AGAIN_AFTER, PATIENCE = 30.0, 60.0  # seconds; nobody waits for its rows, so it has more patience than a request


class Clerk(threading.Thread):
    """Works for one server."""

    def __init__(self, service: Service) -> None:
        super().__init__(name="files submissions", daemon=True)
        self._service = service
        self._is_ended = False

    def run(self) -> None:
        service = self._service
        while not self._is_ended:
            try:
                for source in service.submissions.waiting_sources():
                    if not self._is_ended:
                        self._have_run(source)
            except Exception:
                _log.exception("submissions could not be filed; it is tried again")
                service.has_submissions.wait(5)
            service.has_submissions.wait(LOOK_AGAIN_AFTER)
            service.has_submissions.clear()

    def end(self) -> None:
        """File no more; what waits is filed by the next server."""
        self._is_ended = True
        self._service.has_submissions.set()

    def _have_run(self, source: str) -> None:
        service = self._service
        ids = service.submissions.file_rows(source, service.settings.inbox / source)
        if not ids:
            return
        run_id, error, notes = None, None, list[str]()
        try:
            outcome = service.runs.submit(service.run_source, str(service.settings.home), source).result()
            run_id, notes = outcome["run_id"] or None, outcome["notes"]
            if not outcome["is_success"]:
                error = "; ".join(outcome["failures"]) or "the run failed"
        except BrokenProcessPool:
            if self._is_ended:
                return  # the next server has it run
            error = "the process of the run died; the next run of the source takes the rows"
        except Exception as problem:
            if self._is_ended:
                return
            _log.exception("%s: the run of what was submitted failed", source)
            error = f"{type(problem).__name__}: {problem}"
        files = {each.file for each in map(service.submissions.find, ids) if each is not None and each.file is not None}
        not_taken = {file: why for file in sorted(files) if (why := why_not_taken(source, file, error, notes))}
        service.submissions.end(ids, service.now(), run_id=run_id, error=error, not_taken=not_taken)
        self._note(ids)

    def _note(self, ids: list[str]) -> None:
        """A row of the audit for each submission, all in one commit: by themselves they would be as many commits as submissions."""
        service = self._service
        taken = [each for each in map(service.submissions.find, ids) if each is not None]
        entries = [
            Audited(
                source=each.source,
                action="submit",
                done_by=each.by_whom,
                role=each.role or None,
                outcome="done" if each.error is None else "failed",
                request_id=each.submission_id,
                happened_at=datetime.fromisoformat(each.received_at),
                target=each.file or "",
                after={"row_count": each.row_count, "run_id": each.run_id},
                detail=each.error or "",
            )
            for each in taken
        ]
        until = time.monotonic() + PATIENCE
        while True:
            try:
                note(service.warehouse, *entries)
                return
            except WarehouseBusyError as busy:
                if self._is_ended or time.monotonic() > until:
                    _log.warning("%d submissions have no row in api_audit: %s", len(entries), busy)
                    return


def why_not_taken(source: str, file: str, error: str | None, notes: Sequence[str]) -> str:
    """Why a run left a file of the inbox alone, by what it tells; nothing where it took it.

    >>> why_not_taken("shop", "api-1.jsonl", None, ["inbox/shop/api-1.jsonl is set aside: it is a link; inbox/shop/b.csv is set aside: so"])
    'api-1.jsonl is set aside: it is a link. Nothing of it was taken: what is right can be sent again, with another Idempotency-Key.'
    """
    told = next((parts[2] for note in notes if (parts := note.partition(str(SetAside(f"inbox/{source}/{file}", ""))))[1]), None)
    if told is not None:
        reason = told.partition(f"; inbox/{source}/")[0].rstrip(".")
        again = "Nothing of it was taken: what is right can be sent again, with another Idempotency-Key."
        return f"{file} is set aside: {reason}. {again}"
    return error if error is not None and file in error else ""
