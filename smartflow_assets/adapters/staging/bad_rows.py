"""Bad rows: what becomes of rows that cannot be read, and how many of them may be.

A share is that of one content: all rows of a file as it is now, or of one page that a server answered. So it is a function of what the
feed holds, however runs have cut it into loads, and a file that is mended or grows is judged anew as a whole.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import duckdb
from pydantic import Field, GetJsonSchemaHandler, PlainSerializer, PlainValidator, WithJsonSchema, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from smartflow_assets.adapters.scans.base import ENOUGH
from smartflow_assets.adapters.sql_quoting import quoted_text
from smartflow_assets.core.declared import Declared

BadRows = Literal["quarantine", "drop", "keep"]
_PERCENT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*%\s*")
KIND = (  # what is wrong, without the value and the line in which it is
    "split_part(regexp_replace(regexp_replace(reason, '^(line|record) [0-9]+: ', ''), "
    """': ''.*?'' (is not a time|is not a number|does not exist)', ' \\1'), ';', 1)"""
)


class Share(float):
    """A part of the whole, 0 to 1, which people write as a percentage.

    >>> str(Share(0.025)), str(Share(0.2))
    ('2.5%', '20%')
    """

    def __str__(self) -> str:
        return f"{100 * self:g}%"


def parse_share(value: object) -> Share:
    """`"1%"` or a Share to a Share; ValueError for anything else.

    >>> str(parse_share("2.5 %"))
    '2.5%'
    """
    if isinstance(value, Share):
        return value
    found = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    if found is None or float(found[1]) > 100:
        raise ValueError(f"{value!r} is no share of the rows; write a percentage such as 1%")
    return Share(float(found[1]) / 100)


Percentage = Annotated[
    Share,
    PlainValidator(parse_share),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*%\s*$", "examples": ["1%"]}),
]


class BadRowPolicy(Declared):
    """What becomes of bad rows, and how many are too many. `on_bad_rows: drop` is short for `{do: drop}`.

    >>> BadRowPolicy.model_validate("keep").do, BadRowPolicy.model_validate({"fail_above": "50%"}).fail_above
    ('keep', 0.5)
    """

    do: BadRows = Field(
        default="quarantine",
        description="Rows with an unreadable number: keep them aside (quarantine), drop them, or keep them with the number null. "
        "A row without a readable time belongs to no bucket and is never kept.",
    )
    warn_above: Percentage = Field(
        default=Share(0.01),
        description="A file with more of its rows in quarantine opens an incident (cause `readability`), which is over when they can be "
        "read, are dropped by `smartflow quarantine`, or are in the file no more. 100% opens none. Of dropped rows the run has a note.",
    )
    fail_above: Percentage = Field(
        default=Share(0.2),
        description="Of a file with more unreadable rows nothing is taken, and the run fails; other files are taken. A file of fewer than "
        "ten rows is always taken. Of a server each page is judged. 100% takes everything. A load of which a contract would divert more "
        "rows (`on_breach: quarantine`) is blocked as a whole.",
    )

    @model_validator(mode="before")
    @classmethod
    def _from_a_word(cls, given: Any) -> Any:
        return {"do": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if {"warn_above", "fail_above"} <= self.model_fields_set and self.warn_above > self.fail_above:
            raise ValueError("fail_above must not be less than warn_above: what fails is not warned of")
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler.resolve_ref_schema(handler(core_schema))
        return {"anyOf": [{"enum": ["quarantine", "drop", "keep"]}, schema]}


@dataclass(frozen=True)
class Unreadable:
    """How many rows of one content cannot be read, beside those that can, and what is wrong with most of them."""

    origin: str
    bad_count: int
    row_count: int
    reason: str = ""

    @property
    def share(self) -> float:
        """Of all rows of the content."""
        return self.bad_count / max(1, self.bad_count + self.row_count)

    @property
    def is_worth_refusing(self) -> bool:
        """Whether there are enough rows to tell a wrong feed from a file whose first lines are being written."""
        return self.bad_count + self.row_count >= ENOUGH

    def __str__(self) -> str:
        """
        >>> str(Unreadable("feeds/shop.csv", 5956, 13897, "n is not a number"))
        '30 % of the rows of feeds/shop.csv cannot be read, 5,956 of 19,853: n is not a number'
        """
        rows = f"{self.bad_count:,} of {self.bad_count + self.row_count:,}"
        return f"{percentage(self.share)} of the rows of {self.origin} cannot be read, {rows}" + (f": {self.reason}" if self.reason else "")


def percentage(share: float) -> str:
    """A share for people, never rounded to none.

    >>> percentage(0.3), percentage(0.012), percentage(0.00004), percentage(0.996)
    ('30 %', '1.2 %', '0.1 %', '99.6 %')
    """
    percent = max(100 * share, 0.1)
    return f"{percent:.0f} %" if 10 <= percent < 99 or share == 1 else f"{percent:.1f} %"


def commonest_reason(rejected: Path) -> str:
    """What is wrong with most rows of a Parquet file of bad ones."""
    with duckdb.connect() as connection:
        found = connection.execute(f"SELECT mode({KIND}) FROM read_parquet({quoted_text(rejected)})").fetchall()
    return str(found[0][0] or "")
