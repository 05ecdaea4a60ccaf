"""What all parts of a YAML file have in common: they do not change, know their keys, and hold numbers that are numbers."""

from collections.abc import Iterator
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, Union, dataclass_transform, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationInfo, field_validator
from pydantic_core import PydanticKnownError


@dataclass_transform(kw_only_default=True, field_specifiers=(Field, PrivateAttr))
class Declared(BaseModel):
    """A part of what a person declares. A key that it does not know and a number that is none (`.nan`, `.inf`, `true`) are errors: a limit
    that no value reaches switches a rule off without a word.

    >>> class Limit(Declared):
    ...     most: int | None = None
    >>> Limit(most=True)
    Traceback (most recent call last):
    pydantic_core._pydantic_core.ValidationError: 1 validation error for Limit
    most
      Input should be a valid integer [type=int_type, input_value=True, input_type=bool]
    ...
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Python takes `true` for 1, so each field looks at what it is given; all but `type`, of which pydantic lets no validator come
        before the choice of a union's member."""
        super().__init_subclass__(**kwargs)
        if own := [name for name in vars(cls).get("__annotations__", {}) if name != "type"]:
            validator = field_validator(*own, mode="before", check_fields=False)
            setattr(cls, f"_numbers_of_{cls.__name__}", validator(classmethod(_no_truth_for_number)))


def _no_truth_for_number(cls: type[BaseModel], value: Any, info: ValidationInfo) -> Any:
    if isinstance(value, bool) and (kind := _numbers_of(cls).get(info.field_name or "")) is not None:
        raise PydanticKnownError(kind)
    return value


@cache
def _numbers_of(model: type[BaseModel]) -> dict[str, Literal["int_type", "float_type"]]:
    """The fields that take a number and no truth value, with pydantic's name of the error."""
    numbers: dict[str, Literal["int_type", "float_type"]] = {}
    for name, field in model.model_fields.items():
        taken = set(_taken(field.annotation))
        if taken & {int, float} and not taken & {bool, Any, object}:
            numbers[name] = "float_type" if float in taken else "int_type"
    return numbers


def _taken(annotation: Any) -> Iterator[Any]:
    """The types that an annotation takes, its choices opened; of literals the types of the values."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _taken(get_args(annotation)[0])
    elif origin in (Union, UnionType):
        for choice in get_args(annotation):
            yield from _taken(choice)
    elif origin is Literal:
        yield from map(type, get_args(annotation))
    else:
        yield origin or annotation
