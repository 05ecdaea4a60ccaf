"""Parquet files at a path."""

from pathlib import Path
from typing import Literal

from smartflow_assets.adapters.readers.files import PathReader
from smartflow_assets.adapters.scans import Layout, Parquet


class ParquetReader(PathReader, frozen=True):
    """Read Parquet files. Columns keep their types; the fields of a struct become columns called `a.b`, lists JSON text."""

    type: Literal["parquet"] = "parquet"

    def layout(self, path: Path) -> Layout:
        return Parquet()
