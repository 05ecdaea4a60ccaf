"""Rows that a function of the user's own gives: whatever has a Python client can be a source, without a reader of its own.

The function is asked like a server (readers.feed): it is given `since`, and what it answers is stored part by part.
"""

import hashlib
import importlib
import inspect
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Literal

import pandas as pd
from pydantic import Field

from smartflow_assets.adapters.readers.feed import FeedReader, Page
from smartflow_assets.adapters.readers.file_signature import signature_of_files
from smartflow_assets.adapters.readers.python_rows import Part, parts, write_part
from smartflow_assets.adapters.scans import Layout
from smartflow_assets.adapters.scans.plain_text import printable
from smartflow_assets.adapters.secret_references import redact_all, text_of
from smartflow_assets.adapters.staging.contract import ProbeContext, ReadContext
from smartflow_assets.core.errors import SourceError, is_interrupt
from smartflow_assets.core.nearest_name import did_you_mean

_EXPECTED = "expected DataFrames, or dicts as rows, in one piece, in a list or by yield"
_GIVEN = ("since", "until", "now")
_FUNCTION = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$"


class PythonReader(FeedReader, frozen=True):
    """Call a function that returns or yields rows: DataFrames, dicts, or lists of dicts.

    It is called with those of `since`, `until` and `now` that it has parameters for, all in UTC: rows from `since` on and before
    `until` are asked for, None means no limit; `now` is the clock of the run. It may give more rows than were asked for.
    """

    asking: ClassVar = frozenset({"function"})

    type: Literal["python"] = "python"
    function: str = Field(
        pattern=_FUNCTION,
        examples=["my_pkg.feeds:orders"],
        description="Module and function, module:function; the module must be installed beside SmartFlow or lie on PYTHONPATH.",
    )
    probe_function: str | None = Field(
        default=None,
        pattern=_FUNCTION,
        examples=["my_pkg.feeds:newest_order"],
        description="A function whose answer (a text, a number, a time, or a list of them) changes when there are other rows: the schedule "
        "asks it, in its own process, to see whether a run is worth it. It may take since and now; None says that it cannot tell. "
        "Default: a run asks `function`.",
    )

    @property
    def feed(self) -> str:
        return f"python {self.function}"

    @property
    def is_incremental(self) -> bool:
        """Does the function take `since`? False for one that cannot be imported, which `pages` says why."""
        try:
            return "since" in _taken(getattr(importlib.import_module(self._module), self._name))
        except BaseException as error:
            if is_interrupt(error):
                raise
            return False

    def asked_from(self, context: ReadContext) -> datetime | None:
        return super().asked_from(context) if self.is_incremental else None

    def describe(self) -> str:
        return self.function

    @property
    def _module(self) -> str:
        return self.function.partition(":")[0]

    @property
    def _name(self) -> str:
        return self.function.partition(":")[2]

    def probe(self, context: ProbeContext) -> str | None:
        """By what `probe_function` answers, and by the file that it stands in."""
        if self.probe_function is None:
            return None
        asked = self.model_copy(update={"function": self.probe_function})
        try:
            answer = asked._called(ReadContext(context.source, context.data, context.data, since=context.since, now=context.now))
        except SourceError as error:
            what, remedy = (text.replace("read.function", "read.probe_function") for text in (error.what, error.remedy))
            raise SourceError(what, source=error.source, where=error.where, remedy=remedy) from None
        code = signature_of_files([Path(str(sys.modules[asked._module].__file__))])
        if answer is None or code is None:
            return None
        return hashlib.sha256(f"{code} {json.dumps(answer, default=str)}".encode()).hexdigest()[:32]

    def pages(self, context: ReadContext) -> Iterator[Page]:
        folder = context.staging / "python"
        folder.mkdir(parents=True, exist_ok=True)
        for number, part in enumerate(parts(self._items(context)), start=1):
            path, layout = self._written(part, folder / f"{number}", context)
            yield Page(path, layout, self.function)

    def _items(self, context: ReadContext) -> Iterator[pd.DataFrame | Mapping[str, Any]]:
        """Every DataFrame and every row that the function gives."""
        answer = self._called(context)
        if isinstance(answer, pd.DataFrame):
            yield answer
            return
        if not isinstance(answer, Iterable) or isinstance(answer, str | bytes | Mapping):
            hint = ". Return [] when there is nothing" if answer is None else ""
            raise self._error(context, f"it returned {_kind(answer)}; {_EXPECTED}{hint}")
        remaining = iter(answer)
        while True:
            try:
                item = next(remaining)
            except StopIteration:
                return
            except BaseException as error:  # whatever a user's function raises
                raise self._raised(context, error) from None
            if isinstance(item, pd.DataFrame | Mapping):
                yield item
                continue
            for row in item if isinstance(item, list | tuple) else [item]:
                if not isinstance(row, Mapping):
                    raise self._error(context, f"it gave {_kind(row)}; {_EXPECTED}")
                yield row

    def _called(self, context: ReadContext) -> Any:
        function = self._function(context)
        given = {"since": self.asked_from(context), "until": context.until, "now": context.now}
        taken = _taken(function)
        if strange := next((name for name, is_needed in taken.items() if is_needed and name not in given), None):
            raise self._error(context, f"it needs '{strange}'; it is given since, until and now, by name", "Give it a default.")
        try:
            return function(**{name: value for name, value in given.items() if name in taken})
        except BaseException as error:
            raise self._raised(context, error) from None

    def _function(self, context: ReadContext) -> Callable[..., Any]:
        module_name, name = self._module, self._name
        try:
            module = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            if error.name is None or not (module_name + ".").startswith(error.name + "."):
                raise self._raised(context, error, "importing it") from None
            raise self._error(
                context, f"there is no module {error.name}", "Install it beside SmartFlow, or set PYTHONPATH to its folder."
            ) from None
        except BaseException as error:
            raise self._raised(context, error, "importing it") from None
        function = getattr(module, name, None)
        if function is None:
            remedy = did_you_mean(name, dir(module), "Correct read.function.", quote="'")
            raise self._error(context, f"{module_name} has no function '{name}'", remedy)
        if not callable(function):
            raise self._error(context, f"'{name}' is {_kind(function)}, not a function")
        return function

    def _written(self, part: Part, stem: Path, context: ReadContext) -> tuple[Path, Layout]:
        try:
            return write_part(part, stem, self.time.parts)
        except (TypeError, ValueError, RecursionError) as error:
            raise self._error(context, f"its rows cannot be stored: {error}", "Correct the function.") from None

    def _error(self, context: ReadContext, what: str, remedy: str = "Correct the function, or read.function.") -> SourceError:
        told = f"read.function: {printable(redact_all(what, os.environ))}"
        return SourceError(told, source=context.source, where=self.function, remedy=remedy)

    def _raised(self, context: ReadContext, error: BaseException, doing: str = "it") -> SourceError:
        """What the user's code raised, and where: the innermost line outside of installed libraries. An interrupt is raised again."""
        if is_interrupt(error):
            raise error
        frames = [
            frame
            for frame in traceback.extract_tb(error.__traceback__)
            if frame.filename not in (__file__, importlib.__file__) and Path(frame.filename).is_file()
        ]
        own = next((frame for frame in reversed(frames) if "site-packages" not in frame.filename), frames[-1] if frames else None)
        text = redact_all(" ".join(text_of(error).split()), os.environ)[:300]
        what = f"read.function: {doing} raised {type(error).__name__}" + (f": {printable(text)}" if text else "")
        where = f"{self.function}, {own.filename}, line {own.lineno}" if own else self.function
        return SourceError(what, source=context.source, where=where, remedy="Mend the function; the next run asks for the same again.")


def _kind(value: Any) -> str:
    return "None" if value is None else f"a value of type {type(value).__name__}"


def _taken(function: Callable[..., Any]) -> dict[str, bool]:
    """The names of what the function takes, and whether it must be given; since, until and now where it takes any name."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # some functions of C do not tell
        return {}
    takes_any = any(each.kind is each.VAR_KEYWORD for each in parameters)
    taken: dict[str, bool] = dict.fromkeys(_GIVEN if takes_any else (), False)
    for each in parameters:
        if each.kind not in (each.VAR_KEYWORD, each.VAR_POSITIONAL):
            # what can be given by its place alone is not called by its name
            name = f"{each.name}, /" if each.kind is each.POSITIONAL_ONLY else each.name
            taken[name] = each.default is each.empty
    return taken
