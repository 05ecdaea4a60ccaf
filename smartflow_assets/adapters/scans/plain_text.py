"""From whatever lies on the disk to UTF-8 text that DuckDB reads in parallel: gzip, encodings, line ends, the header line.

A plain UTF-8 file is used where it is; any other is rewritten once into the staging folder, in blocks. A damaged or
empty file, a wrong encoding and a strange header are named here; adapters.staging reads the values.
"""

import codecs
import csv
import errno
import gzip
import re
import shutil
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from smartflow_assets.core.errors import SourceError
from smartflow_assets.core.nearest_name import did_you_mean

BLOCK = 1 << 20
RESERVED = ("source", "_origin", "_row", "_row_hash", "_ingested_at", "_run_id")
_BYTE_ORDER_MARKS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16", codecs.BOM_UTF8: "utf-8"}
_LINE_ENDS = re.compile("\r\n|\r|\n")
_LONGEST_NAME = 64
_IS_NAME = re.compile(rf"\w[\w .()%/°#+-]{{0,{_LONGEST_NAME - 1}}}")
_NO_HEADER = "Write a header line with the column names into it."


@dataclass(frozen=True)
class TextFile:
    """A file that a source reads: for errors, which all name both, and for the place where copies may go."""

    source: str
    path: Path
    folder: Path
    where: str = ""  # what errors call it, when it is not a file of the person who reads them: an address, a query

    def error(self, what: str, remedy: str = "", line: int | None = None) -> SourceError:
        """What is wrong with this file, in one line whatever its name holds."""
        where = printable(self.where or str(self.path))
        return SourceError(printable(what), source=self.source, where=where if line is None else f"{where}, line {line}", remedy=remedy)

    def wrong_encoding(self, encoding: str, line: int, detail: str = "") -> SourceError:
        """The text is not encoded as read.encoding says."""
        what = f"the text is not {encoding}" + (f": {detail}" if detail else "")
        return self.error(what, "Set read.encoding, for example to latin-1 or cp1252.", line)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Turn what the operating system and gzip raise into an error that names the file and a remedy."""
        try:
            yield
        except FileNotFoundError:
            raise self.error("the file is gone", "Put it back, or correct read.path.") from None
        except PermissionError:
            raise self.error("the file may not be read", "Give SmartFlow's user the right to read it.") from None
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            what = f"the gzip file is damaged or was cut off ({error})"
            raise self.error(what, "Copy it again; nothing of it was taken.") from None
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise self.error("the disk is full", "Free some space; nothing was taken.") from None
            raise self.error(f"the file cannot be read: {error.strerror or error}") from None


@dataclass(frozen=True)
class Header:
    """The names in the first line that is not blank, the sign between them, and how many blank lines stand before it.

    `is_mixed`: its lines end in two ways, as when Excel breaks a line inside a name. `is_followed`: text stands below it.
    """

    names: tuple[str, ...]
    delimiter: str
    skipped: int
    is_mixed: bool = False
    is_followed: bool = True


def printable(text: str) -> str:
    """The text in one line: signs that are none, such as line ends in the name of a file, are written as Python does.

    >>> print(printable("a\\nb.csv"))
    a\\nb.csv
    """
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape", "backslashreplace").decode() for sign in text)


def as_plain_text(file: TextFile, *, encoding: str, is_rewritten: bool = False) -> Path:
    """The file as UTF-8 text: itself, or a copy in its folder when it is gzipped or encoded otherwise. With `is_rewritten`
    always a copy, in which all line ends are alike."""
    with file.reading():
        start = _start(file.path, is_gzip=False)
        is_gzip = start.startswith(b"\x1f\x8b")
        if is_gzip:
            start = _start(file.path, is_gzip=True)
        if not start:
            raise file.error("the file is empty", "Copy it again, or take it away.")
        if start.startswith(b"PK"):
            raise file.error("this is a zip archive or an Excel workbook, not text", "Export it as CSV.")
        if start == b"PAR1":
            raise file.error("this is a Parquet file, not text", "Set read.type: parquet.")
        marked = next((name for mark, name in _BYTE_ORDER_MARKS.items() if start.startswith(mark)), None)
        name = codecs.lookup(marked or encoding).name
        if name == "utf-8" and not is_gzip and not is_rewritten and _is_nameable(file.path):
            return file.path
        file.folder.mkdir(parents=True, exist_ok=True)
        copy = file.folder / "plain.txt"
        with _opened(file.path, is_gzip) as content, copy.open("wb") as target:
            if name == "utf-8" and not is_rewritten:
                shutil.copyfileobj(content, target, BLOCK)
            else:
                _recode(content, target, "utf-8-sig" if name == "utf-8" else name, file)
        return copy


def as_binary(file: TextFile, magic: bytes, name: str) -> Path:
    """The file itself, or a copy in its folder when it is gzipped; SourceError when it does not begin with the magic bytes."""
    with file.reading():
        is_gzip = _start(file.path, is_gzip=False).startswith(b"\x1f\x8b")
        start = _start(file.path, is_gzip)
        if not start:
            raise file.error("the file is empty", "Copy it again, or take it away.")
        if start != magic:
            raise file.error(f"this is not a {name} file", "Set read.type to csv or json, or fix the feed.")
        if not is_gzip and _is_nameable(file.path):
            return file.path
        file.folder.mkdir(parents=True, exist_ok=True)
        copy = file.folder / "plain.bin"
        with _opened(file.path, is_gzip) as content, copy.open("wb") as target:
            shutil.copyfileobj(content, target, BLOCK)
        return copy


def _is_nameable(path: Path) -> bool:
    """Can the name be told to DuckDB? One that is not UTF-8 cannot."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


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
        raise file.wrong_encoding(encoding, line, f"{error}, at that line or somewhat later") from None


def undecodable_line(text: Path) -> int | None:
    """The first line that is not UTF-8, or nearly; None when all of the file is."""
    decoder, line = codecs.getincrementaldecoder("utf-8")(), 1
    with text.open("rb") as content:
        while block := content.read(BLOCK):
            try:
                decoder.decode(block)
            except UnicodeDecodeError as error:
                return line + block[: max(error.start, 0)].count(b"\n")
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
        sign, taken = delimiter or likely_delimiter(line), [line]
        try:
            cells = next(csv.reader(_kept(line, lines, taken), delimiter=sign))
        except (csv.Error, StopIteration) as error:
            raise file.error(f"the header line cannot be read: {error}", line=number) from None
        ends = {end for each in taken for end in _LINE_ENDS.findall(each)}
        return Header(checked_names(cells, file, number), sign, skipped, len(ends) > 1, any(each.strip() for each in lines))


def checked_names(cells: Sequence[str], file: TextFile, line: int | None = None) -> tuple[str, ...]:
    """The names of columns, those without one numbered. SourceError when one is given twice or is SmartFlow's own."""
    names = tuple(cell.strip() or f"column{place}" for place, cell in enumerate(cells, start=1))
    counts = Counter(name.lower() for name in names)
    for name in names:
        if counts[name.lower()] > 1:
            raise file.error(f"the column '{name[:_LONGEST_NAME]}' occurs twice", "Give each a name of its own; case does not count.", line)
        if name.lower() in RESERVED:
            raise file.error(f"a column is called '{name}', which SmartFlow keeps for itself", "Rename it in the feed.", line)
    return names


def _kept(first: str, rest: IO[str], taken: list[str]) -> Iterator[str]:
    """The lines, of which those that were asked for are in `taken`, which holds the first one already."""
    yield first
    for line in rest:
        taken.append(line)
        yield line


def likely_delimiter(line: str) -> str:
    """The sign between the names of a header line: the most frequent one outside quotes; a comma when there is none.

    >>> likely_delimiter('time;"a,b,c";value')
    ';'
    """
    outside = "".join(line.split('"')[::2])
    return max((",", ";", "\t", "|"), key=outside.count)


def _columns(names: Sequence[str], is_any_line: bool) -> str:
    """The columns of a file for an error. The first line of a text may be that of any file: it is repeated only where it is a list of
    names, as of a table."""
    if not all(map(_IS_NAME.fullmatch, names)) or (is_any_line and len(names) < 2):
        return f"the first line of the file has {'no two columns' if len(names) < 2 else 'columns that are no names'}: is this a table?"
    return f"the file has {', '.join(names[:20])}" + (", …" if len(names) > 20 else "")


def column_positions(
    wanted: Sequence[tuple[str, str]], names: Sequence[str], file: TextFile, *, is_any_line: bool = False
) -> dict[str, int]:
    """The position of each wanted column, given as (name, YAML field); case is overlooked when no name is equal. `is_any_line`: the
    names are the first line of a text. SourceError naming the nearest column when one is not there."""
    positions = {name: index for index, name in enumerate(names)}
    lowered = {name.lower(): index for name, index in positions.items()}
    found = {}
    for name, field in wanted:
        index = positions.get(name, lowered.get(name.lower()))
        if index is None:
            hint = did_you_mean(name, names, quote="'")
            what = f"there is no column '{name}', which {field} names; {_columns(names, is_any_line)}"
            raise file.error(what, f"{hint} Correct {field}, or fix the feed.".lstrip())
        found[name] = index
    return found
