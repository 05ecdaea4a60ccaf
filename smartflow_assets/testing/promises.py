"""How a broken promise is told, and the promises that the settings of every plug-in keep, whatever its kind."""

import traceback
from collections.abc import Callable, Iterable
from typing import Any, Literal, NoReturn, TypeVar, get_args, get_origin

from pydantic import BaseModel

T = TypeVar("T")
METHODS = frozenset(
    ("fit", "start", "score", "columns", "minimum_rows", "unsuited", "lookback", "find", "evaluate", "batches", "pages", "deliver")
)
"""What authors of plug-ins write, and what a sentence about an exception names."""


class BrokenPromiseError(AssertionError):
    """A sentence about a promise that is broken; an assert statement of the plug-in itself raises a bare AssertionError instead."""


def broken(who: str, what: str, remedy: str, cause: Exception | None = None) -> NoReturn:
    """Raise AssertionError `<who>: <what>. <remedy>.`; not an assert statement, which Python leaves out under -O."""
    raise BrokenPromiseError(f"{who}: {what.rstrip('.')}. {remedy}.") from cause


def promised(holds: object, who: str, what: str, remedy: str) -> None:
    """Do nothing when it holds, else say what is broken."""
    if not holds:
        broken(who, what, remedy)


def check_instance(given: object, base: type[BaseModel], call: str) -> None:
    """`given` is a plug-in, not its class and nothing else; `call` is the function that it was handed to."""
    if isinstance(given, type):
        broken(call, f"{given.__name__} is a class", f"Hand over a plug-in with its settings: {call}({given.__name__}(…))")
    promised(isinstance(given, base), call, f"{kind_of(given)} is no {base.__name__}", f"Derive it from {base.__name__}")


def run_all(checks: Iterable[Callable[[T], None]], subject: T, plugin: BaseModel, who: str) -> None:
    """Run the checks in order. An exception that a check did not expect is a broken promise too, and is named as one."""
    for check in checks:
        try:
            check(subject)
        except BrokenPromiseError:
            raise
        except Exception as error:
            method = method_that_raised(error, plugin)
            if isinstance(error, NotImplementedError) and method and not str(error):
                broken(
                    who, f"{type(plugin).__name__} has no {method}", f"Write {method}; its parent {_home(plugin, method)} does not", error
                )
            broken(who, raised(error, plugin), f"The traceback above says where; {check.__name__} called it", error)


def raised(error: Exception, plugin: BaseModel) -> str:
    """`score raised KeyError: 'level'`: which method of the plug-in raised what."""
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return f"{method_that_raised(error, plugin) or 'it'} raised {text}"


def method_that_raised(error: Exception, plugin: BaseModel) -> str:
    """The innermost method of the plug-in (`METHODS`) that the exception went through; empty when it went through none."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__) if isinstance(frame.f_locals.get("self"), type(plugin))]
    return next((frame.f_code.co_name for frame in reversed(frames) if frame.f_code.co_name in METHODS), "")


def counted(count: int, noun: str) -> str:
    """`1 row`, `2 rows`.

    >>> counted(1, "row"), counted(2, "row")
    ('1 row', '2 rows')
    """
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def kind_of(value: object) -> str:
    """The class of a value with its article: `a tuple`, `an int`, `None`.

    >>> kind_of(()), kind_of(1), kind_of(None)
    ('a tuple', 'an int', 'None')
    """
    name = type(value).__name__
    return "None" if value is None else f"{'an' if name[0] in 'aeioAEIO' else 'a'} {name}"


def type_of(model: BaseModel) -> str:
    """What a YAML calls it: its `type`."""
    return str(type(model).model_fields["type"].default) if "type" in type(model).model_fields else type(model).__name__


def check_settings(model: BaseModel) -> None:
    """Its settings are a frozen model with a literal type that refuses unknown keys, describes each key and survives JSON."""
    who, kind = type_of(model), type(model)
    fields = kind.model_fields
    name = fields["type"].default if "type" in fields else None
    promised(
        "type" in fields and get_origin(fields["type"].annotation) is Literal and get_args(fields["type"].annotation) == (name,),
        who,
        f"{kind.__name__}.type is not a literal whose default is itself, so no YAML can name it",
        f'Write: type: Literal["my_type"] = "my_type" in {kind.__name__}',
    )
    promised(
        kind.model_config.get("frozen"),
        who,
        f"{kind.__name__} is not frozen, so that settings could change during a run",
        "Write class MyPlugin(Base, frozen=True), and keep what changes out of the settings",
    )
    promised(
        kind.model_config.get("extra") == "forbid",
        who,
        f"{kind.__name__} takes unknown keys, so that a mistyped key in a YAML goes unseen",
        'Leave model_config as the base class has it: extra="forbid"',
    )
    silent = [name for name, field in fields.items() if name != "type" and not field.description]
    promised(not silent, who, f"no description for {', '.join(silent)}", "Write Field(description=…): the reference is made from it")
    promised(_read_again(model) == model, who, "written as JSON and read again it is not equal", "Use types that pydantic reads and writes")


def _read_again(model: BaseModel) -> Any:
    return type(model).model_validate_json(model.model_dump_json())


def _home(plugin: BaseModel, method: str) -> str:
    return next(kind.__name__ for kind in type(plugin).__mro__ if method in vars(kind))
