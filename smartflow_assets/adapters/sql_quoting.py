"""Names and texts as SQL that no keyword, quote or odd letter can break."""


def quoted(name: str) -> str:
    """`raw.order` as SQL that no keyword or odd letter can break.

    >>> quoted("raw.order"), quoted("clean_series")
    ('"raw"."order"', '"clean_series"')
    """
    return ".".join(quoted_column(part) for part in name.split(".", 1))


def quoted_column(name: str) -> str:
    """A column name, which may hold dots, spaces and quotes, as SQL."""
    return '"' + name.replace('"', '""') + '"'


def quoted_text(text: object) -> str:
    """A text literal, for the statements that take no bound parameter."""
    return "'" + str(text).replace("'", "''") + "'"
