# pyright: reportUnknownMemberType=false
# matplotlib leaves the keyword arguments of its methods untyped.
"""What has moved, as a picture: the distribution of the newest window over that of its reference, one panel a column.

The columns that moved most stand side by side, the furthest first. Numbers are drawn as shares of rows in bins that both windows have in
common, categories as bars. The two windows are told apart by filling and outline, not by colour alone; what lies far out is left to the
numbers, since one outlier would make a line of everything else.
"""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from smartflow_assets.core.drift.report import DriftReport
from smartflow_assets.core.reports.letters import drawable
from smartflow_assets.core.reports.series_plot import png, quieten
from smartflow_assets.core.text_format import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_REFERENCE, _CURRENT, _TEXT, _FAINT, _DRIFTED = "#b9cddd", "#c4570a", "#37474f", "#8a98a3", "#c62828"
_BINS, _FEW_VALUES, _MOST_CATEGORIES = 30, 12, 6
_LINE_LETTERS = 50  # that fit below a panel


def drift_plot(report: DriftReport, *, title: str, timezone: str = "UTC") -> bytes:
    """The samples of a report as PNG, up to three columns; ValueError when it has none to draw."""
    shown = [(name, *samples) for name, samples in report.samples.items() if all(map(len, samples))]
    if not shown:
        raise ValueError(f"{title}: there are no values to draw")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.4 * max(2, len(shown)), 2.9), dpi=110, facecolor="white", layout="constrained")
    figure.get_layout_engine().set(wspace=0.08)  # type: ignore[union-attr]
    panels = figure.subplots(1, max(2, len(shown)), squeeze=False)[0]
    for axes, (name, reference, current) in zip(panels, shown, strict=False):
        if pd.api.types.is_numeric_dtype(reference):
            _draw_numbers(axes, reference.to_numpy(float), current.to_numpy(float))
        else:
            _draw_categories(axes, reference, current)
        _dress(axes, name, report)
    for axes in panels[len(shown) :]:
        axes.set_visible(False)
    window, zone = report.window, timezone
    start, middle, end = (
        f"{pd.Timestamp(time).tz_convert(zone):%-d %b %Y}" for time in (window.reference_from, window.current_from, window.current_to)
    )
    figure.suptitle(title, x=0.008, ha="left", fontsize=10, color=_TEXT, fontweight="bold")
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="upper right", ncols=2, frameon=False, fontsize=8, labelcolor=_TEXT, borderpad=0.2
    )
    span = f"before: {start} to {middle}, {report.reference_rows:,} rows; now: {middle} to {end}, {report.current_rows:,} rows ({zone})"
    figure.supxlabel(span, x=0.008, ha="left", fontsize=7.5, color=_FAINT)
    return png(figure)


def _draw_numbers(axes: "Axes", reference: np.ndarray, current: np.ndarray) -> None:
    both = np.concatenate([reference, current])
    values = np.unique(both)
    if len(values) <= _FEW_VALUES:
        _draw_bars(axes, [number(value) for value in values], *(_shares(part, values) for part in (reference, current)))
        return
    low, high = (float(np.quantile(both, share)) for share in (0.005, 0.995))
    low, high = (low, high) if high > low else (float(values[0]), float(values[-1]))
    edges = np.linspace(low, high, int(np.clip(np.sqrt(min(len(reference), len(current))), 6, _BINS)) + 1)
    heights = [100 * np.histogram(part, edges)[0] / len(part) for part in (reference, current)]
    axes.stairs(heights[0], edges, fill=True, color=_REFERENCE, label="before", zorder=1)
    axes.stairs(heights[1], edges, color=_CURRENT, linewidth=1.4, label="now", zorder=3)
    for part, colour, style in ((reference, "#6d8ba3", (0, (1, 1.5))), (current, _CURRENT, (0, (4, 2)))):
        axes.axvline(float(np.median(part)), color=colour, linewidth=1.0, linestyle=style, zorder=2)
    axes.set_xlim(edges[0], edges[-1])


def _draw_categories(axes: "Axes", reference: pd.Series, current: pd.Series) -> None:
    """The commonest categories of both windows, and all others together."""
    before, now = (part.value_counts(normalize=True) for part in (reference, current))
    most = before.add(now, fill_value=0).sort_values(ascending=False, kind="stable").index[:_MOST_CATEGORIES]
    shares = [100 * part.reindex(most).fillna(0).to_numpy(float) for part in (before, now)]
    labels = [text if len(text) <= 14 else f"{text[:13]}…" for text in map(drawable, map(str, most))]
    if len(before.index.union(now.index)) > len(most):
        shares = [np.append(share, 100 - share.sum()) for share in shares]
        labels.append("others")
    _draw_bars(axes, labels, *shares)


def _shares(values: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    return 100 * np.array([(values == kind).mean() for kind in kinds])


def _draw_bars(axes: "Axes", labels: list[str], before: np.ndarray, now: np.ndarray) -> None:
    at = np.arange(len(labels))
    axes.bar(at, before, width=0.8, color=_REFERENCE, label="before", zorder=1)
    axes.bar(at, now, width=0.5, facecolor="none", edgecolor=_CURRENT, linewidth=1.4, label="now", zorder=3)
    is_turned = max(map(len, labels)) > _LINE_LETTERS / len(labels)
    axes.set_xticks(at, labels, rotation=25 if is_turned else 0, ha="right" if is_turned else "center", rotation_mode="anchor")


def _dress(axes: "Axes", name: str, report: DriftReport) -> None:
    """Names, scale and the test that saw most of it."""
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    worst = max((check for check in report.checks if check.column_name == name), key=lambda check: (check.is_drifted, check.excess))
    verdict = f"{worst.test.replace('_', ' ')} {number(worst.statistic)}, limit {number(worst.limit_value)}"
    axes.set_title(
        f"{name if len(name) <= 32 else name[:31] + '…'}\n{verdict}",
        loc="left",
        fontsize=8,
        color=_DRIFTED if worst.is_drifted else _TEXT,
        linespacing=1.3,
        pad=5,
    )
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4))
    axes.yaxis.set_major_formatter(PercentFormatter(decimals=0))
    axes.margins(y=0.06)
    quieten(axes)
