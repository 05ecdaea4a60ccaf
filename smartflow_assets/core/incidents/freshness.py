"""The incident of a source that has fallen silent: one for the whole source, whatever else its silence sets off.

It opens when no row has come for longer than usual, becomes critical when that lasts, and is over when rows come again. What
rules and detectors find in its time joins it and is told nobody by itself.
"""

from datetime import datetime, timedelta
from typing import Any, Literal, Self, cast
from zoneinfo import ZoneInfo

import pandas as pd
from pydantic import Field, GetJsonSchemaHandler, SerializerFunctionWrapHandler, model_serializer, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from smartflow_assets.core.anomalies.grouping import anomaly_id
from smartflow_assets.core.declared import Declared
from smartflow_assets.core.incidents.alert_planning import Advance
from smartflow_assets.core.incidents.alert_policy import AlertPolicy
from smartflow_assets.core.incidents.event_log import FRESHNESS, Row, fold, is_going_on, row_dicts
from smartflow_assets.core.incidents.incident_writer import IncidentWriter
from smartflow_assets.core.series.arrivals import MissedArrivals
from smartflow_assets.core.severity import RANK, Severity
from smartflow_assets.core.temporal.notation import Duration
from smartflow_assets.core.text_format import lasting

_MODES: dict[Any, str] = {"auto": "auto", "off": "off", True: "auto", False: "off"}  # YAML reads a bare `off` as false


class Freshness(Declared):
    """How old the newest row may become: learnt (`auto`), never too old (`off`), or as given.

    >>> Freshness.model_validate("off").mode, Freshness.model_validate({"warn_after": "15min"}).mode
    ('off', 'given')
    """

    mode: Literal["auto", "off", "given"] = Field(
        default="auto",
        description="auto learns from the hours and weekdays of earlier rows, off is for a recording that has ended: "
        "its time ends with its newest row, so a rule `missing` sees gaps between rows and none after them.",
    )
    warn_after: Duration | None = Field(default=None, gt=timedelta(0), description="The newest row may be so old before it is a warning.")
    error_after: Duration | None = Field(default=None, gt=timedelta(0), description="The newest row may be so old before it is critical.")
    delay: Duration | None = Field(
        default=None, ge=timedelta(0), description="How late rows are by nature. Default: learnt from the loads, once there are ten."
    )

    @model_validator(mode="before")
    @classmethod
    def _from_a_word(cls, given: Any) -> Any:
        if isinstance(given, dict) and "mode" not in given:
            return {
                **cast(dict[str, Any], given),
                "mode": "given" if {"warn_after", "error_after"} & set(cast(dict[str, Any], given)) else "auto",
            }
        if isinstance(given, str | bool):
            if given not in _MODES:
                raise ValueError(f"{given!r} is neither auto nor off; or write {{warn_after: 15min, error_after: 1h}}")
            return {"mode": _MODES[given]}
        return cast(Any, given)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.mode == "given" and self.warn_after is None and self.error_after is None:
            raise ValueError("freshness: warn_after, error_after or both must be given")
        if self.warn_after and self.error_after and self.warn_after > self.error_after:
            raise ValueError("freshness: error_after must not be shorter than warn_after")
        return self

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> str | dict[str, Any]:
        written = {name: value for name, value in handler(self).items() if name != "mode" and value is not None}
        return written or self.mode

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler.resolve_ref_schema(handler(core_schema))
        schema["properties"].pop("mode", None)
        return {"anyOf": [{"enum": ["auto", "off"]}, schema]}

    def severity(self, age: timedelta, missed: MissedArrivals) -> Severity | None:
        """How bad it is that the newest row is so old; None when it is not."""
        if self.mode == "off":
            return None
        if self.mode == "auto":
            return ("critical" if missed.is_long else "warning") if missed.is_unusual else None
        if self.error_after is not None and age > self.error_after:
            return "critical"
        return "warning" if self.warn_after is not None and age > self.warn_after else None


def watch(
    history: pd.DataFrame,
    *,
    newest_at: datetime,
    came_again_at: datetime | None,
    severity: Severity | None,
    distance: timedelta,
    sends: pd.DataFrame,
    source: str,
    policy: AlertPolicy,
    timezone: str,
    now: datetime,
    run_id: str,
) -> Advance:
    """Bring the freshness incident of a source up to its newest row.

    `history` and `sends`: rows of incident_events and alert_sends of its freshness incidents. `newest_at` is the time of the newest
    row, `came_again_at` that of the first row after the start of the incident that is open, if one came; `severity` says how bad
    the silence after `newest_at` is, None if it is not, `distance` how far apart rows usually are.
    """
    writer = IncidentWriter(history, sends, policy, now=now, run_id=run_id)
    standing = {incident["incident_id"]: incident for incident in row_dicts(fold(history))}
    open_ = next((incident for incident in standing.values() if is_going_on(incident)), None)

    if open_ is not None and (came_again_at is not None or severity is None):
        at = came_again_at or now
        reason = f"rows came again after {lasting(at - open_['opened_at'])}" if came_again_at else "it is not expected to have newer rows"
        writer.append(open_, "resolved", open_["severity"], resolved_at=at, resolved_reason=reason, timezone=timezone)
        open_ = None
    if severity is None:
        return writer.conclude()
    if open_ is not None:
        if RANK[severity] > RANK[open_["severity"]]:
            writer.append(open_, "escalated", severity, last_seen_at=now, timezone=timezone)
        return writer.conclude()
    incident = {
        "source": source,
        "incident_id": anomaly_id(source, "", FRESHNESS, newest_at),
        "cause": FRESHNESS,
        "series": "",
    }
    local = pd.Timestamp(newest_at).tz_convert(ZoneInfo(timezone))
    title = f"no rows since {local:%a %d %b %H:%M %Z}, usually every {lasting(distance)}"
    told: Row = {"last_seen_at": now, "title": title, "body": title, "opened_at": newest_at, "timezone": timezone}
    known = standing.get(incident["incident_id"])
    writer.append(known or incident, "opened" if known is None else "reopened", severity, **told)
    return writer.conclude()
