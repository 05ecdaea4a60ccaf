"""Channels looked at by a person: how each stands, a real message that tries one, and what each would get of an incident.

Nothing here touches the outbox: a trial is no row of it, and a preview is not sent.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from smartflow_assets.adapters.channels import BaseChannel, Preview
from smartflow_assets.adapters.message_stories import message_about
from smartflow_assets.adapters.outbox import attempt, told_without_secrets
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.settings import Settings
from smartflow_assets.core.incidents.event_log import Row, row_dicts
from smartflow_assets.core.incidents.messages import bundled, trial_message
from smartflow_assets.core.incidents.watched import OF_NO_SOURCE
from smartflow_assets.core.reports.incident_plot import Panel, incident_plot
from smartflow_assets.stages.message_background import MessageBackground


@dataclass(frozen=True)
class Standing:
    """How a channel did so far, by the published copy."""

    sent_at: datetime | None = None
    failed_at: datetime | None = None
    error: str = ""


def standings(warehouse: Warehouse) -> dict[str, Standing]:
    """When each channel last took a message, and when and why one last failed; by name."""
    rows = row_dicts(
        warehouse.published_read(
            "SELECT channel, max(happened_at) FILTER (status = 'sent') AS sent_at, "
            "max(happened_at) FILTER (status = 'failed') AS failed_at, "
            "arg_max(error, happened_at) FILTER (status = 'failed') AS error FROM marts.alert_log GROUP BY channel"
        )
    )
    return {row["channel"]: Standing(row["sent_at"], row["failed_at"], row["error"] or "") for row in rows}


def try_channel(name: str, channel: BaseChannel, settings: Settings, *, now: datetime, environment: Mapping[str, str]) -> str | None:
    """Send one message that says it is a test; why it was not taken, None when it was."""
    message = trial_message(name, now=now)
    if channel.wants_picture:
        message = replace(message, picture=_sample(now))
    error = attempt(channel, message, environment=environment, outbox_folder=settings.outbox)
    return None if error is None else told_without_secrets(error, channel, environment)


def incidents_called(warehouse: Warehouse, prefix: str) -> list[Row]:
    """incident_id, source, title, state and group_id of the incidents whose id begins so, the newest first, at most ten."""
    return row_dicts(
        warehouse.read(
            "SELECT incident_id, source, title, state, group_id FROM incidents WHERE starts_with(incident_id, ?) "
            "ORDER BY opened_at DESC LIMIT 10",
            [prefix],
        )
    )


def sources_of(warehouse: Warehouse, incident: Row) -> list[str]:
    """The source of an incident; of a group over several, those of its members."""
    rows = warehouse.read("SELECT DISTINCT source FROM incidents WHERE group_id = ? ORDER BY source", [incident["incident_id"]])
    return list(rows["source"]) if incident["source"] == OF_NO_SOURCE and len(rows) else [incident["source"]]


def preview(
    warehouse: Warehouse, catalogue: Catalogue, incident: Row, event: str, channel: str, *, environment: Mapping[str, str]
) -> Preview:
    """What a channel would get of an event of an incident, as things are now; one with a digest, were it alone in the next."""
    background = MessageBackground(warehouse, catalogue, environment)
    beside = background.facts(incident["source"], incident["incident_id"])
    message = message_about(warehouse, incident["incident_id"], event, channel, beside)
    if digest := catalogue.channels[channel].digest:
        slot = digest.after(message.happened_at)
        message = bundled("digest", [message], idempotency_key=message.idempotency_key, happened_at=slot, timezone=digest.timezone)
    elif catalogue.channels[channel].wants_picture:
        message = replace(message, picture=background.picture(message))
    return catalogue.channels[channel].preview(message)


def _sample(now: datetime) -> bytes:
    """A day of an invented series with one spike, so that a trial shows where the chart will stand."""
    step = timedelta(minutes=15)
    at = pd.date_range(end=now, periods=96, freq=step)
    usual = 500 + 200 * np.sin(np.arange(96) / 96 * 2 * np.pi)
    value = usual + 25 * np.sin(np.arange(96) * 1.7)
    value[80:84] += 500
    rows = pd.DataFrame({"observed_at": at, "value": value, "expected": usual, "lower": usual - 60, "upper": usual + 60})
    start = at[80].to_pydatetime()
    return incident_plot([Panel("an invented series", "", rows)], started_at=start, ended_at=start + 4 * step, timezone="UTC", tone="info")
