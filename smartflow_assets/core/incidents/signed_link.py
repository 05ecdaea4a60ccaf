"""Links by which whoever was told of an incident may take it on without a login: signed, for a week, for one use.

A link says which incident and until when, and bears an HMAC of that (RFC 2104, SHA-256) by a key that never leaves the home. Which links
were used is known by the server that shows what they lead to.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

LASTING = timedelta(days=7)
_LINK = re.compile(r"([0-9a-f]{16})\.([0-9]{1,12})\.([0-9a-f]{40})")


@dataclass(frozen=True)
class SignedLink:
    """What a link says. `nonce` tells it from all others."""

    incident_id: str
    expires_at: datetime
    nonce: str


def sign(key: bytes, incident_id: str, now: datetime) -> str:
    """The signed part of a link to an incident; of one hour it is the same.

    >>> at = datetime(2026, 3, 1, 9, 35, tzinfo=UTC)
    >>> text = sign(b"key", "0123456789abcdef", at)
    >>> read(b"key", text, at).incident_id, read(b"other key", text, at), read(b"key", text, at + timedelta(days=8))
    ('0123456789abcdef', None, None)
    """
    hour = int(now.timestamp()) // 3600 * 3600 + int(LASTING.total_seconds())
    return f"{incident_id}.{hour}.{_signature(key, incident_id, hour)}"


def read(key: bytes, text: str, now: datetime) -> SignedLink | None:
    """What a signed part says; None where it is none of ours, or was."""
    match = _LINK.fullmatch(text)
    if match is None:
        return None
    incident_id, until, signature = match[1], int(match[2]), match[3]
    if not hmac.compare_digest(signature, _signature(key, incident_id, until)) or now.timestamp() >= until:
        return None
    return SignedLink(incident_id, datetime.fromtimestamp(until, UTC), signature)


def _signature(key: bytes, incident_id: str, until: int) -> str:
    return hmac.new(key, f"act on {incident_id} until {until}".encode(), hashlib.sha256).hexdigest()[:40]
