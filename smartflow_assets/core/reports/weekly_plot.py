# pyright: reportUnknownMemberType=false
# matplotlib leaves the keyword arguments of its methods untyped.
"""The picture of the weekly report: how many incidents began in each of five weeks, and on each day of this one, by severity. For another
span it is five of these, and what the span is divided into."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from smartflow_assets.core.reports.series_plot import png, quieten

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = {"critical": "#c62828", "warning": "#e08600", "info": "#7ba7d1"}
_TEXT = "#37474f"
_MOST_LABELS = 10


class Bars(NamedTuple):
    """A title; of each bar a label and how many there are of each severity."""

    title: str
    bars: Sequence[tuple[str, dict[str, int]]]


def weekly_plot(weeks: Bars, days: Bars) -> bytes | None:
    """Both as PNG, a few KB; None where nothing happened in all these weeks."""
    if not any(count for _, counts in (*weeks.bars, *days.bars) for count in counts.values()):
        return None
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 2.2), dpi=120, facecolor="white", layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1 if len(days.bars) <= len(weeks.bars) * 2 else 2))
    _bars(left, weeks)
    _bars(right, days)
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=7.5, labelcolor=_TEXT)
    return png(figure)


def _bars(axes: "Axes", given: Bars) -> None:
    from matplotlib.ticker import MaxNLocator

    bars = given.bars
    every = -(-len(bars) // _MOST_LABELS)
    places, below = np.arange(len(bars)), np.zeros(len(bars))
    for severity, colour in COLOURS.items():
        heights = np.array([counts.get(severity, 0) for _, counts in bars], dtype=float)
        axes.bar(places, heights, bottom=below, color=colour, width=0.62, label=severity, zorder=2)
        below = below + heights
    axes.set_xticks(places[::every], [label for label, _ in bars[::every]])
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
    axes.set_ylim(0, max(1.0, float(below.max()) * 1.1))
    quieten(axes)
    axes.set_title(given.title, loc="left", fontsize=9, color=_TEXT, fontweight="bold", pad=5)
