"""Messages of a channel that are on the wire together: fewer commits and no waiting for each other, and nothing else that is different."""

import threading
from collections import Counter
from datetime import timedelta
from typing import ClassVar

import pytest

from smartflow_assets.adapters.outbox import Drained
from smartflow_assets.core.errors import DeliveryError
from smartflow_assets.core.incidents.messages import Message
from smartflow_assets_tests.adapters.test_outbox import HOOK, MINUTE, NINE, RECORDED, Recorder, hook, ledger, plan, send, statuses
from smartflow_assets_tests.receivers import hook_server

ENDED = ["planned", "claimed", "sent"]


class Quick(Recorder):
    at_once: ClassVar[int] = 4


@pytest.fixture(autouse=True)
def recorded() -> list[Message]:
    RECORDED.clear()
    HOOK[0] = lambda message: None
    return RECORDED


class Wire:
    """How many messages are on it; each stays until `least` are, or no more come."""

    def __init__(self, least: int) -> None:
        self.least, self.count, self.groups = least, 0, list[int]()
        self.changed = threading.Condition()

    def __call__(self, message: Message) -> None:
        with self.changed:
            self.count += 1
            self.groups.append(self.count)
            self.changed.notify_all()
            self.changed.wait_for(lambda: self.count >= self.least, timeout=0.5)
        with self.changed:
            self.changed.wait(0.2)  # the others of its group
            self.count -= 1


def plan_many(warehouse, count: int) -> None:
    for number in range(count):
        plan(warehouse, "pager", incident=f"i{number}", at=NINE + number * MINUTE / 60)


@pytest.mark.soak
def test_one_goes_first_then_two_then_four_at_once_with_one_commit_for_each_group(warehouse, recorded, monkeypatch):
    plan_many(warehouse, 11)
    HOOK[0] = wire = Wire(4)
    commits, commit = list[int](), warehouse.commit
    monkeypatch.setattr(warehouse, "commit", lambda run, writes: commits.append(len(writes)) or commit(run, writes))
    assert send(warehouse, at=NINE + MINUTE, pager=Quick()) == Drained(sent=11)
    assert wire.groups == [1, 1, 2, 1, 2, 3, 4, 1, 2, 3, 4]
    assert len(commits) == 5, "the claims of four groups, and the end"
    assert Counter(message.incident_id for message in recorded) == {f"i{number}": 1 for number in range(11)}
    assert statuses(warehouse) == ENDED * 11


def test_messages_of_one_incident_follow_each_other(warehouse, recorded):
    for number in range(6):
        plan(warehouse, "pager", incident=f"i{number}", kinds=("opened", "escalated", "resolved"))
    on_the_wire, together = set[str](), list[str]()

    def pass_by(message: Message) -> None:
        together.extend([message.incident_id] * (message.incident_id in on_the_wire))
        on_the_wire.add(message.incident_id)
        threading.Event().wait(0.005)
        on_the_wire.discard(message.incident_id)

    HOOK[0] = pass_by
    assert send(warehouse, pager=Quick()) == Drained(sent=18)
    assert not together
    told = {incident: [each.event for each in recorded if each.incident_id == incident] for incident in {m.incident_id for m in recorded}}
    assert list(told.values()) == [["opened", "escalated", "resolved"]] * 6


def test_a_recovery_waits_where_its_opening_failed_beside_others_that_did_not(warehouse, recorded):
    plan_many(warehouse, 4)
    plan(warehouse, "pager", incident="i2", kinds=("resolved",), at=NINE + MINUTE / 2, first=2)

    def refuse(message: Message) -> None:
        if message.incident_id == "i2":
            raise DeliveryError("not now")

    HOOK[0] = refuse
    assert send(warehouse, at=NINE + MINUTE, pager=Quick()) == Drained(sent=3, failed=1, planned_left=2)
    HOOK[0] = lambda message: None
    recorded.clear()
    assert send(warehouse, at=NINE + timedelta(minutes=3), pager=Quick()) == Drained(sent=2)
    assert [message.event for message in recorded] == ["opened", "resolved"]


def test_after_a_group_that_finds_the_channel_down_nothing_more_is_tried(warehouse, recorded):
    plan_many(warehouse, 12)

    def go_down(message: Message) -> None:
        if message.incident_id in ("i4", "i5"):
            raise DeliveryError("busy", is_channel_down=True, retry_after=timedelta(minutes=5 if message.incident_id == "i4" else 20))

    HOOK[0] = go_down
    assert send(warehouse, at=NINE + MINUTE, pager=Quick()) == Drained(sent=5, failed=2, skipped=5, planned_left=7)
    later = [row for row in ledger(warehouse, "incident_id", "error", "wait") if row[1]]
    assert sum("not tried: busy" in error for _, error, _ in later) == 5
    assert min(wait for incident, _, wait in later if incident not in ("i4", "i5")) >= 20, "as long as the longest pause that was asked"


@pytest.mark.soak
def test_after_a_pause_that_the_receiver_asked_for_one_goes_first_again(warehouse, recorded):
    plan_many(warehouse, 7)
    wire = Wire(4)

    def ask_once(message: Message) -> None:
        wire(message)
        if message.incident_id == "i1":
            raise DeliveryError("slower", is_channel_down=True, retry_after=timedelta(seconds=0.1))

    HOOK[0] = ask_once
    assert send(warehouse, at=NINE + MINUTE, pager=Quick()) == Drained(sent=6, failed=1, planned_left=1)
    assert wire.groups == [1, 1, 2, 1, 1, 2, 1]


def test_what_a_killed_process_had_on_the_wire_is_repeated_one_by_one_and_marked(warehouse, recorded):
    plan_many(warehouse, 7)
    arrived = threading.Barrier(4, timeout=20)

    def be_killed(message: Message) -> None:
        if message.incident_id in ("i3", "i4", "i5", "i6"):
            arrived.wait()
            raise KeyboardInterrupt  # out of a thread: nothing is noted, as after a kill

    HOOK[0] = be_killed
    with pytest.raises(KeyboardInterrupt):
        send(warehouse, at=NINE + MINUTE, pager=Quick())
    assert Counter(statuses(warehouse)) == {"planned": 7, "claimed": 7, "sent": 3}
    HOOK[0] = wire = Wire(1)
    recorded.clear()
    drained = send(warehouse, at=NINE + 2 * MINUTE, pager=Quick())
    assert drained.planned_left == 0 and set(wire.groups) == {1}
    repeated = {incident for incident, status, is_repeat in ledger(warehouse, "incident_id", "status", "is_possible_repeat") if is_repeat}
    assert repeated == {message.incident_id for message in recorded} == {"i3", "i4", "i5", "i6"}


def test_an_interrupt_waits_for_the_group_on_the_wire_and_notes_how_it_ended(warehouse, recorded, monkeypatch):
    plan_many(warehouse, 9)
    waiting = threading.Event()
    HOOK[0] = lambda message: waiting.wait(0.3)

    def interrupted(futures):
        waiting.set()
        if len(futures) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr("smartflow_assets.adapters.outbox.wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        send(warehouse, at=NINE + MINUTE, pager=Quick())
    assert Counter(statuses(warehouse)) == {"planned": 9, "claimed": 7, "sent": 7}
    monkeypatch.undo()
    assert send(warehouse, at=NINE + MINUTE, pager=Quick()) == Drained(sent=2)
    assert Counter(message.incident_id for message in recorded) == {f"i{number}": 1 for number in range(9)}


def test_a_slow_hook_has_four_at_once(warehouse):
    for number in range(15):
        plan(warehouse, "hook", incident=f"i{number}")
    most, now, gate = [0], [0], threading.Lock()

    def hear(body: bytes) -> None:
        with gate:
            now[0] += 1
            most[0] = max(most[0], now[0])
        threading.Event().wait(0.1)
        with gate:
            now[0] -= 1

    with hook_server() as server:
        server.heard = hear
        assert send(warehouse, hook=hook(server.port)) == Drained(sent=15)
    assert most[0] == 4 and len(server.posts) == 15
