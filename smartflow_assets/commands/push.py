"""`smartflow push`: rows from standard input into a source's inbox, as one file."""

import hashlib
import os
import sys
import zlib
from enum import StrEnum
from typing import Annotated

import typer

from smartflow_assets.commands import home, terminal
from smartflow_assets.core.errors import SourceError

EXAMPLES = """
smartflow push payments < payments.csv
psql -c "COPY orders TO STDOUT WITH CSV HEADER" | smartflow push orders
curl -s https://example.org/orders.json | smartflow push orders --format json
"""
BLOCK = 1 << 20


class Format(StrEnum):
    """What the rows may be written in."""

    csv = "csv"
    json = "json"
    jsonl = "jsonl"
    parquet = "parquet"


def push(
    source: home.SourceName,
    format: Annotated[Format | None, typer.Option("--format", "-f", help="Default: seen from the first bytes.", show_default=False)] = None,
) -> None:
    """Put rows from standard input into the inbox of a source whose `read` has the type inbox.

    The file appears there as a whole or not at all; the inbox sensor, or the next run, takes it. The same content twice is one file, so
    a push may be repeated.
    """
    settings = home.open_home()
    from smartflow_assets.adapters.files.access import make_private_folder, private
    from smartflow_assets.adapters.readers import InboxReader
    from smartflow_assets.config.catalogue import Catalogue

    catalogue = Catalogue.load(settings)
    (name,) = home.named([source], catalogue)
    read = catalogue.source(name).read
    if not isinstance(read, InboxReader):
        remedy = "push is for sources whose read has the type inbox."
        raise SourceError(f"it reads {read.type}: {read.describe()}", source=name, remedy=remedy)
    if sys.stdin.isatty():
        raise terminal.UsageError("there are no rows on standard input", remedy=f"Write: smartflow push {name} < FILE.")
    folder = settings.inbox / name
    make_private_folder(folder)
    digest, start, part = hashlib.sha256(), b"", folder / f".push-{os.getpid()}.part"
    try:
        with private(), part.open("wb") as file:
            while block := sys.stdin.buffer.read(BLOCK):
                start = start or block[:4096]
                digest.update(block)
                file.write(block)
        if not start.strip():
            raise SourceError("standard input was empty", source=name, remedy="Nothing was put into the inbox.")
        target = folder / f"push-{digest.hexdigest()[:16]}.{format.value if format else _format_of(start)}"
        if target.exists():
            terminal.say(f"{target} is there already")
            return
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    terminal.result(str(target))


def _format_of(start: bytes) -> str:
    """By the first bytes, of gzipped content by those within.

    >>> _format_of(b'[{"a": 1}]'), _format_of(b' {"a": 1}'), _format_of(b"PAR1..."), _format_of(b"time,value")
    ('json', 'jsonl', 'parquet', 'csv')
    >>> import gzip
    >>> _format_of(gzip.compress(b'{"a": 1}')), _format_of(gzip.compress(b"time,value")), _format_of(b'\\xef\\xbb\\xbf[{}]')
    ('jsonl.gz', 'csv.gz', 'json')
    """
    if start.startswith(b"\x1f\x8b"):
        return f"{_format_of(zlib.decompressobj(wbits=31).decompress(start))}.gz"
    if start.startswith(b"PAR1"):
        return "parquet"
    first = start.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    return {b"[": "json", b"{": "jsonl"}.get(first, "csv")


COMMANDS = (("push", push, EXAMPLES),)
