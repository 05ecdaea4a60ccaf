"""Scans: how the rows of a content are laid out, and how each layout becomes one relation of texts for staging.

Delimited text, JSON and Parquet differ here and nowhere else: adapters.staging decides, once for all of them, what a time
or a number is, which rows are bad and what is written.
"""

from pathlib import Path

from smartflow_assets.adapters.scans.base import Layout, Scan
from smartflow_assets.adapters.scans.delimited import Delimited
from smartflow_assets.adapters.scans.json_records import JsonRecords
from smartflow_assets.adapters.scans.parquet import Parquet

__all__ = ["Delimited", "JsonRecords", "Layout", "Parquet", "Scan", "ending"]


def ending(path: Path) -> str:
    """What the name of a file says that it is: json, parquet or csv, which is also anything else. Gzip does not count.

    >>> ending(Path("a.jsonl.gz")), ending(Path("b.PQ")), ending(Path("c.txt"))
    ('json', 'parquet', 'csv')
    """
    name = path.name.lower().removesuffix(".gz")
    if name.endswith((".json", ".jsonl", ".ndjson")):
        return "json"
    return "parquet" if name.endswith((".parquet", ".pq")) else "csv"
