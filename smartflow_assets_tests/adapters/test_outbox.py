"""Draining the outbox: a real warehouse, real servers, processes that die, channels that are down."""

import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import pandas as pd
import pytest

from smartflow_assets.adapters import outbox
from smartflow_assets.adapters.channels import BaseChannel, EmailChannel, FileChannel, WebhookChannel
from smartflow_assets.adapters.message_stories import sent_messages
from smartflow_assets.adapters.outbox import JITTER, LONGEST_UNTRIED, MOST_ATTEMPTS, MOST_PICTURES, DeadLetter, Drained, NoBackground, drain
from smartflow_assets.adapters.send_ledger import BACKOFF
from smartflow_assets.adapters.warehouse.locks import AdvisoryLock
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.adapters.warehouse.writes import Append, Rewrite
from smartflow_assets.core.incidents.alert_planning import SEND_COLUMNS, message_key
from smartflow_assets.core.incidents.alert_policy import AlertPolicy
from smartflow_assets.core.incidents.event_log import EVENT_COLUMNS, fold, row_dicts
from smartflow_assets.core.incidents.messages import Message
from smartflow_assets_tests.core.simulated_source import Source, at
from smartflow_assets_tests.receivers import free_port, hook_server, mail_server

NINE = datetime(2024, 3, 4, 9, 35, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
_SEND_OF = {"opened": "opened", "reopened": "opened", "escalated": "escalated", "resolved": "resolved"}


class Recorder(BaseChannel):
    """A channel of another package: keeps what it is given, after calling `before`."""

    type: Literal["recorder"] = "recorder"

    def deliver(self, message: Message, *, environment: Mapping[str, str], outbox: Path) -> None:
        RECORDED.append(message)
        HOOK[0](message)


RECORDED: list[Message] = []
HOOK = [lambda message: None]


@pytest.fixture(autouse=True)
def recorded() -> list[Message]:
    RECORDED.clear()
    HOOK[0] = lambda message: None
    return RECORDED


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path / "warehouse/smartflow.duckdb", tmp_path / "warehouse/analyst.duckdb")


def plan(
    warehouse: Warehouse,
    *channels: str,
    incident: str = "i1",
    source: str = "web",
    kinds: tuple[str, ...] = ("opened",),
    at: datetime = NINE,
    first: int = 1,
) -> None:
    """An incident with events of these kinds, and a planned message of each for each channel, as a run commits them."""
    events, sends = [], []
    for sequence, kind in enumerate(kinds, first):
        resolved_at = (NINE + 25 * MINUTE).isoformat() if kind == "resolved" else None
        payload = {
            "sequence": sequence,
            "value": 1600.0 + sequence,
            "lower": 430.0,
            "upper": 560.0,
            "opened_at": NINE.isoformat(),
            "resolved_at": resolved_at,
            "again_since": (NINE + 30 * MINUTE).isoformat() if kind == "reopened" else None,
        }
        events.append(
            [
                source,
                f"{incident}-{sequence}",
                incident,
                kind,
                "anomaly",
                "requests",
                "critical",
                pd.Timestamp(at),
                "smartflow",
                [],
                json.dumps(payload),
                "r1",
            ]
        )
        for channel in channels:
            key = message_key(incident, _SEND_OF[kind], channel, sequence)
            sends.append(
                [source, incident, _SEND_OF[kind], channel, 1, "planned", pd.Timestamp(at), pd.Timestamp(at), False, key, None, "r1"]
            )
    log = pd.DataFrame(events, columns=EVENT_COLUMNS)
    known = warehouse.read("SELECT * FROM incident_events WHERE incident_id = ?", [incident])[EVENT_COLUMNS]
    folded = fold(log if known.empty else pd.concat([known, log]))
    warehouse.commit(
        "r1",
        [
            Append("incident_events", log),
            Rewrite("incidents", (incident,), folded),
            Append("alert_sends", pd.DataFrame(sends, columns=SEND_COLUMNS)),
        ],
    )


def send(warehouse: Warehouse, at: datetime = NINE, environment: Mapping[str, str] | None = None, **channels: BaseChannel) -> Drained:
    return drain(
        warehouse,
        channels,
        now=at,
        run_id="r2",
        environment=environment or {},
        outbox_folder=warehouse.path.parent.parent / "outbox",
        patience=timedelta(seconds=20),
    )


def ledger(warehouse: Warehouse, *columns: str) -> list[tuple]:
    rows = warehouse.read("""
        SELECT *, epoch(due_at - happened_at) / 60 AS wait FROM alert_sends
        ORDER BY channel, incident_id, attempt, CASE status WHEN 'planned' THEN 0 WHEN 'claimed' THEN 1 ELSE 2 END
    """)
    return [tuple(row[column] for column in columns) for row in row_dicts(rows)]


def statuses(warehouse: Warehouse) -> list[str]:
    return [status for (status,) in ledger(warehouse, "status")]


def hook(port: int, **settings: object) -> WebhookChannel:
    return WebhookChannel.model_validate({"url": f"http://127.0.0.1:{port}/hook", "timeout": "2s", **settings})


def mail(port: int) -> EmailChannel:
    return EmailChannel.model_validate(
        {"host": "127.0.0.1", "port": port, "security": "none", "sender": "a@example.com", "to": ["b@example.com"], "timeout": "2s"}
    )


def test_planned_message_is_claimed_then_sent_and_never_again(warehouse: Warehouse, recorded: list[Message]) -> None:
    plan(warehouse, "pager")
    assert send(warehouse, pager=Recorder()) == Drained(sent=1)
    assert statuses(warehouse) == ["planned", "claimed", "sent"]
    assert send(warehouse, at=NINE + timedelta(days=9), pager=Recorder()) == Drained()
    assert [message.subject for message in recorded] == ["[critical] web requests: 1,601, usually 430 to 560 (1,041 above)"]


def test_claim_is_committed_before_the_wire_is_touched(warehouse: Warehouse) -> None:
    plan(warehouse, "pager")
    seen: list[list[str]] = []
    HOOK[0] = lambda message: seen.append(statuses(warehouse))
    send(warehouse, pager=Recorder())
    assert seen == [["planned", "claimed"]]


def test_how_one_message_ended_is_written_with_the_claim_of_the_next(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        plan(warehouse, "pager", incident=f"i{number}")
    seen: list[list[tuple]] = []
    HOOK[0] = lambda message: seen.append(ledger(warehouse, "incident_id", "status")[1:])
    commits: list[int] = []
    commit = warehouse.commit
    monkeypatch.setattr(warehouse, "commit", lambda run, writes: commits.append(len(writes)) or commit(run, writes))
    assert send(warehouse, pager=Recorder()) == Drained(sent=3)
    assert len(commits) == 4
    ended = [("i0", "claimed"), ("i0", "sent"), ("i1", "planned"), ("i1", "claimed")]
    assert seen[1] == [*ended, ("i2", "planned")], "whoever dies in the second message repeats that one alone"
    assert statuses(warehouse) == ["planned", "claimed", "sent"] * 3


def test_message_not_due_waits(warehouse: Warehouse) -> None:
    plan(warehouse, "pager", at=NINE + MINUTE)
    assert send(warehouse, pager=Recorder()) == Drained(planned_left=1)
    assert send(warehouse, at=NINE + MINUTE, pager=Recorder()) == Drained(sent=1)


def test_drain_of_one_source_leaves_the_others(warehouse: Warehouse, recorded: list[Message]) -> None:
    plan(warehouse, "pager", incident="i1", source="web")
    plan(warehouse, "pager", incident="i2", source="shop")
    drained = drain(
        warehouse, {"pager": Recorder()}, now=NINE, run_id="r2", environment={}, outbox_folder=Path("unused"), sources=("shop",)
    )
    assert drained == Drained(sent=1)
    assert [message.source for message in recorded] == ["shop"]


def test_each_message_tells_its_own_event(warehouse: Warehouse, recorded: list[Message]) -> None:
    plan(warehouse, "pager", kinds=("opened", "resolved", "reopened", "escalated"))
    send(warehouse, pager=Recorder())
    assert [(message.event, message.facts["value"], message.facts["state"]) for message in recorded] == [
        ("opened", 1601.0, "open"),
        ("resolved", 1602.0, "resolved"),
        ("opened", 1603.0, "open"),
        ("escalated", 1604.0, "open"),
    ]
    assert recorded[1].subject == "[resolved] web requests after 25 min"


def test_dead_webhook_does_not_stop_the_mail_and_gets_its_message_when_it_is_back(warehouse: Warehouse) -> None:
    plan(warehouse, "hook", "mail")
    port = free_port()
    with mail_server() as smtp:
        assert send(warehouse, hook=hook(port), mail=mail(smtp.port)) == Drained(sent=1, failed=1, planned_left=1)
        assert len(smtp.mails) == 1
        [(_, error, wait)] = [row for row in ledger(warehouse, "status", "error", "wait") if row[0] == "failed"]
        assert "cannot be reached" in error and 1 - JITTER <= wait <= 1 + JITTER
        with hook_server(port=port) as server:
            assert send(warehouse, hook=hook(port), mail=mail(smtp.port)) == Drained(planned_left=1)
            assert send(warehouse, at=NINE + 2 * MINUTE, hook=hook(port), mail=mail(smtp.port)) == Drained(sent=1)
            assert send(warehouse, at=NINE + 9 * MINUTE, hook=hook(port), mail=mail(smtp.port)) == Drained()
            assert len(server.posts) == 1
        assert len(smtp.mails) == 1


@pytest.mark.soak
def test_one_spike_that_grows_over_many_runs_is_one_mail_and_one_recovery(warehouse: Warehouse) -> None:
    source = Source(AlertPolicy(to=("mail",), resolve_after=timedelta(minutes=15)))
    with mail_server() as smtp:
        for rows in range(20, 32):
            text = (20 * "." + "cccc" + 8 * ".")[:rows]
            news = source.run(text)
            touched = tuple(news.incidents["incident_id"])
            warehouse.commit(
                f"run{rows}",
                [
                    Append("incident_events", news.events),
                    Append("alert_sends", news.sends),
                    *([Rewrite("incidents", touched, news.incidents)] if touched else []),
                ],
            )
            send(warehouse, at=at(rows), mail=mail(smtp.port))
        send(warehouse, at=at(32) + timedelta(hours=1), mail=mail(smtp.port))  # until then it could have come back
    assert [mail["Subject"] for mail in smtp.mails] == [
        "[critical] web requests: 1,600, usually 430 to 560 (1,040 above)",
        "[resolved] web requests after 20 min",
    ]
    assert len({mail["References"] for mail in smtp.mails}) == 1


def test_what_went_out_is_listed_as_it_was_said(warehouse: Warehouse) -> None:
    plan(warehouse, "pager", "mail", kinds=("opened", "resolved"))
    send(warehouse, pager=Recorder())
    plan(warehouse, "pager", kinds=("reopened",), at=NINE + 40 * MINUTE, first=3)
    send(warehouse, at=NINE + 40 * MINUTE, pager=Recorder())
    assert [(message.happened_at, message.subject) for message in sent_messages(warehouse)] == [
        (NINE, "[critical] web requests: 1,601, usually 430 to 560 (1,041 above)"),
        (NINE, "[resolved] web requests after 25 min"),
        (NINE + 40 * MINUTE, "[critical] web requests again since 10:05 UTC: 1,603, usually 430 to 560 (1,043 above)"),
    ]


class Drawing(NoBackground):
    """Has a picture for each message, but for what is of incident i05."""

    def picture(self, message: Message) -> bytes | None:
        return None if message.incident_id == "i05" else b"picture"


def test_in_a_storm_the_first_messages_have_pictures_and_nobody_waits_for_more(warehouse: Warehouse, tmp_path: Path) -> None:
    for number in range(MOST_PICTURES + 10):
        plan(warehouse, "file", incident=f"i{number:02d}", at=NINE + number * MINUTE)
    drained = drain(
        warehouse,
        {"file": FileChannel()},
        now=NINE + timedelta(hours=2),
        run_id="r2",
        environment={},
        outbox_folder=tmp_path / "outbox",
        background=Drawing(),
    )
    mails = [path.read_bytes() for path in sorted((tmp_path / "outbox").glob("*.eml"))]
    assert drained.sent == len(mails) == MOST_PICTURES + 10
    assert [b"image/png" in mail for mail in mails] == [number != 5 and number <= MOST_PICTURES for number in range(len(mails))]


@pytest.mark.soak
def test_after_one_timeout_the_other_messages_of_the_channel_are_put_off_untried(warehouse: Warehouse) -> None:
    for number in range(4):
        plan(warehouse, "hook", incident=f"i{number}")
    with hook_server() as server:
        server.hangs = True
        assert send(warehouse, hook=hook(server.port, timeout="0.2s")) == Drained(failed=1, skipped=3, planned_left=4)
        assert len(server.posts) == 1
    errors = [error for status, error in ledger(warehouse, "status", "error") if status == "failed"]
    assert [error.startswith("not tried: the receiver did not answer") for error in errors] == [False, True, True, True]
    assert [status for status in statuses(warehouse) if status == "claimed"] == ["claimed"]
    with hook_server(port=server.port) as server:
        assert send(warehouse, at=NINE + 2 * MINUTE, hook=hook(server.port)) == Drained(sent=4)


def test_what_was_not_tried_is_due_with_what_failed_and_has_lost_no_attempt(warehouse: Warehouse) -> None:
    for number in range(3):
        plan(warehouse, "hook", incident=f"i{number}")
    moment = NINE
    with hook_server() as server:
        server.answers = [(503, {})] * (MOST_ATTEMPTS - 1)
        for _ in range(MOST_ATTEMPTS - 1):
            assert send(warehouse, at=moment, hook=hook(server.port)) == Drained(failed=1, skipped=2, planned_left=3)
            newest = ledger(warehouse, "incident_id", "due_at")
            (moment,) = {max(due for incident, due in newest if incident == name and due) for name in ("i0", "i1", "i2")}
        assert send(warehouse, at=moment, hook=hook(server.port)) == Drained(sent=3)
    assert LONGEST_UNTRIED * (1 - JITTER) < moment - NINE < LONGEST_UNTRIED * (1 + JITTER)


def test_what_no_drain_has_tried_for_so_long_is_given_up(warehouse: Warehouse) -> None:
    for number in range(2):
        plan(warehouse, "hook", incident=f"i{number}")
    with hook_server() as server:
        server.answers = [(503, {})] * 2
        assert send(warehouse, hook=hook(server.port)) == Drained(failed=1, skipped=1, planned_left=2)
        drained = send(warehouse, at=NINE + LONGEST_UNTRIED, hook=hook(server.port))
    assert "not tried" in drained.dead_letters[0].error and "Given up after 2 days 10 h." in drained.dead_letters[0].error
    assert drained.failed == 1 and drained.skipped == 1 and drained.planned_left == 1


def test_a_receiver_that_asks_for_short_pauses_gets_all_messages_in_one_drain(warehouse: Warehouse) -> None:
    for number in range(9):
        plan(warehouse, "hook", incident=f"i{number}", at=NINE + number * MINUTE)
    with hook_server() as server:
        server.answers = [(200, {}), (200, {}), (429, {"Retry-After": "0"})] * 3
        assert send(warehouse, at=NINE + 10 * MINUTE, hook=hook(server.port)) == Drained(sent=6, failed=3, planned_left=3)
        assert send(warehouse, at=NINE + 12 * MINUTE, hook=hook(server.port)) == Drained(sent=3)


def test_the_worst_is_told_first_then_what_began_first(warehouse: Warehouse, recorded: list[Message]) -> None:
    for name, severity, hour in (("a", "info", 1), ("b", "warning", 3), ("c", "critical", 2), ("d", "warning", 1), ("e", "critical", 3)):
        plan(warehouse, "pager", incident=name)
        opened_at = NINE - timedelta(hours=hour)
        row = warehouse.read("SELECT * FROM incidents WHERE incident_id = ?", [name]).assign(severity=severity, opened_at=opened_at)
        warehouse.commit("r1", [Rewrite("incidents", [name], row)])
    assert send(warehouse, pager=Recorder()) == Drained(sent=5)
    assert [message.incident_id for message in recorded] == ["e", "c", "b", "d", "a"]


def test_of_one_sending_the_worst_goes_first_whichever_source_planned_it_first(warehouse: Warehouse, recorded: list[Message]) -> None:
    for number, (name, severity) in enumerate((("a", "info"), ("b", "warning"), ("c", "critical"))):
        plan(warehouse, "pager", incident=name, source=name, kinds=("opened", "resolved"), at=NINE + number * MINUTE / 60)
        row = warehouse.read("SELECT * FROM incidents WHERE incident_id = ?", [name]).assign(severity=severity)
        warehouse.commit("r1", [Rewrite("incidents", [name], row)])
    assert send(warehouse, at=NINE + MINUTE, pager=Recorder()) == Drained(sent=6)
    told = [(message.incident_id, message.event) for message in recorded]
    assert told == [(name, event) for name in "cba" for event in ("opened", "resolved")]


def test_what_waited_untried_goes_out_once_its_channel_has_taken_another(warehouse: Warehouse) -> None:
    for number in range(4):
        plan(warehouse, "hook", incident=f"i{number}")
    with hook_server() as server:
        server.answers = [(429, {"Retry-After": "3600"})]
        assert send(warehouse, hook=hook(server.port)) == Drained(failed=1, skipped=3, planned_left=4)
        assert send(warehouse, at=NINE + 5 * MINUTE, hook=hook(server.port)) == Drained(planned_left=4)
        plan(warehouse, "hook", incident="new", at=NINE + 6 * MINUTE)
        assert send(warehouse, at=NINE + 6 * MINUTE, hook=hook(server.port)) == Drained(sent=4, planned_left=1)
        assert len({json.loads(body)["incident_id"] for _, body in server.posts}) == 5
    rows = ledger(warehouse, "incident_id", "status", "attempt")
    assert [row for row in rows if row[0] == "i3"][-1] == ("i3", "sent", 2)


def test_who_has_not_heard_that_it_began_does_not_hear_that_it_is_over(warehouse: Warehouse, recorded: list[Message]) -> None:
    plan(warehouse, "hook", "pager", kinds=("opened", "resolved"))
    with hook_server() as server:
        server.answers = [(404, {})]
        assert send(warehouse, hook=hook(server.port), pager=Recorder()) == Drained(sent=2, failed=1, planned_left=1)
        assert send(warehouse, at=NINE + MINUTE, hook=hook(server.port), pager=Recorder()) == Drained()
        plan(warehouse, "hook", kinds=("reopened", "resolved"), at=NINE + 2 * MINUTE, first=3)
        assert send(warehouse, at=NINE + 2 * MINUTE, hook=hook(server.port)) == Drained(sent=2), "what began again is told, and its end"
        assert [json.loads(body)["event"] for _, body in server.posts] == ["opened", "opened", "resolved"]
    assert [message.event for message in recorded] == ["opened", "resolved"]
    (why,) = {error for status, error in ledger(warehouse, "status", "error") if status == "skipped"}
    assert why == "nobody heard here that it began"


def test_an_end_is_told_where_some_receivers_of_a_mail_have_heard_that_it_began(warehouse: Warehouse) -> None:
    plan(warehouse, "mail", kinds=("opened", "resolved"))
    with mail_server() as server:
        server.refuses = {"bad@example.com": "550 no such user"}
        channel = mail(server.port).model_copy(update={"to": ("good@example.com", "bad@example.com")})
        drained = send(warehouse, mail=channel)
        assert (drained.failed, drained.planned_left) == (1, 1)
        assert drained.dead_letters[0].error.startswith("taken by some: the mail server refused bad@example.com (550")
        send(warehouse, at=NINE + MINUTE, mail=channel)
        assert len(server.mails) == 2


def test_a_slow_channel_holds_up_no_other(warehouse: Warehouse) -> None:
    """The slow receiver answers its first message only once the quick ones have all of theirs."""
    heard, all_there, count = list[str](), threading.Event(), 5
    for number in range(count):
        plan(warehouse, "a_slow", "hook", "pager", incident=f"i{number}", at=NINE + number * MINUTE / 60)

    def note(channel: str) -> None:
        heard.append(channel)
        if heard.count("hook") == heard.count("pager") == count:
            all_there.set()

    with hook_server() as slow, hook_server() as quick, hook_server() as pager:
        servers = {"a_slow": slow, "hook": quick, "pager": pager}
        quick.heard, pager.heard = lambda body: note("hook"), lambda body: note("pager")
        slow.heard = lambda body: (note("a_slow"), all_there.wait(20))
        channels = {name: hook(server.port, timeout="30s") for name, server in servers.items()}
        assert send(warehouse, at=NINE + MINUTE, **channels) == Drained(sent=3 * count)
        told = {name: sorted(json.loads(body)["incident_id"] for _, body in server.posts) for name, server in servers.items()}
    second_of_slow = [place for place, channel in enumerate(heard) if channel == "a_slow"][1]
    assert set(heard[second_of_slow:]) == {"a_slow"}, "the quick ones had all theirs before"
    assert set(map(tuple, told.values())) == {tuple(f"i{number}" for number in range(count))}
    rows = warehouse.read("SELECT channel, idempotency_key, list(status ORDER BY rowid) AS story FROM alert_sends GROUP BY ALL")
    assert len(rows) == 3 * count and all(list(story) == ["planned", "claimed", "sent"] for story in rows["story"])


def test_an_interrupt_on_one_channel_ends_the_others_after_the_message_that_is_on_the_wire(warehouse: Warehouse) -> None:
    for number in range(3):
        plan(warehouse, "hook", "pager", incident=f"i{number}", at=NINE + number * MINUTE / 60)
    on_the_wire, interrupted = threading.Event(), threading.Event()

    def interrupt(message: Message) -> None:
        on_the_wire.wait(20)
        interrupted.set()
        raise KeyboardInterrupt

    def hear(body: bytes) -> None:
        on_the_wire.set()
        interrupted.wait(20)
        with outbox.channel_lock(warehouse, "pager").exclusive(timedelta(seconds=20)):  # the other channel has ended
            pass

    HOOK[0] = interrupt
    with hook_server() as slow:
        slow.heard = hear
        with pytest.raises(KeyboardInterrupt):
            send(warehouse, at=NINE + MINUTE, hook=hook(slow.port, timeout="50s"), pager=Recorder())
        assert len(slow.posts) == 1
    newest = warehouse.read("SELECT channel, list(status ORDER BY rowid) AS story FROM alert_sends GROUP BY channel ORDER BY channel")
    assert [list(story) for story in newest["story"]] == [["planned"] * 3 + ["claimed", "sent"], ["planned"] * 3 + ["claimed"]]
    HOOK[0] = lambda message: None
    assert send(warehouse, at=NINE + 2 * MINUTE, hook=Recorder(), pager=Recorder()) == Drained(sent=5)


def test_a_message_that_kills_its_sender_takes_no_other_with_it(warehouse: Warehouse) -> None:
    plan(warehouse, "a_deadly", "pager")
    both_on_the_wire = threading.Barrier(2, timeout=20)

    def die(message: Message) -> None:  # what a kill leaves: claims without an end
        both_on_the_wire.wait()
        raise KeyboardInterrupt

    class Deadly(Recorder):
        def deliver(self, message: Message, *, environment: Mapping[str, str], outbox: Path) -> None:
            raise KeyboardInterrupt

    HOOK[0] = die
    with pytest.raises(KeyboardInterrupt):
        send(warehouse, a_deadly=Recorder(), pager=Recorder())
    assert sorted(statuses(warehouse)) == ["claimed"] * 2 + ["planned"] * 2
    HOOK[0] = lambda message: None
    for day in range(1, 5):
        with pytest.raises(KeyboardInterrupt):
            send(warehouse, at=NINE + timedelta(days=day), a_deadly=Deadly(), pager=Recorder())
    claims = [channel for channel, status in ledger(warehouse, "channel", "status") if status == "claimed"]
    assert (claims.count("a_deadly"), claims.count("pager")) == (5, 2) and statuses(warehouse)[-1] == "sent"
    assert send(warehouse, at=NINE + timedelta(days=9), a_deadly=Deadly(), pager=Recorder()) == Drained(failed=1)


def test_refusal_of_one_message_does_not_stop_the_next(warehouse: Warehouse) -> None:
    plan(warehouse, "hook", incident="i1")
    plan(warehouse, "hook", incident="i2", at=NINE + MINUTE)
    with hook_server() as server:
        server.answers = [(400, {})]
        assert send(warehouse, at=NINE + MINUTE, hook=hook(server.port)) == Drained(sent=1, failed=1)
        assert send(warehouse, at=NINE + timedelta(days=1), hook=hook(server.port)) == Drained()
    assert statuses(warehouse) == ["planned", "claimed", "failed", "planned", "claimed", "sent"]


def test_receiver_that_asks_to_wait_is_left_alone_so_long(warehouse: Warehouse) -> None:
    plan(warehouse, "hook")
    with hook_server() as server:
        server.answers = [(429, {"Retry-After": "7200"})]
        send(warehouse, hook=hook(server.port))
        assert send(warehouse, at=NINE + 119 * MINUTE, hook=hook(server.port)) == Drained(planned_left=1)
        assert send(warehouse, at=NINE + 120 * (1 + JITTER) * MINUTE, hook=hook(server.port)) == Drained(sent=1)


@pytest.mark.soak
def test_attempts_back_off_and_end(warehouse: Warehouse, recorded: list[Message], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "MOST_ATTEMPTS", 7)
    plan(warehouse, "pager")

    def fail(message: Message) -> None:
        raise RuntimeError("no signal")

    HOOK[0] = fail
    for day in range(8):
        send(warehouse, at=NINE + timedelta(days=day), pager=Recorder())
    failures = [(wait, error) for status, wait, error in ledger(warehouse, "status", "wait", "error") if status == "failed"]
    waits = [wait for wait, _ in failures]
    assert waits[-1] is None
    assert all(abs(wait / told - 1) <= JITTER for wait, told in zip(waits[:-1], [1, 5, 15, 60, 180, 180], strict=True))
    assert failures[-1][1] == "RuntimeError: no signal. Given up after 7 attempts."
    assert len(recorded) == 7


def test_recovery_is_told_after_the_opening_and_waits_for_it(warehouse: Warehouse) -> None:
    plan(warehouse, "hook")
    port = free_port()
    send(warehouse, hook=hook(port))
    plan(warehouse, "hook", kinds=("resolved",), at=NINE + MINUTE / 2, first=2)
    with hook_server(port=port) as server:
        assert send(warehouse, at=NINE + MINUTE / 2, hook=hook(port)) == Drained(planned_left=2)
        assert send(warehouse, at=NINE + 2 * MINUTE, hook=hook(port)) == Drained(sent=2)
        assert [json.loads(body)["event"] for _, body in server.posts] == ["opened", "resolved"]


@pytest.mark.soak
def test_killed_between_claim_and_send_is_repeated_and_marked(warehouse: Warehouse, recorded: list[Message]) -> None:
    plan(warehouse, "pager")
    die_while_sending(warehouse)
    assert statuses(warehouse) == ["planned", "claimed"]
    assert send(warehouse, pager=Recorder()) == Drained(sent=1)
    assert ledger(warehouse, "status", "attempt", "is_possible_repeat") == [
        ("planned", 1, False),
        ("claimed", 1, False),
        ("claimed", 2, True),
        ("sent", 2, True),
    ]
    assert send(warehouse, at=NINE + timedelta(days=1), pager=Recorder()) == Drained()
    assert len(recorded) == 1


def test_after_two_deaths_it_waits_and_is_sent(warehouse: Warehouse, recorded: list[Message]) -> None:
    plan(warehouse, "pager")
    claims_of_the_dead(warehouse, NINE, NINE)
    assert send(warehouse, at=NINE + MINUTE / 2, pager=Recorder()) == Drained(planned_left=1)
    drained = send(warehouse, at=NINE + MINUTE, pager=Recorder())
    assert drained == Drained(sent=1) and drained.reached == {"pager"} and not drained.dead_letters
    assert ledger(warehouse, "status", "attempt", "is_possible_repeat")[-2:] == [("claimed", 3, True), ("sent", 3, True)]
    assert len(recorded) == 1


def test_a_message_that_kills_its_sender_waits_longer_each_time_and_is_given_up_after_five_deaths(
    warehouse: Warehouse, recorded: list[Message]
) -> None:
    plan(warehouse, "pager")
    for moment, later in ((NINE, NINE), (NINE, NINE + MINUTE), (NINE + MINUTE, NINE + 6 * MINUTE), (NINE + 6 * MINUTE, NINE + 21 * MINUTE)):
        claims_of_the_dead(warehouse, moment)
        if later > moment:
            assert send(warehouse, at=later - MINUTE / 60, pager=Recorder()) == Drained(planned_left=1)
    claims_of_the_dead(warehouse, NINE + 21 * MINUTE)
    drained = send(warehouse, at=NINE + 21 * MINUTE, pager=Recorder())
    assert drained == Drained(failed=1)
    assert drained.dead_letters == (DeadLetter("web", "pager", "5 processes died while they sent it: given up."),)
    assert ledger(warehouse, "status", "error")[-1] == ("failed", "5 processes died while they sent it: given up.")
    assert send(warehouse, at=NINE + timedelta(days=9), pager=Recorder()) == Drained() and recorded == []


def test_a_claim_of_a_clock_that_was_fast_holds_nothing_back(warehouse: Warehouse, recorded: list[Message]) -> None:
    plan(warehouse, "pager")
    claims_of_the_dead(warehouse, NINE + 60 * MINUTE, NINE + 60 * MINUTE)
    assert send(warehouse, at=NINE + MINUTE, pager=Recorder()) == Drained(sent=1)


@pytest.mark.soak
def test_claim_of_a_killed_process_stays_marked_through_a_failure(warehouse: Warehouse) -> None:
    plan(warehouse, "pager")
    die_while_sending(warehouse)
    send(warehouse)
    assert send(warehouse, at=NINE + 7 * MINUTE, pager=Recorder()) == Drained(sent=1)
    assert ledger(warehouse, "status", "is_possible_repeat")[-1] == ("sent", True)


def claims_of_the_dead(warehouse: Warehouse, *moments: datetime) -> None:
    """What processes leave that die in the planned message: a claim each, marked from the second on."""
    for moment in moments:
        newest = warehouse.read("SELECT * FROM alert_sends ORDER BY attempt DESC, status LIMIT 1")
        is_first = newest["status"].iloc[0] == "planned"
        claim = newest.assign(
            status="claimed", attempt=newest["attempt"] + (not is_first), happened_at=pd.Timestamp(moment), is_possible_repeat=not is_first
        )
        warehouse.commit("r2", [Append("alert_sends", claim)])


def die_while_sending(warehouse: Warehouse) -> None:
    """Drain in a process that ends without a word in the middle of the delivery."""
    program = """
import os, sys
from pathlib import Path
from smartflow_assets_tests.adapters.test_outbox import HOOK, Recorder, Warehouse, send
HOOK[0] = lambda message: os._exit(9)
send(Warehouse(Path(sys.argv[1]), Path(sys.argv[2])), pager=Recorder())
"""
    command = [sys.executable, "-c", program, str(warehouse.path), str(warehouse.published)]
    ended = subprocess.run(command, cwd=Path(__file__).parents[2], check=False)
    assert ended.returncode == 9


@pytest.mark.soak
def test_two_drains_at_once_send_each_message_once(warehouse: Warehouse, recorded: list[Message]) -> None:
    for number in range(6):
        plan(warehouse, "pager", incident=f"i{number}")
    results: list[Drained] = []
    threads = [threading.Thread(target=lambda: results.append(send(warehouse, pager=Recorder()))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(message.incident_id for message in recorded) == [f"i{number}" for number in range(6)]
    assert sum(result.sent for result in results) == 6
    assert statuses(warehouse).count("claimed") == 6


def test_channel_that_somebody_else_drains_is_left_to_them(warehouse: Warehouse, recorded: list[Message]) -> None:
    plan(warehouse, "pager", "mail")
    with AdvisoryLock(warehouse.path.parent / "locks/outbox-pager.lock").exclusive(MINUTE, "other"):
        drained = drain(
            warehouse,
            {"pager": Recorder(), "mail": Recorder()},
            now=NINE,
            run_id="r2",
            environment={},
            outbox_folder=Path("unused"),
            patience=timedelta(0),
        )
    assert drained == Drained(sent=1, planned_left=1)
    assert len(recorded) == 1


def test_unset_secret_is_said_and_the_message_goes_out_once_it_is_set(warehouse: Warehouse) -> None:
    plan(warehouse, "hook", "files")
    with hook_server() as server:
        channels = {"hook": hook(server.port, secret="${HOOK_SECRET}"), "files": FileChannel()}
        assert send(warehouse, **channels) == Drained(sent=1, skipped=1, planned_left=1)
        assert [error for (error,) in ledger(warehouse, "error") if error] == [
            "not tried: HOOK_SECRET is not set in the environment. Set it where SmartFlow runs, then start that process again."
        ]
        assert send(warehouse, NINE + 2 * MINUTE, {"HOOK_SECRET": "s3cret"}, **channels) == Drained(sent=1)
    assert len(list((warehouse.path.parent.parent / "outbox").iterdir())) == 2


def test_unknown_channel_is_said_and_stops_no_other(warehouse: Warehouse) -> None:
    plan(warehouse, "gone", "pager")
    assert send(warehouse, pager=Recorder()) == Drained(sent=1, skipped=1, planned_left=1)
    assert "not tried: no channel is called gone (data/channels.yaml)." in [error for (error,) in ledger(warehouse, "error")]


def test_secrets_reach_neither_the_ledger_nor_the_log(warehouse: Warehouse, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    plan(warehouse, "pager")

    def leak(message: Message) -> None:
        raise RuntimeError("could not reach https://hooks.example.com/s3cret")

    HOOK[0] = leak

    class Leaky(Recorder):
        url: str = "https://hooks.example.com/${TOKEN}"

    send(warehouse, environment={"TOKEN": "s3cret"}, pager=Leaky())
    [error] = [error for (error,) in ledger(warehouse, "error") if error]
    assert error == "RuntimeError: could not reach https://hooks.example.com/${TOKEN}."
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize("error", [BaseException("no s3cret"), SystemExit("no s3cret"), BaseExceptionGroup("no s3cret", [SystemExit(1)])])
def test_whatever_a_channel_raises_is_a_failed_delivery_without_secrets(warehouse: Warehouse, error: BaseException) -> None:
    plan(warehouse, "bell", "files")

    def leave(message: Message) -> None:
        raise error

    HOOK[0] = leave
    assert send(warehouse, environment={"BELL_TOKEN": "s3cret"}, bell=Recorder(), files=FileChannel()) == Drained(
        sent=1, failed=1, planned_left=1
    )
    [told] = [error for (error,) in ledger(warehouse, "error") if error]
    assert told.startswith(f"{type(error).__name__}: no ${{BELL_TOKEN}}")


def test_an_interrupt_ends_the_drain(warehouse: Warehouse) -> None:
    plan(warehouse, "bell")

    def interrupt(message: Message) -> None:
        raise KeyboardInterrupt

    HOOK[0] = interrupt
    with pytest.raises(KeyboardInterrupt):
        send(warehouse, bell=Recorder())


def test_message_of_a_lost_incident_fails_for_good(warehouse: Warehouse, recorded: list[Message]) -> None:
    plan(warehouse, "pager")
    warehouse.commit("r1", [Rewrite("incidents", ("i1",), warehouse.read("SELECT * FROM incidents WHERE false"))])
    assert send(warehouse, pager=Recorder()) == Drained(failed=1)
    assert recorded == []


def test_backoff_covers_a_weekend() -> None:
    waits = [BACKOFF[min(attempt, len(BACKOFF)) - 1] for attempt in range(1, MOST_ATTEMPTS)]
    assert timedelta(days=2) < sum(waits, timedelta(0)) < timedelta(days=3)
    assert waits == sorted(waits)


def test_drained_reads_as_a_sentence() -> None:
    assert str(Drained(sent=3, planned_left=1)) == "3 sent, 1 left for later"
    assert str(Drained()) == "nothing to send"


def test_nobody_waits_for_a_reader_that_sends_or_waits_to_send(warehouse, tmp_path):
    """A file that is held open for reading is closed before a message goes out, and before the channel's lock is waited for."""
    plan(warehouse, "team")
    other = Warehouse(warehouse.path, warehouse.published, lock_timeout=timedelta(seconds=1))
    HOOK[0] = lambda message: other.commit("other", []) and None
    lock, waiting = AdvisoryLock(warehouse.path.parent / "locks" / "outbox-team.lock"), threading.Event()

    def drained() -> None:
        with warehouse.reading():
            warehouse.read("SELECT 1 AS one")
            waiting.set()
            found.append(
                drain(warehouse, {"team": Recorder()}, now=NINE, run_id="r2", environment={}, outbox_folder=tmp_path, patience=MINUTE)
            )

    found: list[Drained] = []
    with lock.exclusive(timedelta(0)):
        thread = threading.Thread(target=drained)
        thread.start()
        waiting.wait()
        time.sleep(0.1)
        other.commit("other", [])
    thread.join()
    assert found[0].sent == 1 and len(RECORDED) == 1
