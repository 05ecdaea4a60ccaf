"""Which messages of a channel go over the wire together: a digest is one message, and so is what a rate limit has held back.

What was tried once keeps its company and its key for good, so that a receiver knows a repeat; what was not is packed anew each time. The
rows are those of alert_sends; when one is due, and what becomes of it, is the outbox's.
"""

import hashlib
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from smartflow_assets.core.incidents.digest import Digest
from smartflow_assets.core.incidents.event_log import Row
from smartflow_assets.core.incidents.rate_limit import RateLimit


@dataclass(frozen=True)
class Envelope:
    """Rows that go out as one message. `key` is that of a bundle; None for one alone, which has its own."""

    rows: tuple[Row, ...]
    key: str | None = None

    def without(self, incidents: Collection[str]) -> "Envelope":
        """What is left of it when these incidents must wait, under a key of its own."""
        rows = tuple(send for send in self.rows if send["incident_id"] not in incidents)
        if len(rows) == len(self.rows) or self.key is None:
            return replace(self, rows=rows)
        return Envelope(rows, bundle_key(send["idempotency_key"] for send in rows))


@dataclass(frozen=True)
class Wait:
    """So many messages that wait, and for what."""

    count: int
    reason: str

    def __str__(self) -> str:
        return f"{self.count} {'wait' if self.count != 1 else 'waits'} for {self.reason}"


@dataclass(frozen=True)
class Sent:
    """What a channel has put on the wire: when each message went that counts, and when each bundle went for the first time."""

    moments: Sequence[datetime] = ()
    bundles: Sequence[datetime] = ()


def bundle_key(keys: Iterable[str]) -> str:
    """The idempotency key of a bundle: the same for the same messages."""
    return hashlib.sha256("|".join(sorted(keys)).encode()).hexdigest()[:32]


def digest_of(send: Row, digest: Digest, sent: Sent, now: datetime) -> datetime:
    """The slot that a message goes with: the first after it was planned, and after the last digest, so that a slot is one message."""
    newest = max((moment for moment in sent.bundles if moment <= now), default=send["planned_at"])
    return digest.after(max(newest, send["planned_at"]))


def packed(sends: Sequence[Row], *, digest: Digest | None, limit: RateLimit | None, sent: Sent, now: datetime) -> list[Envelope]:
    """What goes out now, in turn. `sends` are in turn and due; whatever is in no envelope waits for the limit.

    Each has planned_at, idempotency_key, sent_with and tries (how often it was claimed).
    """
    turn = {send["idempotency_key"]: place for place, send in enumerate(sends)}
    tried = _as_they_were([send for send in sends if send["tries"]])
    fresh = [send for send in sends if not send["tries"]]
    room = len(sends) if limit is None else limit.room(sent.moments, now)
    tried, room = tried[:room], room - len(tried)
    alone, together = (0, fresh) if digest is not None else _split(fresh, room, limit, sent, now)
    bundle = [Envelope(tuple(together), bundle_key(send["idempotency_key"] for send in together))] if together and room > 0 else []
    singles = [*tried, *(Envelope((send,)) for send in fresh[:alone])]
    return sorted(singles, key=lambda envelope: turn[envelope.rows[0]["idempotency_key"]]) + bundle


def next_group(envelopes: deque[Envelope], most: int, stopped: Collection[str]) -> list[Envelope]:
    """Takes what is next on the wire, at most so many at once, without incidents that were stopped, and each incident once: its messages
    follow each other.

    >>> one, other = ({"incident_id": name, "idempotency_key": name} for name in "ab")
    >>> queue = deque(Envelope((row,)) for row in (one, other, one, one))
    >>> [len(next_group(queue, 4, ())) for _ in range(3)], [len(next_group(queue, 4, ()))]
    ([2, 1, 1], [0])
    """
    group, incidents = list[Envelope](), set[str]()
    while envelopes and len(group) < most:
        envelope = envelopes[0].without(stopped)
        own = {send["incident_id"] for send in envelope.rows}
        if own & incidents:
            break
        envelopes.popleft()
        if own:
            group.append(envelope)
            incidents |= own
    return group


def _split(fresh: list[Row], room: int, limit: RateLimit | None, sent: Sent, now: datetime) -> tuple[int, list[Row]]:
    """How many go alone, and what goes together after them."""
    if limit is None:
        return len(fresh), []
    if room <= 0 or not fresh:
        return 0, []
    is_late = any(limit.held_back(send["planned_at"], sent.moments, now) for send in fresh)
    if len(fresh) == 1 or (len(fresh) <= room and not is_late):
        return len(fresh), []
    alone = 0 if is_late else room - 1
    return alone, fresh[alone:]


def _as_they_were(tried: list[Row]) -> list[Envelope]:
    """Those that were tried, by what they were tried with."""
    groups = dict[str, list[Row]]()
    for send in tried:
        groups.setdefault(send["sent_with"] or send["idempotency_key"], []).append(send)
    return [Envelope(tuple(rows), rows[0]["sent_with"]) for rows in groups.values()]
