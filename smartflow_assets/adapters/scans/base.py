"""What a layout gives to staging: a relation in SQL whose every value is text, and what in the content is no row at all."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from smartflow_assets.adapters.scans.plain_text import TextFile

ENOUGH = 10  # rows from which on "none can be read" means a wrong setting and not some bad rows
MOST_COLUMNS = 1_000  # of text and JSON: each is asked for all that its values may be
NOTHING_BROKEN = "SELECT 0 AS place, '' AS record, '' AS reason LIMIT 0"


class Scan(ABC):
    """The rows of one content. `relation` has the columns c0, c1, … of type VARCHAR, named `names` for people; `types` holds
    the type of a column whose values have one already, None where the texts decide. `broken` asks for (place, record as JSON
    text, reason) of what is no row."""

    names: tuple[str, ...]
    types: tuple[str | None, ...]
    relation: str
    broken: str = NOTHING_BROKEN
    number: str | None = None  # the column of the relation that numbers its rows as `broken` does; None: their order does
    decimal: str = "."
    has_decimal = False  # can a person say what the sign before the decimals is?
    text: Path | None = None  # the UTF-8 text behind the relation, where there is one

    def refuse(self, connection: duckdb.DuckDBPyConnection, row_count: int) -> None:  # noqa: B027
        """SourceError when so much is broken that the settings or the feed must be wrong."""


@dataclass(frozen=True)
class Layout(ABC):
    """How a content is laid out; a subclass's fields are the keys that a person may set. `name` is said in messages."""

    name = ""

    @abstractmethod
    def open(
        self,
        connection: duckdb.DuckDBPyConnection,
        files: Sequence[TextFile],
        declared: Sequence[tuple[str, str]],
        *,
        is_rewritten: bool = False,
    ) -> Scan:
        """Look through the files, which are one content, and say what there is. `declared` are the wanted columns and their
        YAML fields, the time first; `is_rewritten` asks for text whose line ends are alike."""
