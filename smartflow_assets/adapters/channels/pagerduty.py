"""Incidents in PagerDuty, by its Events API v2: what opens there triggers, what is over here resolves there."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from smartflow_assets.adapters.channels.base import Preview
from smartflow_assets.adapters.channels.posting import PostingChannel
from smartflow_assets.adapters.secret_references import Secret, resolve
from smartflow_assets.adapters.web import is_web_address
from smartflow_assets.core.incidents.formats import pagerduty
from smartflow_assets.core.incidents.messages import Message


class PagerDutyChannel(PostingChannel):
    """Trigger and resolve incidents of PagerDuty."""

    takes_bundles: ClassVar[bool] = False
    at_once: ClassVar[int] = 4
    type: Literal["pagerduty"] = "pagerduty"
    routing_key: Secret = Field(description="The integration key of the service, as ${NAME}.", repr=False)
    api: Annotated[str, AfterValidator(is_web_address)] = Field(
        default="https://events.pagerduty.com", description="Where PagerDuty is; https://events.eu.pagerduty.com in its European region."
    )

    def deliver(self, message: Message, *, environment: Mapping[str, str], outbox: Path) -> None:
        event = {"routing_key": resolve(self.routing_key, environment), **pagerduty.render(message.content)}
        self.post_json(f"{self.api.rstrip('/')}/v2/enqueue", event, environment=environment)

    def preview(self, message: Message) -> Preview:
        return Preview.of_json({"routing_key": self.routing_key, **pagerduty.render(message.content)})
