"""`smartflow compare`: detectors over each other on the same rows, as a picture and as a table of agreement."""

import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smartflow_assets.commands import home, table_argument, terminal
from smartflow_assets.commands.target_file import in_folder
from smartflow_assets.core.nearest_name import did_you_mean

if TYPE_CHECKING:
    import numpy as np

    from smartflow_assets.core.evaluation.detector_agreement import DetectorResult
    from smartflow_assets.stages.experiments.comparison import ComparisonSubject

EXAMPLES = """
smartflow compare web_traffic
smartflow compare web_traffic --detectors auto,seasonal,prophet -o web.png
smartflow compare system_metrics --detectors auto,mahalanobis,isolation_forest --series cpu
smartflow compare requests.csv --detectors mad,zscore,seasonal --labels incidents.csv -o requests.html
"""
DETECTORS = "auto,seasonal,isolation_forest,mad"
PLOTTED = 6  # series in a page
MOST = 12  # detectors that can be told apart


def compare(
    subject: Annotated[
        str, typer.Argument(metavar="SOURCE|FILE", help="Name of a source, or a CSV (also .gz) or Parquet file.", show_default=False)
    ],
    detectors: Annotated[
        str, typer.Option("--detectors", metavar="A,B", help="Detectors by name; auto is the default ensemble.")
    ] = DETECTORS,
    series: Annotated[
        list[str] | None,
        typer.Option(
            "--series",
            metavar="NAME",
            show_default=False,
            help="Draw this series; default: those in which most is flagged. May be repeated.",
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            "--labels",
            metavar="FILE",
            show_default=False,
            help="CSV of known anomalies (series, started_at, ended_at) to measure with; default: those of the source.",
        ),
    ] = None,
    time: Annotated[
        str | None,
        typer.Option("--time", metavar="COL", help="Of a file: the column of the time; guessed when not named.", show_default=False),
    ] = None,
    value: Annotated[
        list[str] | None,
        typer.Option(
            "--value",
            metavar="COL",
            help="Of a file: a column of a series, once for each; all numeric ones when not named.",
            show_default=False,
        ),
    ] = None,
    time_format: Annotated[
        str,
        typer.Option(
            "--time-format", metavar="FORMAT", help="Of a file: how the time is written; guessed when not given.", show_default=False
        ),
    ] = "",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            show_default=False,
            help="Where to write: .png is the picture of one series, .html a page with several and the tables; default: compare_NAME.html.",
        ),
    ] = None,
) -> None:
    """Draw detectors over each other, and say how far they agree.

    Each is put to the same rows as if it were the only one listed, learns from the first third and judges the rest. Jaccard indices
    of flagged rows and intervals, and the rank correlation of the scores, say how alike two are: 1 is the same, 0 nothing in common.
    Where there are labels, each is measured on them. Nothing of the home is touched.
    """
    names = table_argument.detector_names(detectors)
    if not 1 <= len(names) <= MOST:
        raise terminal.UsageError(f"--detectors names {len(names)} detectors", remedy=f"Name one to {MOST}.")
    is_file = Path(subject).is_file()
    if not is_file and ("." in subject or "/" in subject):
        raise terminal.UsageError(f"{subject}: there is no such file", remedy="Name a file, or a source.")
    if not is_file and (time or value or time_format):
        raise terminal.UsageError("--time, --value and --time-format are for a file", remedy=f"The YAML of {subject} says what is read.")
    target = output or Path(f"compare_{Path(subject).name.partition('.')[0]}.html")
    if target.suffix.lower() not in (".png", ".html"):
        raise terminal.UsageError(f"--output {target}: its name ends neither in .png nor in .html")
    in_folder(target, "--output")
    known = _of_file(Path(subject), time, value or [], time_format, labels) if is_file else _of_source(subject, labels)
    chosen = _series(known, series or [])
    _refuse_lonely(known, names)
    results, guarded = _compared(known, names)
    _print(known, results, guarded)
    with terminal.progress(None, f"drawing {target.name}"):
        _write(known, results, guarded, chosen, target)
    terminal.say(f"the {'picture' if target.suffix.lower() == '.png' else 'page'} is {target}")


def _of_source(name: str, labels: Path | None) -> "ComparisonSubject":
    settings = home.open_home()
    from smartflow_assets.adapters.files.labels import read_labels
    from smartflow_assets.config.catalogue import Catalogue
    from smartflow_assets.stages.experiments.comparison import source_subject

    catalogue = Catalogue.load(settings)
    home.named([name], catalogue)
    source = catalogue.source(name)
    with tempfile.TemporaryDirectory(prefix="smartflow-compare-") as folder, terminal.quiet(), terminal.progress(None, "reading rows"):
        found = source_subject(source, settings, Path(folder), catalogue, datetime.now(UTC))
        return replace(found, labels=read_labels(labels, name)) if labels else found


def _of_file(file: Path, time: str | None, values: list[str], time_format: str, labels: Path | None) -> "ComparisonSubject":
    from smartflow_assets.adapters.files.labels import read_labels
    from smartflow_assets.adapters.files.table_file import open_table
    from smartflow_assets.stages.experiments.comparison import file_subject

    with open_table(file) as table:
        columns = table_argument.columns_of(table, time, values, time_format)
        table_argument.tell(file, table.prepare(columns.time, columns.values, columns.time_format))
        series = {name: table.series(name) for name in columns.values}
    return file_subject(file.name, series, read_labels(labels, file.name) if labels else None)


def _series(known: "ComparisonSubject", asked: list[str]) -> list[str]:
    """The series to draw that were asked for. UsageError, with the nearest name, for one that there is not."""
    names = known.series
    for name in asked:
        if name not in names:
            remedy = did_you_mean(name, names, f"There are {', '.join(names[:20])}{' …' if len(names) > 20 else ''}.")
            raise terminal.UsageError(f"{known.name} has no series {name!r}", remedy=remedy)
    return list(dict.fromkeys(asked))


def _refuse_lonely(known: "ComparisonSubject", names: list[str]) -> None:
    from smartflow_assets.stages.experiments.comparison import lonely_detector

    if lonely := lonely_detector(known, names):
        metric = known.trial_data.rows["metric"].iloc[0]
        raise terminal.UsageError(f"{lonely} compares metrics with each other, and {known.name} has only {metric}")


def _compared(known: "ComparisonSubject", names: list[str]) -> "tuple[list[DetectorResult], np.ndarray]":
    from smartflow_assets.stages.experiments.comparison import compare, judged_from, scored_rows

    since = judged_from(known, names)
    with terminal.quiet(), terminal.progress(scored_rows(known, names, since), "learning") as advance:
        return compare(known, names, since, report=advance)


def _print(known: "ComparisonSubject", results: "list[DetectorResult]", guarded: "np.ndarray") -> None:
    from smartflow_assets.core.evaluation import detector_agreement

    step, columns = known.trial_data.step, detector_agreement.detector_columns(results)
    terminal.table(columns, detector_agreement.detector_rows(results, guarded, step), right=columns[1:])
    if len(results) > 1:
        terminal.result("")
        pairs = detector_agreement.pair_rows(detector_agreement.agreements(results, guarded, step))
        terminal.table(detector_agreement.PAIR_COLUMNS, pairs, right=detector_agreement.PAIR_COLUMNS[1:])
    if guarded.any():
        terminal.say(f"left out of the agreement: {terminal.count(int(guarded.sum()), 'row')} that guards flag whatever is listed")


def _write(known: "ComparisonSubject", results: "list[DetectorResult]", guarded: "np.ndarray", chosen: list[str], target: Path) -> None:
    from smartflow_assets.core.reports.comparison_plot import comparison_plot
    from smartflow_assets.core.reports.comparison_report import comparison_page
    from smartflow_assets.stages.experiments.comparison import most_flagged

    rows, scores = known.trial_data.rows, results[0].scores
    shown = chosen or most_flagged(known, results, guarded)[:PLOTTED]
    timezone, pictures = known.trial_data.calendar.timezone, dict[str, bytes]()
    for series in shown[:1] if target.suffix.lower() == ".png" else shown:
        own = rows[rows["series"] == series]
        labels = None if known.labels is None else known.labels[known.labels["series"] == series]
        title = f"{known.name} {series}" if series != known.name else series
        pictures[series] = comparison_plot(
            own,
            results,
            series=series,
            title=title,
            unit=known.units.get(str(own["metric"].iloc[0]), ""),
            timezone=timezone,
            known=labels,
            guarded=guarded,
        )
    if target.suffix.lower() == ".png":
        target.write_bytes(next(iter(pictures.values())))
        return
    first, last = scores["observed_at"].min(), scores["observed_at"].max()
    facts = [
        f"Judged from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC, each detector as if it were the only one listed, after "
        f"learning once from what lies before. Times are of {timezone}. A full lane is three times the score from which its "
        "detector flags; the dashed line is that score; labelled intervals are shaded."
        + (" A tick at the foot of a series is a row that a guard flags whatever is listed." if guarded.any() else "")
    ]
    target.write_text(
        comparison_page(f"Detectors compared on {known.name}", facts, results, guarded, known.trial_data.step, pictures), encoding="utf-8"
    )


COMMANDS = (("compare", compare, EXAMPLES),)
