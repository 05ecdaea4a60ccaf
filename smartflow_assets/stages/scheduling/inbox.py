"""What lies in the inboxes of the sources that read from one."""

from collections.abc import Iterator
from pathlib import Path

from smartflow_assets.adapters.readers.inbox import InboxReader
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.settings import Settings


def waiting_files(catalogue: Catalogue, settings: Settings) -> Iterator[tuple[str, Path, int, int]]:
    """(source, file, size in bytes, mtime in ns) of every file that the reader of an inbox source would take."""
    for name, source in catalogue.sources.items():
        if isinstance(source.read, InboxReader):
            for path in source.read.files(name, settings.data):
                status = path.stat()
                yield name, path, status.st_size, status.st_mtime_ns
