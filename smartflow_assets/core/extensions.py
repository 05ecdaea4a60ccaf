"""Types that other packages add: an entry point under `smartflow.<kind>` joins the union of that kind.

Each union (detectors, rules, readers, channels, ...) asks here once, when it is built. A package that cannot be imported is
left out with a warning that names it, since a broken plug-in must not take every source down with it; a YAML that uses its
type is then refused by name.
"""

import warnings
from importlib.metadata import entry_points
from typing import TypeVar

T = TypeVar("T")


def installed(group: str, base: type[T]) -> tuple[type[T], ...]:
    """The subclasses of `base` that installed packages offer under the entry point group, sorted by their name."""
    found: list[type[T]] = []
    for point in sorted(entry_points(group=group), key=lambda point: point.name):
        try:
            offered = point.load()
        except Exception as error:  # whatever a stranger's module raises when it is imported
            warnings.warn(f"{group}: {point.value} is left out: {type(error).__name__}: {error}", RuntimeWarning, stacklevel=2)
            continue
        if isinstance(offered, type) and issubclass(offered, base):
            found.append(offered)
        else:
            warnings.warn(f"{group}: {point.value} is left out: it is no {base.__name__}", RuntimeWarning, stacklevel=2)
    return tuple(found)
