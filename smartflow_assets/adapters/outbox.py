"""The outbox: delivering what is due, once, and recording every attempt in alert_sends.

Rows are only appended and the newest row of a message is its state. A message is `claimed` before the wire is touched, then `sent` or
`failed`; how one ended is written together with the claim of the next, so that each message costs one commit. Whoever drains a
channel holds the channel's lock meanwhile, so two drains never send the same message, and a claim without an end that one finds
under the lock is of a process that died: it is repeated, at once after the first death and then after longer and longer waits, and
marked each time. That is at least once, with an idempotency key; no mail server allows more. A message in which five processes have
died may be what kills them: it is given up.

Channels are served side by side, each in its order: while the message of one is on the wire the others go on, and all else, what is read,
written and worded, is done by one of them at a time. Those with a message in which a process has died come after that, one by one: what
kills its sender is to be blamed alone.

Where a channel has a digest or a rate limit, several messages go over the wire as one (`core.incidents.bundling`): their rows are claimed
and ended together, under the key of the bundle in `sent_with`.
"""

import hashlib
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event, Lock
from typing import Any, Protocol
from urllib.parse import quote

import pandas as pd

from smartflow_assets.adapters.channels import BaseChannel
from smartflow_assets.adapters.secret_references import redact_all, text_of, unset
from smartflow_assets.adapters.send_ledger import (
    BACKOFF,
    MOST_DEATHS,
    NOT_TRIED,
    Which,
    attempt_of,
    due_channels,
    is_bundling,
    is_deadly,
    is_due,
    open_sends,
    sent_of,
    waits,
)
from smartflow_assets.adapters.warehouse.locks import AdvisoryLock
from smartflow_assets.adapters.warehouse.readable import Readable
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.adapters.warehouse.writes import Append
from smartflow_assets.adapters.web import LONGEST_WAIT
from smartflow_assets.core.errors import DeliveryError, WarehouseBusyError, is_interrupt
from smartflow_assets.core.incidents.alert_planning import AlertStatus, message_key
from smartflow_assets.core.incidents.bundling import Envelope, Wait, packed
from smartflow_assets.core.incidents.event_log import Row, in_order, row_dicts
from smartflow_assets.core.incidents.messages import Message, bundled, render
from smartflow_assets.core.severity import RANK
from smartflow_assets.core.text_format import lasting

JITTER = 0.2
"""So far each wait is from BACKOFF, by the message's key: a hundred messages must not reach a receiver that is back in one moment."""

MOST_PICTURES = 20
"""So many messages of a channel come with a picture in one drain, the first: drawing takes longer than telling, and in a storm the last
would wait minutes for pictures that nobody leafs through."""

MOST_ATTEMPTS = 24
"""Two and a half days of the above: a channel that dies on Friday evening gets its messages on Monday morning."""

LONGEST_UNTRIED = sum(BACKOFF[:-1], (MOST_ATTEMPTS - len(BACKOFF)) * BACKOFF[-1])
"""As long as that a message waits for a channel that takes none of those before it."""

LONGEST_PAUSE = timedelta(seconds=30)
"""So long, all in all, a drain waits for a receiver that asks it to come a little slower, before it leaves the rest to the next one."""

_LONGEST_ERROR = 500
_log = logging.getLogger(__name__)

_STILL_ON = """
    SELECT * FROM (
        SELECT *, min(happened_at) OVER (PARTITION BY idempotency_key) AS planned_at FROM alert_sends WHERE channel = ?
    ) WHERE status = 'sent' AND incident_id IN (SELECT incident_id FROM incidents WHERE state IN ('open', 'acknowledged'))
    QUALIFY row_number() OVER (PARTITION BY incident_id ORDER BY planned_at DESC, happened_at DESC, event) = 1
"""


@dataclass(frozen=True)
class DeadLetter:
    """A message that was given up, and why."""

    source: str
    channel: str
    error: str


@dataclass(frozen=True)
class Drained:
    """What one drain did: messages sent, failed, not tried since their channel is down, and not ended after it, of which some wait for
    a digest or a rate limit; those that were given up, and the channels that took one."""

    sent: int = 0
    failed: int = 0
    skipped: int = 0
    planned_left: int = 0
    dead_letters: tuple[DeadLetter, ...] = field(default=(), compare=False)
    reached: frozenset[str] = field(default=frozenset(), compare=False)
    waits: tuple[Wait, ...] = field(default=(), compare=False)

    def __add__(self, later: "Drained") -> "Drained":
        """This drain and one right after it."""
        return Drained(
            self.sent + later.sent,
            self.failed + later.failed,
            self.skipped + later.skipped,
            later.planned_left,
            self.dead_letters + later.dead_letters,
            self.reached | later.reached,
            later.waits,
        )

    def __str__(self) -> str:
        left = self.planned_left - sum(wait.count for wait in self.waits)
        counts = [(self.sent, "sent"), (self.failed, "failed"), (self.skipped, "not tried"), (left, "left for later")]
        *done, later = (f"{count} {what}" if count > 0 else "" for count, what in counts)
        return ", ".join(filter(None, [*done, *map(str, self.waits), later])) or "nothing to send"


class Background(Protocol):
    """What a message says beside what its incident knows; it is the caller's, since it takes the configuration."""

    def facts(self, source: str, incident_id: str) -> Mapping[str, Any]:
        """owner, owners, runbook and link of a source, and the page of the incident: those that there are."""
        ...

    def picture(self, message: Message) -> bytes | None:
        """A PNG of what the message is about; None where there is none. Never raises for a picture that cannot be drawn."""
        ...


class NoBackground:
    """Of a caller who knows no more than the warehouse."""

    def facts(self, source: str, incident_id: str) -> Mapping[str, Any]:
        return {}

    def picture(self, message: Message) -> bytes | None:
        return None


def drain(
    warehouse: Warehouse,
    channels: Mapping[str, BaseChannel],
    *,
    now: datetime,
    run_id: str,
    environment: Mapping[str, str],
    outbox_folder: Path,
    sources: Collection[str] | None = None,
    leaving: Collection[str] = (),
    patience: timedelta = timedelta(seconds=60),
    background: Background | None = None,
) -> Drained:
    """Deliver what is due at `now`, of some sources or of all, but for what these runs (`leaving`) have planned and send themselves.

    A channel that fails stops neither the others nor the caller, and the messages of one incident go out in their order. A
    channel that somebody else drains for longer than `patience` is left to the next drain. One that tells several at once tells those
    of all sources. Raises what the warehouse raises.
    """
    which = Which(sources, leaving)
    every, desk = open_sends(warehouse, Which(None, leaving)), _Desk()
    sends, doubtful = [send for send in every if which.has(send)], {send["channel"] for send in every if send["status"] == "claimed"}
    drains = [
        _ChannelDrain(
            warehouse, name, channels.get(name), now, run_id, environment, outbox_folder, which, background or NoBackground(), desk
        )
        for name in due_channels(warehouse, channels, sends, now)
    ]
    if drains:
        warehouse.release()  # they open it themselves, and who has a channel's lock is about to write
        _side_by_side([one for one in drains if one.name not in doubtful], patience)
        for one in drains:  # a process has died in a message of theirs: should one do so again, no other must have its death counted
            if one.name in doubtful:
                one.run_alone(patience)
    sent, failed, skipped = (sum(getattr(one, name) for one in drains) for name in ("sent", "failed", "skipped"))
    left = open_sends(warehouse, which) if drains else sends
    return Drained(
        sent,
        failed,
        skipped,
        planned_left=len(left),
        dead_letters=tuple(letter for one in drains for letter in one.dead_letters),
        reached=frozenset(one.name for one in drains if one.sent),
        waits=waits(warehouse, channels, left, now),
    )


def _side_by_side(drains: "Sequence[_ChannelDrain]", patience: timedelta) -> None:
    """Each channel in a thread of its own, so that none waits for the receiver of another. What one raises ends them all, each after the
    message that it has on the wire."""
    if len(drains) <= 1:
        for one in drains:
            one.run_alone(patience)
        return
    with ThreadPoolExecutor(len(drains), "channel") as pool:
        futures = [pool.submit(copy_context().run, one.run_alone, patience) for one in drains]
        try:
            wait(futures)
        except BaseException:  # somebody ends the run
            drains[0].desk.is_closed.set()
            raise
    for future in futures:
        future.result()


class _Desk:
    """Where channels read, write and word their messages, one at a time; a channel leaves it while its message is on the wire. Once it is
    closed none begins another."""

    def __init__(self) -> None:
        self.turn, self.is_closed = Lock(), Event()

    @contextmanager
    def left(self, warehouse: Warehouse) -> Iterator[None]:
        """For as long as the others may work; also others who want to write the warehouse."""
        warehouse.release()
        self.turn.release()
        try:
            yield
        finally:
            self.turn.acquire()


def channel_lock(warehouse: Warehouse, channel: str) -> AdvisoryLock:
    """Held by whoever sends on a channel, or takes back what is planned for it."""
    return AdvisoryLock(warehouse.path.parent / "locks" / f"outbox-{quote(channel, safe='')}.lock")


def attempt(channel: BaseChannel, message: Message, *, environment: Mapping[str, str], outbox_folder: Path) -> DeliveryError | None:
    """Hand one message to a channel once; why it was not taken, None when it was."""
    try:
        channel.deliver(message, environment=environment, outbox=outbox_folder)
    except DeliveryError as error:
        return error
    except BaseException as error:  # a channel of another package must not stop the others, not by an exit either; the error is recorded
        if is_interrupt(error):
            raise
        return DeliveryError(f"{type(error).__name__}: {text_of(error)}")
    return None


def told_without_secrets(error: DeliveryError, channel: BaseChannel, environment: Mapping[str, str]) -> str:
    """What an error says, as it may stand in a table or on a terminal."""
    return redact_all(channel.redact(str(error), environment), environment)


def wait_after(attempt: int, asked: timedelta | None = None, *, key: str = "") -> timedelta | None:
    """How long to wait after a failed attempt of the message of this key, at least as long as the receiver asked; None when it was the
    last one.

    >>> wait_after(1, key="k1"), wait_after(3, asked=timedelta(hours=2)) >= timedelta(hours=2), wait_after(24)
    (datetime.timedelta(seconds=67, microseconds=636619), True, None)
    """
    if attempt >= MOST_ATTEMPTS:
        return None
    share = int(hashlib.sha256(f"{key}|{attempt}".encode()).hexdigest()[:8], 16) / 0xFFFFFFFF
    wait = BACKOFF[min(attempt, len(BACKOFF)) - 1] * (1 - JITTER + 2 * JITTER * share)
    return max(wait, min(asked or timedelta(0), LONGEST_WAIT) * (1 + JITTER * share))


class _ChannelDrain:
    """One channel's part of a drain."""

    def __init__(
        self,
        warehouse: Warehouse,
        name: str,
        channel: BaseChannel | None,
        now: datetime,
        run_id: str,
        environment: Mapping[str, str],
        outbox_folder: Path,
        which: Which,
        background: Background,
        desk: _Desk,
    ) -> None:
        self.desk = desk
        self.warehouse, self.name, self.channel, self.now, self.run_id = warehouse, name, channel, now, run_id
        self.environment, self.outbox_folder, self.which, self.background = environment, outbox_folder, which, background
        self.sent = self.failed = self.skipped = self.pictures = 0
        self.patience = LONGEST_PAUSE
        self.dead_letters: list[DeadLetter] = []
        self.ended: list[Row] = []  # how messages ended, not written yet

    def run_alone(self, patience: timedelta) -> None:
        """Holding the channel's lock, and, but for the time on the wire, the desk."""
        with ExitStack() as held:
            try:
                held.enter_context(channel_lock(self.warehouse, self.name).exclusive(patience, self.run_id))
            except WarehouseBusyError as busy:
                _log.warning("channel %s is left to the next drain: %s", self.name, busy)
                return
            try:
                with self.desk.turn, self.warehouse.reading():
                    self._run()
            except BaseException:
                self.desk.is_closed.set()
                raise

    def _run(self) -> None:
        sends = self._own_sends()
        stories = _stories(self.warehouse, self.name, sends)
        down, down_until = self._reason_not_to_try(), None
        waiting: set[str] = set()  # incidents with an earlier message that must go first, and does not go now
        not_tried: list[Row] = []

        def in_turn(send: Row) -> tuple:
            story = stories[send["idempotency_key"]]
            return send["planned_at"], *story.place, send["incident_id"], story.sequence

        sent = sent_of(self.warehouse, self.name, self.channel)
        ready = list[Row]()
        for send in sorted(sends, key=in_turn):
            if send["incident_id"] in waiting:
                continue
            if not is_due(send, self.now, self.channel, sent):
                waiting.add(send["incident_id"])
            elif stories[send["idempotency_key"]].is_lost and down is None:
                self._give_up_lost(send)
            else:
                ready.append(send)
        stopped: set[str] = set()  # and those whose message did not get through just now
        digest, limit = (self.channel.digest, self.channel.limit) if self.channel else (None, None)
        if self.channel is not None and not self.channel.takes_bundles:  # one of another type had this name
            ready = [send | {"sent_with": None} for send in ready]
        for envelope in packed(ready, digest=digest, limit=limit, sent=sent, now=self.now):
            envelope = envelope.without(stopped)
            if not envelope.rows:
                continue
            if self.desk.is_closed.is_set():
                break
            if down is not None and not is_deadly(envelope.rows[0]):
                ended = [self._put_off(send, down, down_until) for send in envelope.rows]
                not_tried += ended
            else:
                ended, down = self._attempt(envelope, stories)
                down = None if down is None or self._waited_for(down) else down
                down_until = max((row["due_at"] for row in ended if row["due_at"] is not None), default=self.now + BACKOFF[-1])
            for row in ended:
                if row["due_at"] is not None:
                    stopped.add(row["incident_id"])
                elif row["status"] == "failed":
                    self.dead_letters.append(DeadLetter(row["source"], self.name, row["error"]))
        if not_tried:
            _log.warning("channel %s: %d messages %s", self.name, len(not_tried), not_tried[0]["error"])
        self.skipped = len(not_tried)
        self._write(*not_tried)

    def _told(self, send: Row, story: "_Story") -> Message:
        return story.message(send, self.background.facts(send["source"], send["incident_id"]))

    def _own_sends(self) -> list[Row]:
        """What is open on this channel: of one source alone where that was asked for, unless several are told together."""
        sends = [send for send in open_sends(self.warehouse, Which(None, self.which.leaving)) if send["channel"] == self.name]
        if self.which.sources is None or is_bundling(self.channel):
            return sends
        company = {send["sent_with"] for send in sends if self.which.has(send)} - {None}
        return [send for send in sends if self.which.has(send) or send["sent_with"] in company]

    def _give_up_lost(self, send: Row) -> None:
        error = DeliveryError(f"incident {send['incident_id']} or its event is not in the warehouse", is_final=True)
        row = self._failure(send, error, attempt_of(send), send["sent_with"], tries=send["tries"])
        self.ended.append(row)
        self.failed += 1
        self.dead_letters.append(DeadLetter(send["source"], self.name, row["error"]))

    def _reason_not_to_try(self) -> DeliveryError | None:
        if self.channel is None:  # worth another attempt: a name or a file with a mistake is mended, a lost message is not
            return DeliveryError(f"no channel is called {self.name}", where="data/channels.yaml")
        missing = self.channel.missing(self.environment)
        return unset(missing) if missing else None

    def _attempt(self, envelope: Envelope, stories: "Mapping[str, _Story]") -> tuple[list[Row], DeliveryError | None]:
        """Claim, deliver, note the end. Returns the last rows, and the error if it says that the whole channel is down."""
        rows, attempt = envelope.rows, max(map(attempt_of, envelope.rows))
        if is_deadly(rows[0]):
            error = DeliveryError(f"{MOST_DEATHS} processes died while they sent it: given up", is_final=True)
        else:
            self._write(*(self._row(send, "claimed", attempt, envelope.key) for send in rows))
            error = self._deliver(rows, envelope.key, stories)
        if error is None:
            ended = [self._row(send, "sent", attempt, envelope.key) for send in rows]
        else:
            tries = 1 + max(send["tries"] for send in rows)
            ended = [self._failure(send, error, attempt, envelope.key, tries=tries) for send in rows]
            told = rows[0]["event"] if len(rows) == 1 else f"{rows[0]['event']} and {len(rows) - 1} more, as one,"
            _log.warning("channel %s: message %s of %s failed: %s", self.name, told, rows[0]["source"], ended[0]["error"])
        self.ended += ended
        self.sent, self.failed = self.sent + len(rows) * (error is None), self.failed + len(rows) * (error is not None)
        return ended, error if error is not None and error.is_channel_down else None

    def _deliver(self, rows: Sequence[Row], key: str | None, stories: "Mapping[str, _Story]") -> DeliveryError | None:
        assert self.channel is not None
        try:
            messages = [self._told(send, stories[send["idempotency_key"]]) for send in rows]
            message = messages[0] if key is None else self._bundle(messages, key)
            if key is None and self.channel.wants_picture and self.pictures < MOST_PICTURES:
                message = replace(message, picture=self.background.picture(message))
                self.pictures += message.picture is not None
        except Exception as error:  # of one message, which must not stop the others
            return DeliveryError(f"it cannot be written: {type(error).__name__}: {text_of(error)}")
        with self.desk.left(self.warehouse):
            return attempt(self.channel, message, environment=self.environment, outbox_folder=self.outbox_folder)

    def _bundle(self, messages: Sequence[Message], key: str) -> Message:
        assert self.channel is not None
        digest, limit, newest = self.channel.digest, self.channel.limit, max(message.happened_at for message in messages)
        if digest is None:
            why = f"{self.name} sends {limit}: more came than it may send" if limit else f"{self.name} had more to send than it may"
            return bundled("held_back", messages, idempotency_key=key, happened_at=newest, why=why)
        still_on = [self._told(send, story) for send, story in _still_on(self.warehouse, self.name)]
        return bundled(
            "digest", messages, idempotency_key=key, happened_at=digest.after(newest), still_on=still_on, timezone=digest.timezone
        )

    def _waited_for(self, down: DeliveryError) -> bool:
        """Whether the receiver, which asked for a pause, has had it, so that the next message may be tried."""
        if down.retry_after is None or down.retry_after > self.patience:
            return False
        self.patience -= down.retry_after
        self._write()
        with self.desk.left(self.warehouse):
            return not self.desk.is_closed.wait(down.retry_after.total_seconds())

    def _put_off(self, send: Row, down: DeliveryError, until: datetime | None) -> Row:
        """The row of a message that is not tried, since its channel took none of those before it: it is due when they are. Where none was
        tried either (`until` is None), it waits longer each time."""
        error = DeliveryError(f"{NOT_TRIED}{down}", retry_after=down.retry_after)
        if until is None:
            return self._failure(send, error, attempt_of(send), send["sent_with"], tries=attempt_of(send))
        is_over = self.now - send["planned_at"] >= LONGEST_UNTRIED
        text = self._said(error) + (f" Given up after {lasting(LONGEST_UNTRIED)}." if is_over else "")
        return self._row(send, "failed", attempt_of(send), send["sent_with"], error=text, due_at=None if is_over else until)

    def _failure(self, send: Row, error: DeliveryError, attempt: int, sent_with: str | None, *, tries: int) -> Row:
        wait = None if error.is_final else wait_after(tries, error.retry_after, key=sent_with or send["idempotency_key"])
        text = self._said(error) + (f" Given up after {tries} attempts." if wait is None and not error.is_final else "")
        return self._row(send, "failed", attempt, sent_with, error=text, due_at=None if wait is None else self.now + wait)

    def _said(self, error: DeliveryError) -> str:
        return str(error) if self.channel is None else told_without_secrets(error, self.channel, self.environment)

    def _row(
        self,
        send: Row,
        status: AlertStatus,
        attempt: int,
        sent_with: str | None,
        *,
        error: str | None = None,
        due_at: datetime | None = None,
    ) -> Row:
        same = {name: send[name] for name in ("source", "incident_id", "event", "channel", "idempotency_key")}
        is_possible_repeat = send["status"] == "claimed" or bool(send["is_possible_repeat"])
        return same | {
            "attempt": attempt,
            "status": status,
            "due_at": due_at,
            "happened_at": self.now,
            "is_possible_repeat": is_possible_repeat,
            "sent_with": sent_with,
            "error": error and error[:_LONGEST_ERROR],
            "run_id": self.run_id,
        }

    def _write(self, *rows: Row) -> None:
        """Writes these rows and how earlier messages ended."""
        if self.ended or rows:
            self.warehouse.commit(self.run_id, [Append("alert_sends", pd.DataFrame([*self.ended, *rows]))])
            self.ended = []


@dataclass(frozen=True)
class _Story:
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


def sent_messages(warehouse: Warehouse) -> list[Message]:
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
        stories = _stories(warehouse, channel, own)
        for send in own:
            story = stories[send["idempotency_key"]]
            if story.event is not None:
                told.append((send["happened_at"], story.sequence, story.message(send)))
    return [message for *_, message in sorted(told, key=lambda each: (*each[:2], each[2].incident_id))]


_REMEDIES = """
SELECT incident_id, message FROM remediations WHERE list_contains(?, incident_id) AND status = 'done' ORDER BY happened_at, remediation_id
"""


def _stories(warehouse: Readable, channel: str, sends: list[Row]) -> dict[str, _Story]:
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
        send["idempotency_key"]: _Story(
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
    return _stories(warehouse, channel, [send])[send["idempotency_key"]].message(send, known)


def of_incidents(warehouse: Readable, table: str, ids: Iterable[str]) -> pd.DataFrame:
    """The rows of a table that are of these incidents."""
    return warehouse.read(f"SELECT * FROM {table} WHERE list_contains(?, incident_id)", [list(ids)])


def _still_on(warehouse: Warehouse, channel: str) -> list[tuple[Row, "_Story"]]:
    """The incidents that a channel has told of and that are not over: the newest message of each, and its story."""
    sends = [send for send in row_dicts(warehouse.read(_STILL_ON, [channel])) if send["event"] != "resolved"]
    stories = _stories(warehouse, channel, sends) if sends else {}
    return [(send, stories[send["idempotency_key"]]) for send in sends if not stories[send["idempotency_key"]].is_lost]
