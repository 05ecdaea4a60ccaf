"""`smartflow quarantine`: rows that cannot be read, loads that a contract blocks, and what a person decides of them."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from smartflow_assets.commands import home, terminal

if TYPE_CHECKING:
    from smartflow_assets.adapters.warehouse.vocabularies import LoadState
    from smartflow_assets.adapters.warehouse.warehouse import Warehouse
    from smartflow_assets.config.catalogue import Catalogue

EXAMPLES = """
smartflow quarantine
smartflow quarantine shop
smartflow quarantine shop --drop --file feeds/shop.csv
smartflow quarantine shop --release --load 3f0a7c1e
"""
RUN_ID = "quarantine"
_NONE = "No row is held at all."


def quarantine(
    sources: home.SourceNames = None,
    drop: Annotated[bool, typer.Option("--drop", help="Put them away for good: they are no longer held, nor taken again.")] = False,
    release: Annotated[bool, typer.Option("--release", help="With --load: let its rows through, whatever the contract says.")] = False,
    file: Annotated[
        str | None, typer.Option("--file", metavar="FILE", help="With --drop, only those of a file as it is listed.", show_default=False)
    ] = None,
    load: Annotated[
        str | None,
        typer.Option(
            "--load", metavar="ID", help="With --drop or --release, a blocked load; the beginning of its id is enough.", show_default=False
        ),
    ] = None,
) -> None:
    """List the rows that are held because they cannot be read, by file, with the share of the file and what is wrong with most of them;
    and the loads that the contract of their source blocks.

    Rows leave by themselves once they can be read, since the feed or the YAML was mended, or once their file has them no more; a load, once
    its origin has sent other rows in the place of the wrong ones. With --drop a person decides that nobody needs them: rows stay in the
    table quarantined_records, as dropped, and those of a load in raw.<source>. With --release the rows of a load go through all the
    same; the next run takes them.
    """
    settings = home.open_home()
    from smartflow_assets.config.catalogue import Catalogue
    from smartflow_assets.defs.resources import open_warehouse

    catalogue = Catalogue.load(settings)
    names = home.named(sources or [], catalogue)
    if drop and not sources:
        raise terminal.UsageError("--drop needs the name of a source", remedy="`smartflow quarantine` lists which hold rows.")
    if file and not drop:
        raise terminal.UsageError("--file goes with --drop")
    if (release or load) and not (load and (drop or release) and sources and len(names) == 1):
        raise terminal.UsageError(
            "--load goes with one source and with --drop or --release", remedy="`smartflow quarantine` lists which loads are blocked."
        )
    if (release and drop) or (load and file):
        raise terminal.UsageError(
            f"{'--release' if release and drop else '--load'} and {'--drop' if release and drop else '--file'} exclude each other"
        )
    if not settings.warehouse_file.exists():
        if file:
            raise terminal.UsageError(f"no row of {file} is held of {', '.join(names)}", remedy=_NONE)
        terminal.result("no row is held")
        return
    warehouse = open_warehouse(settings)
    if load:
        _decide(warehouse, catalogue, names[0], load, "released" if release else "dropped")
        warehouse.publish(RUN_ID, is_forced=True)
        return
    if drop:
        for name in names if file is None else _holders(warehouse, names, file):
            _drop(warehouse, catalogue, name, file)
        warehouse.publish(RUN_ID, is_forced=True)
        return
    _list(warehouse, names)


def _list(warehouse: "Warehouse", names: list[str]) -> None:
    from smartflow_assets.adapters.staging.bad_rows import percentage
    from smartflow_assets.stages.contracts import loads_now
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
    if rows:
        terminal.table(["source", "file", "held", "share", "most often"], rows, right=["held", "share"])
    if blocked:
        terminal.table(["source", "load", "rows", "blocked", "because"], blocked, right=["rows"])
    if not rows and not blocked:
        terminal.result("no row is held")


def _decide(warehouse: "Warehouse", catalogue: "Catalogue", name: str, load: str, state: "LoadState") -> None:
    from getpass import getuser

    from smartflow_assets.core.nearest_name import did_you_mean
    from smartflow_assets.stages.contracts import decide, loads_now

    blocked = [each for each in loads_now(warehouse, name) if each.state == "blocked"]
    found = [each for each in blocked if each.load_id.startswith(load)]
    if len(found) != 1:
        ids = [each.load_id for each in blocked]
        listed = f"Blocked are {', '.join(ids)}." if ids else "No load of it is blocked."
        problem = f"several blocked loads of {name} begin with {load}" if found else f"no blocked load of {name} is called {load}"
        raise terminal.UsageError(problem, remedy=listed if found else did_you_mean(load, ids, listed))
    decide(warehouse, catalogue.source(name), found[0], state, by_whom=getuser(), now=datetime.now(UTC), run_id=RUN_ID)
    becomes = "the next run takes them" if state == "released" else "they stay in the raw table and go no further"
    terminal.result(f"{name}: {terminal.count(found[0].rows, 'row')} of load {found[0].load_id} {state}; {becomes}")


def _drop(warehouse: "Warehouse", catalogue: "Catalogue", name: str, file: str | None) -> None:
    from smartflow_assets.stages.alerting import committed
    from smartflow_assets.stages.readability import drop_held, watch

    count = drop_held(warehouse, name, file, run_id=RUN_ID)
    terminal.result(f"{name}: {terminal.count(count, 'row')} dropped" + (f", of {file}" if file else ""))
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
