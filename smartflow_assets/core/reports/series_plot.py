# pyright: reportUnknownMemberType=false
# matplotlib leaves the keyword arguments of its methods untyped.
"""One series as a picture: values, what was expected, what was strange.

Small enough to lie in Dagster's metadata (720 x 208 pixels, at most 45 KB), or large for documents and reports. Anomalies
are told apart by colour and by shape, so that a grey print and a colour-blind reader see the same. The Figure API of
matplotlib keeps no global state, so runs may draw side by side; it is loaded at the first picture.
"""

from datetime import datetime
from io import BytesIO
from textwrap import wrap
from typing import TYPE_CHECKING, Literal
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from smartflow_assets.core.reports.letters import drawable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Size = Literal["small", "large"]
_INCHES: dict[Size, tuple[float, float, int]] = {"small": (7.2, 2.08, 100), "large": (10.0, 3.6, 144)}  # width, height, dots
_MARKS = {"info": ("o", "#2f6fb0", 30), "warning": ("^", "#e08600", 46), "critical": ("D", "#c62828", 30)}  # severity: shape, colour, size
_COLOURS = 128  # a palette makes the file a third of the size; by coverage, or the rare orange of a warning turns red
_VALUE, _EXPECTED, _BAND, _TEXT, _FAINT, _TRAINING = "#263746", "#4d8fc4", "#cfe1f2", "#37474f", "#8a98a3", "#7b5ea7"
_KNOWN = "#f5c6c2"
MOST_LINES, LINE_INCHES = 3, 0.14  # of a caption


def series_plot(
    rows: pd.DataFrame,
    anomalies: pd.DataFrame | None,
    *,
    title: str,
    unit: str = "",
    timezone: str = "UTC",
    training_cut: datetime | None = None,
    size: Size = "small",
    known: pd.DataFrame | None = None,
    caption: str = "",
) -> bytes:
    """The rows of one series as PNG.

    `rows`: observed_at and value, and expected, lower and upper where they are known; NaN leaves a hole. `anomalies`: what to
    mark, as anomalous rows (observed_at, value, severity) or as rows of the table anomalies (peak_at, value, severity); where
    nothing was observed the mark stands on the expected value. `training_cut`: a model was learnt from what lies before.
    `known`: labelled intervals (started_at, ended_at), shaded behind the line. `caption`: a sentence or two below it, in up
    to three lines that make the picture higher. ValueError when there are no rows.
    """
    if rows.empty:
        raise ValueError(f"{title}: there are no rows to draw")
    from matplotlib.figure import Figure

    width, height, dots = _INCHES[size]
    lines = wrap(caption, width=int(18 * width), max_lines=MOST_LINES, placeholder=" …")
    figure = Figure(figsize=(width, height + LINE_INCHES * len(lines)), dpi=dots, facecolor="white", layout="constrained")
    axes = figure.add_subplot()
    rows = thinned(rows.sort_values("observed_at"), columns=int(width * dots))
    times = local_times(rows["observed_at"], timezone)
    draw_expected(axes, times, rows)
    line = 1.1 if len(rows) < 1500 else 0.8
    axes.plot(times, rows["value"].to_numpy(float), color=_VALUE, linewidth=line, label="value", zorder=3)
    if known is not None and len(known):
        shade(axes, known, times, timezone)
    if anomalies is not None:
        _draw_anomalies(axes, anomalies, timezone)
    if training_cut is not None:
        _draw_training_cut(axes, local_times(pd.Series([training_cut]), timezone)[0])
    _dress(axes, rows, title, unit)
    date_axis(axes, times, timezone)
    if lines:
        figure.supxlabel("\n".join(lines), x=0.01, ha="left", fontsize=7.5, color=_TEXT, linespacing=1.25)
    return png(figure)


def thinned(rows: pd.DataFrame, columns: int) -> pd.DataFrame:
    """The rows, in order of time, that are seen where so many columns of pixels show them: the lowest and the highest of each column, and
    a missing one, which leaves a hole. All of them where there are few.

    >>> rows = pd.DataFrame({"value": [1.0, 5, 2, 0, 1, np.nan, 1, 1, 9, 1]})
    >>> list(thinned(rows, columns=2)["value"]), len(thinned(rows, columns=3))
    ([1.0, 5.0, 0.0, nan, 1.0, 9.0, 1.0], 10)
    """
    count = len(rows)
    if count <= 4 * columns:
        return rows
    values, column = rows["value"].to_numpy(float), np.arange(count) * columns // count
    is_missing, first = np.isnan(values), np.flatnonzero(np.diff(column, prepend=-1))
    lowest = np.lexsort((np.where(is_missing, np.inf, values), column))[first]
    highest = np.lexsort((np.where(is_missing, -np.inf, values), column))[np.append(first[1:], count) - 1]
    missing = np.flatnonzero(is_missing)
    holes = missing[np.unique(column[missing], return_index=True)[1]]
    return rows.iloc[np.unique(np.concatenate([lowest, highest, holes, [0, count - 1]]))]


def png(figure: "Figure") -> bytes:
    """A figure as PNG with a palette. Its texts are drawn as they are: names and units come from data, and `$5 % off $10` is no formula."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.text import Text
    from PIL import Image

    for text in figure.findobj(Text):
        text.set_text(drawable(text.get_text()))
        text.set_parse_math(False)
        text.set_usetex(False)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    picture = picture.quantize(_COLOURS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    out = BytesIO()
    picture.save(out, format="png", compress_level=6)  # 9 is a twentieth smaller and takes seven times as long
    return out.getvalue()


def local_times(times: pd.Series, timezone: str) -> np.ndarray:
    """Times as clocks of the zone show them: an axis of wall time has its ticks at local midnight."""
    return pd.DatetimeIndex(pd.to_datetime(times, utc=True)).tz_convert(ZoneInfo(timezone)).tz_localize(None).to_numpy()


def draw_expected(axes: "Axes", times: np.ndarray, rows: pd.DataFrame) -> None:
    """The usual range and what was expected, where rows have them."""

    def known(name: str) -> np.ndarray | None:
        return rows[name].to_numpy(float) if name in rows and rows[name].notna().any() else None

    lower, upper, expected = known("lower"), known("upper"), known("expected")
    if lower is not None and upper is not None:
        axes.fill_between(times, lower, upper, color=_BAND, linewidth=0, label="usual range", zorder=1)
    if expected is not None:
        axes.plot(times, expected, color=_EXPECTED, linewidth=0.9, linestyle=(0, (4, 2)), label="expected", zorder=2)


def _draw_anomalies(axes: "Axes", anomalies: pd.DataFrame, timezone: str) -> None:
    moment = "peak_at" if "peak_at" in anomalies else "observed_at"
    height = anomalies["value"].astype(float)
    if "expected" in anomalies:
        height = height.fillna(anomalies["expected"].astype(float))
    for severity, (shape, colour, area) in _MARKS.items():
        mine = (anomalies["severity"] == severity).to_numpy()
        if mine.any():
            axes.scatter(
                local_times(anomalies.loc[mine, moment], timezone),
                height[mine],
                marker=shape,
                s=area,
                color=colour,
                edgecolors="white",
                linewidths=0.7,
                label=severity,
                zorder=5,
            )


def shade(axes: "Axes", known: pd.DataFrame, times: np.ndarray, timezone: str) -> None:
    """Labelled intervals, each at least so wide that it is seen."""
    least = (times[-1] - times[0]) / 300
    intervals = zip(local_times(known["started_at"], timezone), local_times(known["ended_at"], timezone), strict=True)
    shown = [(start, end) for start, end in intervals if end >= times[0] and start <= times[-1]]
    for number, (start, end) in enumerate(shown):
        more = max(least - (end - start), least * 0) / 2
        axes.axvspan(start - more, end + more, color=_KNOWN, linewidth=0, zorder=0, label=None if number else "labelled")


def _draw_training_cut(axes: "Axes", cut: np.datetime64) -> None:
    axes.axvline(cut, color=_TRAINING, linewidth=1.1, linestyle=(0, (2, 2)), zorder=4)  # pyright: ignore[reportArgumentType]
    axes.text(
        cut,  # pyright: ignore[reportArgumentType]
        0.985,
        "learnt from this  ",
        transform=axes.get_xaxis_transform(),
        ha="right",
        va="top",
        fontsize=7.5,
        color=_TRAINING,
        zorder=6,
    )


def date_axis(axes: "Axes", times: np.ndarray, timezone: str, *, most_ticks: int = 9) -> None:
    """Ticks that name days as people do; the year, the day of a short plot, and the zone stand at the right."""
    from matplotlib.dates import HOURLY, MINUTELY, MONTHLY, AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=min(4, most_ticks - 2), maxticks=most_ticks)
    for frequency, whole in ((MONTHLY, 12), (HOURLY, 24), (MINUTELY, 60)):  # it warns where few ticks fall between two units
        locator.intervald[frequency] = [*locator.intervald[frequency], whole]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(
        ConciseDateFormatter(
            locator,
            show_offset=False,
            formats=["%Y", "%b", "%-d %b", "%H:%M", "%H:%M", "%H:%M:%S"],
            zero_formats=["", "%b %Y", "%-d %b", "%a %-d %b", "%H:%M", "%H:%M"],
        )
    )
    first, last = pd.Timestamp(times[0]), pd.Timestamp(times[-1])
    span = f"{first:%a %-d %b %Y}" if first.date() == last.date() else " to ".join(dict.fromkeys([f"{first:%Y}", f"{last:%Y}"]))
    axes.set_xlabel(f"{span}, {timezone}", loc="right", fontsize=7.5, color=_FAINT, labelpad=2)


def quieten(axes: "Axes") -> None:
    """A faint grid and one spine: the data speak."""
    axes.grid(axis="y", color="#e7ecef", linewidth=0.8, zorder=0)
    axes.set_axisbelow(True)
    for name, spine in axes.spines.items():
        spine.set_visible(name == "bottom")
        spine.set_color("#b7c1c8")
    axes.tick_params(labelsize=7.5, colors=_TEXT, length=2.5, width=0.8)
    axes.tick_params(axis="y", length=0)


def _dress(axes: "Axes", rows: pd.DataFrame, title: str, unit: str) -> None:
    """Scale, title and legend, quiet enough that the data speak."""
    from matplotlib.ticker import EngFormatter, MaxNLocator

    axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
    largest = rows["value"].abs().max()
    if largest >= 100_000 or 0 < largest < 0.001:
        axes.yaxis.set_major_formatter(EngFormatter(sep=""))
    axes.margins(x=0.01, y=0.08)
    quieten(axes)
    axes.set_ylabel(unit, fontsize=7.5, color=_TEXT)
    axes.set_title(title, loc="left", fontsize=9, color=_TEXT, fontweight="bold", pad=6)
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(
        handles,
        labels,
        loc="upper left",
        bbox_to_anchor=(-0.02, 0),
        ncols=len(labels),
        frameon=False,
        fontsize=7.5,
        labelcolor=_TEXT,
        handlelength=1.6,
        handletextpad=0.5,
        columnspacing=1.4,
        borderaxespad=2.1,
        borderpad=0,
    )
