"""What the messages of alert_sends are about: their incidents and the events that called for them, and the messages made of these.

Only read here: when a message is due, and what becomes of it, is the outbox's.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd

from smartflow_assets.adapters.warehouse.readable import Readable
from smartflow_assets.core.errors import DeliveryError
from smartflow_assets.core.incidents.alert_planning import message_key
from smartflow_assets.core.incidents.event_log import Row, in_order, row_dicts
from smartflow_assets.core.incidents.messages import Message, render
from smartflow_assets.core.severity import RANK

_STILL_ON = """
    SELECT * FROM (
        SELECT *, min(happened_at) OVER (PARTITION BY idempotency_key) AS planned_at FROM alert_sends WHERE channel = ?
    ) WHERE status = 'sent' AND incident_id IN (SELECT incident_id FROM incidents WHERE state IN ('open', 'acknowledged'))
    QUALIFY row_number() OVER (PARTITION BY incident_id ORDER BY planned_at DESC, happened_at DESC, event) = 1
"""
_REMEDIES = """
SELECT incident_id, message FROM remediations WHERE list_contains(?, incident_id) AND status = 'done' ORDER BY happened_at, remediation_id
"""


@dataclass(frozen=True)
class Story:
    """What a message is about: its incident, and the event of it that called for the message."""

    incident: Row | None
    event: Row | None
    remedies: tuple[str, ...] = ()

    @property
    def is_lost(self) -> bool:
        """Whether nothing can be told, since the incident is gone."""
        return self.incident is None or self.event is None

    @property
    def place(self) -> tuple[int, datetime | None]:
        """Among what was planned at the same time: the worst incidents first, then those that began first."""
        if self.incident is None:
            return 1, None
        return -RANK[self.incident["severity"]], self.incident["opened_at"]

    @property
    def sequence(self) -> int:
        return self.event["payload"].get("sequence", 0) if self.event else 0

    def message(self, send: Row, known: Mapping[str, Any] | None = None) -> Message:
        if self.incident is None or self.event is None:
            raise DeliveryError(f"incident {send['incident_id']} or its event is not in the warehouse", is_final=True)
        return render(
            self.incident | {"severity": self.event["severity"]},
            send["event"],
            {**(known or {}), **self.event["payload"], "remedies": list(self.remedies)},
            idempotency_key=send["idempotency_key"],
            happened_at=send["planned_at"].to_pydatetime(),
        )


def sent_messages(warehouse: Readable) -> list[Message]:
    """Every message that went out, once for each channel, oldest first."""
    sends = row_dicts(
        warehouse.read("""
            SELECT * FROM (
                SELECT *, min(happened_at) OVER (PARTITION BY idempotency_key, channel) AS planned_at FROM alert_sends
            ) WHERE status = 'sent'
        """)
    )
    told: list[tuple[datetime, int, Message]] = []
    for channel in sorted({send["channel"] for send in sends}):
        own = [send for send in sends if send["channel"] == channel]
        stories = stories_of(warehouse, channel, own)
        for send in own:
            story = stories[send["idempotency_key"]]
            if story.event is not None:
                told.append((send["happened_at"], story.sequence, story.message(send)))
    return [message for *_, message in sorted(told, key=lambda each: (*each[:2], each[2].incident_id))]


def stories_of(warehouse: Readable, channel: str, sends: list[Row]) -> dict[str, Story]:
    """The story of each message of a channel, by its idempotency key."""
    ids = sorted({send["incident_id"] for send in sends})
    incidents = {row["incident_id"]: row for row in row_dicts(of_incidents(warehouse, "incidents", ids))}
    log = in_order(of_incidents(warehouse, "incident_events", ids))
    newest = {event["incident_id"]: event for event in log}
    remedies: dict[str, list[str]] = {}
    for row in row_dicts(warehouse.read(_REMEDIES, [ids])):
        remedies.setdefault(row["incident_id"], []).append(row["message"])
    told = {
        message_key(event["incident_id"], kind, channel, event["payload"].get("sequence", 0)): event
        for kind in {send["event"] for send in sends}
        for event in log
    }
    return {
        send["idempotency_key"]: Story(
            incidents.get(send["incident_id"]),
            told.get(send["idempotency_key"]) or newest.get(send["incident_id"]),
            tuple(remedies.get(send["incident_id"], ())),
        )
        for send in sends
    }


def message_about(warehouse: Readable, incident: str, event: str, channel: str, known: Mapping[str, Any] | None = None) -> Message:
    """What a channel would be told of an event of an incident now: of its newest event of that kind, or of its newest at all.
    DeliveryError when there is no such incident."""
    log = in_order(of_incidents(warehouse, "incident_events", [incident]))
    kinds = ("opened", "reopened") if event == "opened" else (event,)
    newest = next((entry for entry in reversed(log) if entry["event"] in kinds), log[-1] if log else None)
    sequence = newest["payload"].get("sequence", 0) if newest else 0
    send = {
        "incident_id": incident,
        "event": event,
        "idempotency_key": message_key(incident, event, channel, sequence),
        "planned_at": pd.Timestamp(newest["happened_at"]) if newest else None,
    }
    return stories_of(warehouse, channel, [send])[send["idempotency_key"]].message(send, known)


def of_incidents(warehouse: Readable, table: str, ids: Iterable[str]) -> pd.DataFrame:
    """The rows of a table that are of these incidents."""
    return warehouse.read(f"SELECT * FROM {table} WHERE list_contains(?, incident_id)", [list(ids)])


def still_on(warehouse: Readable, channel: str) -> list[tuple[Row, Story]]:
    """The incidents that a channel has told of and that are not over: the newest message of each, and its story."""
    sends = [send for send in row_dicts(warehouse.read(_STILL_ON, [channel])) if send["event"] != "resolved"]
    stories = stories_of(warehouse, channel, sends) if sends else {}
    return [(send, stories[send["idempotency_key"]]) for send in sends if not stories[send["idempotency_key"]].is_lost]
