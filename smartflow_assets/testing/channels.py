"""`check_channel`: what every channel must do, whoever takes its messages.

The author brings a receiver that counts what it took (`ChannelCase`). Retries, the ledger and what a message says belong to the
outbox and to core.incidents.
"""

import time
import traceback
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from smartflow_assets.adapters.channels.base import BaseChannel
from smartflow_assets.core.errors import DeliveryError
from smartflow_assets.core.incidents.messages import Message, bundled, render
from smartflow_assets.testing.promises import broken, check_instance, check_settings, promised, run_all, type_of

GRACE = 2.0
"""Seconds beyond its timeout within which a channel must have given up: to resolve a name, to say goodbye."""
PATIENCE = 5.0
"""Seconds that a receiver may take to count what was sent: a protocol without an answer returns before that."""


@dataclass(frozen=True)
class ChannelCase:
    """A channel whose receiver works, how many messages the receiver has taken by now, and the same channel with a dead one.

    `outbox` is the folder data/outbox that a run would give; `environment` holds the secrets that the channel refers to.
    """

    channel: BaseChannel
    received: Callable[[], int]
    dead: BaseChannel
    outbox: Path
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def who(self) -> str:
        """What messages call the channel."""
        return type_of(self.channel)


def check_channel(
    channel: BaseChannel,
    *,
    received: Callable[[], int],
    dead: BaseChannel,
    outbox: Path,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Run every check of `CHANNEL_CHECKS`; AssertionError says which promise is broken, by which message, and what to do.

    received: how many messages the receiver of `channel` has taken by now; it may need some seconds to count one. dead: a channel
    of the same type whose receiver cannot be reached, with a timeout of a second or so. outbox: a folder such as
    tmp_path / "outbox". environment: the secrets.
    """
    check_instance(channel, BaseChannel, "check_channel")
    case = ChannelCase(channel, received, dead, Path(outbox), environment or {})
    run_all(CHANNEL_CHECKS, case, channel, case.who)


def example_message(key: str = "checked-1", incident_id: str = "ab12") -> Message:
    """A message that somebody is told: an incident is opened."""
    nine = datetime(2026, 3, 4, 9, 35, tzinfo=UTC)
    incident = {
        "incident_id": incident_id,
        "source": "web",
        "series": "requests",
        "severity": "critical",
        "state": "open",
        "cause": "anomaly",
    }
    known = {"value": 1600.0, "lower": 430.0, "upper": 560.0, "metric": "requests"}
    return render(incident | {"opened_at": nine}, "opened", known, idempotency_key=key, happened_at=nine)


def check_channel_settings(case: ChannelCase) -> None:
    """Its settings are a frozen model with a literal type that refuses unknown keys, describes each key and survives JSON."""
    check_settings(case.channel)


def check_a_message_is_delivered_once(case: ChannelCase) -> None:
    """deliver hands one message to the receiver once, and leaves the message as it is."""
    for number in (1, 2):
        before, message = case.received(), example_message(f"checked-{number}")
        facts = deepcopy(message.facts)
        case.channel.deliver(message, environment=case.environment, outbox=case.outbox)
        taken = _taken(case, before)
        none = f"the receiver took no message within {PATIENCE:g} s after deliver returned"
        promised(taken > 0, case.who, none, "Send before deliver returns (flush, close), or let `received` count what came")
        promised(taken == 1, case.who, f"the receiver took {taken} messages for one", "Send once and return; retries belong to the outbox")
        promised(
            message.facts == facts, case.who, "deliver changed message.facts", "Copy before you change: other channels get the same message"
        )


def check_a_bundle_is_delivered_once(case: ChannelCase) -> None:
    """A digest of several incidents is handed to the receiver once, unless the channel says that it takes none."""
    if not case.channel.takes_bundles:
        return
    before, told = case.received(), [example_message("checked-3"), example_message("checked-4", "cd34")]
    digest = bundled("digest", told, idempotency_key="checked-5", happened_at=told[0].happened_at)
    remedy = "Write message.content, text or facts, which a bundle has too, or say takes_bundles = False"
    try:
        case.channel.deliver(digest, environment=case.environment, outbox=case.outbox)
    except Exception as error:
        broken(case.who, f"a digest raised {type(error).__name__}: {error}", remedy, error)
    taken = _taken(case, before)
    promised(taken == 1, case.who, f"the receiver took {taken} messages for one digest", remedy)


def check_a_dead_receiver_is_a_delivery_error(case: ChannelCase) -> None:
    """A receiver that is out of reach is a DeliveryError within the timeout, in one line and without any secret."""
    remedy = 'Pass self.timeout on, and raise DeliveryError("…", where=…, remedy="…") from None'
    began = time.monotonic()
    try:
        case.dead.deliver(example_message(), environment=case.environment, outbox=case.outbox)
    except DeliveryError as error:
        _check_tells_no_secret(case, error)
        promised("\n" not in str(error), case.who, f"the error has several lines: {error}", "Say what is wrong in one line")
    except Exception as error:
        broken(case.who, f"a dead receiver raised {type(error).__name__}: {error}", remedy, error)
    else:
        broken(case.who, "a dead receiver raised nothing, so the message is lost", remedy)
    lasted, allowed = time.monotonic() - began, case.dead.timeout.total_seconds() + GRACE
    promised(
        lasted <= allowed, case.who, f"a dead receiver held the run up for {lasted:.1f} s; its timeout is {allowed - GRACE:g} s", remedy
    )


def check_an_unset_secret_is_named(case: ChannelCase) -> None:
    """A secret that is not in the environment is a DeliveryError that names its variable."""
    for name in case.channel.references:
        environment = {other: value for other, value in case.environment.items() if other != name}
        remedy = "Resolve secrets with resolve(self.secret, environment), in deliver"
        try:
            case.channel.deliver(example_message(), environment=environment, outbox=case.outbox)
        except DeliveryError as error:
            promised(name in str(error), case.who, f"the error of an unset {name} does not name it: {error}", remedy)
        except Exception as error:
            broken(case.who, f"an unset {name} raised {type(error).__name__}: {error}", remedy, error)
        else:
            broken(case.who, f"it delivered although {name} is not set", remedy)


CHANNEL_CHECKS: tuple[Callable[[ChannelCase], None], ...] = (
    check_channel_settings,
    check_a_message_is_delivered_once,
    check_a_bundle_is_delivered_once,
    check_a_dead_receiver_is_a_delivery_error,
    check_an_unset_secret_is_named,
)
"""Every promise of a channel, one function each."""


def _taken(case: ChannelCase, before: int) -> int:
    """How many messages the receiver has taken since `before`. Where the first of them was slow to come, a second may be too."""
    began = time.monotonic()
    while (taken := case.received() - before) == 0 and time.monotonic() - began < PATIENCE:
        time.sleep(0.02)
    time.sleep(min(time.monotonic() - began, 1.0) if taken == 1 else 0)
    return case.received() - before


def _check_tells_no_secret(case: ChannelCase, error: DeliveryError) -> None:
    told = str(error) + repr(error)
    beside = "".join(traceback.format_exception(error))
    for name in case.dead.references:
        value = case.environment.get(name)
        if not value:
            continue
        what = f"the error of a dead receiver holds the value of {name}"
        promised(value not in told, case.who, f"{what} in its text", "Name the host alone")
        remedy = f"Raise it from None: the exception that caused it tells the value of {name} in the logs"
        promised(value not in beside, case.who, f"{what} in its cause", remedy)
