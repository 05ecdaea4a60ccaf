"""What channels share that post over HTTP: one attempt within the timeout, TLS, and what an answer means.

2xx means taken. 429 and 5xx may be tried again, when the receiver says if it does; any other refusal is final. Of an address only the
host is ever told, since the rest may be the secret; what a vendor answers to a message that it refuses is told without secrets.
"""

import json
from abc import ABC
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field

from smartflow_assets.adapters.channels.base import BaseChannel
from smartflow_assets.adapters.secret_references import redact_all, resolve, without_parts
from smartflow_assets.adapters.web import host_of, retry_after, trust, without_request_log
from smartflow_assets.core.errors import DeliveryError
from smartflow_assets.core.incidents.shortening import one_line

_RETRYABLE = (408, 425, 429)
_DOWN = (429, 502, 503, 504)  # the receiver as a whole is not serving us now
_MOST_OF_ANSWER = 2000  # bytes
_LONGEST_REASON = 200


class PostingChannel(BaseChannel, ABC):
    """A channel whose receiver takes HTTP."""

    ca_file: Path | None = Field(default=None, description="Certificates to trust instead of the built-in ones.")

    def post_json(
        self, url: str, body: Mapping[str, Any], *, environment: Mapping[str, str], headers: Mapping[str, str] | None = None
    ) -> None:
        """Post a vendor's body to an address that may name variables. DeliveryError with the vendor's reason when it is refused."""
        content = json.dumps(body, ensure_ascii=False).encode(errors="replace")
        told = {"Content-Type": "application/json; charset=utf-8", **(headers or {})}
        self.post(resolve(url, environment), content=content, headers=told, environment=environment, is_reason_told=True)

    def post(
        self,
        url: str,
        *,
        headers: Mapping[str, str],
        environment: Mapping[str, str],
        content: bytes | None = None,
        files: Mapping[str, Any] | None = None,
        accept_redirect_to: Collection[str] = (),
        is_reason_told: bool = False,
        method: str = "POST",
    ) -> None:
        """One attempt at an address without references. DeliveryError that names its host when it was not taken."""
        where = host_of(url)
        if not where:
            raise _invalid_address(where)
        status, answer, said = self._answer(method, url, where, content, files, headers, is_reason_told)
        if status in (302, 303) and host_of(answer.get("Location", "")) in accept_redirect_to:
            return
        if not 200 <= status < 300:
            parts = urlsplit(url)
            said = without_parts(redact_all(self.redact(said, environment), environment), f"{parts.path}?{parts.query}")
            raise _refusal(status, answer, where, one_line(said, _LONGEST_REASON), is_vendor=is_reason_told)

    def _answer(
        self,
        method: str,
        url: str,
        where: str,
        content: bytes | None,
        files: Mapping[str, Any] | None,
        headers: Mapping[str, str],
        is_reason_told: bool,
    ) -> tuple[int, Mapping[str, str], str]:
        import httpx  # 0.2 s to import, and only a process that posts pays for it

        trusted = trust(self.ca_file)
        try:
            with (
                without_request_log(),
                httpx.Client(timeout=self.timeout.total_seconds(), verify=trusted) as client,
                client.stream(method, url, content=content, files=files, headers=headers) as answer,
            ):
                said = _beginning(answer.iter_bytes) if is_reason_told and answer.status_code >= 300 else ""
                return answer.status_code, answer.headers, said
        except httpx.TimeoutException:
            what = f"the receiver did not answer within {self.timeout.total_seconds():g} s"
            raise DeliveryError(what, is_channel_down=True, where=where) from None
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError, ValueError):  # their texts hold values
            raise _invalid_address(where) from None
        except httpx.TransportError as error:
            raise DeliveryError(f"the receiver cannot be reached: {error}", is_channel_down=True, where=where) from None


def _beginning(chunks: Callable[[], Any]) -> str:
    """The first of a body: enough to know the reason, whatever a receiver sends."""
    read = b""
    for chunk in chunks():
        read += chunk
        if len(read) >= _MOST_OF_ANSWER:
            break
    return read[:_MOST_OF_ANSWER].decode(errors="replace")


def _invalid_address(where: str) -> DeliveryError:
    remedy = "Check url and headers, and the variables that they name."
    return DeliveryError("the address or a header is not valid", is_channel_down=True, where=where, remedy=remedy)


def _refusal(status: int, headers: Mapping[str, str], where: str, reason: str, *, is_vendor: bool) -> DeliveryError:
    if 300 <= status < 400:
        host = host_of(headers.get("Location", "")) or where
        remedy = "Correct the address." if is_vendor else "Post to the address it leads to, or name that host in accept_redirect_to."
        return DeliveryError(f"the receiver answered {status}, a redirect to {host}", is_final=True, where=where, remedy=remedy)
    return DeliveryError(
        f"the receiver answered {status}" + (f": {reason}" if reason else ""),
        where=where,
        is_final=400 <= status < 500 and status not in _RETRYABLE,
        is_channel_down=status in _DOWN,
        retry_after=retry_after(headers.get("Retry-After"), datetime.now(UTC)),
    )
