# pyright: reportUnknownMemberType=false
# matplotlib leaves the keyword arguments of its methods untyped.
"""Detectors over each other in one picture: the series on top, and below it a lane for each with its score and its flags.

All lanes share the time and one ruler: a full lane is three times the threshold of its detector. Labelled intervals are shaded through
all of them, so that the eye sees who found what. The strip between says how many agree.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd

from smartflow_assets.core.evaluation.detector_agreement import DetectorResult, own_flags
from smartflow_assets.core.reports import series_plot

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, TOP, STRIP, LANE, DOTS = 12.0, 2.5, 0.28, 0.62, 144  # inches, and dots in one
PLOTTED_COLUMNS = 1600  # about the dots across: of more rows each column shows its highest score
REACH = 3.0  # times the threshold: what is higher fills the lane
COLOURS = ("#2f6fb0", "#e08600", "#3f8f5f", "#c2569b", "#7b5ea7", "#a0663a", "#00868b", "#b8860b", "#c62828", "#5f6b73")
_LINE, _TEXT, _FAINT, _CALM = "#263746", "#37474f", "#8a98a3", "#c9d3da"


def comparison_plot(
    rows: pd.DataFrame,
    results: Sequence[DetectorResult],
    *,
    series: str,
    title: str,
    unit: str = "",
    timezone: str = "UTC",
    known: pd.DataFrame | None = None,
    guarded: np.ndarray | None = None,
) -> bytes:
    """One series as PNG. `rows`: its observed_at and value, with as much before the judged rows as is to be shown; `known`: its
    labelled intervals; `guarded`: rows of the results that are flagged whatever is listed, ticks at the foot of the series.
    ValueError when there are no rows."""
    from matplotlib.figure import Figure

    if rows.empty:
        raise ValueError(f"{title}: there are no rows to draw")
    nobody = np.zeros(len(results[0].scores), dtype=bool)
    guarded = nobody if guarded is None else guarded
    height = TOP + STRIP + LANE * len(results)
    figure = Figure(figsize=(WIDTH, height + 0.5), dpi=DOTS, facecolor="white", layout="constrained")
    figure.get_layout_engine().set(h_pad=0.045, hspace=0.0)  # pyright: ignore[reportOptionalMemberAccess, reportCallIssue]
    panels = figure.subplots(len(results) + 2, 1, sharex=True, height_ratios=[TOP, STRIP, *([LANE] * len(results))])
    rows = rows.sort_values("observed_at")
    times = series_plot.local_times(rows["observed_at"], timezone)
    panels[0].plot(times, rows["value"].to_numpy(float), color=_LINE, linewidth=1.1 if len(rows) < 1500 else 0.7, zorder=3)
    own = (results[0].scores["series"] == series).to_numpy()
    judged = series_plot.local_times(results[0].scores["observed_at"][own], timezone)
    flags = np.array([own_flags(result, guarded)[own] for result in results])
    _draw_top(panels[0], title, unit)
    _draw_strip(panels[1], judged, flags.sum(axis=0), len(results))
    for number, (result, axes) in enumerate(zip(results, panels[2:], strict=True)):
        _draw_lane(axes, judged, result, own, flags[number], series, COLOURS[number % len(COLOURS)])
    if guarded[own].any():
        low = panels[0].get_ylim()[0]
        panels[0].scatter(judged[guarded[own]], np.full(guarded[own].sum(), low), marker="|", s=28, color=_FAINT, zorder=4, clip_on=False)
    for axes in panels:
        axes.set_xlim(times[0], times[-1])
        if known is not None and len(known):
            series_plot.shade(axes, known, times, timezone)
        if len(judged) and judged[0] > times[0]:
            axes.axvspan(times[0], judged[0], color="#eff0f4", linewidth=0, zorder=0)
    if len(judged) and judged[0] > times[0]:
        panels[0].text(
            judged[0], 0.97, "learnt from  ", transform=panels[0].get_xaxis_transform(), ha="right", va="top", fontsize=7.5, color=_FAINT
        )
    series_plot.date_axis(panels[-1], times, timezone)
    return series_plot.png(figure)


def _draw_top(axes: "Axes", title: str, unit: str) -> None:
    from matplotlib.ticker import EngFormatter, MaxNLocator

    axes.set_title(title, loc="left", fontsize=10.5, color=_TEXT, fontweight="bold", pad=7)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
    if max(map(abs, axes.get_ylim())) >= 100_000:
        axes.yaxis.set_major_formatter(EngFormatter(sep=""))
    axes.margins(y=0.06)
    axes.set_ylabel(unit, fontsize=8, color=_TEXT)
    axes.grid(axis="y", color="#e7ecef", linewidth=0.8, zorder=0)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8, colors=_TEXT, length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _draw_strip(axes: "Axes", times: np.ndarray, votes: np.ndarray, most: int) -> None:
    """How many flag each row, the darker the more."""
    at, (height,) = _columns(times, votes[None, :].astype(float))
    from matplotlib.colors import LinearSegmentedColormap

    shades = LinearSegmentedColormap.from_list("agreement", ["#f3d9b1", "#d1495b", "#6a1b3d"])
    flagged = np.flatnonzero(height > 0)
    if len(flagged):
        colours = cast(Any, shades)((height[flagged] - 1) / max(most - 1, 1))
        axes.vlines(at[flagged], 0, 1, colors=colours, linewidth=1.6)
    axes.set_ylim(0, 1)
    _name(axes, "how many agree", _FAINT, f"at most {int(votes.max(initial=0))} of {most}")


def _draw_lane(
    axes: "Axes", times: np.ndarray, result: DetectorResult, own: np.ndarray, flags: np.ndarray, series: str, colour: str
) -> None:
    share = np.clip(result.ratios[own] / REACH, 0, 1)
    at, (height, flagged) = _columns(times, np.array([share, np.where(flags, share, 0.0)]))
    axes.fill_between(at, 0, height, color=_CALM, linewidth=0, zorder=1)
    found = np.flatnonzero(flagged > 0)
    if len(found):
        axes.vlines(at[found], 0, flagged[found], colors=colour, linewidth=1.4, zorder=3)
        axes.scatter(at[found], flagged[found], s=9, color=colour, zorder=4, clip_on=False)
    axes.axhline(1 / REACH, color=colour, linewidth=0.7, linestyle=(0, (4, 3)), alpha=0.8, zorder=2)
    axes.set_ylim(0, 1.05)
    quality = f"{flags.sum():,} flagged"
    if result.quality is not None:
        events = next((each.events for each in result.quality.series if each.series == series), None)
        quality += f"\nF1 {events.f1:.2f}" if events and events.hits + events.misses else ""
    _name(axes, result.name, colour, quality)


def _name(axes: "Axes", name: str, colour: str, remark: str) -> None:
    """Who it is at the left, what came out at the right."""
    axes.set_yticks([])
    axes.tick_params(labelsize=8, colors=_TEXT, length=0)
    axes.text(-0.006, 0.45, name, transform=axes.transAxes, ha="right", va="center", fontsize=8.5, color=colour, fontweight="bold")
    axes.text(1.006, 0.45, remark, transform=axes.transAxes, ha="left", va="center", fontsize=8, color=_TEXT)
    for place, spine in axes.spines.items():
        spine.set_visible(place == "bottom")
        spine.set_color("#dfe5e9")


def _columns(times: np.ndarray, heights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Times and heights (kinds x rows) with the highest of each of `PLOTTED_COLUMNS` stretches, where there are more rows than that."""
    if len(times) <= PLOTTED_COLUMNS:
        return times, heights
    starts = np.linspace(0, len(times), PLOTTED_COLUMNS, endpoint=False).astype(int)
    return times[starts], np.maximum.reduceat(heights, starts, axis=1)
