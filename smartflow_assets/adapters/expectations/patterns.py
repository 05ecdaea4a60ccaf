"""Regular expressions of Python as DuckDB reads them (RE2), where both mean the same.

A pattern is taken apart by Python's own parser and written anew for RE2, so that what is read otherwise there never arrives: a `$` is
also before a last line end, `.` takes no line end, signs are written by their code. Lookahead, back references and flags are not
written at all. `\\d`, `\\w`, `\\s` and `\\b` mean letters of all alphabets in Python: they are written for ASCII, and hold for texts of
ASCII alone.
"""

import importlib
import re
from typing import Any

MOST_REPEATS = 1_000  # RE2 refuses more

_CLASSES = {"CATEGORY_DIGIT": [(48, 57)], "CATEGORY_SPACE": [(9, 13), (28, 32)], "CATEGORY_WORD": [(48, 57), (65, 90), (95, 95), (97, 122)]}
_LAST = 0x10FFFF


class _UnlikeError(Exception):
    """RE2 has no such thing, or another meaning for it."""


def for_duckdb(pattern: str) -> tuple[str, bool] | None:
    """The pattern for DuckDB's `regexp_matches`, and whether that holds for texts of ASCII alone; None when RE2 cannot say it.

    >>> for_duckdb("^a.$")[0], for_duckdb("[ab]+")[1], for_duckdb("[0-9]{2,}|\\\\d")[1], for_duckdb("(?=a)"), for_duckdb(r"(a)\\1")
    ('\\\\A\\\\x{61}[^\\\\x{a}](?:\\\\x{a}?\\\\z)', False, True, None, None)
    """
    try:
        parsed: Any = importlib.import_module("re._parser").parse(pattern)  # not public, and the only one that reads as `re` does
        if parsed.state.flags & ~re.UNICODE:
            return None
        writer = _Writer()
        return writer.sequence(list(parsed), is_last=True), writer.is_ascii
    except (_UnlikeError, re.error, RecursionError, OverflowError):
        return None


class _Writer:
    def __init__(self) -> None:
        self.is_ascii = False

    def sequence(self, parts: list[Any], *, is_last: bool) -> str:
        """Parts one after another; `is_last` when nothing comes after them."""
        return "".join(self.part(str(op), value, is_last=is_last and at == len(parts) - 1) for at, (op, value) in enumerate(parts))

    def part(self, op: str, value: Any, *, is_last: bool) -> str:
        """One part of the parsed pattern as RE2 writes it."""
        match op:
            case "LITERAL":
                return _sign(value)
            case "NOT_LITERAL":
                return f"[^{_sign(value)}]"
            case "ANY":
                return f"[^{_sign(10)}]"
            case "IN":
                return self._set(value)
            case "BRANCH":
                return f"(?:{'|'.join(self.sequence(list(branch), is_last=is_last) for branch in value[1])})"
            case "SUBPATTERN" if not value[1] and not value[2]:
                return f"(?:{self.sequence(list(value[3]), is_last=is_last)})"
            case "MAX_REPEAT" | "MIN_REPEAT":
                return self._repeated(*value)
            case "AT":
                return self._place(str(value), is_last=is_last)
            case _:
                raise _UnlikeError

    def _repeated(self, least: Any, most: Any, inner: Any) -> str:
        most = None if str(most) == "MAXREPEAT" else int(most)
        if max(int(least), most or 0) > MOST_REPEATS:
            raise _UnlikeError
        return f"(?:{self.sequence(list(inner), is_last=False)}){{{int(least)},{'' if most is None else most}}}"

    def _place(self, where: str, *, is_last: bool) -> str:
        if where in ("AT_BEGINNING", "AT_BEGINNING_STRING"):
            return r"\A"
        if where == "AT_END_STRING":
            return r"\z"
        if where == "AT_END" and is_last:
            return rf"(?:{_sign(10)}?\z)"
        if where in ("AT_BOUNDARY", "AT_NON_BOUNDARY"):
            self.is_ascii = True
            return r"\b" if where == "AT_BOUNDARY" else r"\B"
        raise _UnlikeError

    def _set(self, parts: list[Any]) -> str:
        negation, written = "", list[str]()
        for op, value in parts:
            match str(op):
                case "NEGATE":
                    negation = "^"
                case "LITERAL":
                    written.append(_sign(value))
                case "RANGE":
                    written.append(f"{_sign(value[0])}-{_sign(value[1])}")
                case "CATEGORY":
                    self.is_ascii = True
                    written += [f"{_sign(low)}-{_sign(high)}" for low, high in _category(str(value))]
                case _:
                    raise _UnlikeError
        return f"[{negation}{''.join(written)}]"


def _category(name: str) -> list[tuple[int, int]]:
    """The codes of a class such as CATEGORY_NOT_DIGIT."""
    held = _CLASSES.get(name.replace("NOT_", ""))
    if held is None:
        raise _UnlikeError
    if "NOT_" not in name:
        return held
    starts, ends = [0, *(high + 1 for _, high in held)], [*(low - 1 for low, _ in held), _LAST]
    return list(zip(starts, ends, strict=True))


def _sign(code: int) -> str:
    if 0xD800 <= code <= 0xDFFF:
        raise _UnlikeError  # half a sign, which UTF-8 has not
    return f"\\x{{{code:x}}}"
