"""How long a source's rows and history stay: what `retention:` may say.

Times of rows count back from the newest row of the source, so a recording of years ago is as young as on its last day. What
`stages.maintenance.kept_times` says that results need stays in any case.
"""

from datetime import timedelta
from typing import Annotated, Any, cast

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler, PlainSerializer, WithJsonSchema, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from smartflow_assets.core.declared import Declared
from smartflow_assets.core.temporal.notation import format_duration, parse_duration

NEVER = timedelta.max
"""As long as the home stands."""
_NEVER: tuple[Any, ...] = ("never", "off", False)  # YAML 1.1 reads a bare `off` as false


def _parse(value: object) -> timedelta:
    return NEVER if value in _NEVER else parse_duration(value)


def _format(value: timedelta) -> str:
    return "never" if value == NEVER else format_duration(value)


Age = Annotated[
    timedelta,
    BeforeValidator(_parse),
    Field(gt=timedelta(0)),
    PlainSerializer(_format, return_type=str),
    WithJsonSchema(
        {"type": "string", "pattern": r"^\s*(never|off|(\d+(\.\d+)?\s*[A-Za-z]+\s*)+)$", "examples": ["1 year", "90 days", "never"]}
    ),
]


class Retention(Declared):
    """How long rows and history stay. `never`, as a value or in the place of all, prunes nothing.

    >>> Retention(raw="2 years").raw.days, Retention.model_validate("never").runs == NEVER
    (730, True)
    """

    raw: Age = Field(
        default=timedelta(days=365),
        description="Rows as they were read (`raw.<source>`), back from the newest one, and rows in quarantine whose file has not been "
        "read for so long. At least what models learn from (training.window; four years where the calendar names holidays or events), and "
        "beside it what the oldest kept results look back on, a month or more. A file that still holds older rows does not bring "
        "them back.",
    )
    scores: Age = Field(
        default=timedelta(days=400),
        description="profile_series, clean_series, series_features, anomaly_scores, detector_scores, rule_violations, record_scores and "
        "record_anomalies, back from the newest row; at least as long as raw rows, which are judged anew when late ones come.",
    )
    incidents: Age = Field(
        default=timedelta(days=730),
        description="anomalies, and resolved incidents with their events and messages, back from the newest row; at least three months "
        "longer than raw rows. What is open stays.",
    )
    ledgers: Age = Field(
        default=timedelta(days=90),
        description="run_log, ingestions, writes, trained_models, record_models, training_requests, detection_quality, configurations, "
        "prunings, schema_checks, blocked_loads, drift_checks and api_audit, by the clock. The newest row of each matter stays, and every "
        "model that is current or that a rollback goes back to.",
    )
    looks: Age = Field(
        default=timedelta(days=7),
        description="What schedules and sensors looked at: source_looks, and ticks in Dagster, by the clock. The newest look stays.",
    )
    runs: Age = Field(
        default=timedelta(days=14),
        description="Runs in Dagster with their events and logs, by the clock; the newest of each source stays.",
    )

    @model_validator(mode="before")
    @classmethod
    def _from_a_word(cls, given: Any) -> Any:
        if given in _NEVER and not isinstance(given, dict):
            return dict.fromkeys(cls.model_fields, "never")
        if isinstance(given, str | bool):
            raise ValueError(f"{given!r} is neither never nor keys with durations, such as {{raw: 2 years}}")
        return cast(Any, given)

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [{"enum": ["never", "off"]}, handler.resolve_ref_schema(handler(core_schema))]}
