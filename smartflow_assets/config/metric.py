"""What a YAML file may say of one metric: how rows become its series, and what holds for it alone."""

from collections.abc import Iterator
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from smartflow_assets.adapters.aggregation.buckets import Aggregate, MetricColumn
from smartflow_assets.config.problems import refuse
from smartflow_assets.core.detection import DetectionSettings
from smartflow_assets.core.named_once import ColumnNames
from smartflow_assets.core.preparation.row_condition import Where
from smartflow_assets.core.preparation.transforms import Transform, Treatment, WithoutRows
from smartflow_assets.core.rules import Rules

COUNTING = ("count", "distinct_count")  # these need no numbers
ADDING_UP = ("count", "sum")
DETECTION_KEYS = tuple(DetectionSettings.model_fields)


class Metric(DetectionSettings):
    """One measured quantity: how rows become its series, and what holds for it alone.

    Every key of detection that stands here (direction, threshold, detectors, …) replaces the source's own.
    """

    name: str = Field(min_length=1, max_length=100, description="What series, incidents and messages call it.")
    column: str | None = Field(
        default=None, description="Column of the data; default: the metric's name. `count` counts rows when none is named."
    )
    aggregate: Aggregate = Field(
        default="mean",
        description="How the rows of a bucket become one value; p95 is the value that 95 % of the rows stay below. "
        "Default: mean; of a counter (`transform: cumulative_to_rate`) the last reading.",
    )
    dimensions: ColumnNames | None = Field(
        default=None,
        description="Columns whose every value makes a series of this metric; default: those of the source. "
        "An empty list makes one series of all rows.",
    )
    explain_by: tuple[str, ...] = Field(
        default=(),
        examples=[["region", "channel"]],
        description="Columns whose values are asked, at each anomaly, how much of the change is theirs (74 % came from region=EU). "
        "Compared with the same time in the four weeks before. For sum and count, whose parts add up.",
    )
    where: Where | None = Field(
        default=None,
        examples=["category == 'transfer' and amount > 15000", "channel in ['upi', 'card'] or not status == 'ok'"],
        description="Only rows for which this holds: comparisons of a column with a number or a quoted text (== != > >= < <= in), "
        "joined by and, or, not. An empty cell matches nothing.",
    )
    without_rows: WithoutRows = Field(
        default="missing",
        description="What a bucket without rows is: missing (it may be filled, and is not judged), or zero, a value like any other; "
        "for metrics that count or sum records.",
    )
    transform: Transform | None = Field(
        default=None,
        description="difference: the metric is the change from one bucket to the next; the first bucket and one after a missing "
        "bucket have none. cumulative_to_rate: the metric is the growth per second of a counter, which may begin anew at zero. "
        "Rules, messages, pictures and `unit` then speak of the change or the rate. log: detectors see logarithms, so that a "
        "factor counts and not a distance; rules, messages, pictures and `unit` still speak of the value itself, and zero or "
        "negative values are judged too. The aggregated number stays in value_raw.",
    )
    unit: str = Field(default="", description="Unit of the values after `transform`, for plots and messages.")
    rules: Rules = Field(default=(), description="Rules for this metric alone, beside those of the source.")

    @model_validator(mode="after")
    def _rules_are_its_own(self) -> Self:
        strange = next((rule for rule in self.rules if rule.metric not in (None, self.name)), None)
        if strange is not None:
            raise ValueError(f"the rule {strange.name} is for {strange.metric}; below {self.name} it cannot name another metric")
        return self

    @model_validator(mode="before")
    @classmethod
    def _counter_is_read_last(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("transform") == "cumulative_to_rate":
            return {"aggregate": "last", **data}
        return data

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        refuse(self._misfits())
        return self

    def _misfits(self) -> Iterator[str]:
        if self.without_rows == "zero" and self.aggregate not in (*COUNTING, "sum"):
            yield f"without_rows: no rows have no {self.aggregate}; zero is for count, sum and distinct_count"
        if self.explain_by and self.aggregate not in ADDING_UP:
            yield f"explain_by: parts of a {self.aggregate} do not add up to it; explain a metric that sums or counts the rows"
        if self.explain_by and self.transform in ("difference", "cumulative_to_rate"):
            yield f"explain_by: a {self.transform} is a change already; explain the metric without it"
        if self.transform == "cumulative_to_rate" and self.aggregate in (*COUNTING, "sum"):
            yield f"transform: a counter is a reading, not a {self.aggregate} of rows; leave out aggregate, or write last"

    @property
    def source_column(self) -> MetricColumn:
        """How SQL makes it."""
        column = self.column or (None if self.aggregate == "count" else self.name)
        return MetricColumn(self.name, column, self.aggregate, self.dimensions, self.where)

    @property
    def treatment(self) -> Treatment:
        """What becomes of its aggregated values."""
        return Treatment(self.transform, self.without_rows)

    @property
    def made_under(self) -> list[str | None]:
        """What its clean rows depend on, as the source's fingerprint holds it."""
        column = self.source_column
        return [
            column.name,
            column.column,
            column.aggregate,
            *([self.transform] if self.transform else []),
            *(["without rows zero"] if self.without_rows == "zero" else []),
            *([f"where {self.where}"] if self.where else []),
            *([] if self.dimensions is None else [f"by {', '.join(sorted(self.dimensions)) or 'nothing'}"]),
        ]

    @property
    def overrides(self) -> dict[str, Any]:
        """The keys of detection that the metric says itself."""
        return {key: getattr(self, key) for key in DETECTION_KEYS if key in self.model_fields_set}


def _name_alone(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


MetricOrName = Annotated[Metric, BeforeValidator(_name_alone, json_schema_input_type=str | Metric)]
