"""`smartflow channels`: where alerts go, whether a message gets through, and what each would get of an incident."""

import os
import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from smartflow_assets.commands import home, terminal
from smartflow_assets.core.errors import DeliveryError

if TYPE_CHECKING:
    from pathlib import Path

    from smartflow_assets.adapters.channels import BaseChannel, Preview
    from smartflow_assets.adapters.warehouse.warehouse import Warehouse
    from smartflow_assets.config.catalogue import Catalogue
    from smartflow_assets.config.settings import Settings
    from smartflow_assets.core.incidents.event_log import Row

HELP = "Where alerts go: list the channels, send one a test, or look at what each would get of an incident."
LIST_EXAMPLES = """
smartflow channels list
"""
TEST_EXAMPLES = """
smartflow channels test ops_email
"""
PREVIEW_EXAMPLES = """
smartflow channels preview 3f2a90c1
smartflow channels preview 3f2a90c1 --channel slack --event resolved
"""
COLUMNS = ["channel", "type", "sources", "digest, limit", "missing", "last sent", "last failure"]
LONGEST_ERROR = 80  # letters; `smartflow doctor` and marts.alert_log have all of it
_KEPT_OPEN = ("pagerduty", "opsgenie")
_FILE_SAFE = re.compile(r"[^A-Za-z0-9_-]")


class Event(StrEnum):
    """What a message tells of its incident."""

    opened = "opened"
    escalated = "escalated"
    reminder = "reminder"
    resolved = "resolved"


def list_channels() -> None:
    """Each channel with its type, the sources that send to it, its digest (with the time of the next) and rate limit, the environment
    variables that it needs and that are not set here, and when a message last went out or failed.

    Exit code 1 when a channel cannot be used: data/channels.yaml says something wrong of it, or a variable is missing.
    """
    settings = home.open_home()
    from smartflow_assets.config.catalogue import Catalogue
    from smartflow_assets.core.incidents.shortening import one_line
    from smartflow_assets.defs.resources import open_warehouse
    from smartflow_assets.stages.channel_trials import Standing, standings

    catalogue, now = Catalogue.load(settings), datetime.now(UTC)
    known = standings(open_warehouse(settings)) if settings.published_file.exists() else {}
    is_well, rows = True, list[list[str]]()
    for name in sorted({*catalogue.channels, *(name for name in catalogue.channel_errors if not name.endswith(".yaml"))}):
        standing, channel = known.get(name, Standing()), catalogue.channels.get(name)
        missing = channel.missing(os.environ) if channel else []
        users = [source for source in catalogue.names if name in catalogue.alert_policy(source).all_channels]
        is_well &= channel is not None and not (missing and users)
        failure = f"{_time(standing.failed_at)} {one_line(standing.error, LONGEST_ERROR)}" if standing.failed_at else ""
        rows.append(
            [name, _type(channel), _users(users, catalogue), _pace(channel, now), ", ".join(missing), _time(standing.sent_at), failure]
        )
    terminal.table(COLUMNS, rows, styles={"cannot be used": "red"})
    for error in catalogue.channel_errors.values():
        terminal.error(str(error))
        is_well = False
    if not is_well:
        raise typer.Exit(1)


def test_channel(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The channel, as data/channels.yaml calls it.", show_default=False)],
) -> None:
    """Send one real message that says it is a test. It is of no incident, and no row of the outbox. One that is taken ends the incidents
    `delivery:NAME`, of messages that the channel lost. Exit code 1, with the reason, when it was not taken.
    """
    settings = home.open_home()
    from smartflow_assets.config.catalogue import Catalogue
    from smartflow_assets.stages.channel_trials import try_channel

    catalogue = Catalogue.load(settings)
    channel = _channel(name, catalogue)
    if error := try_channel(name, channel, settings, now=datetime.now(UTC), environment=os.environ):
        raise DeliveryError(f"channel {name}: {error.rstrip('.')}")
    terminal.result(f"{name}: the test was taken", "green")
    if _type(channel) in _KEPT_OPEN:
        terminal.note(f"{_type(channel)} keeps it open until somebody closes it there")
    if settings.warehouse_file.exists():
        _end_lost_deliveries(name, settings, catalogue)


def _end_lost_deliveries(name: str, settings: "Settings", catalogue: "Catalogue") -> None:
    from smartflow_assets.adapters.files.access import private
    from smartflow_assets.core.errors import WarehouseBusyError
    from smartflow_assets.defs.resources import open_warehouse
    from smartflow_assets.stages.alerting import end_lost_deliveries

    warehouse, because = open_warehouse(settings), "a test of the channel was taken"
    try:
        with private():
            if end_lost_deliveries(warehouse, catalogue, name, now=datetime.now(UTC), run_id="channels", because=because):
                warehouse.publish("channels", is_forced=True)
    except WarehouseBusyError:
        terminal.note("somebody writes the warehouse: incidents of messages that it lost end with the next message that it takes")


def preview(
    incident: Annotated[
        str,
        typer.Argument(
            metavar="INCIDENT", help="Its id, of which the beginning is enough; `smartflow sql` lists incidents.", show_default=False
        ),
    ],
    channel: Annotated[
        str | None,
        typer.Option("--channel", metavar="NAME", help="Only this channel, whether its source tells it or not.", show_default=False),
    ] = None,
    event: Annotated[
        Event | None,
        typer.Option("--event", help="What to tell. Default: resolved for an incident that is over, else opened.", show_default=False),
    ] = None,
) -> None:
    """Print what each channel of its source would get of an incident; nothing is sent. Mails, cards and charts are written into
    data/reports/previews as well, to be opened.
    """
    settings = home.open_home()
    from smartflow_assets.config.catalogue import Catalogue
    from smartflow_assets.defs.resources import open_warehouse
    from smartflow_assets.stages import channel_trials

    catalogue, warehouse = Catalogue.load(settings), open_warehouse(settings)
    if not warehouse.is_begun():
        raise terminal.UsageError("there is no incident yet", remedy="`smartflow run` looks for some.")
    found = _incident(warehouse, incident)
    told = event.value if event else "resolved" if found["state"] == "resolved" else "opened"
    if channel is not None:
        _channel(channel, catalogue)
    told_of = channel_trials.sources_of(warehouse, found)
    of = dict.fromkeys(name for source in told_of for name in catalogue.alert_policy(source).all_channels)
    names = [channel] if channel else [name for name in of if name in catalogue.channels]
    if not names:
        terminal.note(f"{found['source']} tells no channel: `alerts: {{to: [...]}}` names some, --channel shows any")
    if found["group_id"] not in (None, found["incident_id"]):
        terminal.note(f"it is told with incident {found['group_id']}")
    for name in names:
        shown = channel_trials.preview(warehouse, catalogue, found, told, name, environment=os.environ)
        terminal.result(f"── {name} ({_type(catalogue.channels[name])}) {told}", "bold")
        terminal.result(shown.text.rstrip("\n"))
        for path in _written(shown, settings, f"{found['incident_id']}-{told}-{name}"):
            terminal.result(f"written: {path}")


def _incident(warehouse: "Warehouse", prefix: str) -> "Row":
    """The one incident whose id begins so. UsageError where there is none, or several."""
    from smartflow_assets.stages.channel_trials import incidents_called

    found = incidents_called(warehouse, prefix)
    if len(found) == 1 or (found and found[0]["incident_id"] == prefix):
        return found[0]
    if not found:
        remedy = 'smartflow sql "select incident_id, source, title from incidents order by opened_at desc" lists them.'
        raise terminal.UsageError(f"there is no incident {prefix}", remedy=remedy)
    listed = "; ".join(f"{row['incident_id']} {row['source']} {row['title'] or ''}".strip() for row in found)
    raise terminal.UsageError(f"several incidents begin with {prefix}", remedy=f"They are {listed}.")


def _channel(name: str, catalogue: "Catalogue") -> "BaseChannel":
    """The channel of that name. Why it cannot be used, or UsageError where there is none."""
    from smartflow_assets.config.catalogue import CHANNELS_FILE
    from smartflow_assets.core.nearest_name import did_you_mean

    if name in catalogue.channels:
        return catalogue.channels[name]
    for error in (catalogue.channel_errors.get(name), catalogue.channel_errors.get(CHANNELS_FILE)):
        if error is not None:
            raise error
    remedy = did_you_mean(name, catalogue.channels, f"data/channels.yaml has {', '.join(catalogue.channels)}.")
    raise terminal.UsageError(f"there is no channel {name}", remedy=remedy)


def _written(shown: "Preview", settings: "Settings", name: str) -> "list[Path]":
    from smartflow_assets.adapters.files.access import make_private_folder, private

    folder = settings.reports / "previews"
    paths = [folder / f"{_FILE_SAFE.sub('_', name)}{ending}" for ending in shown.files]
    if paths:
        make_private_folder(folder)
    with private():
        for path, content in zip(paths, shown.files.values(), strict=True):
            path.write_bytes(content)
    return paths


def _type(channel: "BaseChannel | None") -> str:
    return str(getattr(channel, "type", "")) if channel else "cannot be used"


def _pace(channel: "BaseChannel | None", now: datetime) -> str:
    """The digest and the limit of a channel, and when the next digest goes; empty where each message goes at once."""
    if channel is None:
        return ""
    return channel.pace + (f"; next {channel.digest.after(now):%Y-%m-%d %H:%M} UTC" if channel.digest else "")


def _users(users: list[str], catalogue: "Catalogue") -> str:
    return (
        "all"
        if len(users) == len(catalogue.names) > 1
        else ", ".join(users[:5]) + (f" and {len(users) - 5} more" if len(users) > 5 else "")
    )


def _time(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M}" if moment else ""


COMMANDS = (("list", list_channels, LIST_EXAMPLES), ("test", test_channel, TEST_EXAMPLES), ("preview", preview, PREVIEW_EXAMPLES))
