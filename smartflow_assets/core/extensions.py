"""Types that other packages add: an entry point under `smartflow.<kind>` joins the union of that kind.

Each union (detectors, rules, readers, channels) is built here once, by `registry`. A package that cannot be imported, or
whose type is taken, is left out with a warning that names it, since a broken plug-in must not take every source down with
it; a YAML that uses its type is then refused by name.
"""

import contextlib
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, Field, TypeAdapter

T = TypeVar("T")
Model = TypeVar("Model", bound=BaseModel)
_TYPE = re.compile("[a-z][a-z0-9_]*")
_LONGEST_REASON = 300


def registry(group: str, base: type[Model], built_in: Sequence[type[Model]]) -> dict[str, type[Model]]:
    """Every model of a kind by its `type`: the built-in ones, then those that packages offer under the entry point group.

    A built-in type cannot be replaced. Of two plug-ins with one type the first by the name of its entry point stays. Whatever
    is left out is a RuntimeWarning that names group, plug-in, type and remedy, because pydantic would refuse the whole union.
    """
    models = {literal_type(model) or "": model for model in built_in}
    origins = dict.fromkeys(models, "a built-in one")
    for point, offered in _offered(group, base):
        kind = literal_type(offered) or ""
        if kind in models:
            reason = f"its type {kind!r} is that of {origins[kind]}; give it a `type` of its own"
        else:
            reason = _unusable_because(offered, point, built_in)
        if reason:
            _leave_out(group, point, reason)
        else:
            models[kind], origins[kind] = offered, point.value
    return models


def registry_on_demand(
    module: str, names: tuple[str, str], group: str, base: type[Model], built_in: Sequence[type[Model]], **further: Callable[[Any], Any]
) -> Callable[[str], Any]:
    """The `__getattr__` of a package (PEP 562) that builds its registry and its discriminated union when one is first asked for.

    `names` are those of the two; `further` makes more attributes from the union. They are not built when the package is imported,
    because a plug-in's module imports it for the base class: a plug-in that is imported first, as by a test of its own, would be
    asked for its class before there is one, and be left out.
    """

    def attribute(name: str) -> Any:
        if name not in (*names, *further):
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        models = registry(group, base, built_in)
        union = Annotated[Union[tuple(models.values())], Field(discriminator="type")]  # noqa: UP007 (built from a tuple)
        made = {names[0]: models, names[1]: union} | {each: make(union) for each, make in further.items()}
        vars(sys.modules[module]).update(made)
        return made[name]

    return attribute


def literal_type(model: type[BaseModel]) -> str | None:
    """The one literal that `type` of a model of a union allows; None where the model declares none.

    >>> class Bell(BaseModel):
    ...     type: Literal["bell"] = "bell"
    >>> class Nameless(BaseModel):
    ...     type: str = "bell"
    >>> literal_type(Bell), literal_type(Nameless)
    ('bell', None)
    """
    field = model.model_fields.get("type")
    if field is None or get_origin(field.annotation) is not Literal:
        return None
    values = get_args(field.annotation)
    return values[0] if len(values) == 1 and isinstance(values[0], str) else None


def _offered(group: str, base: type[T]) -> Iterator[tuple[EntryPoint, type[T]]]:
    for point in sorted(entry_points(group=group), key=lambda point: (point.name, point.value)):
        try:
            with contextlib.redirect_stdout(sys.stderr):  # what a module prints when it is imported is no result of a command
                offered = point.load()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # whatever a stranger's module raises when it is imported, an exit among it
            _leave_out(group, point, f"{type(error).__name__}: {error}")
            continue
        if isinstance(offered, type) and issubclass(offered, base):
            yield point, offered
        else:
            _leave_out(group, point, f"it is no {base.__name__}")


def _unusable_because(offered: type[BaseModel], point: EntryPoint, built_in: Sequence[type[BaseModel]]) -> str:
    """Why a class cannot join the union, empty when it can. What pydantic would refuse later would stop every command."""
    kind = literal_type(offered)
    if kind is None:
        return f'its type is not a literal of one text; declare `type: Literal["{point.name}"] = "{point.name}"`'
    if not _TYPE.fullmatch(kind):
        return f"its type {kind!r} is not made of small letters, digits and _; choose another one"
    if offered.model_fields["type"].get_default() != kind:
        return f'its type has another default; declare `type: Literal["{kind}"] = "{kind}"`'
    if missing := sorted(getattr(offered, "__abstractmethods__", ())):
        return f"it has no {' and no '.join(f'`{name}`' for name in missing)}; write {'it' if len(missing) == 1 else 'them'}"
    try:
        offered.model_rebuild(raise_errors=True)
        union: Any = offered
        if built_in:
            union = Annotated[offered | built_in[0], Field(discriminator="type")]
        TypeAdapter(union).json_schema()
    except Exception as error:  # pydantic's own errors, and those of a field's type
        return f"its fields cannot be described: {' '.join(str(error).split())[:_LONGEST_REASON]}"
    return ""


def _leave_out(group: str, point: EntryPoint, reason: str) -> None:
    package = f" of {point.dist.name}" if point.dist is not None else ""
    warnings.warn(f"{group}: {point.value}{package} is left out: {reason}", RuntimeWarning, stacklevel=3)
