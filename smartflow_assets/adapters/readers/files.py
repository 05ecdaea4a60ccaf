"""What the readers of files share: each file is an origin of its own, staged when its content is new."""

from abc import abstractmethod
from collections.abc import Iterator
from glob import glob
from pathlib import Path

from pydantic import Field

from smartflow_assets.adapters.readers.base import BaseReader
from smartflow_assets.adapters.scans import Layout
from smartflow_assets.adapters.scans.plain_text import printable
from smartflow_assets.adapters.staging.contract import ReadContext, Staged
from smartflow_assets.adapters.staging.reading_key import key_of_file
from smartflow_assets.adapters.staging.stage import stage_file
from smartflow_assets.adapters.warehouse.writes import MissingRows
from smartflow_assets.core.errors import SourceError


class FileReader(BaseReader, frozen=True):
    """Parent of the readers of files; a subclass says which files there are and how each is laid out."""

    on_missing_rows: MissingRows = Field(
        default="keep_older",
        description="Stored rows that a changed file does not hold any more: those from before its first time stay, since an export of "
        "the last 24 hours or a log begun anew says nothing of them, and the others go (keep_older); or all of them go (delete).",
    )

    @abstractmethod
    def files(self, source: str, data: Path) -> list[Path]:
        """The files that hold the rows, sorted by name."""

    @abstractmethod
    def layout(self, path: Path) -> Layout:
        """How the rows lie in the file."""

    def zone_before(self, key: str, path: Path, context: ReadContext) -> str | None:
        """The zone in which a known file was read, when its times are of another one now; None when they are not."""
        now = key_of_file(self.time, self.layout(path), context.wanted, self.on_missing_rows, context.timezone)
        return now.zone_before(key)

    def batches(self, context: ReadContext) -> Iterator[Staged]:
        for path in self.files(context.source, context.data):
            if (staged := stage_file(self, path, context, self.layout(path), self.on_missing_rows)) is not None:
                yield staged


class PathReader(FileReader, frozen=True):
    """Parent of the readers of files at a path: one file, or all that a glob matches; plain or gzipped."""

    path: str = Field(min_length=1, description="File, relative to the data folder; *, ? and ** match many.")

    def files(self, source: str, data: Path) -> list[Path]:
        """The matching files; SourceError when there is none."""
        exact = data / self.path
        if exact.is_file():
            return [exact]
        # Path.glob takes no absolute pattern
        files = [data / name for name in sorted(glob(self.path, root_dir=data, recursive=True)) if (data / name).is_file()]  # noqa: PTH207
        if not files:
            raise SourceError(
                f"read.path: no file matches {printable(self.path)}",
                source=source,
                where=printable(str(data / self.path)),
                remedy="Put the file there, or correct read.path; it is relative to the data folder.",
            )
        return files

    def describe(self) -> str:
        return self.path
