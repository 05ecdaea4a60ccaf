"""Files that people and programs drop into `data/inbox/<source>/`: CSV, JSON or Parquet, as their names say.

Each file is ingested once and stays where it is: its content hash says that it is known, so nothing is moved and a run that
was killed leaves no half-moved file. An empty inbox is no error.
"""

from fnmatch import fnmatch
from pathlib import Path
from typing import Literal

from pydantic import Field

from smartflow_assets.adapters.readers.base import DelimitedText, JsonText
from smartflow_assets.adapters.readers.files import FileReader
from smartflow_assets.adapters.scans import Layout, Parquet, ending

_STILL_WRITTEN = (".part", ".partial", ".tmp", ".crdownload", ".filepart", ".swp", "~")


class InboxReader(FileReader, DelimitedText, JsonText, frozen=True):
    """Read every file that lies in the source's inbox: .json and .jsonl as JSON, .parquet as Parquet, any other as CSV; each may
    be gzipped."""

    type: Literal["inbox"] = "inbox"
    pattern: str = Field(default="*", min_length=1, description="Which files to take, by name.", examples=["*.csv", "orders_*.json.gz"])

    def files(self, source: str, data: Path) -> list[Path]:
        """The dropped files; hidden ones and those under a name of unfinished downloads are left alone."""
        folder = data / "inbox" / source
        if not folder.is_dir():
            return []
        return sorted(
            path
            for path in folder.iterdir()
            if path.is_file()
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
