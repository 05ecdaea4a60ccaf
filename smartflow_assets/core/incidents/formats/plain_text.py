"""The message as plain text: the sentence, and below it a table of label and text. In a bundle the page of an incident stands below it."""

from smartflow_assets.core.incidents.content import Content
from smartflow_assets.core.incidents.shortening import one_line


def render(content: Content) -> str:
    """The text, a line for each text of the content, ending with a line break."""
    rows = [
        (label, text)
        for line in content.lines
        for place, (said, address) in enumerate(line.rows)
        for label, text in (("" if place else line.label, said), *((("", address),) if line.pages and address else ()))
    ]
    width = max(len(label) for label, _ in rows)
    lines = [f"{label + ':' if label else '':<{width + 1}} {one_line(text)}" for label, text in rows]
    return "\n".join([content.sentence, "", *lines, ""])
