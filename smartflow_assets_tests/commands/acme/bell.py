"""A channel that rings by writing the subject into a file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field

from smartflow_assets.api import BaseChannel, Message


class AcmeBell(BaseChannel):
    """Append the subject of each message to a file beside the outbox."""

    type: Literal["acme_bell"] = "acme_bell"
    file: str = Field(default="bell.txt", description="Name of the file.")

    def deliver(self, message: Message, *, environment: Mapping[str, str], outbox: Path) -> None:
        with (outbox.parent / self.file).open("a") as bell:
            bell.write(f"{message.subject}\n")
