"""JSON as far as everybody can hold it: what a parser takes and a database, another language or a file in UTF-8 does not is refused at the
door, once, instead of in each place that would fail of it."""

import json
from typing import Any

DEEPEST = 40
LONGEST_NUMBER = 40  # digits


class _Refused(ValueError):
    """Says why."""


def refusal(body: bytes) -> str | None:
    """Why a body is not taken; None for one that is, and for what is no JSON at all, which the routes say themselves.

    >>> refusal(b'{"a": [1, 2.5, null]}'), refusal(b'{"a": NaN}'), refusal(b'{"a": 1e999}')
    (None, 'NaN is no number of JSON', '1e999 is too large a number')
    >>> refusal(b'["\\\\ud800"]'), refusal(b"[" * 5000)
    ('a text holds half a character, which UTF-8 has not', 'it is nested more than 40 deep')
    """
    try:
        value = json.loads(body or b"null", parse_constant=_constant, parse_int=_integer, parse_float=_number)
        if _depth(value) > DEEPEST:
            return f"it is nested more than {DEEPEST} deep"
        json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        return f"it is nested more than {DEEPEST} deep"
    except UnicodeEncodeError:
        return "a text holds half a character, which UTF-8 has not"
    except _Refused as error:
        return str(error)
    except ValueError:
        return None
    return None


def _constant(text: str) -> Any:
    raise _Refused(f"{text} is no number of JSON")


def _integer(text: str) -> int:
    if len(text) > LONGEST_NUMBER:
        raise _Refused(f"{text[:10]}… has more than {LONGEST_NUMBER} digits")
    return int(text)


def _number(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise _Refused(f"{text[:20]} is too large a number")
    return value


def _depth(value: Any) -> int:
    """How deep it is nested, without going deeper than the limit."""
    level, depth = [value], 0
    while level and depth <= DEEPEST:
        held = [each for each in level if isinstance(each, dict | list)]
        if not held:
            return depth
        level = [part for each in held for part in (each.values() if isinstance(each, dict) else each)]
        depth += 1
    return depth
