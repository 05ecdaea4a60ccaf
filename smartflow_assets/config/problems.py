"""What is wrong with a YAML file, in plain words: one SourceError for each problem, with file, line and the nearest valid key.

pydantic finds the problems; here its locations, which name the members of unions, become places in the file, and its
messages become sentences. Errors of the members of a union that nobody meant are left out.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from datetime import timedelta
from typing import Any

from pydantic import ValidationError

from smartflow_assets.config.yaml_file import Location, YamlFile
from smartflow_assets.core.errors import SourceError
from smartflow_assets.core.nearest_name import did_you_mean, nearest_name, similarity
from smartflow_assets.core.temporal.notation import format_duration

_EXPECTED = {
    "tuple": "a list",
    "list": "a list",
    "dict": "keys with values",
    "model": "keys with values",
    "model_attributes": "keys with values",
    "str": "text",
    "string": "text",
    "float": "a number",
    "int": "a whole number",
    "bool": "true or false",
    "date": "a date",
    "date_from_datetime": "a date",
    "date_from_datetime_inexact": "a date",
    "datetime": "a time",
    "datetime_from_date": "a time",
    "int_from_float": "a whole number",
}
_LIMITS = {
    "greater_than": ("greater than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}
_LENGTHS = {
    "too_short": ("at least", "min_length", "item"),
    "too_long": ("at most", "max_length", "item"),
    "string_too_short": ("at least", "min_length", "letter"),
    "string_too_long": ("at most", "max_length", "letter"),
}
_OF_VALUES = ("value_error", "finite_number", *_LIMITS, *_LENGTHS)
"""Problems of what is of the right type."""
_EXAMPLES = {"a time": "Write it as 2026-12-01T22:00.", "a date": "Write it as 2026-12-24."}
_SHORT = 60
_LARGEST = 1.7e308


class Misfits(ValueError):
    """Parts that are right by themselves and do not go together, all of them at once: a validator of pydantic can raise only one error."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = tuple(texts)
        super().__init__(self.texts[0])


def refuse(misfits: Iterable[str]) -> None:
    """Raise `Misfits` when there are any."""
    if texts := tuple(dict.fromkeys(misfits)):
        raise Misfits(texts)


class InvalidFileError(SourceError):
    """A YAML file that cannot be used; `problems` are all that was found, its own text is the first of them."""

    def __init__(self, problems: Sequence[SourceError]) -> None:
        self.problems = tuple(problems)
        first, more = self.problems[0], len(self.problems) - 1
        files = {problem.where.partition(", line ")[0] for problem in self.problems}
        others = " and others" if len(files) > 1 else ""
        remedy = first.remedy + (f" {more} more problem{'s' if more > 1 else ''} in this file{others}." if more else "")
        super().__init__(first.what, source=first.source, where=first.where, remedy=remedy.strip())


def problems_of(
    error: ValidationError,
    *,
    name: str,
    files: Sequence[YamlFile],
    values: Any,
    schema: Mapping[str, Any],
    at: Location = (),
    is_secret: Callable[[Location], bool] = lambda location: False,
    told_below: Sequence[Location] = (),
) -> list[SourceError]:
    """The problems that pydantic found in `values`, which came from `files` (the first that says a key is named).

    `schema` is the JSON schema of the model, to tell which keys are valid; `at` is where the values stand in the files.
    `is_secret` says where what was found stays out of the sentence; nothing is told of what lies below `told_below`.
    """
    found = [_Problem(detail, values, schema, is_secret, given=_given(files, at)) for detail in _details(error)]
    meant = {problem.meant for problem in found}
    problems = []
    for problem in found:
        if any(problem.location[: len(holder)] == holder for holder in told_below):
            continue
        if problem.kind == "missing" and problem.location in meant:
            continue  # the key is there, misspelt
        told = _told(problem, found)
        if told is None:
            continue
        what, remedy = told
        problems.append(SourceError(what, source=name, where=place(files, (*at, *problem.place)), remedy=remedy))
    return problems


def _told(problem: "_Problem", found: Sequence["_Problem"]) -> tuple[str, str] | None:
    """What is wrong, and what to do; None where another member of a union fits better, whose problem is told."""
    for choice, member in problem.choices.items():
        rivals = [other for other in found if choice in other.choices]
        nearest = max(rivals, key=lambda other: other.fit)
        if nearest.fit == len(choice) and len(rivals) > 1:  # no member of the union fits
            return problem.choosing(rivals) if problem is rivals[0] else None
        if nearest.choices[choice] != member:
            return None
    return problem.sentence()


def broken_at(error: ValidationError, values: Any, schema: Mapping[str, Any]) -> Iterator[tuple[Location, str]]:
    """Where each problem of `values` stands, and its kind as pydantic calls it, `misspelt` for a key that is like a known one; () is a
    problem of the whole."""
    for problem in (_Problem(detail, values, schema) for detail in _details(error)):
        yield problem.location, "misspelt" if problem.meant is not None else problem.kind


def _details(error: ValidationError) -> Iterator[Mapping[str, Any]]:
    """pydantic's errors; one that tells several misfits is several."""
    for detail in error.errors(include_url=False):
        several = detail.get("ctx", {}).get("error")
        texts = several.texts if isinstance(several, Misfits) else ()
        yield from ({**detail, "ctx": {"error": ValueError(text)}} for text in texts) if texts else (detail,)


def _given(files: Sequence[YamlFile], at: Location) -> Callable[[Location, str], bool]:
    """Whether the file that holds a key at this location gives another key beside it. What only the defaults give may be meant."""

    def is_given(location: Location, key: str) -> bool:
        holder = next((file for file in files if file.holds((*at, *location))), None)
        return holder is not None and holder.holds((*at, *location[:-1], key))

    return is_given


def place(files: Sequence[YamlFile], location: Location) -> str:
    """`file, line n` of a location: in the first file that says it, else of the nearest key above it."""
    for length in range(len(location), 0, -1):
        for file in files:
            if file.holds(location[:length]):
                return f"{file.path}, line {file.line(location[:length])}"
    return str(files[0].path) if files else ""


def dotted(location: Location) -> str:
    """The location as a person writes it, such as `metrics[1].column`; list items are counted from 1, as lines are."""
    text = ""
    for part in location:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


class _Problem:
    """One error of pydantic: where in the file, which member of each union it belongs to, and what to say."""

    def __init__(
        self,
        detail: Mapping[str, Any],
        values: Any,
        schema: Mapping[str, Any],
        is_secret: Callable[[Location], bool] = lambda location: False,
        given: Callable[[Location, str], bool] = lambda location, key: False,
    ) -> None:
        self.kind, self.context, self.message = detail["type"], detail.get("ctx", {}), detail["msg"]
        self.found: Any = detail.get("input")
        location: list[str | int] = []
        self.choices: dict[Location, str] = {}
        for part in detail["loc"]:
            is_item = isinstance(values, list) and isinstance(part, int) and part < len(values)
            if is_item or (isinstance(values, Mapping) and part in values):
                location.append(part)
                values = values[part]
            elif self.kind == "missing" and part == detail["loc"][-1]:
                location.append(part)
            elif not (isinstance(values, Mapping) and values.get("type") == part):
                at = tuple(location)
                self.choices[at] = f"{self.choices.get(at, '')}/{part}"
        self.location: Location = tuple(location)
        self.is_secret = is_secret(self.location)
        self.place = self.location
        is_stranger = self.kind == "extra_forbidden"
        self.holders = _alternatives(schema, _nodes(schema, detail["loc"][:-1] if is_stranger else detail["loc"]))
        taken = [key for key in self.valid_keys if given(self.location, key)] if is_stranger else []
        free = nearest_name(location[-1], [key for key in self.valid_keys if key not in taken]) if is_stranger else None
        self.taken = nearest_name(location[-1], taken, cutoff=similarity(location[-1], free) + 0.01 if free else 0.8) if taken else None
        self.meant: Location | None = None if free is None or self.taken else (*location[:-1], free)
        if self.kind == "value_error" and not location:  # "metrics: requests is named twice" is about that key
            word = str(self.context.get("error", "")).replace(".", " ").replace(":", " ").split(" ")[0]
            self.place = (word,) if isinstance(values, Mapping) and word in values else ()

    @property
    def fit(self) -> float:
        """How far what was written is right: to which depth, and whether it is of the right type there."""
        return len(self.location) + (0.5 if self.kind in _OF_VALUES else 0)

    def sentence(self) -> tuple[str, str]:
        """What is wrong, and what to do."""
        name = f"`{dotted(self.location)}`" if self.location else "the file"
        if self.kind == "extra_forbidden":
            if self.meant is not None:
                return f"{name}: did you mean `{dotted(self.meant)}`?", ""
            if self.taken:
                return f"{name} is not a key that is known here", f"`{dotted((*self.location[:-1], self.taken))}` is given already."
            known = f"Known are {', '.join(self.valid_keys)}." if self.valid_keys else ""
            return f"{name} is not a key that is known here", known
        if self.kind == "missing":
            return f"{name} is required", ""
        if self.kind == "union_tag_not_found":
            types = sorted({tag for node in self.holders for tag in node.get("discriminator", {}).get("mapping", {})})
            return f"{name} needs a `type`", f"Known are {', '.join(types)}." if types else ""
        if self.kind == "union_tag_invalid":
            tag, known = self.context["tag"], [word.strip(" '") for word in self.context["expected_tags"].split(",")]
            self.place = (*self.location, "type")
            hint = did_you_mean(tag, known, quote="`")
            remedy = f"{hint or 'Install the package that brings it in this environment.'} Known are {', '.join(known)}."
            return f"`{dotted(self.place)}: {tag}` is not available", remedy
        if self.kind in ("literal_error", "enum"):
            known = [word.strip(" '") for word in self.context["expected"].replace(" or ", ",").split(",")]
            return f"{name} must be {_either(known)}, found {self._found()}", did_you_mean(self.found, known, quote="`")
        if self.kind == "value_error":
            text = str(self.context["error"])
            return (text if not self.location else f"{name}: {text}"), ""
        if self.kind in _LIMITS:
            words, key = _LIMITS[self.kind]
            return f"{name} must be {words} {limit_text(self.context[key])}, found {self._found()}", ""
        if self.kind in _LENGTHS:
            at, key, one = _LENGTHS[self.kind]
            length, found = self.context[key], len(self.found) if isinstance(self.found, Sized) else 0
            parts = one if length == 1 else f"{one}s"
            return f"{name} must have {at} {length} {parts}, found {found or 'none'}", ""
        if self.kind == "finite_number":
            return f"{name} must be a finite number, found {self._found()}", "Leave the key out where there is no limit."
        if self.kind == "float_type" and self._is_too_large:
            return self._too_large(name)
        if (expected := _EXPECTED.get(self.kind.removesuffix("_type").removesuffix("_parsing"))) is not None:
            return f"{name} must be {expected}, found {self._found()}", self._remedy(expected)
        return f"{name}: {self.message[0].lower()}{self.message[1:]}, found {self._found()}", ""

    def choosing(self, rivals: Sequence["_Problem"]) -> tuple[str, str]:
        """What is wrong when nothing of what may stand here was written."""
        choices: list[str] = []
        name = dotted(self.location)
        if self._is_too_large and any(rival.kind == "float_type" for rival in rivals):
            return self._too_large(f"`{name}`")
        for rival in rivals:
            if rival.kind == "literal_error":
                choices += [word.strip(" '") for word in rival.context["expected"].replace(" or ", ",").split(",")]
            else:
                kind = rival.kind.removesuffix("_type").removesuffix("_parsing")
                choices.append(_EXPECTED.get(kind, str(rival.message)))
        return f"`{name}` must be {_either(choices)}, found {self._found()}", did_you_mean(self.found, choices, quote="`")

    @property
    def _is_too_large(self) -> bool:
        return isinstance(self.found, int) and abs(self.found) > _LARGEST

    def _too_large(self, name: str) -> tuple[str, str]:
        return f"{name} is a number of {len(str(abs(self.found)))} digits, which is too large", f"Write one below {_LARGEST:g}."

    def _found(self) -> str:
        if self.is_secret:
            return "something else, which is not repeated as it may be a secret"
        if self.found is None:
            return "nothing"
        if isinstance(self.found, bool):
            return str(self.found).lower()
        if isinstance(self.found, Mapping):
            return "keys with values"
        if isinstance(self.found, list | tuple):
            return "a list"
        text = format_duration(self.found) if isinstance(self.found, timedelta) else str(self.found)
        return f"'{text[:_SHORT]}…'" if len(text) > _SHORT else f"'{text}'" if isinstance(self.found, str) else text

    def _remedy(self, expected: str) -> str:
        if expected == "text" and isinstance(self.found, bool | int | float):
            return "Put what you wrote in quotes."
        if expected == "a list" and isinstance(self.found, str) and not self.is_secret:
            return f"Write [{self.found}]."
        return "Give it a value, or delete the line." if self.found is None else _EXAMPLES.get(expected, "")

    @property
    def valid_keys(self) -> list[str]:
        """The keys that may stand beside a key that may not."""
        return sorted({key for node in self.holders for key in node.get("properties", {})})


def limit_text(limit: object) -> str:
    """A limit as a file writes it; pydantic tells that of a duration in Python.

    >>> limit_text(3), limit_text("datetime.timedelta(0)"), limit_text("datetime.timedelta(days=1, seconds=3600)")
    ('3', '0s', '25h')
    """
    text = str(limit)
    if not text.startswith("datetime.timedelta("):
        return text
    return format_duration(timedelta(**{unit: int(n) for unit, n in re.findall(r"(\w+)=(-?\d+)", text)}))


def _either(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _nodes(schema: Mapping[str, Any], location: Sequence[str | int]) -> list[Mapping[str, Any]]:
    """What the JSON schema says of a location; the label of a union's member is no step in it."""
    nodes: list[Mapping[str, Any]] = [schema]
    for part in location:
        below: list[Mapping[str, Any]] = []
        for node in _alternatives(schema, nodes):
            if part in node.get("properties", {}):
                below.append(node["properties"][part])
            elif part in node.get("discriminator", {}).get("mapping", {}):
                below.append({"$ref": node["discriminator"]["mapping"][part]})
            elif isinstance(part, int) and isinstance(node.get("items"), Mapping):
                below.append(node["items"])
            elif isinstance(node.get("additionalProperties"), Mapping):
                below.append(node["additionalProperties"])  # a mapping of names to models
        nodes = below or nodes
    return nodes


def _alternatives(schema: Mapping[str, Any], nodes: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The nodes with references and choices opened."""
    opened: list[Mapping[str, Any]] = []
    for node in nodes:
        if "$ref" in node:
            opened += _alternatives(schema, [schema["$defs"][node["$ref"].rsplit("/", 1)[-1]]])
        elif "anyOf" in node or "allOf" in node:
            opened += _alternatives(schema, node.get("anyOf", node.get("allOf", [])))
        else:
            opened.append(node)
    return opened
