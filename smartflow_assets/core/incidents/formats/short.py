"""The message as one line of a few text messages (SMS): how bad, who, what, and a link where it fits.

A part holds 160 letters of the GSM alphabet, or 70 as soon as one letter is not of it; of several parts each loses seven (GSM 03.40) or
three for its number. So signs that the alphabet lacks and that mean the same otherwise are written otherwise.
Limits: https://www.twilio.com/docs/glossary/what-sms-character-limit, 3GPP TS 23.038.
"""

from smartflow_assets.core.incidents.content import Content
from smartflow_assets.core.incidents.shortening import fitting, utf16_units

MOST_PARTS = 3
PART, PART_OF_SEVERAL = 160, 153
UCS2_PART, UCS2_PART_OF_SEVERAL = 70, 67
_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("\f^{}\\[~]|€")  # two places each
_PLAIN = str.maketrans(
    {"…": "...", "–": "-", "—": "-", "−": "-", "·": "-", "×": "x", "“": '"', "”": '"', "‘": "'", "’": "'", "→": "->"}
    | {"\u00a0": " ", "\u202f": " "}
)


def render(content: Content) -> str:
    """At most three parts of text message."""
    text = content.sentence.translate(_PLAIN)
    told = fitting(text, MOST_PARTS, parts, ellipsis="...")
    link = next((link.address for link in reversed(content.links) if parts(f"{told} {link.address}") <= MOST_PARTS), "")
    return f"{told} {link}".strip()


def parts(text: str) -> int:
    """How many parts a text message is sent in.

    >>> parts("a" * 160), parts("a" * 161), parts("é€" * 60), parts("а" * 70), parts("🔴" * 36)
    (1, 2, 2, 1, 2)
    """
    if all(letter in _BASIC or letter in _EXTENDED for letter in text):
        length, alone, one_of = sum(1 + (letter in _EXTENDED) for letter in text), PART, PART_OF_SEVERAL
    else:
        length, alone, one_of = utf16_units(text), UCS2_PART, UCS2_PART_OF_SEVERAL
    return 1 if length <= alone else -(-length // one_of)
