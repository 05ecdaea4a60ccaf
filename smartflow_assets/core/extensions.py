"""Types that other packages add: an entry point under `smartflow.<kind>` joins the union of that kind.

Each union (detectors, rules, readers, channels) is built here once, by `registry`. A package that cannot be imported, or
whose type is taken, is left out with a warning that names it, since a broken plug-in must not take every source down with
it; a YAML that uses its type is then refused by name.
"""

import warnings
from collections.abc import Iterator, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel

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


def installed(group: str, base: type[T]) -> tuple[type[T], ...]:
    """The subclasses of `base` that installed packages offer under the entry point group, sorted by their name."""
    return tuple(offered for _, offered in _offered(group, base))


def _offered(group: str, base: type[T]) -> Iterator[tuple[EntryPoint, type[T]]]:
    for point in sorted(entry_points(group=group), key=lambda point: point.name):
        try:
            offered = point.load()
        except Exception as error:  # whatever a stranger's module raises when it is imported
            _leave_out(group, point, f"{type(error).__name__}: {error}")
            continue
        if isinstance(offered, type) and issubclass(offered, base):
            yield point, offered
        else:
            _leave_out(group, point, f"it is no {base.__name__}")


def _leave_out(group: str, point: EntryPoint, reason: str) -> None:
    warnings.warn(f"{group}: {point.value} is left out: {reason}", RuntimeWarning, stacklevel=3)
