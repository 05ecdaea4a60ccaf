"""What the readers of servers share: a window is asked for, its pages are staged one by one, and the newest stored time says where
the next window begins.

A server is asked from the newest time that was read to its end, less `late_by`; that time is asked for again, so that each time is
there as a whole. The answer speaks for the times that it holds: rows that are stored already are left out and counted, a row that was
corrected at the source takes the place of the old one. What it does not hold any more stays and is counted, unless `on_missing_rows` says
otherwise. An answer without rows takes nothing away. Pages are stored as they come; how far a window was read is written down only
at its end, so a run that stops between two pages is followed by one that asks for the same window again.
"""

import hashlib
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

from pydantic import Field

from smartflow_assets.adapters.readers.base import BaseReader
from smartflow_assets.adapters.scans import Layout
from smartflow_assets.adapters.staging.contract import ProbeContext, ReadContext, Staged, Wanted
from smartflow_assets.adapters.staging.reading_key import ReadingKey, key_of_feed
from smartflow_assets.adapters.staging.stage import stage_rows
from smartflow_assets.adapters.warehouse.writes import MissingRows
from smartflow_assets.core.temporal.notation import Duration

MOST_PROBED = 1 << 20
"""Bytes of an answer that is taken to look whether there is anything new: more costs as much as a run."""


@dataclass(frozen=True)
class Page:
    """One page as it lies in the staging folder. `where` is what errors call it."""

    path: Path
    layout: Layout
    where: str


class FeedReader(BaseReader, frozen=True):
    """Parent of the readers of servers; a subclass fetches."""

    asking: ClassVar[frozenset[str]]  # the keys that decide which rows there are: after a change of one everything is read anew

    late_by: Duration = Field(
        default=timedelta(hours=1),
        ge=timedelta(0),
        description="How long after its time a row may still come or be corrected: each run asks again for so much.",
    )

    on_missing_rows: MissingRows = Field(
        default="keep",
        description="Stored rows of times, within those of an answer, that the answer does not hold any more: they stay and are counted "
        "(keep), or they go (delete). With delete, a removal of more than 10 rows and more than 1 % opens an incident and waits for "
        "`smartflow run SOURCE --accept-removals`.",
    )

    @property
    @abstractmethod
    def feed(self) -> str:
        """What tables and messages call the server and what is asked of it, without any secret."""

    @abstractmethod
    def pages(self, context: ReadContext) -> Iterator[Page]:
        """Fetch page after page into the staging folder; the next one is asked for once the last one is stored."""

    @property
    def prefix(self) -> str:
        """What the origins of all windows of this feed begin with."""
        return f"{self.feed} since "

    @property
    @abstractmethod
    def is_incremental(self) -> bool:
        """Can the server be asked for the rows from a moment on?"""

    @property
    def gives_all(self) -> bool:
        """Is what is given on a question for all that there is really all? A server that cannot be asked from a moment on may show its
        latest rows alone."""
        return self.is_incremental

    def window(self, context: ReadContext) -> str:
        """The origin of what is asked for now."""
        since = self.asked_from(context)
        return self.prefix + (f"{since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if since else "start")

    def asked_from(self, context: ReadContext) -> datetime | None:
        """From when on rows are asked for; None: all there are."""
        if context.since is not None:
            return context.since
        return None if context.reached is None else context.reached - self.late_by

    def reading(self, wanted: Wanted, calendar_zone: str) -> ReadingKey:
        """What stands for what is asked and how it is read."""
        return key_of_feed(self.time, self.model_dump(mode="json", include=set(self.asking)), wanted, calendar_zone)

    def batches(self, context: ReadContext) -> Iterator[Staged]:
        origin, key = self.window(context), self.reading(context.wanted, context.timezone)
        for number, page in enumerate(self.pages(context), start=1):
            with page.path.open("rb") as content:
                content_hash = f"{hashlib.file_digest(content, 'sha256').hexdigest()}.{key.with_zone(key.zone)}"
            staged = stage_rows(
                self,
                [page.path],
                context,
                origin=f"{origin} page {number}",
                content_hash=content_hash,
                where=page.where,
                layout=page.layout,
            )
            page.path.unlink()
            if staged is not None:
                yield replace(staged, origin=origin)

    def signature_of_pages(self, context: ProbeContext) -> str | None:
        """For `probe`: a hash of what the server answers when it is asked as a run would ask, for readers whose asking leaves no trace.
        None when that is much."""
        known, size = hashlib.sha256(), 0
        with TemporaryDirectory(prefix="smartflow-look-") as folder:
            asking = ReadContext(
                context.source, context.data, Path(folder), now=context.now, since=context.since, timezone=context.timezone
            )
            for page in self.pages(asking):
                size += page.path.stat().st_size
                if size > MOST_PROBED:
                    return None
                known.update(page.path.read_bytes() + b"\0")
        return known.hexdigest()[:32]

    def is_read_anew_after(self, key: str) -> bool:
        return key in self.asking

    def covers(self, origin: str, source: str, data: Path) -> bool:
        return origin.startswith(self.prefix)

    def describe(self) -> str:
        return self.feed
