"""Messages in a channel of Slack, by an incoming webhook. Its address is the secret."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field

from smartflow_assets.adapters.channels.base import Preview
from smartflow_assets.adapters.channels.posting import PostingChannel
from smartflow_assets.adapters.secret_references import Secret
from smartflow_assets.core.incidents.formats import slack
from smartflow_assets.core.incidents.messages import Message


class SlackChannel(PostingChannel):
    """Post each message to a channel of Slack."""

    type: Literal["slack"] = "slack"
    url: Secret = Field(description="The address of the incoming webhook, as ${NAME}.", repr=False)

    def deliver(self, message: Message, *, environment: Mapping[str, str], outbox: Path) -> None:
        self.post_json(self.url, slack.render(message.content), environment=environment)

    def preview(self, message: Message) -> Preview:
        return Preview.of_json(slack.render(message.content))
