# pyright: reportUnknownMemberType=false
# matplotlib leaves the keyword arguments of its methods untyped.
"""The picture in a message: the series around its incident, or the worst four of a group, each with its usual range.

Drawn for a mail and a phone: 1,040 pixels wide, of which a mail shows 592, at most 60 KB, the incident shaded, limits of rules dashed.
The same rows give the same bytes, so that a repeated mail is the same mail.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from smartflow_assets.core.incidents.shortening import one_line
from smartflow_assets.core.reports.series_plot import date_axis, draw_expected, local_times, png, quieten, thinned

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_PANELS = 4
MOST_BYTES = 60_000
_WIDTH, _HEIGHT, _SMALL_HEIGHT = 7.2, 2.4, 1.75  # inches
_DOTS = (144, 100, 72)  # an inch: the first with which it is small enough
_LINE, _STRANGE, _LIMIT, _TEXT, _FAINT = "#263746", "#c62828", "#7b5ea7", "#37474f", "#8a98a3"
_SHADE = {"critical": "#fbe3e1", "warning": "#fdefd9", "info": "#e3edf7", "resolved": "#e4f2e5"}


@dataclass(frozen=True)
class Panel:
    """One series: `rows` with observed_at and value, and expected, lower and upper where they are known; `limits` are those of rules."""

    title: str
    unit: str
    rows: pd.DataFrame
    limits: Sequence[float] = ()


def incident_plot(panels: Sequence[Panel], *, started_at: datetime, ended_at: datetime, timezone: str, tone: str = "critical") -> bytes:
    """The panels as PNG, the worst first; what is beyond four is left out. ValueError when there is nothing to draw."""
    shown = [panel for panel in panels if panel.rows["value"].notna().any()][:MOST_PANELS]
    if not shown:
        raise ValueError("there is no value to draw")
    drawn = b""
    for dots in _DOTS:
        drawn = _drawn(shown, started_at, ended_at, timezone, tone, dots)
        if len(drawn) <= MOST_BYTES:
            break
    return drawn


def _drawn(panels: Sequence[Panel], started_at: datetime, ended_at: datetime, timezone: str, tone: str, dots: int) -> bytes:
    from matplotlib.figure import Figure

    columns = 1 if len(panels) == 1 else 2
    lines = -(-len(panels) // columns)
    size = _WIDTH, (_HEIGHT if columns == 1 else _SMALL_HEIGHT) * lines
    figure = Figure(figsize=size, dpi=dots, facecolor="white", layout="constrained")
    for number, panel in enumerate(panels):
        axes = figure.add_subplot(lines, columns, number + 1)
        _draw(axes, panel, started_at, ended_at, timezone, tone, width=int(_WIDTH * dots / columns), is_small=columns > 1)
    return png(figure)


def _draw(
    axes: "Axes", panel: Panel, started_at: datetime, ended_at: datetime, timezone: str, tone: str, *, width: int, is_small: bool
) -> None:
    from matplotlib.ticker import EngFormatter, MaxNLocator

    rows = thinned(panel.rows.sort_values("observed_at", ignore_index=True), columns=width)
    times, values = local_times(rows["observed_at"], timezone), rows["value"].to_numpy(float)
    start, end = local_times(pd.Series([started_at, ended_at]), timezone)
    least = (times[-1] - times[0]) / 120  # so wide that it is seen
    axes.axvspan(start, max(end, start + least), color=_SHADE.get(tone, _SHADE["info"]), linewidth=0, zorder=0)  # pyright: ignore[reportArgumentType]
    draw_expected(axes, times, rows)
    axes.plot(times, values, color=_LINE, linewidth=1.1, zorder=3)
    inside = (times >= start) & (times < max(end, start + least)) & np.isfinite(values)
    axes.plot(times[inside], values[inside], color=_STRANGE, linewidth=1.4, marker="o", markersize=3 if inside.sum() < 60 else 0, zorder=4)
    for limit in panel.limits:
        axes.axhline(limit, color=_LIMIT, linewidth=1, linestyle=(0, (4, 3)), zorder=2)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=3 if is_small else 5))
    largest = np.nanmax(np.abs(values))
    if largest >= 100_000 or 0 < largest < 0.001:
        axes.yaxis.set_major_formatter(EngFormatter(sep=""))
    axes.margins(x=0.01, y=0.1)
    quieten(axes)
    axes.set_title(
        one_line(panel.title, 48 if is_small else 100), loc="left", fontsize=8 if is_small else 9, color=_TEXT, fontweight="bold", pad=5
    )
    axes.set_ylabel(panel.unit[:24], fontsize=7.5, color=_TEXT)
    date_axis(axes, times, timezone, most_ticks=5 if is_small else 9)
