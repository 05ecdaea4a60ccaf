"""What the Dagster UI is told about an asset and about one materialisation: columns, counts that trend, a table, a plot.

Dagster stores every byte of metadata three or four times and sets no cap, so everything here is small: numbers rounded, cells
cut at 80 characters, one PNG. Sentences that a table is there for are not cut.
"""

import base64
import inspect
import math
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import dagster as dg
import pandas as pd

from smartflow_assets.adapters.secret_references import told_safely
from smartflow_assets.adapters.warehouse.table_spec import Column
from smartflow_assets.adapters.warehouse.tables import TABLES
from smartflow_assets.config.settings import Settings
from smartflow_assets.core.errors import is_interrupt, is_query_interrupt
from smartflow_assets.defs.names import OPTIONS, asset_key, prefixed
from smartflow_assets.defs.partitions import SOURCES
from smartflow_assets.stages.message_background import report_address

CELL, LARGEST_PLOT = 80, 64_000
SENTENCES, LONGEST_SENTENCE = ("explanation", "message", "title"), 1_000  # a rule's own message may be of any length
PICTURE, DRAWN_EVERY = "plot", timedelta(hours=1)
NOTE = "note"  # what the command line says below the line of a run
INCIDENT = "incident"  # a check that carries it opens an incident of that severity while it fails; it need not stop anything
_MARKDOWN = re.compile(r"[\\`*_{}\[\]#|~$]")
_ADDRESS = re.compile(r"\b(?:https?|ftp|mailto|javascript|data|file):|\bwww\.", re.IGNORECASE)
OWNERS = ["team:data-platform"]
_KEPT = "smartflow/kept"  # in a result that is still to be told: what is to be shown again of the last one
_WORK = frozenset(  # counts that say that a stage did something
    {
        "rows_read",
        "rows_in",
        "removed_rows",
        "expectations_asked",
        "comparisons",
        "figures",
        "buckets",
        "feature_rows",
        "new_violations",
        "models_trained",
        "rows_scored",
        "records_judged",
        "anomaly_count",
        "label_count",
        "incidents_opened",
        "incidents_resolved",
        "messages_planned",
        "messages_skipped",
        "messages_sent",
        "messages_failed",
        "remedies_done",
        "remedies_failed",
        "remedies_skipped",
        "remedies_dry",
    }
)
_BODIES: dict[dg.AssetsDefinition, Callable[..., dg.MaterializeResult]] = {}


class StageContext(Protocol):
    """What the body of an asset knows of where it runs: as a step of its own, or for one of the sources of a run of several."""

    @property
    def log(self) -> Any: ...

    @property
    def instance(self) -> dg.DagsterInstance: ...

    @property
    def asset_key(self) -> dg.AssetKey: ...

    @property
    def partition_key(self) -> str: ...


def described_columns(columns: Iterable[Column]) -> dg.TableSchema:
    """Columns of a warehouse table with the descriptions of its TableSpec."""
    return dg.TableSchema(
        columns=[dg.TableColumn(name=column.name, type=column.type, description=column.description) for column in columns]
    )


def stage_asset(
    table: str,
    group: str,
    kinds: Iterable[str],
    *,
    deps: Iterable[str] = (),
    description: str = "",
    columns: dg.TableSchema | None = None,
    check_specs: Sequence[dg.AssetCheckSpec] = (),
) -> Callable[[Callable[..., dg.MaterializeResult]], dg.AssetsDefinition]:
    """Make a function an asset of the platform: what all of them share, under names that bear the prefix.

    The function is called with the run's `options`, and with `context` where it has such a parameter. Columns and description
    are those of the table unless they are given. The resource has the prefix too, so it cannot be found by a parameter's name.
    """

    def asset_of(body: Callable[..., dg.MaterializeResult]) -> dg.AssetsDefinition:
        body_of_both = body if "context" in inspect.signature(body).parameters else lambda context, options: body(options)

        def compute(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
            return told(context, _result_of(body_of_both, context, getattr(context.resources, OPTIONS)))

        asset = dg.asset(
            key=asset_key(body.__name__),
            partitions_def=SOURCES,
            group_name=prefixed(group),
            deps=[asset_key(name) for name in deps],
            owners=OWNERS,
            kinds={"duckdb", *kinds},
            description=description or TABLES[table].description,
            metadata={"dagster/column_schema": columns or described_columns(TABLES[table].columns), "dagster/table_name": table},
            check_specs=check_specs,
            required_resource_keys={OPTIONS},
        )(compute)
        _BODIES[asset] = body_of_both
        return asset

    return asset_of


def made(asset: dg.AssetsDefinition, context: StageContext, options: Any) -> dg.MaterializeResult:
    """What the body of one of our assets makes of the partition of the context, still to be `told`; for a run that is none of assets."""
    return _result_of(_BODIES[asset], context, options)


def _result_of(body: Callable[..., dg.MaterializeResult], context: StageContext, options: Any) -> dg.MaterializeResult:
    """What a body returns. What it raises says no secret: Dagster and the incident keep it."""
    try:
        return body(context, options)
    except BaseException as error:  # of a plug-in, perhaps
        if is_query_interrupt(error):
            raise KeyboardInterrupt from None
        if is_interrupt(error):
            raise
        raise told_safely(error, context.partition_key, os.environ).with_traceback(error.__traceback__) from None


def has_news(result: dg.MaterializeResult) -> bool:
    """Whether a stage did something, by what its result counts. One that did not, and whose upstream did not, need not be told again."""
    return any(name in _WORK and value for name, value in (result.metadata or {}).items())


def untold(result: dg.MaterializeResult) -> dict[str, Any]:
    """What the result of a stage says by itself, where Dagster is not told it."""
    return {name: value for name, value in (result.metadata or {}).items() if name != _KEPT}


def told(context: StageContext, result: dg.MaterializeResult) -> dg.MaterializeResult:
    """The result as Dagster is told it: with the tables and pictures of this source's last materialisation that it wants shown again.

    Most runs of a short schedule find nothing; without this the asset page would be empty most of the time. A table has a kilobyte and is
    written once more. A picture has sixteen and would be stored twice by each of them, so it stays where it is.
    """
    metadata: dict[str, Any] = dict(result.metadata or {})
    if not (names := metadata.pop(_KEPT, ())):
        return result
    return result._replace(metadata=metadata | _shown_last(context, names))


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
    lines = ["| " + " | ".join(map(_cell, names)) + " |", "|" + " --- |" * len(names)]
    for row in frame[names].head(rows).itertuples(index=False):
        lines.append("| " + " | ".join(_cell(value, name) for name, value in zip(names, row, strict=True)) + " |")
    return dg.MetadataValue.md("\n".join(lines))


def _cell(value: object, column: str = "") -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, pd.Timestamp):
        return f"{value:%Y-%m-%d %H:%M}"
    text, longest = " ".join(str(value).split()), LONGEST_SENTENCE if column in SENTENCES else CELL
    return plain_markdown(text if len(text) <= longest else text[: longest - 1] + "…")


def plain_markdown(text: str) -> str:
    """A text of the data as markdown that shows it as it is: no link, picture, tag or emphasis comes of it, nor of an address in it.

    >>> print(plain_markdown("[x](http://a.example) <b> 5*3|www.a.example"))
    \\[x\\](http\\://a.example) &lt;b&gt; 5\\*3\\|www\\.a.example
    """
    text = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)
    text = _MARKDOWN.sub(r"\\\g<0>", text.replace("&", "&amp;")).replace("<", "&lt;").replace(">", "&gt;")
    return _ADDRESS.sub(lambda found: found[0][:-1] + "\\" + found[0][-1], text)


def report_metadata(report: Path, settings: Settings) -> dg.MetadataValue[Any]:
    """A file of data/reports: the address under which a web server shows it, where somebody has said that one does, else its path."""
    address = report_address(report, settings, os.environ)
    return dg.MetadataValue.url(address) if address else dg.MetadataValue.path(report)


def kept(context: StageContext, *names: str) -> dict[str, Any]:
    """Says which tables and pictures of the last materialisation are to be shown again, for a run that found nothing new to show."""
    return {_KEPT: list(names)}


def is_drawn_lately(context: StageContext) -> bool:
    """Whether this source's picture on the page of the asset is less than an hour old, by the clock on the wall."""
    drawn = _shown_last(context, [PICTURE]).get(PICTURE)
    record = context.instance.get_run_record_by_id(drawn.run_id) if isinstance(drawn, dg.DagsterRunMetadataValue) else None
    return record is not None and datetime.now(UTC) - record.create_timestamp < DRAWN_EVERY


def _shown_last(context: StageContext, names: Iterable[str]) -> dict[str, Any]:
    """Of what the last materialisation of this source showed; in place of a picture a link to the run that drew it."""
    of_source = dg.AssetRecordsFilter(asset_key=context.asset_key, asset_partitions=[context.partition_key])
    last = next(iter(context.instance.fetch_materializations(of_source, limit=1).records), None)
    shown = last.asset_materialization.metadata if last and last.asset_materialization else {}
    found: dict[str, Any] = {name: shown[name] for name in names if name in shown}
    if last and last.run_id and isinstance(found.get(PICTURE), dg.MarkdownMetadataValue):  # what was carried over is of no run
        found[PICTURE] = dg.MetadataValue.dagster_run(last.run_id)
    return found


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun.

    >>> counted(1, "row"), counted(2000, "row"), counted(0, "anomaly", "anomalies")
    ('1 row', '2,000 rows', '0 anomalies')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def told_briefly(sentences: Sequence[str], most: int = 3) -> str:
    """The first sentences as one, and how many there are beside them.

    >>> told_briefly(["a is gone", "b is new", "c is text", "d is gone"])
    'a is gone; b is new; c is text; and 1 more.'
    """
    more = f"; and {len(sentences) - most} more" if len(sentences) > most else ""
    return f"{'; '.join(each.rstrip('.') for each in sentences[:most])}{more}."


def decoration(context: StageContext, what: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `make` gives; a note when it fails, since no source stops for want of a picture or of a file for others."""
    try:
        return make()
    except Exception as error:  # whatever a library makes of what the data hold
        reason = next(iter(str(error).splitlines()), "")[:200]
        note = f"{what} could not be made ({type(error).__name__}: {reason}); the run goes on without"
        context.log.warning(note, exc_info=True)
        return {NOTE: note}


def picture(context: StageContext, draw: Callable[[], bytes | None], title: str) -> dict[str, Any]:
    """A PNG that the UI shows behind "Show Markdown"; nothing where there is none, or one too large for an event."""

    def make() -> dict[str, Any]:
        png = draw()
        if png is None or len(png) > LARGEST_PLOT:
            return {}
        encoded = base64.b64encode(png).decode("ascii")
        return {PICTURE: dg.MetadataValue.md(f"![{plain_markdown(title)}](data:image/png;base64,{encoded})")}

    return decoration(context, f"the picture '{title}'", make)
