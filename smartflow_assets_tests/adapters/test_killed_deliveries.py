"""A hundred kills while messages are delivered, alone and in bundles, to a real SMTP server and a real HTTP receiver."""

import hashlib
import multiprocessing
import os
import random
import signal
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path

import httpx
import pytest

from smartflow_assets.adapters.channels import BaseChannel
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.core.incidents.event_log import row_dicts
from smartflow_assets_tests.adapters.test_outbox import hook, mail, plan, send
from smartflow_assets_tests.receivers import hook_server, mail_server

pytestmark = [pytest.mark.soak, pytest.mark.integration]
NINE = datetime(2024, 3, 4, 9, 35, tzinfo=UTC)
KILLS = 100
PACES: Mapping[str, dict] = {
    "alone": {},
    "digest": {"digest": {"at": "08:00"}},
    "limited": {"limit": {"messages": 2, "per": "1h"}},
}


def channels(mail_port: int, hook_port: int) -> dict[str, BaseChannel]:
    """Each pace to each receiver."""
    kinds = {"mail": mail(mail_port), "hook": hook(hook_port)}
    return {
        f"{kind}_{pace}": type(one).model_validate(one.model_dump() | keys) for kind, one in kinds.items() for pace, keys in PACES.items()
    }


def deliver(path: Path, ports: tuple[int, int], now: datetime, begun: Connection) -> None:
    """What the process does that is killed."""
    warehouse = Warehouse(path, path.with_name("analyst.duckdb"))
    warehouse.read("SELECT 1")
    httpx.Client().close()  # what a process does for its first message alone would take most of the kills
    begun.send("begun")
    send(warehouse, at=now, **channels(*ports))


def test_a_hundred_kills_lose_nothing_and_mark_what_may_have_come_twice(tmp_path: Path) -> None:
    luck, now, killed, planned = random.Random(13), NINE, 0, 0
    warehouse = Warehouse(tmp_path / "smartflow.duckdb", tmp_path / "analyst.duckdb")
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload([__name__])
    with mail_server() as smtp, hook_server() as hooks:
        ports = smtp.port, hooks.port
        while killed < KILLS:
            now += luck.choice((timedelta(minutes=20), timedelta(hours=9)))
            for _ in range(luck.randrange(1, 3)):
                plan(warehouse, *channels(*ports), incident=f"i{planned}", source=f"s{planned % 3}", at=now - timedelta(minutes=1))
                planned += 1
            warehouse.release()
            ours, theirs = processes.Pipe()
            process = processes.Process(target=deliver, args=(warehouse.path, ports, now, theirs))
            process.start()
            assert ours.recv() == "begun" and process.pid
            process.join(luck.uniform(0, 0.8))
            if process.is_alive():
                os.kill(process.pid, signal.SIGKILL)
                process.join()
                killed += 1
        while send(warehouse, at=now, **channels(*ports)).planned_left:
            now += timedelta(hours=2)

        rows = row_dicts(warehouse.read("SELECT * FROM alert_sends"))
        arrived = Counter(str(letter["Message-ID"]).strip("<>").partition("@")[0] for letter in smtp.mails)
        arrived += Counter(_mail_id(headers["Idempotency-Key"]) for headers, _ in hooks.posts)
    sent = {row["idempotency_key"]: row["sent_with"] or row["idempotency_key"] for row in rows if row["status"] == "sent"}
    bundles = Counter(row["sent_with"] for row in rows if row["status"] == "sent" and row["sent_with"])
    marked = {_mail_id(row["sent_with"] or row["idempotency_key"]) for row in rows if row["is_possible_repeat"]}
    marked_on = {(row["channel"], row["sent_with"] or row["idempotency_key"]) for row in rows if row["is_possible_repeat"]}
    in_doubt = Counter(channel for channel, _ in marked_on)
    lost = [key for key, on_the_wire in sent.items() if _mail_id(on_the_wire) not in arrived]
    twice = {key for key, count in arrived.items() if count > 1}
    print(
        f"{killed} kills, {len(sent)} messages, of them {bundles.total()} in {len(bundles)} bundles: {len(lost)} lost, "
        f"{arrived.total() - len(arrived)} came twice, {len(marked)} marked as possible repeats"
    )
    assert len(sent) == planned * len(PACES) * 2 and not lost
    assert twice <= marked, "what came twice says that it may have"
    assert max(in_doubt.values()) <= killed and len(bundles) > 5, "each kill leaves one in doubt on each channel, at most"
    assert set(arrived) == {_mail_id(key) for key in sent.values()}, "nothing came under another key"


def _mail_id(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:32]
