"""Messages in a chat or channel of Microsoft Teams: a workflow takes them and posts the card. The workflow's address is the secret."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field

from smartflow_assets.adapters.channels.base import Preview
from smartflow_assets.adapters.channels.posting import PostingChannel
from smartflow_assets.adapters.secret_references import Secret
from smartflow_assets.core.incidents.formats import teams
from smartflow_assets.core.incidents.messages import Message


class TeamsChannel(PostingChannel):
    """Post each message as a card to Microsoft Teams."""

    type: Literal["teams"] = "teams"
    url: Secret = Field(description="The address of the workflow, as ${NAME}.", repr=False)

    def deliver(self, message: Message, *, environment: Mapping[str, str], outbox: Path) -> None:
        self.post_json(self.url, teams.render(message.content), environment=environment)

    def preview(self, message: Message) -> Preview:
        card = json.dumps(teams.render(message.content)["attachments"][0]["content"], indent=2, ensure_ascii=False)
        return Preview(message.text, {".card.json": card.encode(errors="replace")})  # as designers of cards open it
