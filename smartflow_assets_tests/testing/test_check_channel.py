"""check_channel: a channel that keeps its promises passes, and one that breaks a promise hears which, by what, and what to do."""

import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import Field

from smartflow_assets.api import BaseChannel, DeliveryError, Message, Secret, resolve
from smartflow_assets.testing import channels, check_channel


class Bell(BaseChannel):
    """Appends a line to a file; each broken channel below changes one thing."""

    type: Literal["bell"] = "bell"
    file: str = Field(default="bell.txt", description="Name of the file, in the data folder.")
    key: Secret = Field(default="${BELL_KEY}", description="The key of the bell.", repr=False)

    def deliver(self, message: Message, *, environment: Mapping[str, str], outbox: Path) -> None:
        key = resolve(self.key, environment)
        try:
            self.ring(message, key, outbox.parent / self.file)
        except OSError as error:
            raise DeliveryError(f"the bell cannot be rung: {error.strerror}", is_channel_down=True) from None

    def ring(self, message: Message, key: str, path: Path) -> None:
        with path.open("a") as bell:
            bell.write(f"{message.subject}\n")


class Untyped(Bell):
    type: str = "bell"


class Twice(Bell):
    def ring(self, message: Message, key: str, path: Path) -> None:
        super().ring(message, key, path)
        super().ring(message, key, path)


class Scribbler(Bell):
    def ring(self, message: Message, key: str, path: Path) -> None:
        super().ring(message, key, path)
        message.facts["rung"] = True


class Idle(Bell):
    def ring(self, message: Message, key: str, path: Path) -> None:
        if not path.parent.is_dir():
            super().ring(message, key, path)


class Swallower(Bell):
    def ring(self, message: Message, key: str, path: Path) -> None:
        if path.parent.is_dir():
            super().ring(message, key, path)


class Raw(Bell):
    def ring(self, message: Message, key: str, path: Path) -> None:
        if not path.parent.is_dir():
            raise KeyError("bell")
        super().ring(message, key, path)


class Gossip(Bell):
    def ring(self, message: Message, key: str, path: Path) -> None:
        if not path.parent.is_dir():
            raise DeliveryError(f"the bell does not take the key {key}")
        super().ring(message, key, path)


class Chained(Bell):
    def ring(self, message: Message, key: str, path: Path) -> None:
        try:
            super().ring(message, key, path)
        except OSError as error:
            raise DeliveryError("the bell cannot be rung") from ValueError(f"{key}: {error}")


class Patient(Bell):
    def ring(self, message: Message, key: str, path: Path) -> None:
        if not path.parent.is_dir():
            time.sleep(2.3)
        super().ring(message, key, path)


class Keyless(Bell):
    def deliver(self, message: Message, *, environment: Mapping[str, str], outbox: Path) -> None:
        super().deliver(message, environment={"BELL_KEY": "none"} | dict(environment), outbox=outbox)


class Unnamed(Bell):
    def deliver(self, message: Message, *, environment: Mapping[str, str], outbox: Path) -> None:
        super().deliver(message, environment={"BELL_KEY": environment["BELL_KEY"]}, outbox=outbox)


BROKEN: dict[type[Bell], str] = {
    Untyped: "bell: Untyped.type is not a literal whose default is itself",
    Twice: "bell: the receiver took 2 messages for one. Send once and return; retries belong to the outbox.",
    Scribbler: "bell: deliver changed message.facts. Copy before you change: other channels get the same message.",
    Swallower: "bell: a dead receiver raised nothing, so the message is lost. Pass self.timeout on, and raise DeliveryError(",
    Raw: "bell: a dead receiver raised KeyError: 'bell'. Pass self.timeout on, and raise DeliveryError(",
    Gossip: "bell: the error of a dead receiver holds the value of BELL_KEY in its text. Name the host alone.",
    Chained: "bell: the error of a dead receiver holds the value of BELL_KEY in its cause. Raise it from None",
    Idle: "bell: the receiver took no message within 0.2 s after deliver returned. Send before deliver returns",
    Patient: "bell: a dead receiver held the run up for 2.3 s; its timeout is 0.1 s. Pass self.timeout on",
    Keyless: "bell: it delivered although BELL_KEY is not set. Resolve secrets with resolve(self.secret, environment), in deliver.",
    Unnamed: "bell: an unset BELL_KEY raised KeyError: 'BELL_KEY'. Resolve secrets with resolve(self.secret, environment), in deliver.",
}


def rung(folder: Path) -> int:
    return (folder / "bell.txt").read_text().count("\n") if (folder / "bell.txt").exists() else 0


def checked(channel: type[Bell], folder: Path, received: Callable[[], int] | None = None) -> None:
    settings: dict[str, Any] = {"timeout": "0.1s"}
    check_channel(
        channel.model_validate(settings),
        received=received or (lambda: rung(folder)),
        dead=channel.model_validate(settings | {"file": "gone/bell.txt"}),
        outbox=folder / "outbox",
        environment={"BELL_KEY": "correct horse"},
    )


def test_a_channel_that_keeps_its_promises_passes(tmp_path: Path) -> None:
    checked(Bell, tmp_path)


@pytest.mark.parametrize("channel", BROKEN, ids=lambda channel: channel.__name__)
def test_a_broken_promise_is_told_in_a_sentence(channel: type[Bell], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels, "PATIENCE", 0.2)
    with pytest.raises(AssertionError, match=re.escape(BROKEN[channel])):
        checked(channel, tmp_path)


@pytest.mark.parametrize("channel", [Bell, Twice], ids=["once", "twice"])
@pytest.mark.soak
def test_a_receiver_may_take_its_time(channel: type[Bell], tmp_path: Path) -> None:
    seen: list[float] = []

    def received() -> int:
        seen.extend([time.monotonic()] * (rung(tmp_path) - len(seen)))
        return sum(time.monotonic() - first > 0.3 for first in seen)

    if channel is Bell:
        checked(channel, tmp_path, received)
    else:
        with pytest.raises(AssertionError, match="the receiver took 2 messages for one"):
            checked(channel, tmp_path, received)
