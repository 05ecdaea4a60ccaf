"""Whose failures alert beside our own: `alerts_for:` of data/home.yaml, as patterns over the names that Dagster shows."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any, cast

from pydantic import Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from smartflow_assets.core.declared import Declared

ALL = "*"


class AlertsFor(Declared):
    """Patterns as a shell has them (`*`, `?`, `[ab]`); `*` takes slashes too. The word `*` in the place of all is each of them.

    >>> AlertsFor.model_validate("*").has_job("nightly"), AlertsFor(assets=("shop/*",)).has_asset("crm/orders")
    (True, False)
    """

    assets: tuple[str, ...] = Field(
        default=(),
        description="Asset keys, such as shop/orders: their checks, and runs that make them outside of a named job.",
        examples=[["shop/*"]],
    )
    jobs: tuple[str, ...] = Field(default=(), description="Jobs whose failed runs alert.", examples=[["nightly*"]])
    schedules: tuple[str, ...] = Field(
        default=(),
        description="Schedules that miss a tick or fail three in a row, and sensors that fail three in a row.",
        examples=[["*"]],
    )

    @model_validator(mode="before")
    @classmethod
    def _from_a_word(cls, given: Any) -> Any:
        if given == ALL:
            return dict.fromkeys(cls.model_fields, (ALL,))
        if isinstance(given, str | bool | list):
            raise ValueError(f"{given!r} is neither \"*\" nor keys with lists of patterns, such as {{assets: ['shop/*']}}")
        return cast(Any, given)

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [{"enum": [ALL]}, handler.resolve_ref_schema(handler(core_schema))]}

    def has_asset(self, name: str) -> bool:
        """Whether somebody asks for this asset, by its key as Dagster shows it."""
        return _matches(name, self.assets)

    def has_job(self, name: str) -> bool:
        """Whether somebody asks for runs of this job."""
        return _matches(name, self.jobs)

    def has_schedule(self, name: str) -> bool:
        """Whether somebody asks for this schedule or sensor."""
        return _matches(name, self.schedules)


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
