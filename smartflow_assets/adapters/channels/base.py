"""What every channel is: a frozen model of its settings and one verb, `deliver`.

A channel delivers one message once, within its timeout, or raises DeliveryError; it keeps no state and decides nothing.
The outbox decides what is due and handles retries and isolation; core.incidents.messages writes what a message says.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

from pydantic import ConfigDict, Field, model_validator

from smartflow_assets.adapters.secret_references import redact, references
from smartflow_assets.core.declared import Declared
from smartflow_assets.core.incidents.digest import Digest
from smartflow_assets.core.incidents.messages import Message
from smartflow_assets.core.incidents.rate_limit import RateLimit
from smartflow_assets.core.temporal.notation import Duration


@dataclass(frozen=True)
class Preview:
    """What a receiver would get, as people may look at it: a text, and by their endings files that a program opens."""

    text: str
    files: Mapping[str, bytes] = field(default_factory=dict)

    @classmethod
    def of_json(cls, body: Any, *, picture: bytes | None = None) -> "Preview":
        """A body of JSON, and the picture that goes with it."""
        return cls(json.dumps(body, indent=2, ensure_ascii=False), {".png": picture} if picture else {})


class BaseChannel(Declared, ABC):
    """Settings common to all channels."""

    # hide_input: a password that somebody wrote into the file must not come back in the error that refuses it. pydantic heeds
    # the outermost model only, so the model of channels.yaml sets it too.
    model_config = ConfigDict(hide_input_in_errors=True)

    timeout: Duration = Field(
        default=timedelta(seconds=10), gt=timedelta(0), description="How long the receiver may take to connect or answer."
    )

    digest: Digest | None = Field(default=None, description="Send nothing but one message a day or a week, with all that is due.")
    limit: RateLimit | None = Field(default=None, description="How many messages at most; what is more goes together, and later.")

    takes_bundles: ClassVar[bool] = True
    """Whether one message may tell of several incidents; not where the receiver opens and closes each under its id."""

    at_once: ClassVar[int] = 1
    """How many messages of different incidents may be on the wire together; more than one where neither the reader minds their order nor
    the receiver, and where `deliver` may run in several threads."""

    @model_validator(mode="after")
    def _only_what_can_be_told_together_waits(self) -> "BaseChannel":
        wrong = next((name for name in ("digest", "limit") if getattr(self, name) is not None), None)
        if wrong and not self.takes_bundles:
            kind = getattr(self, "type", "this channel")
            raise ValueError(
                f"{kind} opens and closes each incident under its own id, so several cannot be one message: leave `{wrong}` out, or set it "
                "on another channel"
            )
        return self

    @abstractmethod
    def deliver(self, message: Message, *, environment: Mapping[str, str], outbox: Path) -> None:
        """Put the message on the wire once; return when the receiver has taken it, else raise DeliveryError."""

    def preview(self, message: Message) -> Preview:
        """What `deliver` would send, without sending it; secrets stay references."""
        return Preview(message.text)

    @property
    def wants_picture(self) -> bool:
        """Whether messages are to come with a picture, which takes half a second to draw."""
        return False

    @property
    def references(self) -> list[str]:
        """The environment variables that this channel needs."""
        return sorted(set(references(self.model_dump())))

    @property
    def pace(self) -> str:
        """When it sends and how much, in words; empty where each message goes at once."""
        return "; ".join(str(one) for one in (self.digest, self.limit) if one is not None)

    def missing(self, environment: Mapping[str, str]) -> list[str]:
        """Those of them that are unset or empty: what `doctor` shows, and why the outbox does not even try."""
        return [name for name in self.references if not environment.get(name)]

    def redact(self, text: str, environment: Mapping[str, str]) -> str:
        """The text without the values of this channel's secrets."""
        return redact(text, self.references, environment)
