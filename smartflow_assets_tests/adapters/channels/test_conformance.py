"""What every channel of the registry must do, whoever takes its messages: a new type is tested by being given a receiver here.

The checks themselves are `smartflow_assets.testing`'s, which authors of plug-ins run as well.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from pydantic import TypeAdapter

from smartflow_assets.adapters.channels import CHANNELS, BaseChannel, Channel
from smartflow_assets.testing import CHANNEL_CHECKS, ChannelCase
from smartflow_assets.testing.channels import example_message
from smartflow_assets_tests.adapters.channels.topics import published
from smartflow_assets_tests.receivers import HookServer, free_port, hook_server, mail_server

TYPES = list(CHANNELS)
SECRETS = {"HOOK_SECRET": "correct horse", "HOOK_PATH": "battery-staple"}
BY_ADDRESS = ("slack", "discord", "teams")
"""Channels whose whole address is the secret."""


def channel(**keys: Any) -> BaseChannel:
    return TypeAdapter(Channel).validate_python({"timeout": "1s"} | keys)


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, ChannelCase]]:
    """One case for each type, with a real receiver on loopback."""
    folder = tmp_path_factory.mktemp("data")
    outbox = folder / "outbox"
    (folder / "a_file").write_text("a file where the folder should be")
    with mock_aws(), mail_server() as mails, hook_server() as hooks:
        mail = {"type": "email", "host": "127.0.0.1", "security": "none", "sender": "a@example.com", "to": ["b@example.com"]}
        hook = {"type": "webhook", "secret": "${HOOK_SECRET}"}
        yield {
            "email": ChannelCase(channel(**mail, port=mails.port), lambda: len(mails.mails), channel(**mail, port=free_port()), outbox),
            "webhook": ChannelCase(
                channel(**hook, url=hooks.url),
                lambda: len(hooks.posts),
                channel(**hook, url=f"http://127.0.0.1:{free_port()}/${{HOOK_PATH}}"),
                outbox,
                SECRETS,
            ),
            "file": ChannelCase(
                channel(type="file"), lambda: len(list(outbox.glob("*.eml"))), channel(type="file", folder="a_file"), outbox
            ),
            **{kind: by_address(kind, hooks, outbox) for kind in BY_ADDRESS},
            "pagerduty": by_key("pagerduty", "routing_key", "api", hooks, outbox),
            "opsgenie": by_key("opsgenie", "api_key", "api", hooks, outbox),
            "ntfy": by_key("ntfy", "topic", "server", hooks, outbox),
            "sns": by_topic(outbox),
            "apprise": by_apprise(hooks, outbox),
        }


def by_address(kind: str, hooks: HookServer, outbox: Path) -> ChannelCase:
    """A channel whose address is the secret; that of the dead one leads nowhere."""
    environment = {"ADDRESS": hooks.url, "DEAD": f"http://127.0.0.1:{free_port()}/battery-staple"}
    return ChannelCase(
        channel(type=kind, url="${ADDRESS}"), lambda: len(hooks.posts), channel(type=kind, url="${DEAD}"), outbox, environment
    )


def by_topic(outbox: Path) -> ChannelCase:
    """A topic of moto, which stands in the place of AWS; the dead one is asked for at an address where nothing is."""
    topic = boto3.client("sns", region_name="eu-central-1").create_topic(Name="alerts")["TopicArn"]
    keys = {"type": "sns", "topic": "${TOPIC}"}
    dead = channel(**keys, endpoint=f"http://127.0.0.1:{free_port()}")
    return ChannelCase(channel(**keys), lambda: len(published(topic)), dead, outbox, {"TOPIC": topic})


def by_apprise(hooks: HookServer, outbox: Path) -> ChannelCase:
    keys = {"ADDRESS": f"json://127.0.0.1:{hooks.port}/hook", "DEAD": f"json://user:battery-staple@127.0.0.1:{free_port()}"}
    return ChannelCase(
        channel(type="apprise", url="${ADDRESS}"),
        lambda: len(hooks.posts),
        channel(type="apprise", url="${DEAD}"),
        outbox,
        keys,
    )


def by_key(kind: str, key: str, host: str, hooks: HookServer, outbox: Path) -> ChannelCase:
    """A channel with a key, whose host is a field."""
    keys = {"type": kind, key: "${KEY}"}
    alive, dead = f"http://127.0.0.1:{hooks.port}", f"http://127.0.0.1:{free_port()}"
    return ChannelCase(
        channel(**keys, **{host: alive}), lambda: len(hooks.posts), channel(**keys, **{host: dead}), outbox, {"KEY": "battery-staple"}
    )


def test_every_channel_has_a_case(cases: dict[str, ChannelCase]) -> None:
    assert list(cases) == TYPES


@pytest.mark.parametrize("check", CHANNEL_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("kind", TYPES)
def test_every_channel_keeps_every_promise(cases: dict[str, ChannelCase], kind: str, check: Callable[[ChannelCase], None]) -> None:
    check(cases[kind])


@pytest.mark.parametrize("kind", TYPES)
def test_every_channel_shows_what_it_would_send_without_any_secret(cases: dict[str, ChannelCase], kind: str) -> None:
    case = cases[kind]
    shown = case.channel.preview(replace(example_message(), picture=b"\x89PNG not a picture"))
    told = shown.text.encode() + b"".join(shown.files.values())
    assert (
        b"1,600" in told and "battery-staple" not in told.decode(errors="replace") and "correct horse" not in told.decode(errors="replace")
    )
