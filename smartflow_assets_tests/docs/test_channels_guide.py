"""docs/channels.md and data/channels.yaml show every type of channel, by entries that can be used as they stand."""

import re
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from ruamel.yaml import YAML

from smartflow_assets.adapters.channels import CHANNELS, Channel
from smartflow_assets.core.incidents.alert_policy import AlertPolicy

ROOT = Path(__file__).parents[2]
READ: TypeAdapter[Any] = TypeAdapter(Channel)


def types(text: str) -> set[str]:
    entries = YAML(typ="safe").load(text)
    return {READ.validate_python(entry).type for entry in entries.values()}


def test_the_guide_shows_every_channel() -> None:
    guide = (ROOT / "docs" / "channels.md").read_text()
    blocks = re.findall(r"```yaml\n(.*?)```", guide, re.DOTALL)
    shown = types("\n".join(block for block in blocks if not block.startswith("# data/defaults.yaml")))
    assert shown | {"webhook", "file"} == set(CHANNELS)  # webhooks have a page of their own, and a file needs no entry
    assert all(f"`{name}`" in guide for name in CHANNELS)


def test_the_examples_of_a_home_can_be_used_once_they_are_uncommented() -> None:
    lines = (ROOT / "data" / "channels.yaml").read_text().splitlines()
    entries = [line.removeprefix("# ") for line in lines if re.match(r"# (\w+:( \{.*|$)|  )|\w", line)]
    assert types("\n".join(entries)) == set(CHANNELS)


def test_the_routes_of_the_guide_can_be_used_as_they_stand() -> None:
    [block] = re.findall(r"```yaml\n# data/defaults.yaml\n(.*?)```", (ROOT / "docs" / "channels.md").read_text(), re.DOTALL)
    policy = AlertPolicy.model_validate(YAML(typ="safe").load(block)["alerts"])
    assert policy.all_channels == ("ops_email", "pager", "web_chat", "data_chat")
