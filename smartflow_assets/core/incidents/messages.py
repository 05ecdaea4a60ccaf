"""A message: one event of an incident, or a bundle of several, ready for any channel.

`render` and `bundled` put together the facts that programs read (`facts`), what people read (`content`) and its two oldest formats, text
and HTML.
Channels carry it, in a format of `formats` where theirs is another.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from smartflow_assets.core.incidents.bundle import BundleKind, bundle_of, member_of, told_of
from smartflow_assets.core.incidents.content import Content, content_of
from smartflow_assets.core.incidents.facts import FACTS, VERSION, facts_of, facts_of_several
from smartflow_assets.core.incidents.formats import html, plain_text
from smartflow_assets.core.severity import worst

__all__ = ["FACTS", "VERSION", "Message", "render"]

_FILE_SAFE = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True)
class Message:
    """One message of one incident event, or of several, to one channel. `facts` has exactly the fields of FACTS and is JSON-able;
    `picture` is a PNG of the series, for channels that want one and where there is something to draw."""

    idempotency_key: str
    event: str
    happened_at: datetime
    incident_id: str
    source: str
    series: str
    severity: str
    subject: str
    text: str
    html: str = field(repr=False)
    facts: dict[str, Any] = field(repr=False)
    content: Content = field(repr=False)
    picture: bytes | None = field(default=None, repr=False)

    @property
    def file_key(self) -> str:
        """The idempotency key as a part of a file name: itself when it is one, else its hash."""
        if _FILE_SAFE.fullmatch(self.idempotency_key):
            return self.idempotency_key
        return hashlib.sha256(self.idempotency_key.encode()).hexdigest()[:16]


def render(incident: Mapping[str, Any], event: str, facts: Mapping[str, Any], *, idempotency_key: str, happened_at: datetime) -> Message:
    """The message of an incident's event.

    `incident` is a row of the table incidents. `facts` is the payload of the event and wins over it, since the incident may
    have gone on before the message went out: the columns of its newest anomaly (table anomalies), `unit`, `next_step`,
    `again_since`, `timezone`, in which times are shown (default UTC), and `bucket_seconds`, since buckets of a day or more are told
    by their dates. Unknown fields are passed over, missing ones are null, so that failed steps and checks render too.
    """
    known = facts_of(incident, event, facts, idempotency_key=idempotency_key, happened_at=happened_at)
    step = timedelta(seconds=float(facts.get("bucket_seconds") or 60))
    content = content_of(known, timezone=str(facts.get("timezone") or "UTC"), step=step)
    return _message(known, content, happened_at, known["incident_id"])


def bundled(
    kind: BundleKind,
    messages: Sequence[Message],
    *,
    idempotency_key: str,
    happened_at: datetime,
    still_on: Sequence[Message] = (),
    timezone: str = "UTC",
    why: str = "",
) -> Message:
    """One message of several, which are in turn: each incident in a line, and as a member of `facts`. `still_on` are the newest messages of
    incidents that go on with nothing new; `why` says why they come together. Times are shown in `timezone`."""
    told = told_of([message.content for message in messages], [message.content for message in still_on], happened_at)
    members = [member_of(one) for one in told]
    source = members[0]["source"] if len({member["source"] for member in members}) == 1 else "*"
    severity = worst(member["severity"] for member in members)
    known = facts_of_several(kind, source, severity, members, idempotency_key=idempotency_key, happened_at=happened_at)
    content = bundle_of(kind, told, known, at=happened_at, timezone=timezone, why=why)
    return _message(known, content, happened_at, f"{kind}-{idempotency_key}")


def _message(known: dict[str, Any], content: Content, happened_at: datetime, incident_id: str) -> Message:
    known["subject"], known["text"] = content.subject, plain_text.render(content)
    known["title"] = known["title"] or (content.headline if known["incident_id"] is None else None)
    return Message(
        idempotency_key=known["idempotency_key"],
        event=known["event"],
        happened_at=happened_at,
        incident_id=incident_id,
        source=known["source"],
        series=known["series"],
        severity=known["severity"],
        subject=content.subject,
        text=known["text"],
        html=html.render(content),
        facts=known,
        content=content,
    )


def trial_message(channel: str, *, now: datetime) -> Message:
    """A message that tries a channel: its event is `test`, and it is of no incident."""
    key = hashlib.sha256(f"test|{channel}|{now.isoformat()}".encode()).hexdigest()[:16]
    incident = {"incident_id": f"test-{key}", "source": "smartflow", "cause": "test", "severity": "info"}
    said = {"title": f"a test of the channel {channel}; nothing is wrong", "next_step": "Nothing is to be done."}
    return render(incident, "test", said, idempotency_key=f"test-{key}", happened_at=now)
