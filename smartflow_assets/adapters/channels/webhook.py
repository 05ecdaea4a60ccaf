"""Messages as JSON over HTTP, signed: for Zapier, a Google sheet, a chat, an on-call service or a program of your own.

The body is the message's stable facts, or a template that the receiver dictates. A receiver recognises a repeat by
`Idempotency-Key` and us by `X-SmartFlow-Signature` (docs/webhooks.md shows both). 2xx means taken.
"""

import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, JsonValue

from smartflow_assets.adapters.channels.base import Preview
from smartflow_assets.adapters.channels.posting import PostingChannel
from smartflow_assets.adapters.channels.template import check_template, fill
from smartflow_assets.adapters.secret_references import Secret, Unresolved, resolve
from smartflow_assets.adapters.web import has_no_secret_fields, has_no_secret_headers, has_no_secret_query, is_no_plain_hook, is_web_address
from smartflow_assets.core.incidents.messages import Message

_OURS = ("idempotency-key", "x-smartflow-signature")


def _leaves_ours(headers: dict[str, str]) -> dict[str, str]:
    if ours := next((name for name in headers if name.lower() in _OURS), None):
        raise ValueError(f"SmartFlow sets the header {ours} itself, anew for each message; leave it out")
    return headers


class WebhookChannel(PostingChannel):
    """Post each message to an address."""

    at_once: ClassVar[int] = 4
    type: Literal["webhook"] = "webhook"
    url: Annotated[str, AfterValidator(is_web_address), AfterValidator(has_no_secret_query), AfterValidator(is_no_plain_hook)] = Field(
        description="Where to post; ${NAME} when the address itself is a secret.", repr=False
    )
    secret: Secret | None = Field(default=None, description="Key of the HMAC-SHA256 signature, as ${NAME}.", repr=False)
    headers: Annotated[dict[str, str], AfterValidator(_leaves_ours), AfterValidator(has_no_secret_headers)] = Field(
        default_factory=dict, description="Further headers; secrets as ${NAME}.", repr=False
    )
    payload: Annotated[dict[str, JsonValue], AfterValidator(check_template), AfterValidator(has_no_secret_fields)] | None = Field(
        default=None,
        description="What to post instead of all facts: texts may hold {subject}, {source}, {value}, … and ${NAME}.",
        repr=False,
    )
    accept_redirect_to: tuple[str, ...] = Field(
        default=("script.googleusercontent.com",),
        description="Hosts to which a redirect means taken: Google Apps Script answers a post this way. Others are refused.",
    )

    def deliver(self, message: Message, *, environment: Mapping[str, str], outbox: Path) -> None:
        url = resolve(self.url, environment)
        headers = {name: resolve(value, environment) for name, value in self.headers.items()}
        headers |= {"Content-Type": "application/json; charset=utf-8", "Idempotency-Key": message.idempotency_key}
        body = self._body(message, environment)
        if self.secret is not None:
            headers["X-SmartFlow-Signature"] = sign(body, resolve(self.secret, environment), int(time.time()))
        self.post(url, content=body, headers=headers, environment=environment, accept_redirect_to=self.accept_redirect_to)

    def preview(self, message: Message) -> Preview:
        return Preview.of_json(message.facts if self.payload is None else fill(self.payload, message.facts, Unresolved()))

    def _body(self, message: Message, environment: Mapping[str, str]) -> bytes:
        facts = message.facts if self.payload is None else fill(self.payload, message.facts, environment)
        return json.dumps(facts, ensure_ascii=False).encode()


def sign(body: bytes, secret: str, timestamp: int) -> str:
    """`t=<unix seconds>,v1=<hex>`: HMAC-SHA256 of `<unix seconds>.<body>`, so that neither can be changed or replayed late.

    >>> sign(b"{}", "secret", 1700000000)[:24]
    't=1700000000,v1=b8569b78'
    """
    digest = hmac.new(secret.encode(), str(timestamp).encode() + b"." + body, hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={digest}"
