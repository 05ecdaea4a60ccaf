"""`smartflow tune`: search better settings on the past of a source, and judge them on a part that the search has not seen."""

import tempfile
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smartflow_assets.commands import home, terminal
from smartflow_assets.core.nearest_name import did_you_mean

if TYPE_CHECKING:
    from smartflow_assets.adapters.files.trial_log import TrialLog
    from smartflow_assets.config.settings import Settings
    from smartflow_assets.config.source import Source
    from smartflow_assets.core.evaluation.settings_search import Parameter, Point, Trial, TrialFigures
    from smartflow_assets.stages.experiments.tuning import TuningData

EXAMPLES = """
smartflow tune web_traffic
smartflow tune web_traffic --parameters threshold --trials 12
smartflow tune system_metrics --parameters detectors,threshold --trials 100 --write
smartflow tune shop --plant spike,dropout --sizes 0.5
"""
FIGURES = ("F1", "precision", "recall", "PR AUC", "false alerts a day")
SHOWN = 5
FEW = 10  # labelled intervals


def tune(
    name: home.SourceName,
    trials: Annotated[int, typer.Option("--trials", metavar="N", min=2, help="Settings to try, those that stand among them.")] = 40,
    parameters: Annotated[
        str,
        typer.Option(
            "--parameters",
            metavar="A,B",
            show_default=False,
            help="What to search: n_estimators, "
            "contamination, max_samples, changepoint_prior_scale, detectors, threshold; default: those "
            "that have an effect.",
        ),
    ] = "",
    write: Annotated[bool, typer.Option("--write", help="Write what is proposed into the YAML; only the keys of the diff change.")] = False,
    plant: Annotated[
        str,
        typer.Option(
            "--plant",
            metavar="A,B",
            show_default=False,
            help="Types of anomalies to plant where there are "
            "too few labels: spike, dropout, level, flat, context, burst, half_volume, zero_run; default: all.",
        ),
    ] = "",
    sizes: Annotated[
        str, typer.Option("--sizes", metavar="A,B", help="Their sizes, as fractions of the series' 1 to 99 % range.")
    ] = "0.5,1",
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Of the search and of what is planted.")] = 0,
    restart: Annotated[bool, typer.Option("--restart", help="Forget the trials of an earlier run that was cut off.")] = False,
) -> None:
    """Search better settings for a source, and propose them as a change of its YAML.

    Settings are tried on the first 70 % of the stored history, by labels where there are some, else by anomalies that are planted;
    the best and those that stand are then measured on the later 30 %, which the search has not seen. What is not better there is
    not proposed. A run that was cut off goes on where it was. Nothing but --write changes the home's YAML.
    """
    settings = home.open_home()
    from smartflow_assets.adapters.files.trial_log import TrialLog
    from smartflow_assets.config.catalogue import Catalogue
    from smartflow_assets.config.search_space import NAMES, search_space
    from smartflow_assets.core.errors import SourceError
    from smartflow_assets.core.evaluation.anomaly_injection import PLANTED
    from smartflow_assets.core.evaluation.settings_search import best
    from smartflow_assets.stages.experiments.trial_data import source_trial_data
    from smartflow_assets.stages.experiments.tuning import tuning_data

    catalogue = Catalogue.load(settings)
    home.named([name], catalogue)
    source = catalogue.source(name)
    asked, types = _chosen(parameters, NAMES, "--parameters"), _chosen(plant, PLANTED, "--plant")
    amounts = _sizes(sizes)
    with tempfile.TemporaryDirectory(prefix="smartflow-tune-") as folder, terminal.quiet(), terminal.progress(None, "reading rows"):
        found = source_trial_data(source, settings, settings.with_state_in(Path(folder)), catalogue, datetime.now(UTC))
    try:
        space = search_space(source, found.metrics, asked)
    except SourceError as error:
        raise terminal.UsageError(error.what, source=error.source, remedy=error.remedy) from error
    if not space:
        raise terminal.UsageError("there is nothing to search with its settings", source=name)
    data = tuning_data(found, space, types=types or tuple(PLANTED), sizes=amounts, seed=seed)
    log = TrialLog(settings.state / "tuning" / f"{name}-{data.key(space, seed)}.jsonl")
    if restart:
        log.clear()
    _say_what_is_judged(data)
    tried = _search(data, settings, space, log, trials, seed)
    leaders = best(tried, space, SHOWN)
    if not leaders:
        raise SourceError(f"none of {terminal.count(len(tried), 'setting')} could be tried: {tried[0].error}", source=name)
    _print_best(leaders, tried, len(tried))
    _propose(data, settings, tried[0], leaders[0], is_written=write)


def _chosen(text: str, known: Collection[str], option: str) -> list[str]:
    """The names that an option lists. UsageError, with the nearest one, for a name that there is not."""
    chosen = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    for name in chosen:
        if name not in known:
            remedy = did_you_mean(name, known, f"There are {', '.join(known)}.")
            raise terminal.UsageError(f"{option}: there is no {name!r}", remedy=remedy)
    return chosen


def _sizes(text: str) -> list[float]:
    try:
        amounts = [float(part) for part in text.split(",") if part.strip()]
    except ValueError:
        amounts = []
    if not amounts or not all(0 < amount <= 100 for amount in amounts):
        raise terminal.UsageError(f"--sizes: {text!r} are no sizes", remedy="Write fractions of the series' range, such as 0.5,1.")
    return amounts


def _say_what_is_judged(data: "TuningData") -> None:
    rows, counts, day = data.clean.trial_data.rows, data.counts(), "%Y-%m-%d %H:%M"
    kind = "planted anomalies" if data.planted else "labelled intervals"
    terminal.say(
        f"{terminal.count(len(rows), 'bucket')} of {rows['series'].nunique():,} series; searched from {data.since:{day}} to "
        f"{data.split:{day}} by {counts[0]:,} {kind}, kept out up to {data.until:{day}} with {counts[1]:,}"
    )
    if data.planted:
        terminal.note("there are too few labels, so anomalies are planted: figures compare settings and are no promise")
    elif min(counts) < FEW:
        terminal.note(f"with so few labelled intervals a small difference is chance; from {FEW} in each part on it says more")


def _search(
    data: "TuningData", settings: "Settings", space: "Sequence[Parameter]", log: "TrialLog", count: int, seed: int
) -> "list[Trial]":
    """The trials, those of an earlier run that was cut off among them."""
    from smartflow_assets.core.evaluation.settings_search import best

    tried = log.read()[:count]
    if tried:
        terminal.say(f"{terminal.count(len(tried), 'trial')} of an earlier run are taken over; --restart begins anew")
    try:
        with terminal.quiet(), terminal.progress(count, "trying settings") as advance:
            advance(len(tried))
            for trial in data.search(settings, space, tried, count, seed):
                log.append(trial)
                tried.append(trial)
                leader = best(tried, space)
                advance(1, f"best F1 {leader[0].figures.f1:.2f}" if leader and leader[0].figures else "trying settings")
    except KeyboardInterrupt:
        terminal.say(f"{terminal.count(len(tried), 'trial')} are kept: the same command goes on from there")
        raise
    if len(tried) < count:
        terminal.say(f"all {terminal.count(len(tried), 'setting')} that differ were tried")
    return tried


def _print_best(leaders: "list[Trial]", tried: "list[Trial]", count: int) -> None:
    from smartflow_assets.config.search_space import described

    shown = [*leaders, *([tried[0]] if tried[0] not in leaders else [])]
    terminal.result(f"the best of {terminal.count(count, 'setting')} on the part that was searched", style="bold")
    terminal.table(["settings", *FIGURES], ([described(trial.point), *_figures(trial.figures)] for trial in shown), right=FIGURES)
    if failed := [trial for trial in tried if trial.error]:
        first = f"{described(failed[0].point)}: {failed[0].error}"
        terminal.say(f"{terminal.count(len(failed), 'setting')} could not be tried; the first: {first}")


def _propose(data: "TuningData", settings: "Settings", present: "Trial", winner: "Trial", *, is_written: bool) -> None:
    """Both on the part that was kept out; what is better there, as a diff, and written if that is wished."""
    from smartflow_assets.config.search_space import described

    if not winner.point:
        terminal.result("\nthe settings that stand are the best of them: nothing is proposed")
        return
    with terminal.quiet(), terminal.progress(2, "judging the part that was kept out") as advance:
        before = data.measure(data.source, is_held_out=True)
        advance(1)
        after = data.measure(data.varied(settings, winner.point), is_held_out=True)
    terminal.result("\non the later part that the search has not seen", style="bold")
    rows = [[described(point), *_figures(found)] for point, found in (({}, before), (winner.point, after))]
    terminal.table(["settings", *FIGURES], rows, right=FIGURES)
    if after.rank <= before.rank:
        terminal.result("\nthere the best is no better than the settings that stand: nothing is proposed")
        return
    terminal.result("")
    _print_diff(data.source, winner.point)
    if is_written:
        _write(data.source, winner.point)
        terminal.say(f"written to {data.source.file}; the next run trains anew")
    else:
        terminal.say("--write puts this into the file")


def _print_diff(source: "Source", point: "Point") -> None:
    from smartflow_assets.commands.yaml_change import show_change
    from smartflow_assets.config.search_space import put

    show_change(Path(source.file), lambda tree: put(tree, source, point))


def _write(source: "Source", point: "Point") -> None:
    from smartflow_assets.config.search_space import put
    from smartflow_assets.config.yaml_file import edit_yaml

    edit_yaml(Path(source.file), lambda tree: put(tree, source, point))


def _figures(found: "TrialFigures | None") -> list[str]:
    if found is None:
        return ["–"] * len(FIGURES)
    return [
        f"{found.f1:.2f}",
        f"{found.precision:.2f}",
        f"{found.recall:.2f}",
        "–" if found.pr_auc is None else f"{found.pr_auc:.2f}",
        f"{found.false_alerts_per_day:.3f}",
    ]


COMMANDS = (("tune", tune, EXAMPLES),)
