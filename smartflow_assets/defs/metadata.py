"""What the Dagster UI is told about an asset and about one materialisation: columns, counts that trend, a table, a plot.

Dagster stores every byte of metadata three or four times and sets no cap, so everything here is small: numbers rounded, cells
cut at 80 characters, one PNG. Sentences that a table is there for are not cut.
"""

import base64
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import dagster as dg
import pandas as pd

from smartflow_assets.adapters.warehouse.tables import TABLES
from smartflow_assets.defs.partitions import SOURCES

CELL, LARGEST_PLOT = 80, 64_000
SENTENCES, LONGEST_SENTENCE = ("explanation", "message", "title"), 1_000  # a rule's own message may be of any length
NOTE = "note"  # what the command line says below the line of a run
OWNERS = ["team:data-platform"]


def column_schema(table: str) -> dg.TableSchema:
    """Columns of a warehouse table with the descriptions of its TableSpec."""
    return dg.TableSchema(
        columns=[dg.TableColumn(name=column.name, type=column.type, description=column.description) for column in TABLES[table].columns]
    )


def asset_arguments(table: str, group: str, kinds: Iterable[str], *, deps: Iterable[str] = (), description: str = "") -> dict[str, Any]:
    """Arguments of `@dg.asset` that every asset of the platform shares; its columns and description are the table's."""
    return {
        "partitions_def": SOURCES,
        "group_name": group,
        "deps": list(deps),
        "owners": OWNERS,
        "kinds": {"duckdb", *kinds},
        "description": description or TABLES[table].description,
        "metadata": {"dagster/column_schema": column_schema(table), "dagster/table_name": table},
    }


def numbers(values: Mapping[str, float | int | None]) -> dict[str, Any]:
    """Counts and measures, rounded; Dagster draws each over time. None and NaN are left out."""
    return {
        name: value if isinstance(value, int) else round(float(value), 4)
        for name, value in values.items()
        if value is not None and not (isinstance(value, float) and math.isnan(value))
    }


def small_table(frame: pd.DataFrame, columns: Iterable[str], rows: int = 10) -> dg.MarkdownMetadataValue:
    """The first rows as a markdown table of at most five columns; cells are cut at 80 characters, sentences where they say all."""
    names = list(columns)[:5]
    lines = ["| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]
    for row in frame[names].head(rows).itertuples(index=False):
        lines.append("| " + " | ".join(_cell(value, name) for name, value in zip(names, row, strict=True)) + " |")
    return dg.MetadataValue.md("\n".join(lines))


def _cell(value: object, column: str = "") -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, pd.Timestamp):
        return f"{value:%Y-%m-%d %H:%M}"
    text = str(value).replace("|", "\\|").replace("\n", " ")
    longest = LONGEST_SENTENCE if column in SENTENCES else CELL
    return text if len(text) <= longest else text[: longest - 1] + "…"


def kept(context: dg.AssetExecutionContext, *names: str) -> dict[str, Any]:
    """Tables and pictures of this source's last materialisation, for a run that found nothing new to show.

    Most runs of a short schedule find nothing; without this the asset page would be empty most of the time. Nothing is
    computed anew: the values (a picture has about 16 KB) are written once more.
    """
    last = context.instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=context.asset_key, asset_partitions=[context.partition_key]), limit=1
    ).records
    shown = last[0].asset_materialization.metadata if last and last[0].asset_materialization else {}
    return {name: shown[name] for name in names if name in shown}


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun.

    >>> counted(1, "row"), counted(2000, "row"), counted(0, "anomaly", "anomalies")
    ('1 row', '2,000 rows', '0 anomalies')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def decoration(context: dg.AssetExecutionContext, what: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `make` gives; a note when it fails, since no source stops for want of a picture or of a file for others."""
    try:
        return make()
    except Exception as error:  # whatever a library makes of what the data hold
        reason = next(iter(str(error).splitlines()), "")[:200]
        note = f"{what} could not be made ({type(error).__name__}: {reason}); the run goes on without"
        context.log.warning(note, exc_info=True)
        return {NOTE: note}


def picture(context: dg.AssetExecutionContext, draw: Callable[[], bytes | None], title: str) -> dict[str, Any]:
    """A PNG that the UI shows behind "Show Markdown"; nothing where there is none, or one too large for an event."""

    def make() -> dict[str, Any]:
        png = draw()
        if png is None or len(png) > LARGEST_PLOT:
            return {}
        encoded = base64.b64encode(png).decode("ascii")
        return {"plot": dg.MetadataValue.md(f"![{title}](data:image/png;base64,{encoded})")}

    return decoration(context, f"the picture '{title}'", make)
