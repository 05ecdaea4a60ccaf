"""The key `contract:` of a source: what its rows promise, in short words, and which expectations these words mean.

`Contract.expectations` is the one place where a word becomes a type of Great Expectations; core.contracts.shorthand goes the
other way. What is nonsense by itself is refused here, with the remedy; config adds file and line.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal, Self, cast

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    Strict,
    StrictBool,
    StrictFloat,
    StrictInt,
    field_validator,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from smartflow_assets.core.contracts.expectation_types import EXPECTATION_TYPES, ROW_TYPES, ROWS_QUERY, column_arguments
from smartflow_assets.core.contracts.expectations import Expectation, Scope
from smartflow_assets.core.declared import Declared
from smartflow_assets.core.nearest_name import did_you_mean
from smartflow_assets.core.preparation.row_condition import Column, Comparison, columns, parse_condition
from smartflow_assets.core.severity import Severity

ColumnType = Literal["integer", "number", "text", "boolean", "timestamp"]
Bound = StrictInt | StrictFloat | Annotated[datetime, Strict()] | Annotated[date, Strict()] | str
Value = StrictBool | StrictInt | StrictFloat | str
OnBreach = Literal["keep", "quarantine"]

_INTEGERS = tuple(
    f"{name}{size}{rest}" for name, rest in (("int", ""), ("Int", "Dtype"), ("uint", ""), ("UInt", "Dtype")) for size in (8, 16, 32, 64)
)
_FLOATS = ("float64", "float32", "Float64Dtype", "Float32Dtype")
TYPE_EXPECTATIONS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "integer": ("expect_column_values_to_be_in_type_list", {"type_list": [*_INTEGERS]}),
    "number": ("expect_column_values_to_be_in_type_list", {"type_list": [*_FLOATS, *_INTEGERS]}),
    "boolean": ("expect_column_values_to_be_in_type_list", {"type_list": ["bool", "BooleanDtype"]}),
    "text": ("expect_column_type_to_be", {"type_": "str"}),
    "timestamp": ("expect_column_type_to_be", {"type_": "datetime64[us, UTC]"}),
}
"""What a type of ours is in Great Expectations, which goes by the types of pandas and has no list that texts and times are found in."""

_ORDER = {">": (False, False), ">=": (False, True), "<": (True, False), "<=": (True, True)}  # are the sides changed, may they be equal


def _is_pattern(text: str) -> str:
    try:
        re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"{text!r} is not a pattern ({error}); write a regular expression of Python, such as ^[A-Z]{{3}}-\\d+$") from None
    return text


def _is_finite(bound: Any) -> Any:
    if isinstance(bound, float) and not abs(bound) < float("inf"):
        raise ValueError("must be a finite number; leave the key out where there is no limit")
    return bound


def max_null_share(percent: float) -> float:
    """The share of values that must be there, 0 to 1, when at most this percentage may be missing.

    >>> max_null_share(7)
    0.93
    """
    return round(1 - percent / 100, 10)


class _Part(Declared):
    model_config = ConfigDict(serialize_by_alias=True, validate_by_alias=True, allow_inf_nan=True)  # bounds say it in words of their own

    severity: Severity = Field(
        default="warning", description="How bad a breach is. Critical alone blocks: the rows of the load stay out of everything downstream."
    )


class _RowPart(_Part):
    """A part that single rows break."""

    on_breach: OnBreach | None = Field(
        default=None,
        description="What becomes of the rows that break it: quarantine diverts each of them and lets the rest of the load go on, whatever "
        "the severity; keep leaves them in their load, which severity decides about. Default: what the contract says.",
    )


class ColumnContract(_RowPart):
    """What a column promises. Values that are missing (null or NaN) are asked of `not_null` and `max_null_percent` alone."""

    type: ColumnType | None = Field(default=None, description="What the column is stored as: integer, number, text, boolean or timestamp.")
    required: bool = Field(default=True, description="The column must be there. With false, nothing is asked where it is not.")
    not_null: bool = Field(default=False, description="Every row has a value.")
    max_null_percent: float | None = Field(default=None, ge=0, le=100, description="At most this share of the rows has no value.")
    min: Annotated[Bound, AfterValidator(_is_finite)] | None = Field(
        default=None, description="No value is smaller: a number, or a date or time (in UTC unless it says otherwise)."
    )
    max: Annotated[Bound, AfterValidator(_is_finite)] | None = Field(default=None, description="No value is larger.")
    allowed: tuple[Value, ...] | None = Field(
        default=None, min_length=1, description="Every value is one of these.", examples=[["card", "cash"]]
    )
    pattern: Annotated[str, AfterValidator(_is_pattern)] | None = Field(
        default=None,
        description="This regular expression of Python is found in every value; ^ and $ bind it to the whole.",
        examples=["^[A-Z]{2}-[0-9]+$"],
    )
    unique: bool = Field(default=False, description="No value comes twice in all stored rows of the source; see unique_within.")
    min_length: int | None = Field(default=None, ge=0, description="No text is shorter, in characters.")
    max_length: int | None = Field(default=None, ge=0, description="No text is longer.")
    sensitive: bool = Field(
        default=False, description="Values are shown nowhere: quarantine, mails, plots, metadata and logs say *** instead."
    )

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.on_breach == "quarantine" and all(getattr(self, key) is None or getattr(self, key) is False for key in ROW_WORDS):
            raise ValueError(
                "on_breach: quarantine is about single rows, and nothing here is: type, required and max_null_percent are about the whole "
                f"column; add one of {', '.join(ROW_WORDS)}, or take on_breach out"
            )
        if self.not_null and self.max_null_percent is not None:
            raise ValueError("both not_null and max_null_percent are given; keep one of them")
        if self.min_length is not None and self.max_length is not None and self.min_length > self.max_length:
            raise ValueError(
                f"min_length {self.min_length} is more than max_length {self.max_length}, so that no value fits; exchange them"
            )
        kinds = {key: _kind(value) for key, value in (("min", self.min), ("max", self.max)) if value is not None}
        if len(set(kinds.values())) > 1:
            raise ValueError(f"min is a {kinds['min']} and max is a {kinds['max']}; write both alike")
        for key, kind in kinds.items():
            if self.type is not None and kind not in _BOUNDS.get(self.type, ()):
                remedy = f"write a {_BOUNDS[self.type][0]}, or take it out" if self.type in _BOUNDS else "take one of the two out"
                raise ValueError(f"{key} is a {kind}, and the column is of type {self.type}; {remedy}")
        low, high = self.bounds
        if low is not None and high is not None and low > high:
            raise ValueError(f"min {self.min} is more than max {self.max}, so that no value fits; exchange them")
        for key in ("pattern", "min_length", "max_length"):
            if getattr(self, key) is not None and self.type not in (None, "text"):
                raise ValueError(f"{key} is asked of texts, and the column is of type {self.type}; take one of the two out")
        if self.allowed is not None and self.type is not None:
            strange = next((value for value in self.allowed if not isinstance(value, _PYTHON_TYPES[self.type])), None)
            if strange is not None:
                raise ValueError(f"allowed names {strange!r}, which no column of type {self.type} can hold; write values of that type")
        return self

    @property
    def bounds(self) -> tuple[Any, Any]:
        """min and max as expectations have them: times as ISO texts in UTC."""
        low, high = (_as_argument(bound) for bound in (self.min, self.max))
        return low, high


ROW_WORDS = ("not_null", "min", "max", "allowed", "pattern", "unique", "min_length", "max_length")
"""The words of a column that single rows break."""


def _kind(bound: Any) -> str:
    return "time" if isinstance(bound, date | str) else "number"


_BOUNDS: Mapping[str, tuple[str, ...]] = {
    "integer": ("number",),
    "number": ("number",),
    "timestamp": ("time",),
}
_PYTHON_TYPES: Mapping[str, tuple[type, ...]] = {
    "integer": (int,),
    "number": (int, float),
    "text": (str,),
    "boolean": (bool,),
    "timestamp": (),
}


def _as_argument(bound: Any) -> Any:
    if isinstance(bound, str):
        try:
            bound = datetime.fromisoformat(bound)
        except ValueError:
            raise ValueError(
                f"{bound!r} is neither a number nor a time; write one such as 2026-03-01 or 2026-03-01T09:30:00+01:00"
            ) from None
    if isinstance(bound, date):
        moment = bound if isinstance(bound, datetime) else datetime(bound.year, bound.month, bound.day, tzinfo=UTC)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    return bound


class Together(_RowPart):
    """Columns that make no two rows alike. `unique_together: [[shop, order_id]]` is short for {columns: [shop, order_id]}."""

    columns: tuple[str, ...] = Field(min_length=2, description="The columns, at least two.")

    @model_validator(mode="before")
    @classmethod
    def _from_a_list(cls, given: Any) -> Any:
        return {"columns": cast(Any, given)} if isinstance(given, list | tuple) else given

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler.resolve_ref_schema(handler(core_schema))
        return {"anyOf": [{"type": "array", "items": {"type": "string"}}, schema]}

    @field_validator("columns")
    @classmethod
    def _are_different(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) < len(names):
            raise ValueError("names a column twice; name each once")
        return names


class Condition(_RowPart):
    """What holds in every row. `conditions: [ended_at >= started_at]` is short for {check: ended_at >= started_at}."""

    check: str = Field(
        description="A comparison of columns with each other, with numbers or texts, joined by and, or, not. A row in which it cannot be "
        "told, since a value is missing, is not a breach.",
        examples=["ended_at >= started_at", "status != 'refunded' or amount <= 0"],
    )

    @model_validator(mode="before")
    @classmethod
    def _from_a_text(cls, given: Any) -> Any:
        return {"check": given} if isinstance(given, str) else given

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [{"type": "string"}, handler.resolve_ref_schema(handler(core_schema))]}

    @field_validator("check")
    @classmethod
    def _is_condition(cls, text: str) -> str:
        parse_condition(text, is_across=True)
        return text


class Reference(_RowPart):
    """A column whose every value is in a column of another source."""

    column: str = Field(description="The column of this source.")
    source: str = Field(description="The other source.", pattern=r"^[a-z][a-z0-9_]{0,47}$")
    source_column: str = Field(default="", description="Its column. Default: the same name.")


class RowCount(_Part):
    """How many rows there are."""

    min: int | None = Field(default=None, ge=0, description="At least this many.")
    max: int | None = Field(default=None, ge=0, description="At most this many.")
    per: Literal["load", "bucket", "day"] = Field(
        default="load",
        description="In what: one load, or each bucket or day from the first that a load has rows of to its last, with all stored rows "
        "of that time, and none where none came. The newest is still filling and may have fewer than `min`; the next load counts it again.",
    )

    @model_validator(mode="before")
    @classmethod
    def _blames_no_row(cls, given: Any) -> Any:
        if isinstance(given, Mapping) and "on_breach" in given:
            raise ValueError(
                "on_breach is about single rows, and a count blames none; take it out: severity says whether the load is blocked"
            )
        return cast(Any, given)

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("says neither min nor max; write one of them, or take row_count out")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is more than max {self.max}, so that no count fits; exchange them")
        return self


class ListedExpectation(_RowPart):
    """Any expectation of Great Expectations: its type and its own arguments, under their names there."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="Its type name.", examples=["expect_column_mean_to_be_between"])

    @field_validator("type")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if name not in EXPECTATION_TYPES:
            hint = did_you_mean(name, EXPECTATION_TYPES, "docs/quality.md lists them.")
            raise ValueError(f"Great Expectations has no type {name!r}. {hint}")
        return name

    @model_validator(mode="after")
    def _has_its_columns(self) -> Self:
        for key in (*column_arguments(self.type), *(["unexpected_rows_query"] if self.type == ROWS_QUERY else [])):
            if key not in self.arguments:
                near = did_you_mean(key, self.arguments)
                raise ValueError(f"{self.type} needs {key}; write it beside the type." if not near else f"{self.type} needs {key}")
        return self

    @model_validator(mode="after")
    def _blames_rows(self) -> Self:
        if self.on_breach != "quarantine" or can_divert(self.type, self.arguments):
            return self
        if self.type == ROWS_QUERY:
            raise ValueError("on_breach: quarantine needs to know the rows, and a query may answer with any; write it under `conditions`")
        if self.type in ROW_TYPES:
            raise ValueError("on_breach: quarantine diverts every row that breaks it, and mostly lets some pass; take one of the two out")
        raise ValueError(f"on_breach: quarantine is about single rows, and {self.type} does not name any in SQL; take it out")

    @property
    def arguments(self) -> dict[str, Any]:
        """What is given beside type, severity and on_breach."""
        extra = self.model_extra or {}
        return {key: _as_argument(value) if isinstance(value, date) else value for key, value in extra.items()}

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that its arguments name."""
        named = [self.arguments[key] for key in column_arguments(self.type)]
        return tuple(str(name) for value in named for name in (cast("list[Any]", value) if isinstance(value, list | tuple) else [value]))


def can_divert(kind: str, arguments: Mapping[str, Any]) -> bool:
    """Is a breach that of single rows, each of which can be named?"""
    return kind in ROW_TYPES and arguments.get("mostly") in (None, 1) and "unexpected_rows_query" not in arguments


class Contract(Declared):
    """What the rows of a source promise. A breach is told; one of severity critical also keeps the rows of its load out of everything
    downstream until they are released, and `on_breach: quarantine` keeps out the rows that break it alone."""

    model_config = ConfigDict(serialize_by_alias=True)

    columns: Annotated[dict[str, ColumnContract], Field(description="What each column promises.")] = Field(default_factory=dict)
    unique_together: tuple[Together, ...] = Field(
        default=(), description="Columns that together make no two rows alike.", examples=[[["shop", "order_id"]]]
    )
    unique_within: Literal["source", "batch"] = Field(
        default="source", description="Among which rows `unique` and `unique_together` hold: all stored rows of the source, or one load."
    )
    conditions: tuple[Condition, ...] = Field(
        default=(), description="What holds in every row, across its columns.", examples=[["ended_at >= started_at"]]
    )
    references: tuple[Reference, ...] = Field(
        default=(),
        description="Columns whose values are in a column of another source.",
        examples=[[{"column": "customer_id", "source": "customers", "source_column": "id"}]],
    )
    row_count: RowCount | None = Field(
        default=None, description="How many rows a load, a bucket or a day has.", examples=[{"min": 1, "per": "day"}]
    )
    on_schema_change: Literal["ignore", "warn", "fail"] = Field(
        default="warn",
        description="What a column that is gone, renamed or of another type is: nothing, a warning, or critical. A new one is accepted.",
    )
    on_breach: OnBreach = Field(
        default="keep",
        description="What becomes of rows that break a promise about single rows, where it does not say so itself: quarantine diverts each "
        "of them and lets the rest of the load go on; keep leaves them in their load, which severity decides about.",
    )
    listed: tuple[ListedExpectation, ...] = Field(
        default=(),
        alias="expectations",
        description="Any other expectation of Great Expectations, by its type name, with its own arguments.",
        examples=[[{"type": "expect_column_mean_to_be_between", "column": "amount", "min_value": 10, "max_value": 90}]],
    )

    def expectations(self, present: Collection[str] | None = None) -> tuple[Expectation, ...]:
        """All that the contract means. With the names of the columns that are `present`, what is asked of a column that is not there
        is that it be there, if it is required, and nothing else; names are compared as DuckDB does, without case."""
        there = None if present is None else {name.lower() for name in present}
        found: list[Expectation] = []
        for name, column in self.columns.items():
            if column.required:
                found.append(self._of("expect_column_to_exist", (name,), {"column": name}, column))
            if there is None or name.lower() in there:
                found += self._of_column(name, column)
        uniqueness: Scope = "load" if self.unique_within == "batch" else "source"
        for together in self.unique_together:
            arguments = {"column_list": list(together.columns)}
            found.append(self._of("expect_compound_columns_to_be_unique", together.columns, arguments, together, uniqueness))
        found += [self._of_condition(condition) for condition in self.conditions]
        for each in self.references:
            arguments = {"column": each.column, "source": each.source, "source_column": each.source_column or each.column}
            found.append(self._of(ROWS_QUERY, (each.column,), arguments, each))
        if self.row_count is not None:
            arguments = {"min_value": self.row_count.min, "max_value": self.row_count.max}
            found.append(self._of("expect_table_row_count_to_be_between", (), arguments, self.row_count, self.row_count.per))
        found += [self._of(each.type, each.columns, each.arguments, each) for each in self.listed]
        optional = {name.lower() for name, column in self.columns.items() if not column.required}
        return tuple(
            each
            for each in found
            if there is None or not any(name.lower() in optional and name.lower() not in there for name in each.columns)
        )

    @property
    def sensitive(self) -> frozenset[str]:
        """The columns whose values are shown nowhere."""
        return frozenset(name for name, column in self.columns.items() if column.sensitive)

    def _of(self, kind: str, names: tuple[str, ...], arguments: Mapping[str, Any], part: _Part, scope: Scope = "load") -> Expectation:
        masked = {name.lower() for name in self.sensitive}
        is_sensitive = any(name.lower() in masked for name in names) or (kind == ROWS_QUERY and not names and bool(masked))
        given = {key: value for key, value in arguments.items() if value is not None}
        on_breach = part.on_breach or self.on_breach if isinstance(part, _RowPart) else "keep"
        is_diverting = on_breach == "quarantine" and can_divert(kind, given)
        return Expectation(kind, names, given, part.severity, scope, is_sensitive, is_diverting)

    def _of_column(self, name: str, column: ColumnContract) -> Iterator[Expectation]:
        def one(kind: str, scope: Scope = "load", **arguments: Any) -> Expectation:
            return self._of(kind, (name,), {"column": name, **arguments}, column, scope)

        if column.type is not None:
            kind, arguments = TYPE_EXPECTATIONS[column.type]
            yield one(kind, **arguments)
        if column.not_null:
            yield one("expect_column_values_to_not_be_null")
        if column.max_null_percent is not None:
            yield one("expect_column_values_to_not_be_null", mostly=max_null_share(column.max_null_percent))
        low, high = column.bounds
        if low is not None or high is not None:
            yield one("expect_column_values_to_be_between", min_value=low, max_value=high)
        if column.allowed is not None:
            yield one("expect_column_values_to_be_in_set", value_set=list(column.allowed))
        if column.pattern is not None:
            yield one("expect_column_values_to_match_regex", regex=column.pattern)
        if column.min_length is not None or column.max_length is not None:
            yield one("expect_column_value_lengths_to_be_between", min_value=column.min_length, max_value=column.max_length)
        if column.unique:
            yield one("expect_column_values_to_be_unique", "load" if self.unique_within == "batch" else "source")

    def _of_condition(self, condition: Condition) -> Expectation:
        """A comparison of two columns has a type of its own; all else is a query for the rows that break it."""
        parsed = parse_condition(condition.check, is_across=True)
        if isinstance(parsed, Comparison) and isinstance(other := parsed.values[0] if parsed.values else None, Column):
            given = {"ignore_row_if": "either_value_is_missing"}
            if parsed.sign in _ORDER:
                is_changed, is_equal_fine = _ORDER[parsed.sign]
                names = (other.name, parsed.column) if is_changed else (parsed.column, other.name)
                arguments = {"column_A": names[0], "column_B": names[1], **given} | ({"or_equal": True} if is_equal_fine else {})
                return self._of("expect_column_pair_values_a_to_be_greater_than_b", names, arguments, condition)
            if parsed.sign == "=":
                names = (parsed.column, other.name)
                arguments = {"column_A": names[0], "column_B": names[1], **given}
                return self._of("expect_column_pair_values_to_be_equal", names, arguments, condition)
        return self._of(ROWS_QUERY, columns(parsed), {"condition": condition.check}, condition)
