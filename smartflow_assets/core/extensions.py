"""Types that other packages add: an entry point under `smartflow.<kind>` joins the union of that kind.

Each union (detectors, rules, readers, channels) is built here once, by `registry`. A package that cannot be imported, or
whose type is taken, is left out with a warning that names it, since a broken plug-in must not take every source down with
it; a YAML that uses its type is then refused by name.
"""

import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, Field

T = TypeVar("T")
Model = TypeVar("Model", bound=BaseModel)


def registry(group: str, base: type[Model], built_in: Sequence[type[Model]]) -> dict[str, type[Model]]:
    """Every model of a kind by its `type`: the built-in ones, then those that packages offer under the entry point group.

    A built-in type cannot be replaced. Of two plug-ins with one type the first by the name of its entry point stays. Whatever
    is left out is a RuntimeWarning that names group, plug-in, type and remedy, because pydantic would refuse the whole union.
    """
    models = {literal_type(model) or "": model for model in built_in}
    origins = dict.fromkeys(models, "a built-in one")
    for point, offered in _offered(group, base):
        kind = literal_type(offered)
        if kind is None:
            reason = f'its type is not a literal; declare `type: Literal["{point.name}"] = "{point.name}"`'
        elif kind in models:
            reason = f"its type {kind!r} is that of {origins[kind]}; give it a `type` of its own"
        else:
            models[kind], origins[kind] = offered, point.value
            continue
        _leave_out(group, point, reason)
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
    for point in sorted(entry_points(group=group), key=lambda point: point.name):
        try:
            offered = point.load()
        except (Exception, SystemExit) as error:  # whatever a stranger's module raises when it is imported
            _leave_out(group, point, f"{type(error).__name__}: {error}")
            continue
        if isinstance(offered, type) and issubclass(offered, base):
            yield point, offered
        else:
            _leave_out(group, point, f"it is no {base.__name__}")


def _leave_out(group: str, point: EntryPoint, reason: str) -> None:
    warnings.warn(f"{group}: {point.value} is left out: {reason}", RuntimeWarning, stacklevel=3)
