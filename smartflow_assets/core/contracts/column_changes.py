"""How the columns of a load differ from those that were accepted before: added, removed, renamed or of another type.

That a column was renamed is guessed from its values: one is gone, another of the same type is new, and what they hold is alike.
"""

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

ValueKind = Literal["number", "text", "time", "boolean"]
Likeness = Callable[[str, str], float]
ALIKE = 0.5
"""From this likeness on (0: nothing in common, 1: the same values) a new column is the old one by another name."""


class Change(NamedTuple):
    """One column that is not as it was."""

    column: str
    kind: Literal["added", "removed", "renamed", "retyped"]
    name_before: str | None = None
    type_before: ValueKind | None = None
    type_after: ValueKind | None = None

    @property
    def is_additive(self) -> bool:
        """Whether all that was there is there as before."""
        return self.kind == "added"

    def __str__(self) -> str:
        match self.kind:
            case "added":
                return f"column {self.column} ({self.type_after}) is new"
            case "removed":
                return f"column {self.column} ({self.type_before}) is gone, or has no value any more"
            case "renamed":
                return f"column {self.name_before} is gone, and {self.column} is new and holds the same"
            case "retyped":
                return (
                    f"column {self.column} holds {_PLURAL[self.type_after or 'text']} where it held {_PLURAL[self.type_before or 'text']}"
                )


_PLURAL: Mapping[str, str] = {"number": "numbers", "text": "texts", "time": "times", "boolean": "truth values"}


def column_changes(accepted: Mapping[str, ValueKind], found: Mapping[str, ValueKind], likeness: Likeness) -> list[Change]:
    """What is other in `found` than in `accepted` (column to type), in the order of the columns. `likeness(old, new)` is asked of each
    column that is gone with each new one of its type. Names are compared without case.

    >>> column_changes({"at": "time", "amount": "number"}, {"at": "time", "total": "number"}, lambda old, new: 0.9)
    [Change(column='total', kind='renamed', name_before='amount', type_before='number', type_after='number')]
    """
    before, after = ({name.lower(): name for name in columns} for columns in (accepted, found))
    gone, new = [before[name] for name in before if name not in after], [after[name] for name in after if name not in before]
    pairs = sorted(
        (
            (likeness(old, name), -gone.index(old), -new.index(name), old, name)
            for old in gone
            for name in new
            if accepted[old] == found[name]
        ),
        reverse=True,
    )
    renamed = dict[str, str]()  # old names by new ones
    for share, _, _, old, name in pairs:
        if share >= ALIKE and name not in renamed and old not in renamed.values():
            renamed[name] = old
    changes = [Change(name, "removed", None, accepted[name], None) for name in gone if name not in renamed.values()]
    changes += [
        Change(name, "renamed", renamed[name], accepted[renamed[name]], found[name])
        if name in renamed
        else Change(name, "added", None, None, found[name])
        for name in new
    ]
    changes += [
        Change(after[name], "retyped", None, accepted[before[name]], found[after[name]])
        for name in before
        if name in after and accepted[before[name]] != found[after[name]]
    ]
    return changes
