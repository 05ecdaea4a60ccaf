"""`smartflow incidents list | show`: what is wrong, who has it, what was told to whom. What people do is in `incident_decisions`."""

import json
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from smartflow_assets.commands import home, terminal
from smartflow_assets.commands.sql import Format, write

if TYPE_CHECKING:
    from smartflow_assets.adapters.warehouse.warehouse import Warehouse
    from smartflow_assets.config.catalogue import Catalogue
    from smartflow_assets.stages.incident_views import Known

LIST_EXAMPLES = """
smartflow incidents
smartflow incidents list --state all --since 7d --source shop
smartflow incidents list --severity critical --format csv > incidents.csv
"""
SHOW_EXAMPLES = """
smartflow incidents show 3f2a90c1
smartflow incidents show 3f2a90c1 --format json
"""
STYLES = {**terminal.SEVERITY_STYLES, "acknowledged": "cyan", "resolved": "green"}
_KEPT = (  # of an incident, for programs
    "incident_id",
    "source",
    "series",
    "cause",
    "severity",
    "state",
    "opened_at",
    "last_seen_at",
    "resolved_at",
    "resolved_reason",
    "resolved_by",
    "acknowledged_at",
    "acknowledged_by",
    "snoozed_until",
    "suppressed_by",
    "group_id",
    "member_count",
    "title",
    "body",
)


def list_incidents(
    state: Annotated[
        str | None,
        typer.Option(
            "--state",
            metavar="STATE",
            help="open, acknowledged, snoozed, suppressed (nobody was told: it was expected), resolved or all. Default: open and "
            "acknowledged.",
            show_default=False,
        ),
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option("--source", metavar="SOURCE", help="Only of this source; * is what is of none, or of several.", show_default=False),
    ] = None,
    cause: Annotated[
        str, typer.Option("--cause", metavar="CAUSE", help="Only of this cause: anomaly, freshness, …", show_default=False)
    ] = "",
    severity: Annotated[
        str, typer.Option("--severity", metavar="SEVERITY", help="Only info, warning or critical.", show_default=False)
    ] = "",
    members: Annotated[bool, typer.Option("--members", help="Also what people are told of by another one, a line each.")] = False,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="Not over before a time, or so long ago: 7d.", show_default=False)
    ] = None,
    format: Annotated[Format, typer.Option("--format", "-f", help="How to print the rows.")] = Format.table,
) -> None:
    """List what is wrong, worst first. What people are told of together is one line; how many others that are stands in `with it`, and
    --members lists these too.

    Times are in the zone of the source. The beginning of an id, four signs at least, names an incident in the other commands.
    """
    from smartflow_assets.core.severity import SEVERITIES
    from smartflow_assets.stages.incident_views import State, Wanted, listed

    _refuse_stranger("--state", state, get_args(State))
    _refuse_stranger("--severity", severity, SEVERITIES)
    warehouse, catalogue = opened()
    wanted = Wanted(state, _sources(source or (), warehouse, catalogue), cause, severity, _since(since), members)  # pyright: ignore[reportArgumentType]
    rows = listed(warehouse, wanted) if warehouse else []
    if format is not Format.table:
        import pandas as pd

        write(pd.DataFrame([{name: row[name] for name in _KEPT} for row in rows], columns=list(_KEPT)), format)
        return
    if rows:
        columns = ["id", "source", "series", "severity", "state", "since", "lasting", "title", "with it", "owner"]
        terminal.table(columns, [_row(row, _owner(row, warehouse, catalogue), catalogue) for row in rows], right=["with it"], styles=STYLES)
    else:
        terminal.result(_calm(state, wanted.sources))
    if warehouse and state is None:
        for row in listed(warehouse, Wanted("snoozed", wanted.sources)):
            who = f"{row['source']} {row['series'] or row['cause']}"
            terminal.note(f"{who} ({row['incident_id'][:8]}) is {_state(row, catalogue)}")


def _sources(asked: Sequence[str], warehouse: "Warehouse | None", catalogue: "Catalogue") -> list[str]:
    """The sources asked for: also what is of none, and those that have incidents though their file is gone. UsageError for a stranger."""
    from smartflow_assets.core.incidents.watched import OF_NO_SOURCE
    from smartflow_assets.stages.incident_views import sources_with_incidents

    there = {*catalogue.names, OF_NO_SOURCE}
    if warehouse is not None and not there.issuperset(asked):
        there |= sources_with_incidents(warehouse)
    if strangers := [name for name in asked if name not in there]:
        home.named(strangers, catalogue)
    return list(dict.fromkeys(asked))


def show(
    incident: Annotated[str, typer.Argument(metavar="ID", help="Id of an incident, or its beginning.", show_default=False)],
    format: Annotated[Format, typer.Option("--format", "-f", help="table, for people, or json.")] = Format.table,
) -> None:
    """Show one incident: what, where, since when, how bad, who was told what and when, all that happened to it, what is told with it, and
    the SQL that shows its data."""
    from smartflow_assets.stages.decisions import timezone_of
    from smartflow_assets.stages.incident_views import as_json, known
    from smartflow_assets.stages.message_background import MessageBackground

    if format is Format.csv:
        raise terminal.UsageError("an incident is shown as table or json", remedy="`smartflow incidents list --format csv` prints rows.")
    warehouse, catalogue = opened()
    row = found(warehouse, incident)
    beside = MessageBackground(require(warehouse), catalogue, os.environ).facts(row["source"], row["incident_id"])
    each = known(require(warehouse), row, timezone_of(catalogue, row["source"]), datetime.now(UTC), beside)
    if format is Format.json:
        from smartflow_assets.core.json_value import json_value

        owners = {name: each.message.facts[name] for name in ("owner", "owners")}
        terminal.result(json.dumps(json_value(as_json(each) | owners, write_other=str), indent=2, ensure_ascii=False))
    else:
        _show(each, catalogue)


def opened() -> "tuple[Warehouse | None, Catalogue]":
    """The warehouse, None where nothing has run yet, and the sources."""
    settings = home.open_home()
    from smartflow_assets.config.catalogue import Catalogue
    from smartflow_assets.defs.resources import open_warehouse

    warehouse = open_warehouse(settings)
    return (warehouse if warehouse.is_begun() else None), Catalogue.load(settings)


def require(warehouse: "Warehouse | None") -> "Warehouse":
    """The warehouse. UsageError where there is none yet."""
    if warehouse is None:
        raise terminal.UsageError("there is no incident: nothing has run yet", remedy="`smartflow run` watches the sources.")
    return warehouse


def found(warehouse: "Warehouse | None", start: str) -> dict[str, Any]:
    """The incident whose id begins so. UsageError where there is none, or more than one."""
    from smartflow_assets.core.nearest_name import did_you_mean
    from smartflow_assets.stages.incident_views import LEAST_SIGNS, beginning_with

    store = require(warehouse)
    if len(start) < LEAST_SIGNS:
        raise terminal.UsageError(f"{start!r} is too short for an id", remedy=f"Give {LEAST_SIGNS} signs of it at least.")
    rows = beginning_with(store, start.lower())
    if not rows:
        ids = [row["incident_id"][: max(8, len(start))] for row in beginning_with(store, "")]
        remedy = did_you_mean(start, ids, "`smartflow incidents list --state all` shows all that there are.", cutoff=0.5)
        raise terminal.UsageError(f"there is no incident {start}", remedy=remedy)
    if len(rows) > 1:
        listed = "; ".join(f"{row['incident_id'][:12]} {row['source']} {row['series'] or row['cause']}" for row in rows[:5])
        raise terminal.UsageError(f"{len(rows)} incidents begin with {start}", remedy=f"Give more of its id: {listed}.")
    return rows[0]


def _show(each: "Known", catalogue: "Catalogue") -> None:
    from smartflow_assets.stages.incident_views import sql_command, state_of, told_of, unowned

    incident, timezone = each.incident, each.message.content.timezone

    def at(moment: datetime) -> str:
        return _local(moment, timezone)

    terminal.result(each.message.text.rstrip("\n"))
    terminal.result(f"State:          {state_of(incident, at)}")
    if not any(line.label == "Owner" for line in each.message.content.lines) and (nobody := unowned(incident)):
        terminal.result(f"Owner:          {nobody}")
    if incident["group_id"]:
        terminal.result(f"Told with:      {incident['group_id']}")
    terminal.result("\ntold", style="bold")
    if each.sends:
        columns = ["when", "what", "channel", "status", "attempt", "error"]
        sends = [[at(row["happened_at"]), row["event"], *(row[name] for name in columns[2:])] for row in each.sends]
        terminal.table(columns, sends, right=["attempt"])
    else:
        to = catalogue.alert_policy(incident["source"])
        terminal.result(
            f"nobody: {'alerts names no channel' if not to.all_channels else f'it is told from {to.min_severity} on, or with another one'}"
        )
    terminal.result("\ntimeline", style="bold")
    events = list[list[str]]()
    for row, said in told_of(each.events, at):
        first, *more = said.splitlines() or [""]
        when = at(row["happened_at"])
        events += [[when, row["event"], row["by_whom"], row["severity"], first], *(["", "", "", "", line] for line in more)]
    terminal.table(["when", "event", "by", "severity", "note"], events, styles=STYLES)
    if each.members:
        terminal.result("\nwith it", style="bold")
        columns = ["id", "source", "series", "severity", "state", "title"]
        rows = [[row["incident_id"][:8], *(row[name] or row["cause"] for name in columns[1:3]), row["severity"]] for row in each.members]
        states = [[_state(row, catalogue), row["title"]] for row in each.members]
        terminal.table(columns, [[*row, *state] for row, state in zip(rows, states, strict=True)], styles=STYLES)
    terminal.result("\nits data", style="bold")
    terminal.result(sql_command(each.sql))


def _owner(row: Mapping[str, Any], warehouse: "Warehouse | None", catalogue: "Catalogue") -> str | None:
    from smartflow_assets.stages.message_background import MessageBackground

    """Who answers for an incident; of a group over sources the owner of the likely root."""
    if warehouse is None or row["source"] in catalogue.sources:
        return catalogue.sources[row["source"]].owner
    return MessageBackground(warehouse, catalogue, {}).facts(row["source"], row["incident_id"])["owner"]


def _row(row: Mapping[str, Any], owner: str | None, catalogue: "Catalogue") -> Sequence[object]:
    from smartflow_assets.core.text_format import lasting
    from smartflow_assets.stages.incident_views import lasting_of

    return [
        row["incident_id"][:8],
        row["source"],
        row["series"] or row["cause"],
        row["severity"],
        _state(row, catalogue),
        _at(row["opened_at"], row, catalogue),
        lasting(lasting_of(dict(row), datetime.now(UTC))),
        row["title"],
        f"told by {row['group_id'][:8]}" if row["is_member"] else row["member_count"] or "",
        owner,
    ]


def _state(row: Mapping[str, Any], catalogue: "Catalogue") -> str:
    from smartflow_assets.stages.incident_views import state_of

    return state_of(row, lambda moment: _at(moment, row, catalogue))


def _at(moment: datetime, row: Mapping[str, Any], catalogue: "Catalogue") -> str:
    from smartflow_assets.stages.decisions import timezone_of

    return _local(moment, timezone_of(catalogue, row["source"]))


def _local(moment: datetime, timezone: str) -> str:
    import pandas as pd

    from smartflow_assets.core.text_format import zone

    local = pd.Timestamp(moment).tz_convert(timezone)
    return f"{local:%Y-%m-%d %H:%M} {zone(local)}"


def _calm(state: str | None, sources: Sequence[str]) -> str:
    of = f" of {', '.join(sources)}" if sources else ""
    return f"nothing is wrong{of}: no incident is open" if state is None else f"no incident{of} is {'there' if state == 'all' else state}"


def _since(text: str | None) -> datetime | None:
    from smartflow_assets.core.temporal.notation import parse_duration

    try:
        return None if text is None else datetime.now(UTC) - parse_duration(text)
    except ValueError:
        return home.moment(text, "--since")


def _refuse_stranger(option: str, given: str | None, known: Sequence[str]) -> None:
    from smartflow_assets.core.nearest_name import did_you_mean

    if given and given not in known:
        raise terminal.UsageError(
            f"{option} {given}: there is no such word", remedy=did_you_mean(given, known, f"There are {', '.join(known)}.")
        )


HELP = "What is wrong, and what people do about it. Without a verb: list."
COMMANDS = (("list", list_incidents, LIST_EXAMPLES), ("show", show, SHOW_EXAMPLES))
