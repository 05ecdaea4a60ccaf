"""Delimited text files at a path: one file, or all that a glob matches; plain or gzipped."""
from glob import glob
from pathlib import Path
from typing import Literal

from pydantic import Field

from smartflow_assets.adapters.readers.files import FileReader
from smartflow_assets.core.errors import SourceError


class CsvReader(FileReader, frozen=True):
    """Read CSV files. Each file is an origin of its own: a grown file replaces the rows that came from it."""

    type: Literal["csv"] = "csv"
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
                f"read.path: no file matches {self.path}", source=source, where=str(data / self.path),
                remedy="Put the file there, or correct read.path; it is relative to the data folder.")
        return files

    def describe(self) -> str:
        return self.path
