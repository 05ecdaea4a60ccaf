"""The message as an alert of Opsgenie, of which the incident's id is the alias.

Limits: https://docs.opsgenie.com/docs/alert-api (message 130, description 15,000, 20 tags of 50, details 8,000, alias 512, source 100,
entity 512, note 25,000).
"""

from typing import Any

from smartflow_assets.core.incidents.content import Content
from smartflow_assets.core.incidents.formats import plain_text
from smartflow_assets.core.incidents.shortening import fitting, utf16_units

LONGEST_MESSAGE = 130
LONGEST_DESCRIPTION = 15_000
MOST_TAGS, LONGEST_TAG = 20, 50
LONGEST_DETAILS = 8_000
LONGEST_ENTITY = 512
LONGEST_ALIAS = 512
LONGEST_SOURCE = 100
LONGEST_NOTE = 25_000
PRIORITIES = {"critical": "P1", "warning": "P3", "info": "P5", "resolved": "P5"}


def render(content: Content) -> dict[str, Any]:
    """The body that creates the alert, or adds to the one of the same alias."""
    facts = content.facts
    tags = dict.fromkeys(fitting(str(tag), LONGEST_TAG) for tag in ("smartflow", facts["source"], facts["severity"], facts["cause"]) if tag)
    return {
        "message": fitting(content.sentence, LONGEST_MESSAGE) or "-",
        "alias": alias(content),
        "description": fitting(plain_text.render(content), LONGEST_DESCRIPTION),
        "tags": list(tags)[:MOST_TAGS],
        "details": _details(content),
        "entity": fitting(facts["series"] or facts["source"] or "", LONGEST_ENTITY),
        "source": "SmartFlow",
        "priority": PRIORITIES[content.tone],
    }


def note(content: Content) -> dict[str, Any]:
    """The body that closes the alert, or acknowledges it."""
    return {"source": "SmartFlow", "note": fitting(plain_text.render(content), LONGEST_NOTE)}


def alias(content: Content) -> str:
    """By which the alert is found again."""
    return fitting(str(content.facts["incident_id"]), LONGEST_ALIAS)


def _details(content: Content) -> dict[str, str]:
    """Facts as texts, the first ones that fit together."""
    told, left = dict[str, str](), LONGEST_DETAILS
    names = (
        "owner",
        "runbook",
        "link",
        "metric",
        "value",
        "expected",
        "lower",
        "upper",
        "unit",
        "deviation_percent",
        "next_step",
        "idempotency_key",
    )
    for name in names:
        value = content.facts[name]
        if value not in (None, "") and utf16_units(name) + utf16_units(str(value)) <= left:
            told[name] = str(value)
            left -= utf16_units(name) + utf16_units(str(value))
    return told
