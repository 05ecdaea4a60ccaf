"""Any JSON text as JSON lines, one record each, in bounded memory: a list, lines, or a list somewhere inside an object."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from smartflow_assets.adapters.scans.plain_text import BLOCK, TextFile, as_plain_text, undecodable_line
from smartflow_assets.core.errors import SourceError

LONGEST = 16_000_000  # bytes of one record
_BLANKS = (" ", "\n", "\r", "\t")
_LONGEST_WORD = 16  # signs of a word or number that the end of a block may cut
_KINDS = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
_MEND = "Copy it again, or fix the feed; nothing of it was taken."
_decode = json.JSONDecoder().raw_decode


def as_json_lines(file: TextFile, records: str | None, *, encoding: str, is_rewritten: bool = False) -> Path:
    """A file with one JSON record in each line: the file itself, or a copy of what lies at `records` in its folder."""
    text = as_plain_text(file, encoding=encoding, is_rewritten=is_rewritten)
    with file.reading(), text.open(encoding="utf-8-sig", newline="") as content:
        try:
            cursor = _JsonCursor(content, file)
            first = cursor.peek()
            if not first:
                raise file.error("the file holds only blanks", "An empty list is written [].")
            if first == "{" and records is None and cursor.is_line():
                return text
            target = file.folder / "records.jsonl"
            file.folder.mkdir(parents=True, exist_ok=True)
            with target.open("w", encoding="utf-8", newline="") as lines:
                for record in cursor.records(tuple(records.split(".")) if records else ()):
                    lines.write(record.replace("\r", " ").replace("\n", " "))  # neither can stand inside a JSON text
                    lines.write("\n")
            return target
        except UnicodeDecodeError:
            raise file.wrong_encoding("utf-8", undecodable_line(text) or 1) from None
        except RecursionError:
            raise file.error("the JSON is nested too deeply to be read", "Fix the feed.") from None


class _JsonCursor:
    """Reads JSON from a text, value by value, holding one value at a time."""

    def __init__(self, content: IO[str], file: TextFile) -> None:
        self.content, self.file = content, file
        self.buffer, self.at, self.is_end, self.line = "", 0, False, 1

    def peek(self) -> str:
        """The next sign that is not blank; nothing at the end."""
        while True:
            while self.buffer[self.at : self.at + 1] in _BLANKS:
                self.at += 1
            if self.at < len(self.buffer) or not self._more():
                return self.buffer[self.at : self.at + 1]

    def is_line(self) -> bool:
        """Is the first line a whole value by itself, as in JSON lines? The cursor stays where it is."""
        while "\n" not in self.buffer[self.at :] and len(self.buffer) <= LONGEST and self._more():
            pass
        line = self.buffer[self.at :].partition("\n")[0]
        try:
            return len(line) <= LONGEST and json.loads(line) is not None
        except json.JSONDecodeError:
            return False

    def records(self, path: tuple[str, ...]) -> Iterator[str]:
        """The text of every record of the list at the path; of each such list when the text holds an object in each line."""
        while True:
            yield from self._at(path, ".".join(path))
            if not self.peek():
                return
            if not path:
                raise self._error("more text follows the end of the list", "Write one list, or one object in each line.")

    def _at(self, path: tuple[str, ...], named: str) -> Iterator[str]:
        sign = self.peek()
        if path and sign == "{":
            is_found, names = False, []
            for name in self._names():
                names.append(name)
                if name == path[0] and not is_found:
                    is_found = True
                    yield from self._at(path[1:], named)
                else:
                    self._skip()
            if not is_found:
                keys = ", ".join(names[:20]) or "no keys"
                raise self._error(
                    f"there is no '{path[0]}', which read.records: {named} names; the object has {keys}",
                    "Correct read.records, or fix the feed.",
                )
        elif not path and sign == "[":
            yield from self._items()
        else:
            value, _ = self._value()  # a text that is cut off says so instead
            found = _KINDS.get(type(value), "a number")
            if path:
                raise self._error(f"read.records: {named} names '{path[0]}' in {found}; expected an object", "Correct read.records.")
            what = f"at read.records: {named} lies {found}" if named else f"the JSON is {found}"
            raise self._error(f"{what}; expected a list of objects", "Set read.records to the list in it, such as data.items.")

    def _names(self) -> Iterator[str]:
        """The keys of the object that begins here; whoever takes one steps over its value."""
        self.at += 1
        if self._take("}"):
            return
        while True:
            name, _ = self._value()
            if not isinstance(name, str) or not self._take(":"):
                raise self._unexpected()
            yield name
            if self._take("}"):
                return
            if not self._take(","):
                raise self._unexpected()

    def _items(self) -> Iterator[str]:
        """The text of each item of the list that begins here."""
        self.at += 1
        if self._take("]"):
            return
        while True:
            yield self._value()[1]
            if self._take("]"):
                return
            if not self._take(","):
                raise self._unexpected()

    def _skip(self) -> None:
        sign = self.peek()
        if sign == "[":
            for _ in self._items():
                pass
        elif sign == "{":
            for _ in self._names():
                self._skip()
        else:
            self._value()

    def _take(self, sign: str) -> bool:
        """Step over the sign if it is the next one."""
        if self.peek() != sign:
            return False
        self.at += 1
        return True

    def _value(self) -> tuple[object, str]:
        """The next value, and its text."""
        self.peek()
        while True:
            try:
                value, end = _decode(self.buffer, self.at)
            except json.JSONDecodeError as error:
                # more text can mend what went wrong at the end of the buffer, or in a string that reaches it, and nothing else
                is_mendable = error.pos >= len(self.buffer) - _LONGEST_WORD or error.msg.startswith("Unterminated")
                if not is_mendable or self.is_end:
                    raise self._broken(error) from None
            else:
                if end < len(self.buffer) or self.is_end:  # 12 may be the beginning of 123
                    text, self.at = self.buffer[self.at : end], end
                    return value, text
            self._more()

    def _more(self) -> bool:
        """Read on, as much again as is waiting, so that a long value is not read over and over; False at the end."""
        if len(self.buffer) - self.at > 4 * LONGEST:
            raise self._error(f"a record is longer than {LONGEST:,} bytes", "Give the feed smaller records, or set read.records.")
        block = self.content.read(max(BLOCK, len(self.buffer) - self.at))
        self.is_end = not block
        self.line += self.buffer.count("\n", 0, self.at)
        self.buffer, self.at = self.buffer[self.at :] + block, 0
        return bool(block)

    def _error(self, what: str, remedy: str) -> SourceError:
        """The error, with the line at which the cursor stands."""
        return self.file.error(what, remedy, self.line + self.buffer.count("\n", 0, self.at))

    def _unexpected(self) -> SourceError:
        sign = self.peek()
        return self._error(f"this is not JSON: {sign!r} is not expected here", _MEND) if sign else self._error("the JSON is cut off", _MEND)

    def _broken(self, error: json.JSONDecodeError) -> SourceError:
        rest = self.buffer[error.pos : error.pos + 20]
        self.at = min(error.pos, len(self.buffer))
        if self.is_end and (not rest.strip() or error.msg.startswith("Unterminated")):
            return self._error("the JSON is cut off", _MEND)
        return self._error(f"this is not JSON: {error.msg[0].lower()}{error.msg[1:]}", _MEND)
