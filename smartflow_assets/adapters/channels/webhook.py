"""Messages as JSON over HTTP, signed: for Zapier, a Google sheet, a chat, an on-call service or a program of your own.

The body is the message's stable facts, or a template that the receiver dictates. A receiver recognises a repeat by
`Idempotency-Key` and us by `X-SmartFlow-Signature` (docs/webhooks.md shows both). 2xx means taken.
"""
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, JsonValue

from smartflow_assets.adapters.channels.base import ChannelBase
from smartflow_assets.adapters.channels.environment import REFERENCE, Secret
from smartflow_assets.adapters.channels.template import check_template
from smartflow_assets.core.messages import Message

_SECRET_HEADER = ("auth", "token", "key", "secret", "cookie", "password", "credential")


def _is_web_address(text: str) -> str:
    if REFERENCE.match(text):  # the whole address is the secret, as with Slack and Zapier
        return text
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ValueError("this is not a web address; write https://… or ${NAME}")
    if parts.password and not REFERENCE.fullmatch(parts.password):
        raise ValueError("a secret is never written in a file; write the password in the address as ${NAME}")
    return text


def _has_no_secret_headers(headers: dict[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if any(word in name.lower() for word in _SECRET_HEADER) and not REFERENCE.search(value):
            raise ValueError(f"header {name}: a secret is never written in a file; write ${{NAME}}")
    return headers


class WebhookChannel(ChannelBase):
    """Post each message to an address."""

    type: Literal["webhook"] = "webhook"
    url: Annotated[str, AfterValidator(_is_web_address)] = Field(
        description="Where to post; ${NAME} when the address itself is a secret.", repr=False
    )
    secret: Secret | None = Field(None, description="Key of the HMAC-SHA256 signature, as ${NAME}.", repr=False)
    headers: Annotated[dict[str, str], AfterValidator(_has_no_secret_headers)] = Field(
        default_factory=dict, description="Further headers; secrets as ${NAME}.", repr=False
    )
    payload: Annotated[dict[str, JsonValue], AfterValidator(check_template)] | None = Field(
        None, description="What to post instead of all facts: texts may hold {subject}, {source}, {value}, … and ${NAME}."
    )
    ca_file: Path | None = Field(None, description="Certificates to trust instead of the built-in ones.")
    accept_redirect_to: tuple[str, ...] = Field(
        ("script.googleusercontent.com",),
        description="Hosts to which a redirect means taken: Google Apps Script answers a post this way. Others are refused.",
    )

    def deliver(self, message: Message, *, environment: Mapping[str, str], outbox: Path) -> None:
        raise NotImplementedError


