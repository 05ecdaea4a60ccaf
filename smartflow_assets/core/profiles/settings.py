"""What a YAML file says under `profile`."""

from datetime import timedelta

from pydantic import Field

from smartflow_assets.core.declared import Declared
from smartflow_assets.core.temporal.notation import Duration, Frequency, Rate


class ProfileSettings(Declared):
    """Rows, missing values, categories and the like of each bucket, as series that are judged by their own past."""

    every: Duration = Field(
        default=timedelta(hours=1),
        ge=timedelta(hours=1),
        description="Length of a bucket, at least an hour; where time_bucket is longer, that.",
    )
    columns: int = Field(default=20, ge=0, le=500, description="Columns that are profiled; of more, the first of the table.")
    leave_out: tuple[str, ...] = Field(
        default=(), description="Columns that are not profiled, as comments and ids; names that the source does not have do no harm."
    )
    categories: int = Field(
        default=10,
        ge=0,
        le=50,
        description="A text column has a share for each of its values in buckets with at most so many different ones; "
        "it is judged where there are at most twice as many in all.",
    )
    false_alerts: Rate = Field(
        default=Frequency(1, "quarter"),
        description="How many false incidents all profile series of a source may open: how surprising a figure must be.",
    )
