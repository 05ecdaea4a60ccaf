"""Readers: the union below is the registry.

A reader listed here, or offered by an installed package under the entry point group `smartflow.readers`, can stand in a
source's `read:`; its fields are validated, documented in the JSON schema and covered by the conformance tests.
"""

from typing import TYPE_CHECKING

from smartflow_assets.adapters.readers.base import BaseReader
from smartflow_assets.adapters.readers.csv import CsvReader
from smartflow_assets.adapters.readers.files import FileReader
from smartflow_assets.adapters.readers.http import HttpReader
from smartflow_assets.adapters.readers.inbox import InboxReader
from smartflow_assets.adapters.readers.json import JsonReader
from smartflow_assets.adapters.readers.parquet import ParquetReader
from smartflow_assets.adapters.readers.python import PythonReader
from smartflow_assets.adapters.readers.sql import SqlReader
from smartflow_assets.adapters.readers.synthetic import SyntheticReader
from smartflow_assets.adapters.staging.contract import ReadContext, Staged, TimeColumn, Wanted
from smartflow_assets.core.extensions import registry_on_demand

__all__ = [
    "READERS",
    "BaseReader",
    "CsvReader",
    "FileReader",
    "HttpReader",
    "InboxReader",
    "JsonReader",
    "ParquetReader",
    "PythonReader",
    "ReadContext",
    "Reader",
    "SqlReader",
    "Staged",
    "SyntheticReader",
    "TimeColumn",
    "Wanted",
]

BUILT_IN: tuple[type[BaseReader], ...] = (
    CsvReader,
    JsonReader,
    ParquetReader,
    InboxReader,
    HttpReader,
    SqlReader,
    PythonReader,
    SyntheticReader,
)

if TYPE_CHECKING:
    READERS: dict[str, type[BaseReader]]
    """Every reader by its type; a built-in one cannot be replaced by a plug-in."""
    Reader = BaseReader
else:
    __getattr__ = registry_on_demand(__name__, ("READERS", "Reader"), "smartflow.readers", BaseReader, BUILT_IN)
