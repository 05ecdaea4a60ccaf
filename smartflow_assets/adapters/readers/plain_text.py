"""From whatever lies on the disk to UTF-8 text that DuckDB reads in parallel: gzip, encodings, line ends, the header line.

A plain UTF-8 file is used where it is; any other is rewritten once into the staging folder, in blocks. Here a damaged or
empty file, a wrong encoding and a strange header get their names; what the values are is adapters.staging.
"""
import codecs
import csv
import errno
import gzip
import shutil
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import IO, cast

from smartflow_assets.core.errors import SourceError

BLOCK = 1 << 20
RESERVED = ("source", "_origin", "_row", "_row_hash", "_ingested_at", "_run_id")
_BYTE_ORDER_MARKS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16", codecs.BOM_UTF8: "utf-8"}
_NO_HEADER = "Write a header line with the column names into it."


@dataclass(frozen=True)
class TextFile:
    """A file that a source reads: for errors, which all name both, and for the place where copies may go."""

    source: str
    path: Path
    folder: Path

    def error(self, what: str, remedy: str = "", line: int | None = None) -> SourceError:
        """What is wrong with this file."""
        where = str(self.path) if line is None else f"{self.path}, line {line}"
        return SourceError(what, source=self.source, where=where, remedy=remedy)

    def wrong_encoding(self, encoding: str, line: int, detail: str = "") -> SourceError:
        """The text is not encoded as read.encoding says."""
        what = f"the text is not {encoding}" + (f": {detail}" if detail else "")
        return self.error(what, "Set read.encoding, for example to latin-1 or cp1252.", line)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Turn what the operating system and gzip raise into an error that names the file and a remedy."""
        try:
            yield
        except FileNotFoundError as error:
            raise self.error("the file is gone", "Put it back, or correct read.path.") from error
        except PermissionError as error:
            raise self.error("the file may not be read", "Give SmartFlow's user the right to read it.") from error
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            what = f"the gzip file is damaged or was cut off ({error})"
            raise self.error(what, "Copy it again; nothing of it was taken.") from error
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise self.error("the disk is full", "Free some space; nothing was taken.") from error
            raise self.error(f"the file cannot be read: {error.strerror or error}") from error


@dataclass(frozen=True)
class Header:
    """The names in the first line that is not blank, the sign between them, and how many blank lines stand before it."""

    names: tuple[str, ...]
    delimiter: str
    skipped: int


def as_plain_text(file: TextFile, *, encoding: str, is_rewritten: bool = False) -> Path:
    """The file as UTF-8 text: itself, or a copy in its folder when it is gzipped or encoded otherwise. With `is_rewritten`
    always a copy, in which all line ends are alike."""
    with file.reading():
        start = _start(file.path, is_gzip=False)
        is_gzip = start.startswith(b"\x1f\x8b")
        if is_gzip:
            start = _start(file.path, is_gzip=True)
        if not start:
            raise file.error("the file is empty", _NO_HEADER)
        if start.startswith(b"PK"):
            raise file.error("this is a zip archive or an Excel workbook, not CSV", "Export it as CSV.")
        marked = next((name for mark, name in _BYTE_ORDER_MARKS.items() if start.startswith(mark)), None)
        name = codecs.lookup(marked or encoding).name
        if name == "utf-8" and not is_gzip and not is_rewritten:
            return file.path
        file.folder.mkdir(parents=True, exist_ok=True)
        copy = file.folder / "plain.csv"
        with _opened(file.path, is_gzip) as content, copy.open("wb") as target:
            if name == "utf-8" and not is_rewritten:
                shutil.copyfileobj(content, target, BLOCK)
            else:
                _recode(content, target, "utf-8-sig" if name == "utf-8" else name, file)
        return copy


def _opened(path: Path, is_gzip: bool) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path)) if is_gzip else path.open("rb")


def _start(path: Path, is_gzip: bool) -> bytes:
    with _opened(path, is_gzip) as content:
        return content.read(4)


def _recode(content: IO[bytes], target: IO[bytes], encoding: str, file: TextFile) -> None:
    text = codecs.getreader(encoding)(content)
    line, is_split = 1, False
    try:
        while block := text.read(BLOCK):
            block = block[1:] if is_split and block.startswith("\n") else block
            is_split = block.endswith("\r")
            block = block.replace("\r\n", "\n").replace("\r", "\n")
            line += block.count("\n")
            target.write(block.encode())
    except UnicodeError as error:
        raise file.wrong_encoding(encoding, line, f"{error}, at that line or somewhat later") from error


def undecodable_line(text: Path) -> int | None:
    """The first line that is not UTF-8, or nearly; None when all of the file is."""
    decoder, line = codecs.getincrementaldecoder("utf-8")(), 1
    with text.open("rb") as content:
        while block := content.read(BLOCK):
            try:
                decoder.decode(block)
            except UnicodeDecodeError as error:
                return line + block[:max(error.start, 0)].count(b"\n")
            line += block.count(b"\n")
    return None


def read_header(text: Path, file: TextFile, delimiter: str | None) -> Header:
    """The header of a plain text file. SourceError for a name that is given twice or that SmartFlow keeps for itself."""
    with file.reading(), text.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
        skipped, line = 0, lines.readline(BLOCK)
        while line and not line.strip():
            skipped, line = skipped + 1, lines.readline(BLOCK)
        number = skipped + 1
        if not line:
            raise file.error("the file holds only blank lines", _NO_HEADER)
        if "\0" in line:
            raise file.error("this is not a text file", "Set read.encoding if it is utf-16.", number)
        sign = delimiter or likely_delimiter(line)
        try:
            cells = next(csv.reader(_from(line, lines), delimiter=sign))
        except (csv.Error, StopIteration) as error:
            raise file.error(f"the header line cannot be read: {error}", line=number) from error
    names = tuple(cell.strip() or f"column{place}" for place, cell in enumerate(cells, start=1))
    lowered = [name.lower() for name in names]
    for name in names:
        if lowered.count(name.lower()) > 1:
            raise file.error(f"the column '{name}' occurs twice", "Give each a name of its own; case does not count.", number)
        if name.lower() in RESERVED:
            raise file.error(f"a column is called '{name}', which SmartFlow keeps for itself", "Rename it in the feed.", number)
    return Header(names, sign, skipped)


def _from(first: str, rest: IO[str]) -> Iterator[str]:
    yield first
    yield from rest


def likely_delimiter(line: str) -> str:
    """The sign between the names of a header line: the most frequent one outside quotes; a comma when there is none.

    >>> likely_delimiter('time;"a,b,c";value')
    ';'
    """
    outside = "".join(line.split('"')[::2])
    return max((",", ";", "\t", "|"), key=outside.count)


def require_columns(wanted: Sequence[tuple[str, str]], header: Header, file: TextFile) -> dict[str, int]:
    """The position of each wanted column, given as (name, YAML field); case is overlooked when no name is equal.
    SourceError naming the nearest column when one is not there."""
    positions = {name: index for index, name in enumerate(header.names)}
    lowered = {name.lower(): index for name, index in positions.items()}
    found = {}
    for name, field in wanted:
        index = positions.get(name, lowered.get(name.lower()))
        if index is None:
            near = get_close_matches(name, header.names, n=1)
            hint = f"Did you mean '{near[0]}'? " if near else ""
            columns = ", ".join(header.names[:20]) + (", …" if len(header.names) > 20 else "")
            what = f"there is no column '{name}', which {field} names; the file has {columns}"
            raise file.error(what, f"{hint}Correct {field}, or fix the feed.")
        found[name] = index
    return found
