"""The outbox: delivering what is due, once, and recording every attempt in alert_sends.

Rows are only appended and the newest row of a message is its state. A message is `claimed` before the wire is touched, then `sent` or
`failed`; how some ended is written together with the claim of the next, so that what goes together costs one commit. Whoever drains a
channel holds the channel's lock meanwhile, so two drains never send the same message, and a claim without an end that one finds
under the lock is of a process that died: it is repeated, at once after the first death and then after longer and longer waits, and
marked each time. That is at least once, with an idempotency key; no mail server allows more. A message in which five processes have
died may be what kills them: it is given up.

Channels are served side by side, each in its order: while the message of one is on the wire the others go on, and all else, what is read,
written and worded, is done by one of them at a time. Where a channel allows it, a few messages of different incidents are on the wire
together: one at first, then two, then `at_once`, and one again when the receiver takes none. Channels with a message in which a process
has died come after that, one by one, and so do their messages: what kills its sender is to be blamed alone.

Where a channel has a digest or a rate limit, several messages go over the wire as one (`core.incidents.bundling`): their rows are claimed
and ended together, under the key of the bundle in `sent_with`.
"""

import hashlib
import logging
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
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
from smartflow_assets.adapters.message_stories import Story, still_on, stories_of
from smartflow_assets.adapters.secret_references import redact_all, text_of, unset
from smartflow_assets.adapters.send_ledger import (
    BACKOFF,
    MOST_DEATHS,
    NOT_TRIED,
    TAKEN_BY_SOME,
    UNHEARD,
    Which,
    attempt_of,
    due_channels,
    is_bundling,
    is_deadly,
    is_due,
    is_untried,
    open_sends,
    sent_of,
    unheard,
    waits,
)
from smartflow_assets.adapters.warehouse.locks import AdvisoryLock
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.adapters.warehouse.writes import Append
from smartflow_assets.adapters.web import LONGEST_WAIT
from smartflow_assets.core.errors import DeliveryError, WarehouseBusyError, is_interrupt
from smartflow_assets.core.incidents.alert_planning import AlertStatus
from smartflow_assets.core.incidents.bundling import Envelope, Wait, next_group, packed
from smartflow_assets.core.incidents.event_log import Row
from smartflow_assets.core.incidents.messages import Message, bundled
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
        self.interrupt: BaseException | None = None  # of the run, while messages were on the wire

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
                    if self._run():
                        self._run()
            except BaseException:
                self.desk.is_closed.set()
                raise

    def _run(self) -> bool:
        """Whether what was put off untried is due now, since the channel has taken another."""
        sends, sent_before = self._own_sends(), self.sent
        stories = stories_of(self.warehouse, self.name, sends)
        down, down_until = self._reason_not_to_try(), None
        waiting: set[str] = set()  # incidents with an earlier message that must go first, and does not go now
        not_tried: list[Row] = []

        def in_turn(send: Row) -> tuple:
            story = stories[send["idempotency_key"]]
            return *story.place, send["planned_at"], send["incident_id"], story.sequence

        sent = sent_of(self.warehouse, self.name, self.channel)
        untold = unheard(self.warehouse, self.name, {send["incident_id"] for send in sends if send["event"] == "resolved"})
        ready = list[Row]()
        for send in sorted(sends, key=in_turn):
            if send["incident_id"] in waiting:
                continue
            if not is_due(send, self.now, self.channel, sent):
                waiting.add(send["incident_id"])
            elif stories[send["idempotency_key"]].is_lost and down is None:
                self._give_up_lost(send)
            elif send["event"] == "resolved" and send["incident_id"] in untold:
                self.ended.append(self._row(send, "skipped", attempt_of(send), send["sent_with"], error=UNHEARD))
            else:
                ready.append(send)
                untold.discard(send["incident_id"])  # by what is told now
        stopped: set[str] = set()  # and those whose message did not get through just now
        digest, limit = (self.channel.digest, self.channel.limit) if self.channel else (None, None)
        if self.channel is not None and not self.channel.takes_bundles:  # one of another type had this name
            ready = [send | {"sent_with": None} for send in ready]
        envelopes = deque(packed(ready, digest=digest, limit=limit, sent=sent, now=self.now))
        at_once, most = 1, self._most_at_once(sends)  # the first one alone: it shows whether the receiver takes any
        while not self.desk.is_closed.is_set() and (group := next_group(envelopes, at_once, stopped)):
            if down is not None and not is_deadly(group[0].rows[0]):
                ended = [self._put_off(send, down, down_until) for envelope in group for send in envelope.rows]
                not_tried += ended
            else:
                ended, down = self._attempt(group, stories)
                at_once = min(2 * at_once, most) if down is None else 1
                down = None if down is None or self._waited_for(down) else down
                down_until = max((row["due_at"] for row in ended if row["due_at"] is not None), default=self.now + BACKOFF[-1])
            for row in ended:
                if row["status"] == "failed":
                    stopped.add(row["incident_id"])
                if row["status"] == "failed" and row["due_at"] is None:
                    self.dead_letters.append(DeadLetter(row["source"], self.name, row["error"]))
        if not_tried:
            _log.warning("channel %s: %d messages %s", self.name, len(not_tried), not_tried[0]["error"])
        self.skipped = len(not_tried)
        self._write(*not_tried)
        if self.interrupt:
            raise self.interrupt
        return down is None and self.sent > sent_before and any(is_untried(send) and send["incident_id"] in waiting for send in sends)

    def _told(self, send: Row, story: "Story") -> Message:
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

    def _most_at_once(self, sends: list[Row]) -> int:
        """How many messages may be on the wire together: one, where a process has died in one, which is to be blamed alone."""
        is_doubtful = any(send["status"] == "claimed" for send in sends)
        return 1 if self.channel is None or is_doubtful else self.channel.at_once

    def _attempt(self, group: Sequence[Envelope], stories: "Mapping[str, Story]") -> tuple[list[Row], DeliveryError | None]:
        """Claim, deliver, note the end. Returns the last rows, and the error if one says that the whole channel is down."""
        if is_deadly(group[0].rows[0]):
            errors: list[DeliveryError | None] = [
                DeliveryError(f"{MOST_DEATHS} processes died while they sent it: given up", is_final=True)
            ]
        else:
            claims = [self._row(send, "claimed", _attempt_of(envelope), envelope.key) for envelope in group for send in envelope.rows]
            self._write(*claims)
            errors = self._deliver(group, stories)
        ended = [row for envelope, error in zip(group, errors, strict=True) for row in self._end(envelope, error)]
        self.ended += ended
        downs = [error for error in errors if error is not None and error.is_channel_down]
        return ended, max(downs, key=lambda error: error.retry_after or timedelta.max, default=None)

    def _end(self, envelope: Envelope, error: DeliveryError | None) -> list[Row]:
        """The last rows of what one attempt was made of."""
        rows, attempt = envelope.rows, _attempt_of(envelope)
        if error is None:
            self.sent += len(rows)
            return [self._row(send, "sent", attempt, envelope.key) for send in rows]
        self.failed += len(rows)
        tries = 1 + max(send["tries"] for send in rows)
        ended = [self._failure(send, error, attempt, envelope.key, tries=tries) for send in rows]
        told = rows[0]["event"] if len(rows) == 1 else f"{rows[0]['event']} and {len(rows) - 1} more, as one,"
        _log.warning("channel %s: message %s of %s failed: %s", self.name, told, rows[0]["source"], ended[0]["error"])
        return ended

    def _deliver(self, group: Sequence[Envelope], stories: "Mapping[str, Story]") -> list[DeliveryError | None]:
        """Word them and put them on the wire together; why each was not taken."""
        worded = [self._worded(envelope, stories) for envelope in group]
        messages = [message for message in worded if isinstance(message, Message)]
        with self.desk.left(self.warehouse):
            errors = iter(self._on_the_wire(messages))
        return [next(errors) if isinstance(message, Message) else message for message in worded]

    def _on_the_wire(self, messages: Sequence[Message]) -> list[DeliveryError | None]:
        def one(message: Message) -> DeliveryError | None:
            assert self.channel is not None
            return attempt(self.channel, message, environment=self.environment, outbox_folder=self.outbox_folder)

        if len(messages) <= 1:
            return [one(message) for message in messages]
        with ThreadPoolExecutor(len(messages), "message") as pool:
            futures = [pool.submit(copy_context().run, one, message) for message in messages]
            try:
                wait(futures)
            except BaseException as interrupt:  # they are on the wire: how each ends is noted before the run does
                self.desk.is_closed.set()
                self.interrupt = interrupt
        return [future.result() for future in futures]

    def _worded(self, envelope: Envelope, stories: "Mapping[str, Story]") -> Message | DeliveryError:
        assert self.channel is not None
        try:
            messages = [self._told(send, stories[send["idempotency_key"]]) for send in envelope.rows]
            if envelope.key is not None:
                return self._bundle(messages, envelope.key)
            (message,) = messages
            if self.channel.wants_picture and self.pictures < MOST_PICTURES:
                message = replace(message, picture=self.background.picture(message))
                self.pictures += message.picture is not None
        except Exception as error:  # of one message, which must not stop the others
            return DeliveryError(f"it cannot be written: {type(error).__name__}: {text_of(error)}")
        return message

    def _bundle(self, messages: Sequence[Message], key: str) -> Message:
        assert self.channel is not None
        digest, limit, newest = self.channel.digest, self.channel.limit, max(message.happened_at for message in messages)
        if digest is None:
            why = f"{self.name} sends {limit}: more came than it may send" if limit else f"{self.name} had more to send than it may"
            return bundled("held_back", messages, idempotency_key=key, happened_at=newest, why=why)
        told_before = [self._told(send, story) for send, story in still_on(self.warehouse, self.name)]
        return bundled(
            "digest", messages, idempotency_key=key, happened_at=digest.after(newest), still_on=told_before, timezone=digest.timezone
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
        text = TAKEN_BY_SOME * error.is_partly_taken + self._said(error)
        text += f" Given up after {tries} attempts." if wait is None and not error.is_final else ""
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


def _attempt_of(envelope: Envelope) -> int:
    """The number of the attempt that all of it has."""
    return max(map(attempt_of, envelope.rows))
