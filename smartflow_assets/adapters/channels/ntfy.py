"""Notifications on phones and desktops, by ntfy.sh or a server of your own, with the chart attached.

Without a picture the message is JSON. With one, the picture is the body and all else travels in headers, in the encoding of mail
headers (RFC 2047), which ntfy reads from version 2.4 on.
"""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote

from pydantic import AfterValidator, Field

from smartflow_assets.adapters.channels.base import Preview
from smartflow_assets.adapters.channels.posting import PostingChannel
from smartflow_assets.adapters.secret_references import Secret, resolve
from smartflow_assets.adapters.web import is_web_address
from smartflow_assets.core.incidents.formats import ntfy
from smartflow_assets.core.incidents.messages import Message


class NtfyChannel(PostingChannel):
    """Send each message as a notification of ntfy."""

    type: Literal["ntfy"] = "ntfy"
    topic: str = Field(min_length=1, description="The topic; ${NAME} where it is the only secret, as on ntfy.sh.", repr=False)
    server: Annotated[str, AfterValidator(is_web_address)] = Field(default="https://ntfy.sh", description="The server.")
    token: Secret | None = Field(default=None, description="An access token, as ${NAME}, for topics that want one.", repr=False)
    picture: bool = Field(default=True, description="Whether the chart of the series comes with it.")

    @property
    def wants_picture(self) -> bool:
        return self.picture

    def deliver(self, message: Message, *, environment: Mapping[str, str], outbox: Path) -> None:
        headers = {} if self.token is None else {"Authorization": f"Bearer {resolve(self.token, environment)}"}
        topic = resolve(self.topic, environment)
        if message.picture is None:
            body = {"topic": topic, **ntfy.render(message.content)}
            self.post_json(self.server, body, environment=environment, headers=headers)
            return
        url = f"{resolve(self.server, environment).rstrip('/')}/{quote(topic, safe='')}"
        headers |= _in_headers(message)
        self.post(url, method="PUT", content=message.picture, headers=headers, environment=environment, is_reason_told=True)

    def preview(self, message: Message) -> Preview:
        body = {"topic": self.topic, **ntfy.render(message.content, is_in_header=message.picture is not None)}
        return Preview.of_json(body, picture=message.picture)


def _in_headers(message: Message) -> dict[str, str]:
    body = ntfy.render(message.content, is_in_header=True)
    headers = {
        "X-Title": _encoded(body["title"]),
        "X-Message": _encoded(body["message"]),
        "X-Priority": str(body["priority"]),
        "X-Tags": ",".join(body["tags"]),
        "X-Filename": "chart.png",
    }
    if "click" in body:
        headers["X-Click"] = quote(body["click"], safe=":/?#[]@!$&'()*+,;=%-._~")
        headers["X-Actions"] = json.dumps(body["actions"])  # in ASCII
    return headers


def _encoded(text: str) -> str:
    return f"=?UTF-8?B?{base64.b64encode(text.encode(errors='replace')).decode()}?="
