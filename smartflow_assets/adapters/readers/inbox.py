"""Files that people and programs drop into `data/inbox/<source>/`: CSV, JSON or Parquet, as their names say.

Each file is ingested once and stays where it is: its content hash says that it is known, so nothing is moved and a run that
was killed leaves no half-moved file. An empty inbox is no error. A file that cannot be used is set aside: it is told by its name at
each run until it is mended or gone, and the others are taken.
"""

from collections.abc import Collection, Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Literal

from pydantic import Field

from smartflow_assets.adapters.readers.base import DelimitedText, JsonText
from smartflow_assets.adapters.readers.file_signature import signature_of_files
from smartflow_assets.adapters.readers.files import FileReader
from smartflow_assets.adapters.scans import Layout, Parquet, ending
from smartflow_assets.adapters.scans.plain_text import printable
from smartflow_assets.adapters.staging.contract import ProbeContext, ReadContext, SetAside, Staged, origin_of
from smartflow_assets.adapters.staging.stage import stage_file
from smartflow_assets.core.errors import SourceError

_STILL_WRITTEN = (".part", ".partial", ".tmp", ".crdownload", ".filepart", ".swp", "~")


class InboxReader(FileReader, DelimitedText, JsonText, frozen=True):
    """Read every file that lies in the source's inbox: .json and .jsonl as JSON, .parquet as Parquet, any other as CSV; each may
    be gzipped."""

    type: Literal["inbox"] = "inbox"
    pattern: str = Field(default="*", min_length=1, description="Which files to take, by name.", examples=["*.csv", "orders_*.json.gz"])

    def files(self, source: str, data: Path) -> list[Path]:
        """The dropped files; hidden ones and those under a name of unfinished downloads are left alone, and links are not followed:
        whoever may drop a file is not to read with SmartFlow's eyes."""
        return [path for path in self._dropped(source, data) if _is_file(path)]

    def probe(self, context: ProbeContext) -> str | None:
        """By all that lies there, what is set aside as well: a link that goes is news."""
        return signature_of_files(self._dropped(context.source, context.data), is_following_links=False)

    def batches(self, context: ReadContext, only: Collection[str] | None = None) -> Iterator[Staged]:
        """Stage what can be used, set aside what cannot; of the origins `only`, where they are given. SourceError where nothing can and
        nothing ever could: that is a setting."""
        refused: list[tuple[Path, SourceError]] = []
        is_any_used = any(origin.startswith(f"inbox/{context.source}/") for origin in context.known)
        for path in self._dropped(context.source, context.data):
            if only is not None and origin_of(path, context.data) not in only:
                continue
            if not _is_file(path):
                what = (
                    "it is a link, and links are not followed" if path.is_symlink() else "it is a pipe, a socket or a device, and no file"
                )
                refused.append((path, SourceError(what, remedy="Copy the file itself into the inbox.")))
                continue
            try:
                staged = stage_file(self, path, context, self.layout(path), self.on_missing_rows, self.kept)
            except SourceError as error:
                refused.append((path, error))
                continue
            is_any_used = True
            if staged is not None:
                yield staged
        readable = [error for path, error in refused if _is_file(path)]
        if readable and not is_any_used:
            raise readable[0]
        for path, error in refused:
            reason = f"{error.what}. {error.remedy}".rstrip()
            context.set_aside.append(SetAside(printable(origin_of(path, context.data)), reason))

    def _dropped(self, source: str, data: Path) -> list[Path]:
        folder = data / "inbox" / source
        if not folder.is_dir():
            return []
        return sorted(
            path
            for path in folder.iterdir()
            if (path.is_symlink() or not path.is_dir())
            and not path.name.startswith(".")
            and not path.name.endswith(_STILL_WRITTEN)
            and fnmatch(path.name, self.pattern)
        )

    def layout(self, path: Path) -> Layout:
        return {"json": self.json_records, "parquet": Parquet()}.get(ending(path), self.delimited)

    def covers(self, origin: str, source: str, data: Path) -> bool:
        folder, _, name = origin.rpartition("/")
        return folder == f"inbox/{source}" and fnmatch(name, self.pattern)

    def describe(self) -> str:
        return f"inbox/{self.pattern}"


def _is_file(path: Path) -> bool:
    """Is it a file and no link? A pipe would keep the run waiting for ever."""
    return path.is_file() and not path.is_symlink()
