"""Messages to any of the services that Apprise knows, by its address of them: text messages over Twilio, Telegram, Matrix, Signal, …

Apprise answers only whether it went well, and writes the reason into its log; the last of that is the error, without any part of the
address. It keeps no deadline, so it works in a thread that is left behind: what such a thread still sends may come twice.
"""

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from smartflow_assets.adapters.channels.base import BaseChannel, Preview
from smartflow_assets.adapters.channels.optional_libraries import library
from smartflow_assets.adapters.secret_references import Secret, resolve, without_parts
from smartflow_assets.core.errors import DeliveryError
from smartflow_assets.core.incidents.formats import short
from smartflow_assets.core.incidents.messages import Message
from smartflow_assets.core.incidents.shortening import one_line

_LOG = logging.getLogger("apprise")
_one_at_a_time = threading.Lock()  # what it says of one service must not be taken for what it says of another
_KINDS = {"critical": "failure", "warning": "warning", "info": "info", "resolved": "success"}


class AppriseChannel(BaseChannel):
    """Send each message by Apprise."""

    type: Literal["apprise"] = "apprise"
    url: Secret = Field(
        description="Apprise's address of the service, such as twilio://SID:TOKEN@FROM/TO, as ${NAME}. One: each target is a channel of "
        "its own, or a repeat would reach those twice that had it already.",
        repr=False,
    )
    format: Literal["text", "short"] = Field(default="text", description="The whole text, or one line for at most three text messages.")
    picture: bool = Field(default=True, description="Whether the chart comes with it, where the service takes files and `format` is text.")

    @property
    def wants_picture(self) -> bool:
        return self.picture and self.format == "text"

    def deliver(self, message: Message, *, environment: Mapping[str, str], outbox: Path) -> None:
        url = resolve(self.url, environment)
        apprise = library("apprise", channel="apprise")
        with _one_at_a_time, _log_of_apprise() as said:
            service = apprise.Apprise.instantiate(url, asset=_asset(apprise), suppress_exceptions=True)
            if service is None:
                remedy = f"Correct the variable of {self.url}; github.com/caronc/apprise lists the addresses."
                raise DeliveryError("Apprise does not know this address", is_channel_down=True, remedy=remedy)
            service.socket_connect_timeout = service.socket_read_timeout = self.timeout.total_seconds()
            if self.format == "text" and "overflow=" not in url:
                service.overflow_mode = "truncate"
            is_taken = self._notify(apprise, service, message)
        if not is_taken:
            reason = one_line(without_parts(said[-1], url), 200) if said else "it does not say why"
            raise DeliveryError(f"{service.service_name} did not take it: {reason}", is_channel_down="onnection" in reason)

    def preview(self, message: Message) -> Preview:
        return Preview("\n".join(_title_and_body(message, self.format)), {".png": message.picture} if message.picture else {})

    def _notify(self, apprise: Any, service: Any, message: Message) -> bool:
        title, body = _title_and_body(message, self.format)
        sender, answers = apprise.Apprise(asset=service.asset), list[bool]()
        sender.add(service)
        attached = _attached(message.picture) if message.picture is not None and service.attachment_support else None

        def work() -> None:
            kind = _KINDS[message.content.tone]
            answers.append(bool(sender.notify(body=body, title=title, notify_type=kind, body_format="text", attach=attached)))

        worker = threading.Thread(target=work, daemon=True)
        worker.start()
        worker.join(self.timeout.total_seconds())
        if worker.is_alive():
            what = f"{service.service_name} did not answer within {self.timeout.total_seconds():g} s"
            raise DeliveryError(what, is_channel_down=True)
        return bool(answers) and answers[0]


def _title_and_body(message: Message, format: str) -> tuple[str, str]:
    return ("", short.render(message.content)) if format == "short" else (message.subject, message.text)


def _attached(picture: bytes) -> Any:
    from apprise.attachment.memory import AttachMemory

    return AttachMemory(content=picture, name="chart.png", mimetype="image/png")


def _asset(apprise: Any) -> Any:
    """Without icons, which would be fetched from elsewhere, and without plug-ins that lie around on this machine."""
    return apprise.AppriseAsset(app_id="SmartFlow", app_desc="", app_url="", image_url_mask="", image_url_logo="", async_mode=False)


@contextmanager
def _log_of_apprise() -> Iterator[list[str]]:
    """What Apprise says meanwhile goes nowhere else, since it may hold an address."""
    said = list[str]()

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.levelno >= logging.WARNING:
                said.append(record.getMessage())

    handler, was = Kept(), _LOG.propagate
    _LOG.addHandler(handler)
    _LOG.propagate = False
    try:
        yield said
    finally:
        _LOG.removeHandler(handler)
        _LOG.propagate = was
