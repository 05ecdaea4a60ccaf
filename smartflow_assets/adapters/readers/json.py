"""JSON files at a path: a list of objects, JSON lines, or a list somewhere in an object."""

from pathlib import Path
from typing import Literal

from smartflow_assets.adapters.readers.base import JsonText
from smartflow_assets.adapters.readers.files import PathReader
from smartflow_assets.adapters.scans import Layout


class JsonReader(PathReader, JsonText, frozen=True):
    """Read JSON files. A line or record that is no object is put into quarantine; a damaged list is refused as a whole."""

    type: Literal["json"] = "json"

    def layout(self, path: Path) -> Layout:
        return self.json_records
