"""`smartflow compare`: detectors over each other on the same rows, as a picture and as a table of agreement."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smartflow_assets.commands import home, table_argument, terminal
from smartflow_assets.core.errors import SmartflowError, SourceError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from smartflow_assets.core.detection import DetectionSettings
    from smartflow_assets.core.evaluation.detector_agreement import DetectorResult
    from smartflow_assets.core.evaluation.walk_forward import Judge, TrialData

EXAMPLES = """
smartflow compare web_traffic
smartflow compare web_traffic --detectors auto,seasonal,prophet -o web.png
smartflow compare system_metrics --detectors auto,mahalanobis,isolation_forest --series cpu
smartflow compare requests.csv --detectors mad,zscore,seasonal --labels incidents.csv -o requests.html
"""
DETECTORS = "auto,seasonal,isolation_forest,mad"
PLOTTED = 6  # series in a page
MOST = 12  # detectors that can be told apart


@dataclass(frozen=True)
class Subject:
    """What is compared on: rows, how they are judged but for the detectors, what is known to be strange, and how to draw it."""

    name: str
    trial_data: "TrialData"
    judges: "list[Judge]"
    labels: "pd.DataFrame | None"
    units: dict[str, str]

    def with_detectors(self, name: str) -> "list[Judge]":
        """The same with one detector alone (with the parameters that the source gives it), or with auto."""
        from smartflow_assets.core.detection.ensemble import Ensemble
        from smartflow_assets.core.detectors import DETECTORS as KNOWN
        from smartflow_assets.core.evaluation.walk_forward import Judge

        def settings(given: "DetectionSettings") -> "DetectionSettings":
            listed = () if given.detectors == "auto" else given.detectors
            alone = next((one for one in listed if one.type == name), None)
            if alone is None and name != "auto":
                alone = KNOWN[name].model_validate({"type": name})
            return given.model_copy(update={"detectors": (alone,) if alone else "auto", "ensemble": Ensemble()})

        return [Judge(settings(judge.settings), judge.metrics, judge.is_log) for judge in self.judges]


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
    if not target.absolute().parent.is_dir():
        raise SmartflowError(f"{target.parent}: no such folder", remedy="Make it first, or write elsewhere.")
    known = _of_file(Path(subject), time, value or [], time_format, labels) if is_file else _of_source(subject, labels)
    chosen = _series(known, series or [])
    _refuse_lonely(known, names)
    results, guarded = _opinions(known, names)
    _print(known, results, guarded)
    with terminal.progress(None, f"drawing {target.name}"):
        _write(known, results, guarded, chosen, target)
    terminal.say(f"the {'picture' if target.suffix.lower() == '.png' else 'page'} is {target}")


def _of_source(name: str, labels: Path | None) -> Subject:
    settings = home.open_home()
    from smartflow_assets.adapters.files.labels import read_labels
    from smartflow_assets.config.catalogue import Catalogue
    from smartflow_assets.stages.experiments.trial_data import source_ground

    catalogue = Catalogue.load(settings)
    home.named([name], catalogue)
    with tempfile.TemporaryDirectory(prefix="smartflow-compare-") as folder, terminal.quiet(), terminal.progress(None, "reading rows"):
        found = source_ground(catalogue.source(name), settings, settings.with_state_in(Path(folder)), catalogue, datetime.now(UTC))
        known = read_labels(labels, name) if labels else found.labels
        return Subject(name, found.trial_data, found.judges, known, found.run.source.units)


def _of_file(file: Path, time: str | None, values: list[str], time_format: str, labels: Path | None) -> Subject:
    import pandas as pd

    from smartflow_assets.adapters.files.labels import read_labels
    from smartflow_assets.adapters.files.table_file import open_table
    from smartflow_assets.core.detection import DetectionSettings
    from smartflow_assets.core.evaluation.walk_forward import Judge, TrialData
    from smartflow_assets.core.series.facts import typical_step
    from smartflow_assets.core.temporal.calendar import Calendar

    with open_table(file) as table:
        columns = table_argument.columns_of(table, time, values, time_format)
        table_argument.tell(file, table.prepare(columns.time, columns.values, columns.time_format))
        parts = [table.series(name).assign(metric=name) for name in columns.values]
    step = typical_step(parts[0]["observed_at"].dt.tz_localize(None).to_numpy())
    rows = pd.concat(parts, ignore_index=True).sort_values(["observed_at", "series"], ignore_index=True)
    known = read_labels(labels, file.name) if labels else None
    return Subject(
        file.name, TrialData(rows, step, timedelta(days=3650), Calendar()), [Judge(DetectionSettings(), columns.values)], known, {}
    )


def _series(known: Subject, asked: list[str]) -> list[str]:
    """The series to draw that were asked for. UsageError, with the nearest name, for one that there is not."""
    from difflib import get_close_matches

    names = [str(name) for name in known.trial_data.rows["series"].unique()]
    for name in asked:
        if name not in names:
            near = get_close_matches(name, names, 1)
            remedy = f"Did you mean {near[0]}?" if near else f"There are {', '.join(names[:20])}{' …' if len(names) > 20 else ''}."
            raise terminal.UsageError(f"{known.name} has no series {name!r}", remedy=remedy)
    return list(dict.fromkeys(asked))


def _refuse_lonely(known: Subject, names: list[str]) -> None:
    from smartflow_assets.core.detectors import DETECTORS as KNOWN

    metrics = known.trial_data.rows["metric"].unique()
    if len(metrics) == 1 and (lonely := next((name for name in names if name != "auto" and KNOWN[name].is_joint), None)):
        raise terminal.UsageError(f"{lonely} compares metrics with each other, and {known.name} has only {metrics[0]}")


def _opinions(known: Subject, names: list[str]) -> "tuple[list[DetectorResult], np.ndarray]":
    """What each says, and which rows are flagged whatever is listed."""
    import numpy as np

    from smartflow_assets.core.detection import minimum_rows
    from smartflow_assets.core.detectors import DETECTORS as KNOWN
    from smartflow_assets.core.detectors import GUARDS
    from smartflow_assets.core.evaluation.detector_agreement import DetectorResult
    from smartflow_assets.core.evaluation.metrics import quality
    from smartflow_assets.core.evaluation.walk_forward import first_training, walk_forward

    trial_data, judges = known.trial_data, {name: known.with_detectors(name) for name in names}
    least = max(minimum_rows(judge.settings, trial_data.step) for each in judges.values() for judge in each)
    since, until = first_training(trial_data.rows, trial_data.step, least), trial_data.rows["observed_at"].max() + trial_data.step
    if since >= until:
        count = trial_data.rows.groupby("series").size().max()
        raise SourceError(
            f"{count:,} rows are too few: {', '.join(names)} learn from {least:,} and judge what follows",
            source=known.name,
            remedy="Take other detectors, or a longer history.",
        )

    def scored(judges: "list[Judge]", name: str, advance: Callable[..., None]) -> "pd.DataFrame":
        scores = walk_forward(trial_data, judges, [since], until, report=lambda rows: advance(rows, name))
        return scores.sort_values(["observed_at", "series"], ignore_index=True)

    judged = int((trial_data.rows["observed_at"] >= since).sum())
    with terminal.quiet(), terminal.progress(judged * (len(names) + 1), "learning") as advance:
        verdicts = {name: scored(each, name, advance) for name, each in judges.items()}
        guards = scored(known.with_detectors(GUARDS[0].type), "guards", advance)["is_anomaly"].to_numpy(dtype=bool)
    if any(name != "auto" and KNOWN[name].is_guard and not KNOWN[name].is_joint for name in names):
        guards = np.zeros_like(guards)
    measured = {} if known.labels is None else {name: quality(each, known.labels, step=trial_data.step) for name, each in verdicts.items()}
    return [DetectorResult(name, each, measured.get(name)) for name, each in verdicts.items()], guards


def _print(known: Subject, results: "list[DetectorResult]", guarded: "np.ndarray") -> None:
    from smartflow_assets.core.evaluation import detector_agreement

    step, columns = known.trial_data.step, detector_agreement.detector_columns(results)
    terminal.table(columns, detector_agreement.detector_rows(results, guarded, step), right=columns[1:])
    if len(results) > 1:
        terminal.result("")
        pairs = detector_agreement.pair_rows(detector_agreement.agreements(results, guarded, step))
        terminal.table(detector_agreement.PAIR_COLUMNS, pairs, right=detector_agreement.PAIR_COLUMNS[1:])
    if guarded.any():
        terminal.say(
            f"left out of the agreement: {terminal.count(int(guarded.sum()), 'row')} that flatline and missing flag whatever is listed"
        )


def _write(known: Subject, results: "list[DetectorResult]", guarded: "np.ndarray", chosen: list[str], target: Path) -> None:
    from smartflow_assets.core.evaluation.detector_agreement import own_flags
    from smartflow_assets.core.reports.comparison_plot import comparison_plot
    from smartflow_assets.core.reports.comparison_report import comparison_page

    rows, scores = known.trial_data.rows, results[0].scores
    counts = scores["series"][sum(own_flags(result, guarded).astype(int) for result in results) > 0].value_counts()
    shown = chosen or list(dict.fromkeys([*map(str, counts.index), *map(str, rows["series"].unique())]))[:PLOTTED]
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
        + (" A tick at the foot of a series is a row that flatline or missing flags whatever is listed." if guarded.any() else "")
    ]
    target.write_text(
        comparison_page(f"Detectors compared on {known.name}", facts, results, guarded, known.trial_data.step, pictures), encoding="utf-8"
    )


COMMANDS = (("compare", compare, EXAMPLES),)
