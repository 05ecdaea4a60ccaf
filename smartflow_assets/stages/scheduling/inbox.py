"""What lies in the inboxes of the sources that read from one."""

import logging
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from smartflow_assets.adapters.readers.inbox import InboxReader
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.settings import Settings

_log = logging.getLogger("smartflow")


def waiting_files(catalogue: Catalogue, settings: Settings) -> Iterator[tuple[str, Path, int, int]]:
    """(source, file, size in bytes, mtime in ns) of every file that the reader of an inbox source would take. An inbox that cannot be read
    is left out and told in the log; a file that is gone again, too."""
    for name, source in catalogue.sources.items():
        if not isinstance(source.read, InboxReader):
            continue
        try:
            paths = source.read.files(name, settings.data)
        except OSError:
            _log.exception("%s: the inbox cannot be read, the others are", name)
            continue
        for path in paths:
            with suppress(FileNotFoundError):
                status = path.stat()
                yield name, path, status.st_size, status.st_mtime_ns
