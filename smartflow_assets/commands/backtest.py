"""`smartflow backtest`: what a source would have alerted, with its settings and with others, before they are written down."""

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smartflow_assets.commands import home, terminal
from smartflow_assets.commands.target_file import in_folder
from smartflow_assets.core.errors import SourceError

if TYPE_CHECKING:
    import pandas as pd

    from smartflow_assets.adapters.warehouse.warehouse import Warehouse
    from smartflow_assets.config.catalogue import Catalogue
    from smartflow_assets.config.settings import Settings
    from smartflow_assets.config.source import Source
    from smartflow_assets.core.reports.backtest_report import Side
    from smartflow_assets.stages.experiments.backtest import Replay

EXAMPLES = """
smartflow backtest web_traffic
smartflow backtest web_traffic --from 2026-02-01 -o report.html
smartflow backtest web_traffic --set sensitivity=low
smartflow backtest web_traffic --against sensitivity=high -o report.html
smartflow backtest web_traffic --against 'detectors=[{type: mad}, {type: seasonal}]'
smartflow backtest web_traffic --against web_traffic_next.yaml --from 2026-02-01 --to 2026-02-15
"""
SHOWN, PLOTTED = 40, 6  # incidents printed of each table; series drawn in the report


def backtest(
    name: home.SourceName,
    since: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="TIME",
            show_default=False,
            help="Judge from this time on, with models that learnt from what lies before; default: the first third is learnt from.",
        ),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="Judge up to this time; default: the newest row.", show_default=False)
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            show_default=False,
            help="Replay with this setting in place of the YAML's; dots lead into a key. May be repeated.",
        ),
    ] = None,
    against: Annotated[
        list[str] | None,
        typer.Option(
            "--against",
            metavar="KEY=VALUE|FILE",
            show_default=False,
            help="Compare with other settings: keys, or another YAML file of the source. May be repeated.",
        ),
    ] = None,
    retrain: Annotated[
        bool, typer.Option("--retrain", help="Learn anew as often as training.every says, as the daemon does; slower. Default: once.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", show_default=False, help="Write a report with plots as one HTML file.")
    ] = None,
) -> None:
    """Replay the history of a source as if live, and print what would have been alerted.

    Works on the rows that are stored, in a folder that is thrown away: no table, model or message of the home is touched. With
    --against two settings are replayed and compared. Where the source has labels, both are measured on them.
    """
    settings = home.open_home()
    start, end = home.span(since, until, ("--from", "--to"))
    if output is not None:
        in_folder(output)
    from smartflow_assets.config.catalogue import Catalogue
    from smartflow_assets.core.reports.backtest_report import backtest_page

    catalogue = Catalogue.load(settings)
    home.named([name], catalogue)
    variants = _variants(catalogue.source(name), settings, changes or [], against or [])
    with tempfile.TemporaryDirectory(prefix="smartflow-backtest-") as folder:
        sides, source, span = _replayed(variants, settings, catalogue, Path(folder), start, end, retrain, PLOTTED if output else 0)
    _print(sides, source.calendar.timezone)
    if output is not None:
        learnt = "learnt anew as often as training.every says" if retrain else "learnt once, from what lies before"
        facts = [
            source.description,
            f"Judged from {span[0]:%Y-%m-%d %H:%M} to {span[1]:%Y-%m-%d %H:%M} UTC; models {learnt}. "
            f"Times are of {source.calendar.timezone}. Nothing was sent.",
        ]
        title = f"Backtest of {name}" + (f": {sides[0].name} and {sides[1].name}" if len(sides) > 1 else f" ({sides[0].name})")
        output.write_text(backtest_page(title, [fact for fact in facts if fact], sides, source.calendar.timezone), encoding="utf-8")
        terminal.say(f"the report is {output}")


def _variants(source: "Source", settings: "Settings", changes: list[str], against: list[str]) -> "dict[str, Source]":
    """The settings to replay, by what they are called."""
    from smartflow_assets.config.variant import variant

    try:
        first = variant(source, settings, changes) if changes else source
        variants = {", ".join(changes) or "the YAML": first}
        if against:
            files = [text for text in against if "=" not in text]
            if len(files) > 1 or (files and not Path(files[0]).is_file()):
                what = "--against takes one file" if len(files) > 1 else f"--against: {files[0]!r} is neither a file nor key=value"
                raise terminal.UsageError(what, remedy="Write --against sensitivity=high, or name a YAML file.")
            asked = [text for text in against if "=" in text]
            second = variant(source, settings, asked, file=Path(files[0]) if files else None)
            label = ", ".join([*files, *asked])
            variants[label if label not in variants else f"{label} (again)"] = second
    except SourceError as error:
        raise terminal.UsageError(error.what, source=error.source, where=error.where, remedy=error.remedy) from error
    return variants


def _replayed(
    variants: "dict[str, Source]",
    settings: "Settings",
    catalogue: "Catalogue",
    folder: Path,
    since: datetime | None,
    until: datetime | None,
    is_retraining: bool,
    plotted: int,
) -> "tuple[list[Side], Source, tuple[datetime, datetime]]":
    """What each of the settings led to; the first of them with its bucket; and the time that was judged."""
    from smartflow_assets.stages.experiments.backtest import STAGES, replay, run_count, stored_rows

    replays: dict[str, Replay] = {}
    with terminal.quiet(), terminal.progress(None, "reading rows"):
        warehouses: dict[str, tuple[Settings, Warehouse]] = {}
        for number, (label, source) in enumerate(variants.items()):
            apart = settings.with_state_in(folder / str(number))
            warehouses[label] = apart, stored_rows(source, settings, apart, catalogue, until or datetime.now(UTC))
    source = next(iter(variants.values()))
    total = len(variants) * STAGES * run_count(source, next(iter(warehouses.values()))[1], since, until, is_retraining=is_retraining)
    with terminal.quiet(), terminal.progress(total, "replaying") as advance:
        for label, source in variants.items():
            apart, warehouse = warehouses[label]
            replays[label] = replay(
                source,
                apart,
                catalogue,
                warehouse,
                since=since,
                until=until,
                is_retraining=is_retraining,
                report=lambda stage, label=label: advance(1, f"{label}: {stage}"),
            )
        sides = _sides(replays, plotted)
    first = next(iter(replays.values()))
    judged = first.quality.series
    return sides, first.run.source, (min(each.from_at for each in judged), max(each.to_at for each in judged))


def _sides(replays: "dict[str, Replay]", plotted: int) -> "list[Side]":
    """The replays with what only one of two found, and pictures of the series with the most incidents."""
    import pandas as pd

    from smartflow_assets.core.reports.backtest_report import Side, only_in

    counts = pd.concat([replay.incidents["series"] for replay in replays.values()]).value_counts()
    rest = [each.series for replay in replays.values() for each in replay.quality.series]
    shown = list(dict.fromkeys([*counts.index, *rest]))[:plotted]
    sides = []
    for label, replay in replays.items():
        others = [other.incidents for name, other in replays.items() if name != label]
        plots = {series: picture for series in shown if (picture := replay.plot(series))}
        only = only_in(replay.incidents, others[0], replay.run.source.time_bucket.every) if others else None
        sides.append(
            Side(
                label,
                replay.incidents,
                replay.anomaly_count,
                replay.quality,
                is_labelled=replay.labels is not None,
                curves=replay.curves,
                plots=plots,
                only=only,
            )
        )
    return sides


def _print(sides: "list[Side]", timezone: str) -> None:
    from smartflow_assets.core.reports.backtest_report import LISTED_COLUMNS, figure_rows, incident_rows

    def incidents(title: str, found: "pd.DataFrame") -> None:
        terminal.result(f"\n{title}: {len(found) or 'none'}", style="bold")
        if len(found):
            terminal.table(LISTED_COLUMNS, incident_rows(found, timezone, SHOWN), styles=terminal.SEVERITY_STYLES)
        if len(found) > SHOWN:
            terminal.result(f"… and {len(found) - SHOWN:,} more; -o FILE writes a report")

    first = sides[0]
    incidents(f"incidents with {first.name}, times of {timezone}", first.incidents)
    for side in sides:
        if side.only is not None:
            incidents(f"incidents only with {side.name}", side.only)
    terminal.result("")
    terminal.table(["", *(side.name for side in sides)], figure_rows(sides), right=[side.name for side in sides])


COMMANDS = (("backtest", backtest, EXAMPLES),)
