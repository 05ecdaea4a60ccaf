"""The message as an event of PagerDuty's Events API v2: what opens triggers, what is over resolves, under the incident's id.

Limits: https://developer.pagerduty.com/docs/send-alert-event (summary 1,024 letters, dedup_key 255) and …/events-api-v2-overview
(512 KB an event).
"""

import json
from typing import Any

from smartflow_assets.core.incidents.content import Content
from smartflow_assets.core.incidents.shortening import fitting, utf8_bytes

LONGEST_SUMMARY = 1024
LONGEST_KEY = 255
MOST_BYTES = 512 * 1024
_ACTIONS = {"resolved": "resolve", "acknowledged": "acknowledge"}
_LEFT_OUT = ("members", "text")  # of an event that is too large


def render(content: Content) -> dict[str, Any]:
    """The event without its routing key."""
    facts, action = content.facts, _ACTIONS.get(content.event, "trigger")
    event: dict[str, Any] = {"event_action": action, "dedup_key": fitting(str(facts["incident_id"]), LONGEST_KEY)}
    if action != "trigger":
        return event
    event |= {"client": "SmartFlow", "links": [{"href": link.address, "text": link.label} for link in content.links]}
    if facts["link"]:
        event["client_url"] = facts["link"]
    event["payload"] = {
        "summary": fitting(content.sentence, LONGEST_SUMMARY),
        "source": facts["source"] or "smartflow",
        "severity": content.tone,
        "timestamp": facts["started_at"] or facts["opened_at"] or facts["happened_at"],
        "component": facts["series"] or None,
        "group": facts["source"],
        "class": facts["cause"],
        "custom_details": _details(content),
    }
    return event if utf8_bytes(json.dumps(event, ensure_ascii=False)) <= MOST_BYTES else _small(event)


def _details(content: Content) -> dict[str, Any]:
    """What people read first, then what programs ask."""
    told = {line.label: line.text for line in content.lines}
    return told | {name: value for name, value in content.facts.items() if value not in (None, "", [], {}) and name != "text"}


def _small(event: dict[str, Any]) -> dict[str, Any]:
    details = {
        name: fitting(value, 1000) if isinstance(value, str) else value
        for name, value in event["payload"]["custom_details"].items()
        if name not in _LEFT_OUT and isinstance(value, str | float | int)
    }
    return event | {"payload": event["payload"] | {"custom_details": details}}
