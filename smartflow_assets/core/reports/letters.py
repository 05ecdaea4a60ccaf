# pyright: reportUnknownVariableType=false
# matplotlib leaves the type of a path open.
"""Which signs the font of pictures and PDFs has: DejaVu Sans, which matplotlib brings, has Latin, Greek, Cyrillic, Arabic and Hebrew ones.

What it lacks, such as an emoji in the name of a series, is drawn as a box, here rather than by the library that draws: that warns of each.
"""

from functools import lru_cache
from pathlib import Path

BOX = "\u25a1"
_SPACES = frozenset("\n\r\t")


def drawable(text: str) -> str:
    """The text with a box for each sign that the font lacks.

    >>> drawable("Köln 🛒 5 €\\n中")
    'Köln □ 5 €\\n□'
    """
    if text.isascii():
        return text
    known = _known()
    return "".join(sign if ord(sign) in known or sign in _SPACES else BOX for sign in text)


def font_files() -> tuple[Path, Path]:
    """The font, plain and bold."""
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return folder / "DejaVuSans.ttf", folder / "DejaVuSans-Bold.ttf"


@lru_cache(maxsize=1)
def _known() -> frozenset[int]:
    """What both weights have."""
    from matplotlib.ft2font import FT2Font

    plain, bold = (frozenset(FT2Font(str(path)).get_charmap()) for path in font_files())
    return plain & bold
