"""Messages as JSON over HTTP, signed: for Zapier, a Google sheet, a chat, an on-call service or a program of your own.

The body is the message's stable facts, or a template that the receiver dictates. A receiver recognises a repeat by
`Idempotency-Key` and us by `X-SmartFlow-Signature` (docs/webhooks.md shows both). 2xx means taken.
"""

import hashlib
import hmac
import json
import ssl
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, JsonValue

from smartflow_assets.adapters.channels.base import BaseChannel
from smartflow_assets.adapters.channels.template import check_template, fill
from smartflow_assets.adapters.secret_references import Secret, resolve
from smartflow_assets.adapters.web import has_no_secret_headers, host_of, is_web_address, retry_after, without_request_log
from smartflow_assets.core.errors import DeliveryError
from smartflow_assets.core.incidents.messages import Message

_RETRYABLE = (408, 425, 429)
_DOWN = (429, 502, 503, 504)  # the receiver as a whole is not serving us now


class WebhookChannel(BaseChannel):
    """Post each message to an address."""

    type: Literal["webhook"] = "webhook"
    url: Annotated[str, AfterValidator(is_web_address)] = Field(
        description="Where to post; ${NAME} when the address itself is a secret.", repr=False
    )
    secret: Secret | None = Field(default=None, description="Key of the HMAC-SHA256 signature, as ${NAME}.", repr=False)
    headers: Annotated[dict[str, str], AfterValidator(has_no_secret_headers)] = Field(
        default_factory=dict, description="Further headers; secrets as ${NAME}.", repr=False
    )
    payload: Annotated[dict[str, JsonValue], AfterValidator(check_template)] | None = Field(
        default=None, description="What to post instead of all facts: texts may hold {subject}, {source}, {value}, … and ${NAME}."
    )
    ca_file: Path | None = Field(default=None, description="Certificates to trust instead of the built-in ones.")
    accept_redirect_to: tuple[str, ...] = Field(
        default=("script.googleusercontent.com",),
        description="Hosts to which a redirect means taken: Google Apps Script answers a post this way. Others are refused.",
    )

    def deliver(self, message: Message, *, environment: Mapping[str, str], outbox: Path) -> None:
        import httpx  # 0.2 s to import, and only a process that posts pays for it

        url = resolve(self.url, environment)
        where = host_of(url)
        if not where:
            raise _invalid_address(where)
        facts = message.facts if self.payload is None else fill(self.payload, message.facts, environment)
        body = json.dumps(facts, ensure_ascii=False).encode()
        headers = {name: resolve(value, environment) for name, value in self.headers.items()}
        headers |= {"Content-Type": "application/json; charset=utf-8", "Idempotency-Key": message.idempotency_key}
        if self.secret is not None:
            headers["X-SmartFlow-Signature"] = sign(body, resolve(self.secret, environment), int(time.time()))
        trust = ssl.create_default_context(cafile=self.ca_file) if self.ca_file else True
        try:
            with (
                without_request_log(),
                httpx.Client(timeout=self.timeout.total_seconds(), verify=trust) as client,
                client.stream("POST", url, content=body, headers=headers) as answer,  # the status is enough: the body is not read
            ):
                status, answer_headers = answer.status_code, answer.headers
        except httpx.TimeoutException:
            what = f"the receiver did not answer within {self.timeout.total_seconds():g} s"
            raise DeliveryError(what, is_channel_down=True, where=where) from None
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError, ValueError):  # their texts hold values
            raise _invalid_address(where) from None
        except httpx.TransportError as error:
            raise DeliveryError(f"the receiver cannot be reached: {error}", is_channel_down=True, where=where) from None
        if status in (302, 303) and host_of(answer_headers.get("Location", "")) in self.accept_redirect_to:
            return
        if not 200 <= status < 300:
            raise _refusal(status, answer_headers, where)


def sign(body: bytes, secret: str, timestamp: int) -> str:
    """`t=<unix seconds>,v1=<hex>`: HMAC-SHA256 of `<unix seconds>.<body>`, so that neither can be changed or replayed late.

    >>> sign(b"{}", "secret", 1700000000)[:24]
    't=1700000000,v1=b8569b78'
    """
    digest = hmac.new(secret.encode(), str(timestamp).encode() + b"." + body, hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={digest}"


def _invalid_address(where: str) -> DeliveryError:
    remedy = "Check url and headers, and the variables that they name."
    return DeliveryError("the address or a header is not valid", is_channel_down=True, where=where, remedy=remedy)


def _refusal(status: int, headers: Mapping[str, str], where: str) -> DeliveryError:
    if 300 <= status < 400:
        host = host_of(headers.get("Location", "")) or where
        return DeliveryError(
            f"the receiver answered {status}, a redirect to {host}",
            is_final=True,
            where=where,
            remedy="Post to the address it leads to, or name that host in accept_redirect_to.",
        )
    return DeliveryError(
        f"the receiver answered {status}",
        where=where,
        is_final=400 <= status < 500 and status not in _RETRYABLE,
        is_channel_down=status in _DOWN,
        retry_after=retry_after(headers.get("Retry-After"), datetime.now(UTC)),
    )
