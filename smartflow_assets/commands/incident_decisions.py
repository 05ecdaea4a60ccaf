"""`smartflow incidents ack | resolve | snooze | wake | comment | merge | split`: what people decide, and what becomes of it."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from smartflow_assets.commands import home, terminal
from smartflow_assets.commands.caller import caller
from smartflow_assets.commands.incidents import found, opened, require
from smartflow_assets.core.errors import DecisionError, WarehouseBusyError

if TYPE_CHECKING:
    import pandas as pd

    from smartflow_assets.adapters.warehouse.warehouse import Warehouse
    from smartflow_assets.config.catalogue import Catalogue
    from smartflow_assets.core.incidents.decisions import Decisions, Said

ACK_EXAMPLES = """
smartflow incidents ack 3f2a90c1 --note "the proxy again; on it"
smartflow incidents ack --source shop
"""
RESOLVE_EXAMPLES = """
smartflow incidents resolve 3f2a90c1 --note "the sale of Monday"
smartflow incidents resolve 3f2a90c1 77b0e2d4
"""
SNOOZE_EXAMPLES = """
smartflow incidents snooze 3f2a90c1 2h
smartflow incidents snooze 3f2a90c1 --until 2026-12-01T08:00 --note "the supplier mends it on Tuesday"
"""
WAKE_EXAMPLES = """
smartflow incidents wake 3f2a90c1
"""
COMMENT_EXAMPLES = """
smartflow incidents comment 3f2a90c1 "the supplier has been told"
"""
MERGE_EXAMPLES = """
smartflow incidents merge 3f2a90c1 77b0e2d4 90ab11cd
"""
SPLIT_EXAMPLES = """
smartflow incidents split 77b0e2d4
"""
Ids = Annotated[list[str] | None, typer.Argument(metavar="ID", help="Ids of incidents, or their beginnings.", show_default=False)]
Id = Annotated[str, typer.Argument(metavar="ID", help="Id of an incident, or its beginning.", show_default=False)]
By = Annotated[str, typer.Option("--by", metavar="NAME", help="Who decides. Default: the user who calls.", show_default=False)]
Note = Annotated[str, typer.Option("--note", metavar="TEXT", help="Why; stands in its timeline.", show_default=False)]
OfSource = Annotated[
    str | None, typer.Option("--source", metavar="SOURCE", help="In place of ids: all of a source that are open.", show_default=False)
]


def ack(ids: Ids = None, source: OfSource = None, note: Note = "", by: By = "") -> None:
    """Take incidents on: everybody sees who has them. Told are a worse severity and the end, as ever."""
    warehouse, catalogue, rows = _meant(ids, source, ("open",))
    _decide(warehouse, catalogue, rows, lambda decisions, row: decisions.acknowledge(row["incident_id"], note), by)


def resolve(ids: Ids = None, source: OfSource = None, note: Note = "", by: By = "") -> None:
    """End incidents by hand, with all that people were told of by them. They hear that it is over.

    The same matter going on opens nothing: it comes back when it gets worse, or when it was over and came again.
    """
    from smartflow_assets.stages.decisions import end_of_data

    warehouse, catalogue, rows = _meant(ids, source, ("open", "acknowledged"))
    now = datetime.now(UTC)
    at = {row["incident_id"]: end_of_data(warehouse, catalogue, row["incident_id"], now) for row in rows}
    _decide(warehouse, catalogue, rows, lambda decisions, row: decisions.resolve(row["incident_id"], at[row["incident_id"]], note), by)


def snooze(
    ids: Annotated[
        list[str],
        typer.Argument(metavar="ID… [LENGTH]", help="Ids of incidents, or their beginnings, and for how long: 2h.", show_default=False),
    ],
    until: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="Until when; without a zone, in that of the source.", show_default=False)
    ] = None,
    note: Note = "",
    by: By = "",
) -> None:
    """Hear nothing of incidents for a while, but for their end. What still goes on then is open again; whoever was told before is told so.

    Snoozed again, the later word counts; `smartflow incidents wake` ends it.
    """
    now, named = datetime.now(UTC), ids if until else ids[:-1]
    if not named:
        raise terminal.UsageError("for how long, or of which incident?", remedy="smartflow incidents snooze ID 2h, or --until TIME.")
    if until and (length_too := next((each for each in ids if _is_duration(each)), None)):
        what = f"{length_too} and --until {until} both say for how long"
        raise terminal.UsageError(what, remedy=f"Give one of them: smartflow incidents snooze ID {length_too}, or ID --until {until}.")
    length = None if until else home.duration(ids[-1], "LENGTH")
    if length is not None and length.total_seconds() <= 0:
        raise terminal.UsageError(f"{ids[-1]} is no time to come", remedy="`smartflow incidents wake ID` ends a snooze.")
    warehouse, catalogue, rows = _meant(named, None, ())
    ends = {row["source"]: now + length if length is not None else _until(str(until), catalogue, row["source"], now) for row in rows}
    _decide(warehouse, catalogue, rows, lambda decisions, row: decisions.snooze(row["incident_id"], ends[row["source"]], note), by)


def wake(
    ids: Annotated[list[str], typer.Argument(metavar="ID", help="Ids of incidents, or their beginnings.", show_default=False)], by: By = ""
) -> None:
    """End a snooze before its time: the incident is open again, and whoever was told before is told that it goes on."""
    warehouse, catalogue, rows = _meant(ids, None, ())
    _decide(warehouse, catalogue, rows, lambda decisions, row: decisions.wake(row["incident_id"]), by)


def comment(
    incident: Id, text: Annotated[str, typer.Argument(metavar="TEXT", help="What is to be said.", show_default=False)], by: By = ""
) -> None:
    """Write something into the timeline of an incident; it changes nothing else."""
    if not text.strip():
        raise terminal.UsageError("the comment is empty")
    warehouse, catalogue, rows = _meant([incident], None, ())
    _decide(warehouse, catalogue, rows, lambda decisions, row: decisions.comment(row["incident_id"], text.strip()), by)


def merge(
    incident: Id,
    others: Annotated[list[str], typer.Argument(metavar="OTHER", help="Incidents that are the same matter.", show_default=False)],
    by: By = "",
) -> None:
    """Let people be told of other incidents by this one from now on: it gets worse when one of them does, and is over when all are."""
    warehouse, catalogue, rows = _meant([incident, *others], None, ())
    leader, names = rows[0], [row["incident_id"] for row in rows[1:]]
    if stranger := next((row for row in rows if row["source"] != leader["source"]), None):
        what = f"{leader['incident_id'][:8]} is of {leader['source']} and {stranger['incident_id'][:8]} of {stranger['source']}"
        raise terminal.UsageError(what, remedy="Only incidents of one source are merged.")
    if not names:
        raise terminal.UsageError(f"{leader['incident_id'][:8]} cannot be merged into itself")
    _decide(warehouse, catalogue, rows, lambda decisions, row: decisions.merge(row["incident_id"], names) if row is leader else None, by)


def split(
    ids: Annotated[list[str], typer.Argument(metavar="ID", help="Ids of incidents, or their beginnings.", show_default=False)], by: By = ""
) -> None:
    """Take incidents out of what they are told with: each is told by itself, at once if it is not over."""
    warehouse, catalogue, rows = _meant(ids, None, ())
    _decide(warehouse, catalogue, rows, lambda decisions, row: decisions.split(row["incident_id"]), by)


def _meant(ids: Sequence[str] | None, source: str | None, states: Sequence[str]) -> "tuple[Warehouse, Catalogue, list[dict[str, Any]]]":
    """The incidents that are named, each once, or those of a source in these states. UsageError where it is not said which, or wrongly."""
    from smartflow_assets.stages.incident_views import Wanted, listed

    if bool(ids) == bool(source):
        raise terminal.UsageError("which incidents?", remedy="Give ids, which `smartflow incidents` lists, or --source SOURCE.")
    warehouse, catalogue = opened()
    if ids:
        rows = {row["incident_id"]: row for row in (found(warehouse, start) for start in ids)}
        return require(warehouse), catalogue, list(rows.values())
    names = home.named([str(source)], catalogue)
    own = listed(require(warehouse), Wanted(None, names))
    for row in own:
        if row["source"] not in names:
            terminal.note(f"{row['incident_id'][:8]} is of {source} and of other sources: name it by its id")
    rows = [row for row in own if row["state"] in states and row["source"] in names]
    if not rows:
        terminal.result(f"no incident of {source} is {' or '.join(states)}")
    return require(warehouse), catalogue, rows


def _decide(
    warehouse: "Warehouse",
    catalogue: "Catalogue",
    rows: Sequence[dict[str, Any]],
    what: "Callable[[Decisions, dict[str, Any]], None]",
    by: str,
) -> None:
    """Write the decision down for each source, say what became of it, and publish it."""
    from smartflow_assets.stages.scheduling.appearance import BY_PEOPLE

    by_whom, titles = by.strip() or caller(), {row["incident_id"]: row for row in rows}
    for source in dict.fromkeys(row["source"] for row in rows):
        own = [row for row in rows if row["source"] == source]
        said, sends = _written(warehouse, catalogue, source, own, lambda decisions, own=own: [what(decisions, row) for row in own], by_whom)
        for each in said:
            row = titles.get(each.incident_id, {"source": source, "series": "", "cause": ""})
            terminal.result(f"{each.incident_id[:8]} {row['source']} {row['series'] or row['cause']}".rstrip() + f": {each.text}")
        if any(each.has_changed for each in said):
            terminal.say(_heard(source if source in catalogue.names else None, sends))
    if rows:
        warehouse.publish(BY_PEOPLE, is_forced=True)


def _written(
    warehouse: "Warehouse",
    catalogue: "Catalogue",
    source: str,
    rows: Sequence[dict[str, Any]],
    what: "Callable[[Decisions], Any]",
    by_whom: str,
) -> "tuple[Sequence[Said], pd.DataFrame]":
    from datetime import timedelta

    from smartflow_assets.defs.resources import SOURCE_LOCK_PATIENCE
    from smartflow_assets.stages.decisions import decide

    ids = [row["incident_id"] for row in rows]
    for patience in (timedelta(seconds=1), SOURCE_LOCK_PATIENCE):
        try:
            done = decide(warehouse, catalogue, source, ids, what, by_whom=by_whom, now=datetime.now(UTC), patience=patience)
            return done.said, done.sends
        except WarehouseBusyError:
            if patience is SOURCE_LOCK_PATIENCE:
                raise
            terminal.say(f"{source} is being run; this waits until that has ended")
        except DecisionError as error:
            raise terminal.UsageError(error.what, remedy=error.remedy) from None
    raise AssertionError("the last patience either ends or raises")


def _heard(source: str | None, sends: "pd.DataFrame") -> str:
    """Who hears of it, and when; `source` is None for what no run is of, since its file is gone or it is of several."""
    planned = sends[sends["status"] == "planned"]
    if planned.empty:
        return "nobody is told of that"
    told = [f"{' and '.join(dict.fromkeys(own['event']))} to {channel}" for channel, own in planned.groupby("channel", sort=False)]
    runs = "`smartflow run`" if source is None else f"run of {source}"
    return f"to be told: {', '.join(told)}, by the next {runs}, or within half a minute while `smartflow ui` runs"


def _is_duration(text: str) -> bool:
    """Whether it says a length, which no id does: an id has no unit behind its figures but d, and four signs at least."""
    from smartflow_assets.core.temporal.notation import parse_duration
    from smartflow_assets.stages.incident_views import LEAST_SIGNS

    try:
        parse_duration(text)
    except ValueError:
        return False
    return len(text) < LEAST_SIGNS or not set(text.lower()) <= set("0123456789abcdef")


def _until(text: str, catalogue: "Catalogue", source: str, now: datetime) -> datetime:
    from smartflow_assets.stages.decisions import timezone_of

    try:
        given = datetime.fromisoformat(text.strip())
    except ValueError:
        raise terminal.UsageError(
            f"--until: {text!r} is not a time", remedy="Write it as 2026-12-01T08:00 or 2026-12-01T08:00+01:00."
        ) from None
    moment = given if given.tzinfo else given.replace(tzinfo=ZoneInfo(timezone_of(catalogue, source)))
    if moment <= now:
        raise terminal.UsageError(f"--until {text} is past", remedy="`smartflow incidents wake ID` ends a snooze.")
    return moment


COMMANDS = (
    ("ack", ack, ACK_EXAMPLES),
    ("resolve", resolve, RESOLVE_EXAMPLES),
    ("snooze", snooze, SNOOZE_EXAMPLES),
    ("wake", wake, WAKE_EXAMPLES),
    ("comment", comment, COMMENT_EXAMPLES),
    ("merge", merge, MERGE_EXAMPLES),
    ("split", split, SPLIT_EXAMPLES),
)
