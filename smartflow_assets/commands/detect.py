"""`smartflow detect`: find what is strange in any CSV, JSON or Parquet file; no home, no YAML, no Dagster.

A thin caller of `core.detection.detect`. The file is read series by series and the answer written in batches, so that ten
million rows fit into 2 GiB.
"""

import codecs
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from smartflow_assets.commands import table_argument, terminal
from smartflow_assets.commands.target_file import not_of_home
from smartflow_assets.core.errors import SmartflowError, SourceError

if TYPE_CHECKING:
    import pandas as pd

    from smartflow_assets.adapters.files.table_file import Prepared, TableFile
    from smartflow_assets.core.detection import DetectionSettings

EXAMPLES = """
smartflow detect requests.csv
smartflow detect metrics.parquet --time ts --value cpu --value memory -o scores.parquet
smartflow detect orders.json --by region --aggregate sum
smartflow detect today.csv --train last_month.csv --sensitivity high
smartflow detect requests.csv.gz --train-rows 2000 --detectors seasonal,isolation_forest -o scores.csv
"""
BATCH = 500_000  # rows written at once: 60 MB
SHOWN = 25


class Sensitivity(StrEnum):
    """Where the threshold on the anomaly score lies."""

    low = "low"
    medium = "medium"
    high = "high"


class Decimal(StrEnum):
    """What stands before the fraction of a number."""

    point = "."
    comma = ","


class Aggregate(StrEnum):
    """How rows of one time become one value."""

    mean = "mean"
    sum = "sum"
    count = "count"  # pyright: ignore[reportAssignmentType]
    min = "min"
    max = "max"
    median = "median"
    last = "last"


def detect(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV, JSON (both also .gz) or Parquet.", show_default=False)],
    time: Annotated[
        str | None, typer.Option("--time", metavar="COL", help="Column of the time; guessed when not named.", show_default=False)
    ] = None,
    value: Annotated[
        list[str] | None,
        typer.Option(
            "--value",
            metavar="COL",
            help="Column of a series, once for each; all numeric ones when not named.",
            show_default=False,
        ),
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option("--by", metavar="COL", help="Column whose every value makes a series of its own, once for each.", show_default=False),
    ] = None,
    aggregate: Annotated[
        Aggregate | None,
        typer.Option("--aggregate", help="How rows of a series with the same time become one; else the last stands.", show_default=False),
    ] = None,
    records: Annotated[
        str | None,
        typer.Option("--records", metavar="PATH", help="Where in a JSON object the list of rows lies: data.items.", show_default=False),
    ] = None,
    encoding: Annotated[str, typer.Option("--encoding", metavar="NAME", help="Encoding of a CSV, such as cp1252.")] = "utf-8",
    decimal: Annotated[Decimal, typer.Option("--decimal", help="What stands before the fraction in a CSV.")] = Decimal.point,
    train_rows: Annotated[
        int | None,
        typer.Option(
            "--train-rows",
            metavar="N",
            min=1,
            help="So many first rows of each series are learnt from and not judged; a third when not given.",
            show_default=False,
        ),
    ] = None,
    train: Annotated[
        Path | None,
        typer.Option(
            "--train",
            metavar="FILE",
            help="Earlier rows with the same columns to learn from; then all of FILE is judged.",
            show_default=False,
        ),
    ] = None,
    detectors: Annotated[
        str | None,
        typer.Option(
            "--detectors",
            metavar="A,B",
            help="Detectors by name; those of `auto`, which complement each other, when not given.",
            show_default=False,
        ),
    ] = None,
    sensitivity: Annotated[Sensitivity, typer.Option("--sensitivity", help="high finds more and errs more.")] = Sensitivity.medium,
    time_format: Annotated[
        str,
        typer.Option(
            "--time-format",
            metavar="FORMAT",
            help="How the time is written, such as '%d/%m/%Y %H:%M'; guessed when not given.",
            show_default=False,
        ),
    ] = "",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write every row with its score: .csv, .json, .jsonl, .parquet or .xlsx.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Find what is strange in a file: no setup, no Dagster.

    Prints the anomalies, the strangest intervals first when there are many; -o writes every row with value, expected band, scores
    and explanation. No row is judged by a later one. Rows that are learnt from are not judged.
    """
    if train is not None and train_rows is not None:
        raise terminal.UsageError("--train and --train-rows exclude each other", remedy="Give one of them.")
    try:
        codecs.lookup(encoding)
    except LookupError:
        remedy = "Write it as utf-8, cp1252 or shift_jis."
        raise terminal.UsageError(f"--encoding: there is no encoding {encoding!r}", remedy=remedy) from None
    settings, written = _settings(detectors, sensitivity.value), (records, encoding, decimal.value)
    from smartflow_assets.adapters.files.result_file import result_file
    from smartflow_assets.adapters.files.table_file import open_table
    from smartflow_assets.core.detection import interval_peaks

    with ExitStack() as stack:
        with table_argument.named_by_user():
            target = stack.enter_context(result_file(not_of_home(output))) if output else None
        table = stack.enter_context(open_table(file, *written))
        columns = table_argument.columns_of(table, time, value or [], time_format, by or [])
        cut: Any = {"by": columns.by, "aggregate": aggregate.value if aggregate else ""}
        prepared = table.prepare(columns.time, columns.values, columns.time_format, **cut)
        may_tell_apart = table.guess_by(columns.time, [*columns.values, *columns.by])
        table_argument.tell(file, prepared, may_tell_apart)
        past, known = None, set[str]()
        if train is not None:
            past = stack.enter_context(open_table(train, *written))
            for name in columns.by:
                past.column(name)
            earlier = past.prepare(
                past.column(columns.time.name), [past.column(name).name for name in columns.values], columns.time_format, **cut
            )
            table_argument.tell(train, earlier, may_tell_apart)
            known = set(earlier.series)
        flagged: list[pd.DataFrame] = []
        counts: dict[str, int] = dict.fromkeys(("scored", "warming_up", "missing"), 0)
        missing = ""
        for scores in _scored(table, past, prepared, known, len(columns.values), settings, train_rows):
            missing = missing or _what_is_missing(scores)
            for state, count in scores["state"].value_counts().items():
                counts[str(state)] += int(count)
            flagged.append(interval_peaks(scores))
            scores["explanation"] = scores["explanation"].cat.remove_categories("")  # nothing to say is null in a file
            for start in range(0, len(scores) if target else 0, BATCH):
                target.add(scores.iloc[start : start + BATCH])  # pyright: ignore[reportOptionalMemberAccess]
        if target is not None:
            with terminal.progress(None, f"writing {target.path.name}"):
                target.finish()
    _summary(file, flagged, counts, output, missing, prepared.repeated_count)


def _what_is_missing(scores: "pd.DataFrame") -> str:
    """Why no row of a series is judged, as its explanations say it; empty when some are."""
    if (scores["state"] == "scored").any():
        return ""
    said = scores.loc[scores["state"] == "warming_up", "explanation"].astype(str)
    return said.iloc[-1].removeprefix("warming up: ") if len(said) else ""


def _settings(names: str | None, sensitivity: str) -> "DetectionSettings":
    from pydantic import ValidationError

    from smartflow_assets.core.detection import DetectionSettings

    chosen = table_argument.detector_names(names or "")
    try:
        listed: Any = "auto" if not chosen or chosen == ["auto"] else [{"type": name} for name in chosen]
        return DetectionSettings.model_validate({"detectors": listed, "sensitivity": sensitivity})
    except ValidationError as error:
        raise terminal.UsageError(f"--detectors {names}: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from error


def _scored(
    table: "TableFile",
    past: "TableFile | None",
    prepared: "Prepared",
    known: Collection[str],
    value_count: int,
    settings: "DetectionSettings",
    train_rows: int | None,
) -> Iterator["pd.DataFrame"]:
    """The answer for one series after the other; `known` are those that the file of earlier rows has."""
    from smartflow_assets.core.detection import detect as detect_rows

    with terminal.progress(prepared.row_count * value_count, "learning") as advance:
        for name in prepared.series:
            rows = table.series(name)
            history = past.series(name) if past is not None and name in known else None
            if past is not None and history is None:
                terminal.note(f"{past.path} has no rows of {name}: it learns from its own first third")
            if history is not None:
                history = history[history["observed_at"] < rows["observed_at"].iloc[0]]
                if history.empty:
                    raise SourceError(
                        "no row of the training file is earlier than the first row to judge",
                        source=name,
                        where=str(table.path),
                        remedy="Train on an earlier period.",
                    )
            yield detect_rows(
                rows,
                train_rows=train_rows,
                history=history,
                settings=settings,
                progress=lambda done, name=name: advance(done, name),
            )


def _summary(
    file: Path, flagged: list["pd.DataFrame"], counts: Mapping[str, int], output: Path | None, missing: str, repeated: int
) -> None:
    import pandas as pd

    intervals = pd.concat(
        [part.astype({"explanation": object, "series": object, "severity": object}) for part in flagged], ignore_index=True
    )
    strangest = intervals.nlargest(SHOWN, "raw_score").sort_values(["started_at", "series"])
    if len(intervals):
        terminal.table(
            ["when (UTC)", "series", "severity", "points", "score", "explanation"],
            (
                [_when(row.started_at), row.series, row.severity, row.points, f"{row.anomaly_score:.4f}", row.explanation]
                for row in strangest.itertuples()
            ),
            right=["points", "score"],
            styles=terminal.SEVERITY_STYLES,
        )
    if len(intervals) > SHOWN:
        terminal.say(f"… the {SHOWN} strangest of {len(intervals):,}" + ("" if output else "; -o FILE writes all rows"))
    total = sum(counts.values())
    left_out = f"; {repeated:,} more share a time and were left out" if repeated else ""
    terminal.say(
        f"{terminal.count(len(intervals), 'anomaly', 'anomalies')} in {counts['scored']:,} judged rows of {total:,} "
        f"({counts['warming_up']:,} learnt from, {counts['missing']:,} missing{left_out})"
        + (f"; every row is in {output}" if output else "")
    )
    if not counts["scored"]:
        detail = f": {missing}" if missing else ""
        raise SmartflowError(
            f"{file} is too short to judge any row{detail}", remedy="Give earlier rows with --train, or a smaller --train-rows."
        )


def _when(moment: Any) -> str:
    return f"{moment:%Y-%m-%d %H:%M}" if moment.second == 0 else f"{moment:%Y-%m-%d %H:%M:%S}"


COMMANDS = (("detect", detect, EXAMPLES),)
