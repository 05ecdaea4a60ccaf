"""Digests and rate limits: what goes out together, when, and that nothing is lost by it, with storms against a model of a few lines."""

import json
import random
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.parser import BytesParser
from email.policy import default
from pathlib import Path
from typing import Any, Literal

import pytest

from smartflow_assets.adapters.channels import BaseChannel, FileChannel
from smartflow_assets.adapters.outbox import Drained, drain
from smartflow_assets.adapters.send_ledger import unsent_sources
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.core.errors import DeliveryError
from smartflow_assets.core.incidents.alert_planning import message_key
from smartflow_assets.core.incidents.event_log import row_dicts
from smartflow_assets.core.incidents.messages import Message
from smartflow_assets_tests.adapters.test_outbox import hook, ledger, mail, plan, send
from smartflow_assets_tests.receivers import hook_server, mail_server

EIGHT = datetime(2024, 3, 5, 8, tzinfo=UTC)
NINE = datetime(2024, 3, 4, 9, 35, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
DAILY = {"digest": {"at": "08:00"}}
WEEKLY = {"digest": {"every": "week", "on": "mon", "at": "08:00", "timezone": "Europe/Berlin"}}
THREE = {"limit": {"messages": 3, "per": "1h"}}


class Receiver(BaseChannel):
    """A channel that hands what it is given to `TAKE`."""

    type: Literal["receiver"] = "receiver"

    def deliver(self, message: Message, *, environment: Mapping[str, str], outbox: Path) -> None:
        TAKE[0](message)


TAKE = [lambda message: None]


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path / "warehouse/smartflow.duckdb", tmp_path / "warehouse/analyst.duckdb")


@pytest.fixture
def taken() -> list[Message]:
    taken: list[Message] = []
    TAKE[0] = taken.append
    return taken


def receiver(**settings: Any) -> Receiver:
    return Receiver.model_validate(settings)


def incidents(message: Message) -> list[tuple[str, str]]:
    return [(member["incident_id"], member["standing"]) for member in message.facts["members"]]


def test_a_digest_is_one_message_at_its_time_with_all_that_is_due(warehouse: Warehouse, taken: list[Message]) -> None:
    plan(warehouse, "mail", incident="passed", source="web", kinds=("opened", "resolved"))
    plan(warehouse, "mail", incident="began", source="shop")
    drained = send(warehouse, at=EIGHT - MINUTE, mail=receiver(**DAILY))
    assert (drained, str(drained)) == (Drained(planned_left=3), "3 wait for the digest of 08:00") and taken == []
    plan(warehouse, "mail", incident="later", source="shop", at=EIGHT)
    assert send(warehouse, at=EIGHT + 5 * MINUTE, mail=receiver(**DAILY)) == Drained(sent=3, planned_left=1)
    [digest] = taken
    assert digest.event == digest.facts["event"] == "digest" and digest.facts["source"] == "*"
    assert digest.facts["sources"] == ["shop", "web"]
    assert incidents(digest) == [("began", "began"), ("passed", "came and went")]
    assert digest.happened_at == EIGHT
    assert digest.subject.startswith(
        "[digest] 2 incidents of shop and web: 2 critical; 1 began, 1 came and went. Worst: shop requests: 1,601, "
    )
    assert "critical · web requests: 1,602, usually 430 to 560 (1,042 above); was on from 2024-03-04 09:35 UTC for 25 min" in digest.text
    keys = {key for status, key in ledger(warehouse, "status", "sent_with") if status in ("claimed", "sent")}
    assert keys == {digest.idempotency_key}


def test_the_next_digest_names_what_is_still_on_and_without_news_there_is_none(warehouse: Warehouse, taken: list[Message]) -> None:
    plan(warehouse, "mail", incident="long")
    send(warehouse, at=EIGHT, mail=receiver(**DAILY))
    assert send(warehouse, at=EIGHT + 24 * HOUR, mail=receiver(**DAILY)) == Drained() and len(taken) == 1
    plan(warehouse, "mail", incident="new", source="shop", at=EIGHT + 30 * HOUR)
    send(warehouse, at=EIGHT + 48 * HOUR, mail=receiver(**DAILY))
    assert incidents(taken[1]) == [("new", "began"), ("long", "still on")]
    plan(warehouse, "mail", incident="long", kinds=("resolved",), first=2, at=EIGHT + 50 * HOUR)
    send(warehouse, at=EIGHT + 72 * HOUR, mail=receiver(**DAILY))
    assert incidents(taken[2]) == [("new", "still on"), ("long", "ended")]


def test_one_slot_is_one_digest_even_if_a_slow_run_planned_before_it(warehouse: Warehouse, taken: list[Message]) -> None:
    plan(warehouse, "mail", incident="i1")
    send(warehouse, at=EIGHT, mail=receiver(**DAILY))
    plan(warehouse, "mail", incident="i2", at=EIGHT - MINUTE)
    assert send(warehouse, at=EIGHT + MINUTE, mail=receiver(**DAILY)) == Drained(planned_left=1)
    assert send(warehouse, at=EIGHT + 24 * HOUR, mail=receiver(**DAILY)) == Drained(sent=1)


def test_a_run_of_one_source_sends_the_digest_of_all(warehouse: Warehouse, taken: list[Message]) -> None:
    for source in ("web", "shop"):
        plan(warehouse, "mail", incident=f"of {source}", source=source)
    drain(warehouse, {"mail": receiver(**DAILY)}, now=EIGHT, run_id="r", environment={}, outbox_folder=Path("unused"), sources=["web"])
    assert len(taken) == 1 and len(taken[0].facts["members"]) == 2


def test_what_waits_for_a_digest_is_no_reason_for_a_run(warehouse: Warehouse) -> None:
    plan(warehouse, "mail")
    plan(warehouse, "pager", source="shop", incident="i2")
    channels = {"mail": receiver(**DAILY), "pager": receiver()}
    assert unsent_sources(warehouse, channels, EIGHT - MINUTE) == {"shop"}
    assert unsent_sources(warehouse, channels, EIGHT) == {"shop", "web"}


def test_a_limit_lets_the_first_go_alone_and_the_rest_together(warehouse: Warehouse, taken: list[Message]) -> None:
    for number in range(7):
        plan(warehouse, "mail", incident=f"i{number}", at=NINE + number * MINUTE / 60)
    assert send(warehouse, at=NINE + MINUTE, mail=receiver(**THREE)) == Drained(sent=7)
    assert [message.event for message in taken] == ["opened", "opened", "held_back"]
    assert incidents(taken[2]) == [(f"i{number}", "began") for number in range(2, 7)]
    assert taken[2].content.lines[-2].texts == ("mail sends at most 3 in 1h: more came than it may send",)
    plan(warehouse, "mail", incident="late", at=NINE + 2 * MINUTE)
    plan(warehouse, "mail", incident="later", at=NINE + 3 * MINUTE)
    drained = send(warehouse, at=NINE + 60 * MINUTE, mail=receiver(**THREE))
    assert str(drained) == "2 wait for the limit of mail until 10:36 UTC"
    assert send(warehouse, at=NINE + 61 * MINUTE, mail=receiver(**THREE)) == Drained(sent=2)
    assert incidents(taken[3]) == [("late", "began"), ("later", "began")], "they were held back, so they come together"
    plan(warehouse, "mail", incident="usual", at=NINE + 62 * MINUTE)
    plan(warehouse, "mail", incident="usual too", at=NINE + 62 * MINUTE)
    send(warehouse, at=NINE + 62 * MINUTE, mail=receiver(**THREE))
    assert [message.event for message in taken[4:]] == ["opened", "opened"]


def test_a_bundle_that_died_is_repeated_with_the_same_rows_and_marked(warehouse: Warehouse, taken: list[Message]) -> None:
    def die(message: Message) -> None:
        taken.append(message)
        raise KeyboardInterrupt  # what a kill leaves: claims without an end

    plan(warehouse, "mail", incident="i1")
    plan(warehouse, "mail", incident="i2")
    TAKE[0] = die
    with pytest.raises(KeyboardInterrupt):
        send(warehouse, at=EIGHT, mail=receiver(**DAILY))
    plan(warehouse, "mail", incident="i3", at=EIGHT - MINUTE)
    TAKE[0] = taken.append
    assert send(warehouse, at=EIGHT + MINUTE, mail=receiver(**DAILY)) == Drained(sent=2, planned_left=1)
    assert taken[0].idempotency_key == taken[1].idempotency_key and taken[0].facts == taken[1].facts
    sent = [row for row in ledger(warehouse, "status", "attempt", "is_possible_repeat") if row[0] == "sent"]
    assert sent == [("sent", 2, True)] * 2


def test_a_bundle_that_failed_is_tried_again_as_it_was_and_before_what_came_later(warehouse: Warehouse, taken: list[Message]) -> None:
    def refuse(message: Message) -> None:
        taken.append(message)
        raise DeliveryError("not now", is_channel_down=True)

    plan(warehouse, "mail", incident="i1")
    TAKE[0] = refuse
    send(warehouse, at=EIGHT, mail=receiver(**DAILY))
    plan(warehouse, "mail", incident="i1", kinds=("resolved",), first=2, at=EIGHT + HOUR)
    TAKE[0] = taken.append
    assert send(warehouse, at=EIGHT + 24 * HOUR, mail=receiver(**DAILY)) == Drained(sent=2)
    assert [incidents(message) for message in taken] == [[("i1", "began")], [("i1", "began")], [("i1", "ended")]]
    assert taken[0].idempotency_key == taken[1].idempotency_key != taken[2].idempotency_key


def test_a_digest_reaches_mail_hook_and_files(warehouse: Warehouse) -> None:
    plan(warehouse, "mail", "hook", "files", incident="i1", source="web")
    plan(warehouse, "mail", "hook", "files", incident="i2", source="shop")
    with mail_server() as smtp, hook_server() as hooks:
        channels: dict[str, BaseChannel] = {
            "mail": mail(smtp.port),
            "hook": hook(hooks.port, payload={"text": "{subject}", "of": "{members}", "key": "{incident_id}"}),
            "files": FileChannel(),
        }
        channels = {name: type(one).model_validate(one.model_dump() | DAILY) for name, one in channels.items()}
        assert send(warehouse, at=EIGHT, **channels) == Drained(sent=6)
        [letter], [(headers, body)] = smtp.mails, hooks.posts
    assert letter["Subject"].startswith("[digest] 2 incidents of ")
    assert json.loads(body)["text"] == letter["Subject"] and len(json.loads(body)["of"]) == 2 and json.loads(body)["key"] is None
    eml, facts = sorted((warehouse.path.parent.parent / "outbox").iterdir())
    assert eml.name.startswith("20240305T080000Z-all-digest-") and json.loads(facts.read_text())["member_count"] == 2
    assert BytesParser(policy=default).parsebytes(eml.read_bytes())["Subject"] == letter["Subject"]
    assert len({headers["Idempotency-Key"], *(key for (key,) in ledger(warehouse, "sent_with") if key)}) == 3, "one for each channel"


STORMS: dict[str, dict[str, Any]] = {"digest": DAILY, "weekly": WEEKLY, "limit": THREE, "both": DAILY | THREE, "neither": {}}
Wire = tuple[datetime, Message, str]  # when, what, and what became of it: taken, died after it was taken, refused


@pytest.mark.soak
@pytest.mark.parametrize("name", STORMS)
@pytest.mark.parametrize("seed", range(4))
def test_storm(warehouse: Warehouse, name: str, seed: int) -> None:
    """Each message arrives in one company or is given up, in order, never more than the limit, and digests only at their times."""
    luck, channel = random.Random(f"{name} {seed}"), receiver(**STORMS[name])
    now, wire, planned, place = NINE, list[Wire](), dict[str, int](), dict[str, tuple[str, int]]()

    def take(message: Message) -> None:
        fate = luck.choices(("taken", "died", "refused", "down", "for good"), (60, 12, 12, 10, 1))[0] if is_rough else "taken"
        wire.append((now, message, fate))
        if fate == "died":
            raise KeyboardInterrupt
        if fate != "taken":
            raise DeliveryError("no", is_channel_down=fate == "down", is_final=fate == "for good")

    def drained() -> bool:
        with suppress(KeyboardInterrupt):
            return send(warehouse, at=now, mail=channel).planned_left > 0
        return True

    is_rough, TAKE[0] = True, take
    for _ in range(30 if seed else 12):
        now += luck.choice((0, 1, 3, 7, 20, 45, 240, 900)) * MINUTE
        for _ in range(luck.choice((0, 0, 1, 1, 2, 8))):
            incident = f"i{luck.randrange(12)}"
            planned[incident] = planned.get(incident, 0) + 1
            kind = "opened" if planned[incident] == 1 else "reopened" if planned[incident] % 2 else "resolved"
            key = message_key(incident, "resolved" if kind == "resolved" else "opened", "mail", planned[incident])
            place[key] = incident, planned[incident] - 1
            plan(warehouse, "mail", incident=incident, source=f"of {len(incident)}", kinds=(kind,), first=planned[incident], at=now)
        if luck.random() < 0.7:
            drained()
    is_rough = False
    while drained():
        now += 3 * HOUR if name != "weekly" else 24 * HOUR
        assert now < NINE + timedelta(days=90), "something is never sent"

    rows = row_dicts(warehouse.read("SELECT *, min(happened_at) OVER (PARTITION BY idempotency_key) AS planned_at FROM alert_sends"))
    over = {"sent", "skipped"}
    ends = {row["idempotency_key"]: row for row in rows if row["status"] in over or (row["status"] == "failed" and row["due_at"] is None)}
    assert len({row["idempotency_key"] for row in rows}) == len(ends) == sum(planned.values()), "each is sent or given up"
    untold = {key for key, row in ends.items() if row["status"] == "skipped"}
    for key in untold:
        incident, earlier = place[key]
        before = [ends[other]["status"] for other, (its, number) in place.items() if its == incident and number < earlier]
        assert ends[key]["event"] == "resolved" and set(before) <= {"failed", "skipped"}, "nobody heard that it began"
    company = dict[str, set[tuple[str, ...]]]()
    for claim in {(row["sent_with"] or row["idempotency_key"], row["attempt"]) for row in rows if row["status"] == "claimed"}:
        told = [
            r["idempotency_key"]
            for r in rows
            if r["status"] == "claimed" and (r["sent_with"] or r["idempotency_key"], r["attempt"]) == claim
        ]
        company.setdefault(claim[0], set()).add(tuple(sorted(told)))
    assert {key: each for key, each in company.items() if len(each) > 1} == {}, "the same key is the same messages"
    assert sorted(key for each in company.values() for key in next(iter(each))) == sorted(
        row["idempotency_key"] for row in rows if row["status"] == "planned" and row["idempotency_key"] not in untold
    ), "each in one company"
    assert {message.idempotency_key for _, message, _ in wire} == set(company)

    if channel.limit:
        arrived = [at for at, _, fate in wire if fate in ("taken", "died")]
        per = channel.limit.per
        assert all(sum(at - per < one <= at for one in arrived) <= channel.limit.messages for at in arrived)
    planned_at = {row["idempotency_key"]: row["planned_at"] for row in rows}
    if channel.digest:
        first = dict[str, datetime]()
        for at, message, _ in wire:
            first.setdefault(message.idempotency_key, at)
        slots = [channel.digest.before(at + timedelta(microseconds=1)) for at in first.values()]
        assert len(set(slots)) == len(slots), "one digest for each slot"
        for key, slot in zip(first, slots, strict=True):
            assert all(planned_at[one] < slot for one in next(iter(company[key])))

    done, tried = dict[str, int](), set[str]()
    for _, message, fate in wire:
        told = sorted((place[key] for key in next(iter(company[message.idempotency_key]))), key=lambda one: one[1])
        after = dict(done)
        for incident, number in told:
            if message.idempotency_key in tried:
                assert done.get(incident, 0) <= max(each for one, each in told if one == incident) + 1, (
                    "a repeat comes before what is later"
                )
            else:
                assert after.get(incident, 0) == number, "what is earlier comes first"
            after[incident] = max(after.get(incident, 0), number + 1)
        done = after if fate in ("taken", "died", "for good") else done
        tried.add(message.idempotency_key)
    died = {message.idempotency_key for _, message, fate in wire if fate == "died"}
    marked = {row["sent_with"] or row["idempotency_key"] for row in rows if row["status"] == "claimed" and row["is_possible_repeat"]}
    assert marked <= died and len(died - marked) <= sum(ends[key]["status"] == "failed" for key in ends), (
        "what may have come twice is marked"
    )
