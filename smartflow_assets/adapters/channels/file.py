"""Messages as files: an .eml that mail programs open and a .json that scripts read.

The default channel: it needs no key, no server and no network. Files are written under a temporary name and renamed, and
are named by time, source, event and key, so that a message delivered twice is one file.
"""

import json
import os
from collections.abc import Mapping
from email.message import EmailMessage
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from smartflow_assets.adapters.channels.base import BaseChannel, Preview
from smartflow_assets.adapters.channels.email import compose, mail_preview
from smartflow_assets.adapters.files.access import make_private_folder, private
from smartflow_assets.core.errors import DeliveryError
from smartflow_assets.core.incidents.messages import Message


class FileChannel(BaseChannel):
    """Write each message into a folder, as .eml and as .json."""

    at_once: ClassVar[int] = 4
    type: Literal["file"] = "file"
    folder: Path | None = Field(default=None, description="Where to write, relative to the data folder. Default: data/outbox.")
    picture: bool = Field(default=True, description="Whether the chart of the series comes with it.")

    @property
    def wants_picture(self) -> bool:
        return self.picture

    def preview(self, message: Message) -> Preview:
        return mail_preview(message, _mail(message))

    def deliver(self, message: Message, *, environment: Mapping[str, str], outbox: Path) -> None:
        folder = outbox if self.folder is None else outbox.parent / self.folder
        source = message.source.replace("*", "all")  # what is of no source; a shell would take the star for a pattern
        name = f"{message.happened_at:%Y%m%dT%H%M%SZ}-{source}-{message.event}-{message.file_key}"
        try:
            make_private_folder(folder)
            with private():
                _write(folder / f"{name}.eml", bytes(_mail(message)))
                _write(folder / f"{name}.json", json.dumps(message.facts, indent=2, ensure_ascii=False).encode())
        except OSError as error:
            raise DeliveryError(f"cannot write to {folder}: {error.strerror}", is_channel_down=True) from None


def _mail(message: Message) -> EmailMessage:
    return compose(message, sender="smartflow@localhost", to=("smartflow@localhost",), sent_at=message.happened_at)


def _write(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
