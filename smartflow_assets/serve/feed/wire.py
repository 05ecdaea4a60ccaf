"""Events as server-sent events write them (HTML Living Standard, 9.2): `id`, `event`, `data`, an empty line."""

from collections.abc import Sequence
from datetime import datetime

from pydantic_core import to_json

from smartflow_assets.serve.feed.event_log import Event

HEARTBEAT = b": still here\n\n"


def beginning(event_id: int) -> bytes:
    """How a stream begins: with a number to come back with, also where nothing happens before the connection is lost."""
    return f"retry: 2000\nid: {event_id}\n".encode() + HEARTBEAT


def event(each: Event) -> bytes:
    """One of the log; JSON has no line breaks of its own.

    >>> event(Event("a:1", "anomaly", "shop", '{"series":"total"}', 7))
    b'id: 7\\nevent: anomaly\\ndata: {"series":"total"}\\n\\n'
    """
    return f"id: {each.event_id}\nevent: {each.kind}\ndata: {each.data}\n\n".encode()


def published(generation: str, published_at: datetime | None, sources: Sequence[str]) -> bytes:
    """That another copy lies there, and which sources are not as they were; it has no number, since a page that comes back asks anew."""
    return b"event: published\ndata: " + to_json({"generation": generation, "published_at": published_at, "sources": sources}) + b"\n\n"
