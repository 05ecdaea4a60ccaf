"""docs/webhooks.md is run: its channels load and deliver, its verification accepts us and nobody else."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter
from ruamel.yaml import YAML

from smartflow_assets.adapters.channels import Channel, WebhookChannel
from smartflow_assets.adapters.outbox import MOST_ATTEMPTS
from smartflow_assets.adapters.send_ledger import BACKOFF
from smartflow_assets.core.incidents.messages import FACTS
from smartflow_assets_tests.adapters.channels.test_channels import message
from smartflow_assets_tests.receivers import hook_server

GUIDE = (Path(__file__).parents[3] / "docs/webhooks.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)


CHANNELS: dict[str, Any] = {name: values for block in blocks("yaml") for name, values in YAML(typ="safe").load(block).items()}


@pytest.mark.parametrize("name", CHANNELS)
def test_channels_of_the_guide_deliver(name: str) -> None:
    channel = TypeAdapter(Channel).validate_python(CHANNELS[name])
    assert isinstance(channel, WebhookChannel)
    with hook_server() as server:
        environment = dict.fromkeys(channel.references, "s3cret") | {"ZAPIER_HOOK": server.url, "SHEET_HOOK": server.url}
        url = channel.url if channel.url.startswith("$") else server.url
        channel.model_copy(update={"url": url}).deliver(message(), environment=environment, outbox=Path("unused"))
    body = json.loads(server.posts[0][1])
    if name == "zapier":
        assert (body["severity"], body["value"], body["key"]) == ("critical", 1600.0, "k1")
    if name == "sheet":
        assert body["token"] == "s3cret" and body["row"][0] == "k1" and body["row"][6] == 1600.0


def test_verification_of_the_guide_accepts_us_and_refuses_the_rest() -> None:
    namespace: dict[str, Any] = {}
    exec(blocks("python")[0], namespace)
    is_from_smartflow = namespace["is_from_smartflow"]
    with hook_server() as server:
        channel = WebhookChannel(url=server.url, secret="${OPS_SECRET}")
        channel.deliver(message(), environment={"OPS_SECRET": "s3cret"}, outbox=Path("unused"))
    headers, body = server.posts[0]
    signature = headers["X-SmartFlow-Signature"]
    sent_at = int(signature.split(",")[0].removeprefix("t="))
    assert is_from_smartflow(signature, body, "s3cret")
    assert not is_from_smartflow(signature, body + b" ", "s3cret")
    assert not is_from_smartflow(signature, body, "other")
    assert not is_from_smartflow(signature, body, "s3cret", now=sent_at + 301)
    assert not is_from_smartflow("", body, "s3cret")


def test_guide_documents_every_field_and_the_waits() -> None:
    fields = re.findall(r"^\| `(\w+)` \| (.+) \|$", GUIDE, re.MULTILINE)
    assert dict(fields) == FACTS
    *first, last = (int(wait.total_seconds() // 60) for wait in BACKOFF)
    assert f"after {', '.join(map(str, first))} and then every {last} minutes, {MOST_ATTEMPTS} times in all" in GUIDE
