"""What a table holds after loads of files, in plain Python: the rule that the warehouse has in SQL."""

from collections import Counter
from collections.abc import Mapping

File = dict[int, "Counter[int]"]
"""The rows of a file or of an origin: by instant, how many there are of each value."""


class Model:
    """Every origin with the rows that are its own, as the rule of `Load` says, how many stored rows went, and how many stay though the
    newest content of their origin does not hold them."""

    def __init__(self) -> None:
        self.stored: dict[str, File] = {}
        self.removed, self.missing = 0, dict[str, int]()

    def load(self, origin: str, rows: File) -> None:
        own = self.stored.setdefault(origin, {})
        for instant, counts in rows.items():
            had, others = own.get(instant, Counter()), [held for name, held in self.stored.items() if name != origin]
            beside = sum((held.get(instant, Counter()) for held in others), Counter[int]())
            own[instant] = had & counts | counts - beside  # & is the smaller of the counts, | the larger one
            if instant in (min(rows), max(rows)):
                own[instant] |= had
            self.removed += (had - own[instant]).total()
        self.missing[origin] = sum((held - rows.get(instant, Counter())).total() for instant, held in own.items())

    def take(self, files: Mapping[str, File], changed: set[str]) -> None:
        """What runs do until they find nothing: changed files, then those that hold what another one has lost."""
        for name in sorted(changed):
            self.load(name, files[name])
        before = None
        while before != (before := self.rows()):
            for name in sorted(files):
                self.load(name, files[name])

    def rows(self) -> list[tuple[int, int]]:
        return sorted((instant, value) for own in self.stored.values() for instant, counts in own.items() for value in counts.elements())
