"""What a YAML file says under `drift`."""

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from smartflow_assets.core.declared import Declared
from smartflow_assets.core.drift import DriftTest
from smartflow_assets.core.temporal.notation import Duration


class DriftSettings(Declared):
    """The newest rows compared with those before them: has a distribution moved, further than it usually does?"""

    reference: Annotated[Duration, Field(description="How much before the current window it is compared with.")] = timedelta(days=28)
    current: Annotated[Duration, Field(description="The newest rows, which are judged.")] = timedelta(days=7)
    tests: Literal["auto"] | tuple[DriftTest, ...] = Field(
        default="auto",
        description="`auto` chooses by type and number of rows; or a list of tests, of which each column gets those that suit it.",
    )
    columns: tuple[str, ...] | None = Field(default=None, description="The columns that are compared; default: all but the time.")
    false_alarms: float = Field(
        default=0.005,
        gt=0,
        lt=0.5,
        description="How often a check may flag anything where nothing has changed, whatever the number of columns.",
    )
    past_windows: int = Field(
        default=26,
        ge=0,
        le=104,
        description="Windows of the past, a week or more apart, from which each column's usual differences are learnt.",
    )
    sample_rows: int = Field(
        default=2_000,
        ge=100,
        le=100_000,
        description="Rows taken at most from the current window, and from each week before it; more rows then cost no more.",
    )

    @model_validator(mode="after")
    def _lengths_fit(self) -> Self:
        if not timedelta(0) < self.current <= self.reference:
            raise ValueError("`current` must be longer than nothing and no longer than `reference`")
        if self.tests == ():
            raise ValueError("`tests` is empty; name one, or write `auto`")
        return self
