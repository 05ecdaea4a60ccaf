"""How far forecasts can be trusted: of rows that were held out, how many lie inside the range, and whether the expected line beats guesses.

    python benchmarks/forecast.py [--corpus-dir DIR --corpora nab,aiops,wsd] [--origins 40] [--each]

Of each series of the example sources, and of the labelled corpora in DIR (see quality.py), a model with the settings of its source, or
untouched defaults, learns from the first 60 %. From so many rows of the rest it is asked what comes, as `smartflow serve` asks it, and what
came is compared. Prints by horizon, in rows: the share of values inside the range (the mean of all series), and the mean absolute error of
the expected line as a share of that of the last value and of the value one season ago (the median of all series); last the CPU seconds of
one forecast. `--each` prints the series one by one.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from quality import read_corpus, series_frame
from rich.console import Console
from rich.progress import track

from smartflow_assets.commands import terminal
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.settings import Settings
from smartflow_assets.core.detection import FittedModels, fit_models
from smartflow_assets.core.detection.outlook import outlook, rows_ahead
from smartflow_assets.core.generators.examples import END, EXAMPLE_SOURCES
from smartflow_assets.core.series.facts import season
from smartflow_assets.stages.experiments.trial_data import source_trial_data

LEARNT = 0.6
HORIZONS = (1, 6, 24, 48, 96)


class Held(NamedTuple):
    """A series, and the model that has learnt from so many of its first rows."""

    name: str
    frame: pd.DataFrame
    fitted: FittedModels
    learnt: int


class Figures(NamedTuple):
    """Of one series. By horizon: the share inside, and mean absolute errors of the line, the last value and the season before."""

    name: str
    inside: np.ndarray
    line: np.ndarray
    last: np.ndarray
    season: np.ndarray
    seconds: float


def example_series(name: str) -> Iterator[Held]:
    """The clean rows of an example source, learnt from by its own settings and calendar."""
    settings = Settings(home=Path(__file__).parents[1])
    catalogue = Catalogue.load(settings)
    with tempfile.TemporaryDirectory(prefix="smartflow-forecast-") as folder, terminal.quiet():
        made = source_trial_data(catalogue.source(name), settings, settings.with_state_in(Path(folder)), catalogue, END)
    data = made.trial_data
    for group in made.groups:
        rows = group.rows(data.rows)
        cut = sorted(rows["observed_at"].unique())[int(LEARNT * rows["observed_at"].nunique())]
        learnt = rows[rows["observed_at"] < cut]
        fitted = fit_models(learnt, group.settings, step=data.step, is_first=True, is_log=group.is_log, calendar=data.calendar)
        for series, own in rows.groupby("series", observed=True):
            if series in fitted.series:
                yield Held(f"{name} {series}", own.sort_values("observed_at"), fitted, int((own["observed_at"] < cut).sum()))


def corpus_series(folder: Path, corpus: str) -> Iterator[Held]:
    """The series of a labelled corpus, learnt from by untouched defaults."""
    for name, rows in read_corpus(folder / f"{corpus}.parquet").groupby("series", sort=True):
        frame = series_frame(rows)
        learnt = int(LEARNT * len(frame))
        yield Held(f"{corpus} {name}", frame, fit_models(frame[:learnt], is_first=True), learnt)


def measured(held: Held, origins: int) -> Figures:
    """Forecasts from rows that were not learnt from, beside what came."""
    times = held.frame["observed_at"].dt.tz_localize(None).to_numpy().astype("datetime64[us]")
    values = held.frame["value"].to_numpy(float)
    count, period = max(rows_ahead(held.fitted.step), HORIZONS[-1]), season(held.fitted.step)
    last_origin = len(values) - count
    places = np.unique(np.linspace(held.learnt, last_origin, origins).astype(int) - np.arange(origins) % 7)
    at = np.array(HORIZONS) - 1
    inside, line, last, before = (np.full((len(places), len(HORIZONS)), np.nan) for _ in range(4))
    seconds = []
    for row, origin in enumerate(places):
        began = time.process_time()
        said = outlook(held.fitted, str(held.frame["series"].iloc[0]), times[:origin], values[:origin], times[origin : origin + count])
        seconds.append(time.process_time() - began)
        came = values[origin : origin + count][at]
        is_known = np.isfinite(came)
        inside[row] = np.where(is_known, (came >= said.lower[at] - 1e-9) & (came <= said.upper[at] + 1e-9), np.nan)
        line[row] = np.abs(came - said.expected[at])
        past = values[:origin]
        last[row] = np.abs(came - past[np.isfinite(past)][-1])
        if period and origin >= period:
            before[row] = np.abs(came - values[origin + at - period * (at // period + 1)])
    known = np.isfinite(line) & (np.isfinite(before) if period else True)  # all three on the same rows
    line, last = (np.nanmean(np.where(known, each, np.nan), axis=0) for each in (line, last))
    a_season_ago = np.nanmean(np.where(known, before, np.nan), axis=0) if period else np.full(len(at), np.nan)
    return Figures(held.name, np.nanmean(inside, axis=0), line, last, a_season_ago, float(np.median(seconds)))


def told(title: str, figures: list[Figures]) -> None:
    """One line of the table for many series."""
    inside = np.mean([each.inside for each in figures], axis=0)
    to_last, to_season = (
        np.nanmedian([each.line / np.maximum(getattr(each, guess), 1e-12) for each in figures], axis=0) for guess in ("last", "season")
    )
    columns = ("".join(f"{value:6.2f}" for value in part) for part in (inside, to_last, to_season))
    print(f"{title:18.18s}{len(figures):4d}  {'   '.join(columns)}   {np.median([each.seconds for each in figures]):.3f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sources", default=",".join(EXAMPLE_SOURCES))
    parser.add_argument("--corpus-dir", type=Path)
    parser.add_argument("--corpora", default="nab,aiops,wsd", help="comma-separated names of Parquet files in the folder")
    parser.add_argument("--origins", type=int, default=40)
    parser.add_argument("--each", action="store_true", help="a line for each series")
    arguments = parser.parse_args()
    horizons = "".join(f"{each:6d}" for each in HORIZONS)
    print(f"rows ahead              {'   '.join([horizons] * 3)}\n{'':24s}{'inside':33s}{'error/last value':33s}error/a season ago   CPU s")
    wanted = [(name, example_series(name)) for name in arguments.sources.split(",") if name]
    if arguments.corpus_dir:
        wanted += [(name, corpus_series(arguments.corpus_dir, name)) for name in arguments.corpora.split(",")]
    every = list[Figures]()
    for name, series in wanted:
        figures = [measured(held, arguments.origins) for held in track(series, name, total=None, console=Console(stderr=True))]
        for each in figures if arguments.each else ():
            told(each.name[-18:], [each])
        told(name, figures)
        every += figures
    told("all", every)


if __name__ == "__main__":
    main()
