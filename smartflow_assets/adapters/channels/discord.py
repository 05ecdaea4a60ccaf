"""Messages in a channel of Discord, by a webhook, with the chart attached. Its address is the secret."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field

from smartflow_assets.adapters.channels.base import Preview
from smartflow_assets.adapters.channels.posting import PostingChannel
from smartflow_assets.adapters.secret_references import Secret, resolve
from smartflow_assets.core.incidents.formats import discord
from smartflow_assets.core.incidents.messages import Message

_PICTURE = "chart.png"


class DiscordChannel(PostingChannel):
    """Post each message to a channel of Discord."""

    type: Literal["discord"] = "discord"
    url: Secret = Field(description="The address of the webhook, as ${NAME}.", repr=False)
    picture: bool = Field(default=True, description="Whether the chart of the series comes with it.")

    @property
    def wants_picture(self) -> bool:
        return self.picture

    def deliver(self, message: Message, *, environment: Mapping[str, str], outbox: Path) -> None:
        if message.picture is None:
            self.post_json(self.url, discord.render(message.content), environment=environment)
            return
        body = json.dumps(discord.render(message.content, picture=_PICTURE), ensure_ascii=False).encode(errors="replace")
        files = {"payload_json": (None, body, "application/json"), "files[0]": (_PICTURE, message.picture, "image/png")}
        self.post(resolve(self.url, environment), files=files, headers={}, environment=environment, is_reason_told=True)

    def preview(self, message: Message) -> Preview:
        body = discord.render(message.content, picture=_PICTURE if message.picture else "")
        return Preview.of_json(body, picture=message.picture)
