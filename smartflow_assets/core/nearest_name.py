"""The known name that was probably meant, for the hint in an error about a name that there is not."""

from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches


def nearest_name(word: object, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """The known name that is most like the word; None when none is as similar as `cutoff` (0 to 1, as difflib measures it).

    >>> nearest_name("metrcs", ["metrics", "dimensions"]), nearest_name("x", ["metrics"])
    ('metrics', None)
    """
    return next(iter(get_close_matches(str(word), list(known), n=1, cutoff=cutoff)), None)


def similarity(word: object, known: str) -> float:
    """How alike two names are, 0 to 1, as `nearest_name` measures it.

    >>> similarity("tyme", "time"), similarity("tyme", "path")
    (0.75, 0.25)
    """
    return SequenceMatcher(None, known, str(word)).ratio()


def did_you_mean(word: object, known: Iterable[str], otherwise: str = "", *, quote: str = "", cutoff: float = 0.6) -> str:
    """`Did you mean metrics?`, with the name between quotes if any are given; `otherwise` when no name is near.

    >>> did_you_mean("metrcs", ["metrics"]), did_you_mean("x", ["metrics"], "There is metrics.")
    ('Did you mean metrics?', 'There is metrics.')
    """
    near = nearest_name(word, known, cutoff=cutoff)
    return otherwise if near is None else f"Did you mean {quote}{near}{quote}?"
