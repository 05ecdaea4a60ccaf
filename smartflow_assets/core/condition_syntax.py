"""The text of a condition, as rules and metrics have one, as a syntax tree: what may be in it is checked by its reader."""

import ast
import re

LONGEST_TEXT = 500  # characters: a condition is read by people, and a deep one would exhaust the stack
_QUOTED = re.compile(r"`([^`]+)`")


def syntax_tree(text: str, example: str) -> tuple[ast.expr, dict[str, str]]:
    """The tree, nothing in which is checked yet, and the names that stood in backquotes, by what stands for them in it.

    ValueError when the text is too long or is no expression; it ends with the `example`.
    """
    if len(text) > LONGEST_TEXT:
        raise ValueError(f"The condition has {len(text)} characters; at most {LONGEST_TEXT} are read")
    quoted: dict[str, str] = {}
    source = _QUOTED.sub(lambda match: quoted.setdefault(match[1], f"_quoted_{len(quoted)}_"), text)
    try:
        tree = ast.parse(source.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = getattr(error, "msg", error)
        raise ValueError(f"{text!r} is not a condition ({reason}); write one such as {example}") from None
    return tree, {placeholder: name for name, placeholder in quoted.items()}
