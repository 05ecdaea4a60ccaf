"""`smartflow export`: scores, anomalies or incidents as a file, from the published copy."""

import shutil
import sys
import tempfile
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smartflow_assets.commands import home, terminal
from smartflow_assets.commands.target_file import in_folder
from smartflow_assets.core.errors import SmartflowError

if TYPE_CHECKING:
    from smartflow_assets.adapters.warehouse.warehouse import Warehouse

EXAMPLES = """
smartflow export anomalies -o anomalies.csv
smartflow export scores --source web_traffic -o scores.parquet
smartflow export scores --only-anomalies --format json | jq '.[].timestamp'
smartflow export incidents --from 2026-03-01 --to 2026-04-01 -o march.json
smartflow export anomalies -o anomalies.xlsx
"""


class What(StrEnum):
    """The tables that can be exported."""

    scores = "scores"
    anomalies = "anomalies"
    incidents = "incidents"


class Format(StrEnum):
    """The formats of a file."""

    csv = "csv"
    json = "json"
    jsonl = "jsonl"
    parquet = "parquet"
    xlsx = "xlsx"


def export(
    what: Annotated[What, typer.Argument(help="scores: every judged bucket; anomalies: intervals of them; incidents.", show_default=False)],
    source: Annotated[str, typer.Option("--source", "-s", help="Only this source; default: all.", show_default=False)] = "",
    only_anomalies: Annotated[
        bool,
        typer.Option("--only-anomalies", help="Of scores: only anomalous rows. Of incidents: only those of anomalies, not of failed runs."),
    ] = False,
    since: Annotated[str | None, typer.Option("--from", metavar="TIME", help="Rows from this time on.", show_default=False)] = None,
    until: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Rows before this time.", show_default=False)] = None,
    format: Annotated[
        Format | None, typer.Option("--format", "-f", help="Default: by the ending of the file; csv on stdout.", show_default=False)
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write, replaced as a whole; default: stdout.", show_default=False)
    ] = None,
) -> None:
    """Write scores, anomalies or incidents to a file, whatever their number.

    Score rows carry source, series, timestamp, value, the expected band, anomaly_score and is_anomaly (flagged by the detectors or
    by a rule). Times are UTC. CSV and Excel hold lists and maps as JSON text; JSON and Parquet as they are. A sheet of Excel holds
    1,048,575 rows; what is more goes on on the next.
    """
    settings = home.open_home()
    from smartflow_assets.adapters.files.exports import EXPORTS, statement
    from smartflow_assets.adapters.files.result_file import format_of
    from smartflow_assets.adapters.warehouse.warehouse import Warehouse

    if not settings.published_file.exists():
        raise SmartflowError("there is nothing to export yet", remedy="`smartflow run` makes it; `smartflow demo` shows how.")
    warehouse = Warehouse(settings.warehouse_file, settings.published_file)
    if source:
        _check_source(source, warehouse)
    start, end = home.span(since, until, ("--from", "--to"))
    query = statement(EXPORTS[what], source=source, only_anomalies=only_anomalies, since=start, until=end)
    form = format.value if format else format_of(output) if output else "csv"
    if output is not None:
        in_folder(output)
        count = warehouse.published_export(query, output, form)
        terminal.say(f"{terminal.count(count, 'row')} in {output}")
        return
    with tempfile.TemporaryDirectory(prefix=".smartflow-") as folder:
        warehouse.published_export(query, Path(folder) / "rows", form)
        if sys.stdout.isatty() and form != "parquet":
            with (Path(folder) / "rows").open(encoding="utf-8", newline="") as lines:
                shutil.copyfileobj(lines, terminal.Harmless(sys.stdout))
        else:
            with (Path(folder) / "rows").open("rb") as rows:
                shutil.copyfileobj(rows, sys.stdout.buffer)
        sys.stdout.flush()


def _check_source(source: str, warehouse: "Warehouse") -> None:
    from smartflow_assets.stages.exporting import published_sources

    known = published_sources(warehouse)
    if source not in known:
        raise terminal.UsageError(f"nothing of a source {source!r} is stored", remedy=f"There are {', '.join(known)}.")


COMMANDS = (("export", export, EXAMPLES),)
