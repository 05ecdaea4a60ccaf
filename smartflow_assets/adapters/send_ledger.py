"""What alert_sends says of messages: which are open, which of them are due, what a channel has put on the wire, and what waits for what.

Rows are only appended and the newest row of a message is its state. Nothing is written here: that is the outbox's.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol

import pandas as pd

from smartflow_assets.adapters.channels import BaseChannel
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.core.incidents.bundling import Sent, Wait, digest_of
from smartflow_assets.core.incidents.event_log import Row, row_dicts

BACKOFF = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 180))
"""How long to wait after the first, second, … failure, give or take JITTER; the last holds for all further ones."""

MOST_DEATHS = 5
"""So many processes may die in one message before it is given up."""

NOT_TRIED = "not tried: "
"""What the error of a message begins with that was put off since its channel took none."""

TAKEN_BY_SOME = "taken by some: "
"""What the error of a message begins with that some of its receivers have and others have refused."""

UNHEARD = "nobody heard here that it began"
"""Why the end of an incident was not told."""

# The order is of attempt and status alone, so that it does not depend on clocks: a replay has its own.
_OPEN = """
    WITH attempts AS (
        SELECT *, status = 'claimed' AND NOT bool_or(status IN ('sent', 'failed')) OVER (
            PARTITION BY idempotency_key, channel, attempt) AS is_death
        FROM alert_sends
    )
    SELECT * EXCLUDE (is_death) FROM (
        SELECT *, min(happened_at) OVER message AS planned_at, count(*) FILTER (is_death) OVER message AS deaths,
            count(*) FILTER (status = 'claimed') OVER message AS tries,
            max(happened_at) FILTER (status = 'sent') OVER (PARTITION BY channel) AS taken_at,
            row_number() OVER (
            message ORDER BY attempt DESC, CASE status WHEN 'planned' THEN 0 WHEN 'claimed' THEN 1 ELSE 2 END DESC) AS age
        FROM attempts WINDOW message AS (PARTITION BY idempotency_key, channel)
    ) WHERE age = 1 AND (status IN ('planned', 'claimed') OR (status = 'failed' AND due_at IS NOT NULL))
"""

# Whatever may have arrived counts; what failed and is tried again has not, as far as anybody knows.
_SENT = """
    SELECT min(happened_at) FILTER (status = 'claimed') AS claimed_at, any_value(sent_with) AS bundle,
           bool_or(status = 'failed' AND due_at IS NOT NULL) AS is_to_be_repeated
    FROM alert_sends WHERE channel = ? AND status IN ('claimed', 'sent', 'failed')
    GROUP BY coalesce(sent_with, idempotency_key), attempt HAVING claimed_at IS NOT NULL ORDER BY claimed_at
"""


# What a process died in may have arrived.
_UNHEARD = f"""
    SELECT incident_id FROM alert_sends WHERE channel = ? AND list_contains(?, incident_id) GROUP BY incident_id
    HAVING bool_or(status = 'failed' AND due_at IS NULL)
       AND NOT bool_or(status = 'sent' OR is_possible_repeat OR coalesce(starts_with(error, '{TAKEN_BY_SOME}'), false))
"""


class _Readable(Protocol):
    """What answers a query: the warehouse, or its published copy."""

    def read(self, sql: str, params: Sequence[Any] = ()) -> pd.DataFrame: ...


@dataclass(frozen=True)
class _Published:
    """The published copy, which blocks nobody."""

    warehouse: Warehouse

    def read(self, sql: str, params: Sequence[Any] = ()) -> pd.DataFrame:
        return self.warehouse.published_read(sql, params)


class Which(NamedTuple):
    """Messages of some `sources`, or of all (None), but for those that runs which send by themselves (`leaving`) have planned."""

    sources: Collection[str] | None = None
    leaving: Collection[str] = ()

    def has(self, send: Row) -> bool:
        """Whether it is of them."""
        is_left = send["status"] == "planned" and send["run_id"] in self.leaving
        return not is_left and (self.sources is None or send["source"] in self.sources)


EVERY = Which()
"""All messages."""


def open_sends(warehouse: _Readable, which: Which = EVERY) -> list[Row]:
    """The newest row of every message that is not ended, with `planned_at`."""
    return [send for send in row_dicts(warehouse.read(_OPEN)) if which.has(send)]


def due_channels(warehouse: Warehouse, channels: Mapping[str, BaseChannel], sends: list[Row], now: datetime) -> list[str]:
    """Channels with something due, those that failed last, so that the others do not wait for their timeouts."""
    attempts: dict[str, int] = {}
    sent = {name: sent_of(warehouse, name, channels.get(name)) for name in {send["channel"] for send in sends}}
    for send in sends:
        if is_due(send, now, channels.get(send["channel"]), sent[send["channel"]]):
            attempts[send["channel"]] = max(attempts.get(send["channel"], 0), attempt_of(send))
    return sorted(attempts, key=lambda channel: (attempts[channel], channel))


def is_due(send: Row, now: datetime, channel: BaseChannel | None, sent: Sent) -> bool:
    """Whether it may be tried: its wait is over, and so is that for the digest of its channel."""
    if channel is not None and channel.digest is not None and not send["tries"] and digest_of(send, channel.digest, sent, now) > now:
        return False
    return _is_over(send, now)


def _is_over(send: Row, now: datetime) -> bool:
    """Whether the wait after a failure or a death is over; of one that was put off untried also once its channel has taken another."""
    if send["status"] != "claimed":
        is_taking = send["taken_at"] is not None and send["taken_at"] > send["happened_at"]
        return send["due_at"] is None or send["due_at"] <= now or (is_taking and is_untried(send))
    if send["deaths"] <= 1 or is_deadly(send):
        return True
    claimed_at = send["happened_at"]  # later than now where the clock was wrong then: that must hold nothing back
    return not claimed_at <= now < claimed_at + BACKOFF[min(send["deaths"] - 1, len(BACKOFF)) - 1]


def is_untried(send: Row) -> bool:
    """Whether it was put off since its channel took none of those before it."""
    return send["status"] == "failed" and str(send["error"]).startswith(NOT_TRIED)


def is_deadly(send: Row) -> bool:
    """Whether so many processes have died in it that it may be what kills them."""
    return send["status"] == "claimed" and send["deaths"] >= MOST_DEATHS


def unheard(warehouse: _Readable, channel: str, incidents: Collection[str]) -> set[str]:
    """Those of these incidents of which a channel has told nothing, and will not: its messages of them were given up."""
    return set(warehouse.read(_UNHEARD, [channel, sorted(incidents)])["incident_id"]) if incidents else set()


def attempt_of(send: Row) -> int:
    """The number of the attempt that comes next, of those that were put off untried too; the planned row carries that of the first."""
    return int(send["attempt"]) + (send["status"] != "planned")


def unsent_sources(warehouse: Warehouse, channels: Mapping[str, BaseChannel], now: datetime) -> set[str]:
    """The sources with a message that has not gone out, but for those that wait for a digest or a limit."""
    sends = open_sends(warehouse)
    waiting = {(send["idempotency_key"], send["channel"]) for send, _ in _waiting(warehouse, channels, sends, now)}
    return {send["source"] for send in sends if (send["idempotency_key"], send["channel"]) not in waiting}


def waits_by_channel(warehouse: Warehouse, channels: Mapping[str, BaseChannel], now: datetime) -> dict[str, tuple[Wait, ...]]:
    """What waits for a digest or a limit, by channel, as the published copy has it."""
    published = _Published(warehouse)
    sends = open_sends(published)
    found = {
        name: waits(published, {name: channel}, [one for one in sends if one["channel"] == name], now) for name, channel in channels.items()
    }
    return {name: each for name, each in found.items() if each}


def waits(warehouse: _Readable, channels: Mapping[str, BaseChannel], sends: Sequence[Row], now: datetime) -> tuple[Wait, ...]:
    counts = Counter(reason for _, reason in _waiting(warehouse, channels, sends, now))
    return tuple(Wait(count, reason) for reason, count in counts.items())


def waiting_counts(warehouse: _Readable, channels: Mapping[str, BaseChannel], now: datetime) -> Counter[tuple[str, str]]:
    """How many messages are not ended, by channel and by what they wait for: `held` (a digest or a limit), `retry` (the wait after a
    failure) or `due` (nothing)."""
    sends = open_sends(warehouse)
    counts = Counter((send["channel"], "due" if _is_over(send, now) else "retry") for send in sends)
    for send, _ in _waiting(warehouse, channels, sends, now):  # all of them would be due otherwise
        counts[send["channel"], "due"] -= 1
        counts[send["channel"], "held"] += 1
    return counts


def _waiting(warehouse: _Readable, channels: Mapping[str, BaseChannel], sends: Sequence[Row], now: datetime) -> list[tuple[Row, str]]:
    """The messages that wait for a digest or a limit, and for which."""
    found = list[tuple[Row, str]]()
    for name in sorted({send["channel"] for send in sends} & channels.keys()):
        channel, own = channels[name], [send for send in sends if send["channel"] == name and _is_over(send, now)]
        sent = sent_of(warehouse, name, channel)
        room_at = channel.limit.room_at(sent.moments, now) if channel.limit else now
        for send in own:
            if channel.digest and not send["tries"] and (slot := digest_of(send, channel.digest, sent, now)) > now:
                found.append((send, f"the digest of {channel.digest.named(slot, now)}"))
            elif room_at > now:
                found.append((send, f"the limit of {name} until {room_at:%H:%M} UTC"))
    return found


def is_bundling(channel: BaseChannel | None) -> bool:
    return channel is not None and (channel.digest is not None or channel.limit is not None)


def sent_of(warehouse: _Readable, name: str, channel: BaseChannel | None) -> Sent:
    """What a channel has put on the wire; asked only where that matters."""
    if not is_bundling(channel):
        return Sent()
    rows = row_dicts(warehouse.read(_SENT, [name]))
    first: dict[str, datetime] = {}
    for row in rows:
        if row["bundle"]:
            first.setdefault(row["bundle"], row["claimed_at"])
    return Sent([row["claimed_at"] for row in rows if not row["is_to_be_repeated"]], list(first.values()))
