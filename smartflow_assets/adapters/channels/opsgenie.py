"""Alerts in Opsgenie: what opens creates one under the incident's id, what is over closes it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import quote

from pydantic import AfterValidator, Field

from smartflow_assets.adapters.channels.base import Preview
from smartflow_assets.adapters.channels.posting import PostingChannel
from smartflow_assets.adapters.secret_references import Secret, resolve
from smartflow_assets.adapters.web import is_web_address
from smartflow_assets.core.incidents.formats import opsgenie
from smartflow_assets.core.incidents.messages import Message

_VERBS = {"resolved": "close", "acknowledged": "acknowledge"}


class OpsgenieChannel(PostingChannel):
    """Create and close alerts of Opsgenie."""

    takes_bundles: ClassVar[bool] = False
    at_once: ClassVar[int] = 4
    type: Literal["opsgenie"] = "opsgenie"
    api_key: Secret = Field(description="The key of an API integration, as ${NAME}.", repr=False)
    api: Annotated[str, AfterValidator(is_web_address)] = Field(
        default="https://api.opsgenie.com", description="Where Opsgenie is; https://api.eu.opsgenie.com in its European region."
    )

    def deliver(self, message: Message, *, environment: Mapping[str, str], outbox: Path) -> None:
        path, body = _request(message)
        key = {"Authorization": f"GenieKey {resolve(self.api_key, environment)}"}
        self.post_json(f"{self.api.rstrip('/')}{path}", body, environment=environment, headers=key)

    def preview(self, message: Message) -> Preview:
        path, body = _request(message)
        return Preview(f"POST {path}\n{Preview.of_json(body).text}")


def _request(message: Message) -> tuple[str, dict[str, Any]]:
    """Where below the API, and what."""
    verb = _VERBS.get(message.event)
    if verb is None:
        return "/v2/alerts", opsgenie.render(message.content)
    alias = quote(opsgenie.alias(message.content), safe="")
    return f"/v2/alerts/{alias}/{verb}?identifierType=alias", opsgenie.note(message.content)
