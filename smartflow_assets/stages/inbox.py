"""What lies in the inboxes of the sources that read from one."""
from collections.abc import Iterator
from pathlib import Path

from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.settings import Settings


def waiting_files(catalogue: Catalogue, settings: Settings) -> Iterator[tuple[str, Path, int, int]]:
    """(source, file, size in bytes, mtime in ns) of every file in an inbox; hidden and half-copied (.part) files are passed over."""
    for name, source in catalogue.sources.items():
        if source.read.type != "inbox":
            continue
        for path in sorted((settings.inbox / name).glob("**/*")):
            if path.is_file() and not path.name.startswith(".") and path.suffix != ".part":
                status = path.stat()
                yield name, path, status.st_size, status.st_mtime_ns
