"""`smartflow quarantine`: rows that cannot be read, rows and loads that break a contract, and what a person decides of them."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from smartflow_assets.commands import home, terminal
from smartflow_assets.commands.caller import caller
from smartflow_assets.commands.sql import Format, write

if TYPE_CHECKING:
    from smartflow_assets.adapters.warehouse.vocabularies import LoadState
    from smartflow_assets.adapters.warehouse.warehouse import Warehouse
    from smartflow_assets.config.catalogue import Catalogue
    from smartflow_assets.stages.diverted_rows import Chosen

EXAMPLES = """
smartflow quarantine
smartflow quarantine shop --show --column amount
smartflow quarantine shop --release --reason "amount is negative"
smartflow quarantine shop --drop --file feeds/shop.csv
smartflow quarantine shop --release --load 3f0a7c1e
"""
RUN_ID = "quarantine"
MOST_SHOWN = 100
_NONE = "No row is held at all."


def quarantine(
    sources: home.SourceNames = None,
    show: Annotated[
        bool, typer.Option("--show", help="Print the rows that the contract diverts, each with what it breaks; those chosen, or all.")
    ] = False,
    drop: Annotated[bool, typer.Option("--drop", help="Put them away for good: they are no longer held, nor taken again.")] = False,
    release: Annotated[
        bool, typer.Option("--release", help="Let diverted rows, or with --load a blocked load, through, whatever the contract says.")
    ] = False,
    file: Annotated[
        str | None,
        typer.Option("--file", metavar="FILE", help="With --drop, unreadable rows of a file as it is listed.", show_default=False),
    ] = None,
    load: Annotated[
        str | None,
        typer.Option(
            "--load",
            metavar="ID",
            help="Only a blocked load, or diverted rows of a load; the beginning of its id is enough.",
            show_default=False,
        ),
    ] = None,
    column: Annotated[
        str | None,
        typer.Option("--column", metavar="NAME", help="Only diverted rows that break something of a column.", show_default=False),
    ] = None,
    reason: Annotated[
        str | None,
        typer.Option("--reason", metavar="TEXT", help="Only diverted rows with this reason, as it is listed.", show_default=False),
    ] = None,
    row: Annotated[
        str | None,
        typer.Option("--row", metavar="ID", help="Only one diverted row; the beginning of its id is enough.", show_default=False),
    ] = None,
    format: Annotated[Format, typer.Option("--format", "-f", help="With --show, how to print the rows.")] = Format.table,
) -> None:
    """List what is held: rows that cannot be read, by file, with the share of the file and what is wrong with most of them; rows that the
    contract of their source diverts (`on_breach: quarantine`), by what they break, with examples; and the loads that it blocks.

    All leave by themselves once they are mended: rows once they can be read or are as agreed, since the feed or the YAML was mended, or
    once their file has them no more; a load, once its origin has sent other rows in the place of the wrong ones. With --drop a person
    decides that nobody needs them: unreadable rows stay in the table quarantined_records, as dropped, all others in raw.<source>.
    With --release diverted rows, or those of a load, go through all the same; the next run takes them.
    """
    settings = home.open_home()
    from smartflow_assets.config.catalogue import Catalogue
    from smartflow_assets.defs.resources import open_warehouse
    from smartflow_assets.stages.diverted_rows import Chosen

    catalogue = Catalogue.load(settings)
    names, which = home.named(sources or [], catalogue), Chosen(load or "", column or "", reason or "", row or "")
    _refuse_what_does_not_go_together(sources or [], which, show=show, drop=drop, release=release, file=file)
    warehouse = open_warehouse(settings)
    if not warehouse.is_begun():
        if file:
            raise terminal.UsageError(f"no row of {file} is held of {', '.join(names)}", remedy=_NONE)
        terminal.result("no row is held")
        return
    if show:
        _show(warehouse, catalogue, names[0], which, format)
        return
    if not drop and not release:
        _list(warehouse, catalogue, names)
        return
    state: LoadState = "released" if release else "dropped"
    if load and _is_blocked(warehouse, names[0], load):
        _decide(warehouse, catalogue, names[0], load, state)
    elif release or which != Chosen():
        _decide_rows(warehouse, catalogue, names[0], state, _completed(warehouse, catalogue, names[0], which, state))
    else:
        for name in names if file is None else _holders(warehouse, names, file):
            _drop(warehouse, catalogue, name, file)
            if file is None and name in catalogue.sources:
                _decide_rows(warehouse, catalogue, name, state, which, is_told=False)
    warehouse.publish(RUN_ID, is_forced=True)


def _refuse_what_does_not_go_together(
    sources: list[str], which: "Chosen", *, show: bool, drop: bool, release: bool, file: str | None
) -> None:
    given = {"--show": show, "--drop": drop, "--release": release}
    verbs, chosen = [verb for verb, is_given in given.items() if is_given], which != type(which)()
    if len(verbs) > 1:
        raise terminal.UsageError(f"{' and '.join(verbs)} exclude each other")
    if drop and not sources:
        raise terminal.UsageError("--drop needs the name of a source", remedy="`smartflow quarantine` lists which hold rows.")
    if file and not drop:
        raise terminal.UsageError("--file goes with --drop")
    if chosen and file:
        raise terminal.UsageError(
            "--file chooses rows that cannot be read, and --load, --column, --reason and --row others; give one of them"
        )
    if chosen and not verbs:
        raise terminal.UsageError("--load, --column, --reason and --row go with --show, --drop or --release")
    if (chosen or show or release) and len(sources) != 1:
        raise terminal.UsageError(
            f"{verbs[0]} goes with one source here", remedy="`smartflow quarantine` lists which hold rows, and which loads are blocked."
        )


def _list(warehouse: "Warehouse", catalogue: "Catalogue", names: list[str]) -> None:
    from smartflow_assets.adapters.staging.bad_rows import percentage
    from smartflow_assets.stages.contracts import loads_now
    from smartflow_assets.stages.diverted_rows import examples, held_rows
    from smartflow_assets.stages.readability import held_by_origin

    rows = [
        [name, each.origin, each.bad_count, percentage(each.share) if each.row_count else "", each.reason]
        for name in names
        for each in held_by_origin(warehouse, name)
    ]
    blocked = [
        [name, each.load_id, each.rows, f"{each.blocked_at:%Y-%m-%d %H:%M}", each.reason]
        for name in names
        for each in loads_now(warehouse, name)
        if each.state == "blocked"
    ]
    diverted = [
        [
            name,
            each.rows,
            f"{each.first_at:%Y-%m-%d %H:%M}",
            each.reason,
            ", ".join(examples(warehouse, catalogue.sources[name], each.reason)) if name in catalogue.sources else "",
        ]
        for name in names
        for each in held_rows(warehouse, name)[1]
    ]
    if rows:
        terminal.table(["source", "file", "held", "share", "most often"], rows, right=["held", "share"])
    if blocked:
        terminal.table(["source", "load", "rows", "blocked", "because"], blocked, right=["rows"])
    if diverted:
        terminal.table(["source", "diverted", "first at", "because", "for example"], diverted, right=["diverted"])
    if not rows and not blocked and not diverted:
        terminal.result("no row is held")


def _show(warehouse: "Warehouse", catalogue: "Catalogue", name: str, which: "Chosen", format: Format) -> None:
    """The diverted rows on stdout, all of them but in a table for people."""
    from smartflow_assets.stages.diverted_rows import shown_rows

    rows = shown_rows(warehouse, catalogue.source(name), _completed(warehouse, catalogue, name, which))
    write(rows[:MOST_SHOWN] if format is Format.table else rows, format)
    if format is Format.table and len(rows) > MOST_SHOWN:
        terminal.note(f"{len(rows) - MOST_SHOWN:,} more rows; --format csv prints all")


def _is_blocked(warehouse: "Warehouse", name: str, load: str) -> bool:
    """Is it a blocked load that is meant, or at least no load of which single rows are held?"""
    from smartflow_assets.stages.contracts import loads_now
    from smartflow_assets.stages.diverted_rows import held_ids

    is_blocked = any(each.state == "blocked" and each.load_id.startswith(load) for each in loads_now(warehouse, name))
    return is_blocked or not any(each.startswith(load) for each in held_ids(warehouse, name).loads)


def _completed(warehouse: "Warehouse", catalogue: "Catalogue", name: str, which: "Chosen", state: "LoadState | None" = None) -> "Chosen":
    """The same with whole ids. UsageError where nothing is meant that is held, or that somebody has decided otherwise than as `state`."""
    from dataclasses import replace

    from smartflow_assets.core.nearest_name import did_you_mean
    from smartflow_assets.stages.diverted_rows import held_ids

    held = held_ids(warehouse, name)
    decided = [each for each in held.decided if state and which.row_id and each.startswith(which.row_id)]
    if len(decided) == 1 and held.decided[decided[0]] == state:
        other = "--drop" if state == "released" else "--release"
        raise terminal.UsageError(f"row {decided[0]} of {name} is {state} already", remedy=f"{other} decides otherwise.")
    if not held.rows and not decided:
        remedy = "`smartflow quarantine` lists what is held; a load that is blocked is named by --load, a row that was decided by --row."
        raise terminal.UsageError(f"no row of {name} is diverted", remedy=remedy)
    for given, known, kind in ((which.column, held.columns, "column"), (which.reason, held.reasons, "reason")):
        if given and given.lower() not in [each.lower() for each in known]:
            listed = f"Rows are diverted for {'; '.join(known)}."
            raise terminal.UsageError(f"no row of {name} is diverted with the {kind} {given}", remedy=did_you_mean(given, known, listed))
    found = dict[str, str]()
    for key, given, known in (("load_id", which.load_id, held.loads), ("row_id", which.row_id, [*held.rows, *decided])):
        meant = [each for each in known if given and each.startswith(given)]
        if given and len(meant) != 1:
            problem = "several begin with" if meant else "none is called"
            raise terminal.UsageError(f"of the {key.removesuffix('_id')}s of {name} that are held {problem} {given}")
        found[key] = meant[0] if given else ""
    reason = next((each for each in held.reasons if each.lower() == which.reason.lower()), "")
    return replace(which, reason=reason, **found)


def _decide_rows(
    warehouse: "Warehouse", catalogue: "Catalogue", name: str, state: "LoadState", which: "Chosen", *, is_told: bool = True
) -> None:
    from smartflow_assets.stages.diverted_rows import decide

    now = datetime.now(UTC)
    count = decide(
        warehouse,
        catalogue.source(name),
        "released" if state == "released" else "dropped",
        which,
        by_whom=caller(),
        now=now,
        run_id=RUN_ID,
    )
    becomes = "the next run takes them" if state == "released" else "they stay in the raw table and go no further"
    if count or is_told:
        terminal.result(f"{name}: {terminal.count(count, 'diverted row')} {state}; {becomes}")


def _decide(warehouse: "Warehouse", catalogue: "Catalogue", name: str, load: str, state: "LoadState") -> None:
    from smartflow_assets.core.nearest_name import did_you_mean
    from smartflow_assets.stages.contracts import decide, loads_now

    blocked = [each for each in loads_now(warehouse, name) if each.state == "blocked"]
    found = [each for each in blocked if each.load_id.startswith(load)]
    if len(found) != 1:
        ids = [each.load_id for each in blocked]
        listed = f"Blocked are {', '.join(ids)}." if ids else "No load of it is blocked."
        problem = f"several blocked loads of {name} begin with {load}" if found else f"no blocked load of {name} is called {load}"
        raise terminal.UsageError(problem, remedy=listed if found else did_you_mean(load, ids, listed))
    decide(warehouse, catalogue.source(name), found[0], state, by_whom=caller(), now=datetime.now(UTC), run_id=RUN_ID)
    becomes = "the next run takes them" if state == "released" else "they stay in the raw table and go no further"
    terminal.result(f"{name}: {terminal.count(found[0].rows, 'row')} of load {found[0].load_id} {state}; {becomes}")


def _drop(warehouse: "Warehouse", catalogue: "Catalogue", name: str, file: str | None) -> None:
    from smartflow_assets.stages.alerting import committed
    from smartflow_assets.stages.contracts import loads_now
    from smartflow_assets.stages.readability import drop_held, watch

    count = drop_held(warehouse, name, file, run_id=RUN_ID)
    terminal.result(f"{name}: {terminal.count(count, 'row')} dropped" + (f", of {file}" if file else ""))
    if not count and file is None and (blocked := [each.load_id for each in loads_now(warehouse, name) if each.state == "blocked"]):
        terminal.note(f"{name}: {terminal.count(len(blocked), 'load')} blocked, which --load names: {', '.join(blocked)}")
    if count and name in catalogue.sources:
        committed(warehouse, RUN_ID, watch(warehouse, catalogue.sources[name], now=datetime.now(UTC), run_id=RUN_ID))


def _holders(warehouse: "Warehouse", names: list[str], file: str) -> list[str]:
    """The sources that hold rows of a file. UsageError when none does."""
    from smartflow_assets.core.nearest_name import did_you_mean
    from smartflow_assets.stages.readability import held_by_origin

    held = {name: [each.origin for each in held_by_origin(warehouse, name)] for name in names}
    if found := [name for name in names if file in held[name]]:
        return found
    files = [origin for name in names for origin in held[name]]
    listed = f"Rows are held of {', '.join(files[:20])}{' …' if len(files) > 20 else ''}." if files else _NONE
    raise terminal.UsageError(f"no row of {file} is held of {', '.join(names)}", remedy=did_you_mean(file, files, listed))


COMMANDS = (("quarantine", quarantine, EXAMPLES),)
