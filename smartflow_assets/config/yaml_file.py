"""YAML files as people write them: YAML 1.2, every value with its line, duplicate keys refused, comments kept on edit.

ruamel.yaml, since PyYAML reads 1.1: there the country NO is false, 12:30 is 750 and a key given twice passes silently.
config.source gives the values their meaning; here they are only values.
"""

import io
import re
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq, TaggedScalar
from ruamel.yaml.constructor import DuplicateKeyError, RoundTripConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.scalarbool import ScalarBoolean
from ruamel.yaml.scalarfloat import ScalarFloat
from ruamel.yaml.scalarint import ScalarInt
from ruamel.yaml.scalarstring import ScalarString

from smartflow_assets.adapters.secret_references import REFERENCE, keep_secret
from smartflow_assets.core.errors import SourceError

Location = tuple[str | int, ...]
_DEEPEST = 50  # mappings and lists within each other; the keys of a source go seven deep
_MOST_PARTS = 100_000  # keys, items and values; a file of 350 bytes holds ten million, by aliases of aliases
_ALIAS = re.compile(r"\*\w")
_INDENTS = ((2, 4, 2), (2, 2, 0), (4, 6, 4), (4, 4, 2))  # of mappings, of what lists hold, of their dashes: as people write them


@dataclass(frozen=True)
class YamlFile:
    """A mapping read from a file, as plain values, and the line (from 1) of each key and list item by its location."""

    path: Path
    values: dict[str, Any]
    lines: Mapping[Location, int]

    def line(self, location: Location) -> int | None:
        """The line of a location, or of the nearest one above it that the file holds; None for a location of no key."""
        for length in range(len(location), 0, -1):
            if location[:length] in self.lines:
                return self.lines[location[:length]]
        return None

    def holds(self, location: Location) -> bool:
        """Does this file give a value at the location itself?"""
        return location in self.lines


def read_yaml(path: Path) -> YamlFile:
    """Read a file; SourceError naming file and line when it cannot be read, is not YAML or is not a mapping.

    A file is parsed once for as long as its size and time of change stay the same: sensors ask every 30 seconds.
    """
    try:
        mark = path.stat()
        if not stat.S_ISREG(mark.st_mode):  # a pipe would be waited for, a device has no end
            raise SourceError("this is no regular file", source=path.stem, where=str(path), remedy="Take it away, or write a file there.")
        return _parse(path, mark.st_mtime_ns, mark.st_size)
    except OSError as error:
        raise SourceError(f"the file cannot be read: {error.strerror}", source=path.stem, where=str(path)) from error


@lru_cache(maxsize=4096)
def _parse(path: Path, mtime_ns: int, size: int) -> YamlFile:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise SourceError(
            f"the file is not UTF-8 (byte {error.start})", source=path.stem, where=str(path), remedy="Save it as UTF-8."
        ) from error
    keep_secret(REFERENCE.findall(text))
    return parsed_yaml(path, text)


def parsed_yaml(path: Path, text: str) -> YamlFile:
    """The text of a file as `read_yaml` reads it, whatever the file says now."""
    try:
        tree = _yaml().load(text)
        if _ALIAS.search(text) and (node := _within_itself(_yaml().compose(text), set(), set())) is not None:
            raise SourceError(
                f"*{node.anchor} stands within what it names",
                source=path.stem,
                where=f"{path}, line {node.start_mark.line + 1}",
                remedy="Write there what you mean.",
            )
    except DuplicateKeyError as error:
        key = str(error.problem).split('"')[1] if '"' in str(error.problem) else "a key"
        raise _broken(path, error, f"`{key}` is given twice", "Keep one of the two.") from error
    except MarkedYAMLError as error:
        what = " ".join(filter(None, (error.problem, error.context)))
        raise _broken(path, error, f"this is not YAML: {what}", "Often a missing space, quote or indent.") from error
    except YAMLError as error:
        raise SourceError(f"this is not YAML: {' '.join(str(error).split())}", source=path.stem, where=str(path)) from error
    except RecursionError as error:
        raise _too_deep(path) from error
    except (TypeError, AttributeError, ValueError) as error:  # of a list as a key, a mapping merged with itself, a number without end
        raise SourceError(
            f"this cannot be read: {error}",
            source=path.stem,
            where=str(path),
            remedy="Write keys as plain text, and no alias (*name) within what it names.",
        ) from error
    if tree is None:
        tree = CommentedMap()
    if not isinstance(tree, CommentedMap):
        raise SourceError(
            "the file holds no keys",
            source=path.stem,
            where=f"{path}, line 1",
            remedy="Write `key: value` lines; see data/sources for examples.",
        )
    lines: dict[Location, int] = {}
    values = _Plain(path, lines).without_ruamel(tree, ())
    file = YamlFile(path, values, lines)
    for at, value in _scalars(values, ()):
        if isinstance(value, TaggedScalar):
            raise SourceError(
                f"the tag {value.tag.value} is not understood",
                source=path.stem,
                where=f"{path}, line {file.line(at) or 1}",
                remedy="Write the value itself.",
            )
        if isinstance(value, str) and "\0" in value:
            raise SourceError(
                "the text holds the sign NUL, which no table takes",
                source=path.stem,
                where=f"{path}, line {file.line(at) or 1}",
                remedy="Take it out.",
            )
    return file


def edit_yaml(path: Path, change: Callable[[CommentedMap], None]) -> None:
    """Change a file in place, as `edited` does. It is replaced as a whole or not at all."""
    replace_file(path, edited(path.read_text(encoding="utf-8-sig"), change))


def replace_file(path: Path, text: str) -> None:
    """Write a file as a whole, or leave it as it was. It keeps its rights, and a link to it goes on to be one."""
    path = path.resolve()
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(text, encoding="utf-8")
    if path.exists():
        shutil.copymode(path, temporary)
    temporary.replace(path)


def edited(text: str, change: Callable[[CommentedMap], None]) -> str:
    """The text of a file after a change of its values. Comments, order and quotes stay, and lines that say nothing of what was
    changed stay to the letter; mappings that come in are written in one line."""
    before, indent = _untouched(text)
    tree = _yaml().load(text) or CommentedMap()
    change(tree)
    _write_short(tree)
    after = _written(tree, indent)
    found = _carried_over(text, before, after)
    try:
        is_same = _yaml().load(found) == _yaml().load(after)
    except YAMLError:
        is_same = False
    return found if is_same else after


@lru_cache(maxsize=64)
def _untouched(text: str) -> tuple[str, tuple[int, int, int]]:
    """A text as ruamel writes it, with the indents that make it most like itself. Kept, since a page that tries values asks often."""
    written = [(_written(_yaml().load(text) or CommentedMap(), indent), indent) for indent in _INDENTS]
    return max(written, key=lambda each: _likeness(text, each[0]))


def _written(tree: CommentedMap, indent: tuple[int, int, int]) -> str:
    text, yaml = io.StringIO(), _yaml()
    yaml.indent(*indent)
    yaml.dump(tree, text)
    return text.getvalue() if tree else ""


def _likeness(text: str, other: str) -> float:
    return SequenceMatcher(None, text.splitlines(), other.splitlines(), autojunk=False).ratio()


def _write_short(node: Any) -> None:
    """Plain mappings become ruamel's, in one line."""
    for place, value in list(node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()):
        if type(value) is dict:
            node[place] = value = CommentedMap(value)
            value.fa.set_flow_style()
        _write_short(value)


def _carried_over(text: str, before: str, after: str) -> str:
    """`text` with the lines that differ between `before` (the same as ruamel writes it) and `after`."""
    lines, old, new = (each.splitlines(keepends=True) for each in (text, before, after))
    places = [(op[1:3], op[3:5]) for op in SequenceMatcher(None, old, lines, autojunk=False).get_opcodes()]

    def place(line: int, *, is_end: bool) -> int:
        """Where a line of `old` begins in `lines`; within what was written otherwise, its begin or its end."""
        for (first, last), (start, end) in places:
            if first <= line <= last and last > first:
                if last - first == end - start:
                    return start + line - first
                if line == first or (line < last and not is_end):
                    return start
                if line < last or is_end:
                    return end
        return len(lines)

    for tag, first, last, start, end in reversed(SequenceMatcher(None, old, new, autojunk=False).get_opcodes()):
        if tag != "equal":
            at = place(first, is_end=False)
            lines[at : max(at, place(last, is_end=True))] = new[start:end]
    return "".join(lines)


class _Constructor(RoundTripConstructor):
    """A day that there is not, 2026-02-30, stays a text: whoever takes it for a day says so, beside all else that is wrong."""

    def construct_yaml_timestamp(self, node: Any, values: Any = None) -> Any:
        try:
            return super().construct_yaml_timestamp(node, values)
        except ValueError:
            return self.construct_scalar(node)


_Constructor.add_constructor("tag:yaml.org,2002:timestamp", _Constructor.construct_yaml_timestamp)


def _within_itself(node: Any, above: set[int], seen: set[int]) -> Any:
    """The node that an alias below it names again, of which ruamel makes nothing without a word; None where there is none."""
    if id(node) in above:
        return node
    if id(node) in seen or not isinstance(node.value, list):
        return None
    seen.add(id(node))
    below = [part for each in node.value for part in (each if isinstance(each, tuple) else (each,))]
    return next((found for each in below if (found := _within_itself(each, above | {id(node)}, seen)) is not None), None)


def _yaml() -> YAML:
    yaml = YAML()
    yaml.Constructor = _Constructor
    yaml.preserve_quotes = True
    yaml.width = 130
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def _broken(path: Path, error: MarkedYAMLError, what: str, remedy: str) -> SourceError:
    mark = error.problem_mark or error.context_mark
    where = f"{path}, line {mark.line + 1}" if mark is not None else str(path)
    return SourceError(what, source=path.stem, where=where, remedy=remedy)


def _scalars(values: Any, at: Location) -> Iterator[tuple[Location, Any]]:
    """Every value that holds no others, with its location."""
    if isinstance(values, dict | list):
        for key, value in values.items() if isinstance(values, dict) else enumerate(values):
            yield from _scalars(value, (*at, key))
    else:
        yield at, values


def _too_deep(path: Path, line: int | None = None) -> SourceError:
    return SourceError(
        f"lists and keys stand more than {_DEEPEST} deep in each other",
        source=path.stem,
        where=f"{path}, line {line}" if line else str(path),
        remedy="Close the brackets, and write it flatter; no key needs more than seven.",
    )


def _key(key: Any) -> str:
    """A key as the file writes it."""
    return "null" if key is None else str(key).lower() if isinstance(key, bool | ScalarBoolean) else str(key)


class _Plain:
    """Values without ruamel's types; the line of each goes to `lines`. SourceError for more than a file may hold, aliases written out."""

    def __init__(self, path: Path, lines: dict[Location, int]) -> None:
        self.path, self.lines, self.count = path, lines, 0

    def without_ruamel(self, node: Any, at: Location) -> Any:
        """The node, which stands at `at`, as plain values."""
        self.count += 1
        if isinstance(node, CommentedMap | CommentedSeq):
            self._limit(node, at)
        if isinstance(node, CommentedMap):
            marks = node.lc.data or {}
            for key in node:
                if key in marks:  # a key that came in by `<<` has no line of its own
                    self.lines[(*at, _key(key))] = marks[key][0] + 1
            return {_key(key): self.without_ruamel(value, (*at, _key(key))) for key, value in node.items()}
        if isinstance(node, CommentedSeq):
            marks = node.lc.data or {}
            for index in marks:
                self.lines[(*at, index)] = marks[index][0] + 1
            return [self.without_ruamel(value, (*at, index)) for index, value in enumerate(node)]
        for kind, plain in ((ScalarBoolean, bool), (ScalarInt, int), (ScalarFloat, float), (ScalarString, str)):
            if isinstance(node, kind):
                return plain(node)
        return node

    def _limit(self, node: CommentedMap | CommentedSeq, at: Location) -> None:
        """Aliases repeat what they name and may name what holds them, so both limits hold for what they stand for."""
        if len(at) >= _DEEPEST:
            raise _too_deep(self.path, node.lc.line + 1)
        if self.count + len(node) > _MOST_PARTS:
            raise SourceError(
                f"the file holds more than {_MOST_PARTS:,} values, those that aliases (*name) repeat among them",
                source=self.path.stem,
                where=f"{self.path}, line {self.lines.get(at[:1], 1)}",
                remedy="Take out aliases of aliases.",
            )
