"""Delimited text files at a path."""

from pathlib import Path
from typing import Literal

from smartflow_assets.adapters.readers.base import DelimitedText
from smartflow_assets.adapters.readers.files import PathReader
from smartflow_assets.adapters.scans import Layout


class CsvReader(PathReader, DelimitedText, frozen=True):
    """Read CSV files. Each file is an origin of its own: a grown file replaces the rows that came from it."""

    type: Literal["csv"] = "csv"

    def layout(self, path: Path) -> Layout:
        return self.delimited
