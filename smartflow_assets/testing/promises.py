"""How a broken promise is told, and the promises that the settings of every plug-in keep, whatever its kind."""

from collections.abc import Callable, Iterable
from typing import Any, Literal, NoReturn, TypeVar, get_args, get_origin

from pydantic import BaseModel

T = TypeVar("T")


def broken(who: str, what: str, remedy: str) -> NoReturn:
    """Raise AssertionError `<who>: <what>. <remedy>.`; not an assert statement, which Python leaves out under -O."""
    raise AssertionError(f"{who}: {what}. {remedy}.")


def promised(holds: object, who: str, what: str, remedy: str) -> None:
    """Do nothing when it holds, else say what is broken."""
    if not holds:
        broken(who, what, remedy)


def run_all(checks: Iterable[Callable[[T], None]], subject: T, who: str) -> None:
    """Run the checks in order. An exception that a check did not expect is a broken promise too, and is named as one."""
    for check in checks:
        try:
            check(subject)
        except AssertionError:
            raise
        except Exception as error:
            promise = (check.__doc__ or check.__name__).strip().partition("\n")[0].rstrip(".")
            what = f"it raised {type(error).__name__}: {error}, while this was checked: {promise}"
            raise AssertionError(f"{who}: {what}. The traceback above says where.") from error


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
