"""Texts cut to what a receiver takes.

Vendors count letters, UTF-16 units or bytes, and some count what a letter becomes when it is escaped: the caller says how a text is
measured. What is cut ends with an ellipsis, at a whole word where one is near.
"""

from collections.abc import Callable

ELLIPSIS = "…"


def one_line(text: str, length: int = 2000) -> str:
    """Without line breaks and other controls, which a mail header must not carry and which data may contain; what is longer ends with
    a whole word where there is one.

    >>> one_line("two\\n  lines"), one_line("several words in a line", 15)
    ('two lines', 'several words…')
    """
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    if len(text) <= length:
        return text
    cut = text.rfind(" ", length // 2, length)
    return text[: cut if cut > 0 else length - 1].rstrip(" ,;:") + ELLIPSIS


def printable(text: str) -> str:
    """Without controls other than line breaks: an escape sequence or a change of direction in a name is no text.

    >>> printable("n\\x1b[31mred\\nline")
    'n [31mred\\nline'
    """
    return "".join(c if c.isprintable() or c == "\n" else " " for c in text)


def utf16_units(text: str) -> int:
    """How long a text is where a letter beyond the basic plane, such as an emoji, counts twice: never less than its letters.

    >>> utf16_units("a"), utf16_units("🔴")
    (1, 2)
    """
    return len(text) + sum(letter > "\uffff" for letter in text)


def utf8_bytes(text: str) -> int:
    """How many bytes a text takes on the wire; half a pair of surrogates, which no wire carries, counts as three."""
    return len(text.encode(errors="surrogatepass"))


def fitting(text: str, most: int, measure: Callable[[str], int] = utf16_units, *, ellipsis: str = ELLIPSIS) -> str:
    """The text, or as much of its beginning as measures at most `most` with an ellipsis; `measure` must grow with the text.

    >>> fitting("several words in a line", 15), fitting("abc", 3), fitting("abcd", 3), fitting("a&b", 5, lambda text: len(text) * 3)
    ('several words…', 'abc', 'ab…', '')
    """
    if measure(text) <= most:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if measure(text[:middle].rstrip() + ellipsis) <= most else (low, middle - 1)
    if low == 0:
        return ""
    word = text.rfind(" ", low // 2, low + 1)
    return text[: word if word > 0 else low].rstrip(" ,;:") + ellipsis
