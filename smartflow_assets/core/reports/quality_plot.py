# pyright: reportUnknownMemberType=false
# matplotlib leaves the keyword arguments of its methods untyped.
"""How well scores rank what is labelled, as a picture: the ROC and the precision-recall curve of each series.

Small enough to lie in Dagster's metadata (720 x 300 pixels). A row without a score ranks below all others.
"""

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd

from smartflow_assets.core.evaluation.metrics import labelled_rows, ranks
from smartflow_assets.core.reports.series_plot import png

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_CURVES = 8  # more lines cannot be told apart
_COLOURS = ("#2f6fb0", "#e08600", "#3f8f5f", "#c62828", "#7b5ea7", "#5f6b73", "#a0663a", "#c2569b")
_TEXT, _FAINT = "#37474f", "#b7c1c8"


def quality_plot(rows: pd.DataFrame, labels: pd.DataFrame, *, title: str) -> bytes | None:
    """Both curves as PNG, for the first `MOST_CURVES` series that have labelled rows and others; None when there is none.

    `rows`: series, observed_at, raw_score; `labels`: series, started_at, ended_at.
    """
    from matplotlib.figure import Figure
    from sklearn import metrics  # pyright: ignore[reportMissingTypeStubs]

    sklearn = cast(Any, metrics)  # it types its parameters in part only

    curves: list[tuple[str, np.ndarray, np.ndarray]] = []
    for name, own in rows.sort_values("observed_at", kind="stable").groupby("series", observed=True):
        is_label = labelled_rows(own, labels[labels["series"] == name])
        if is_label.any() and not is_label.all() and len(curves) < MOST_CURVES:
            curves.append((str(name), is_label, ranks(own)))
    if not curves:
        return None
    figure = Figure(figsize=(7.2, 3.0), dpi=100, facecolor="white", layout="constrained")
    roc, recall = figure.subplots(1, 2)
    for colour, (name, is_label, scores) in zip(_COLOURS, curves, strict=False):
        false_rate, true_rate, _ = sklearn.roc_curve(is_label, scores)
        roc.plot(false_rate, true_rate, color=colour, linewidth=1.3, label=name)
        precisions, recalls, _ = sklearn.precision_recall_curve(is_label, scores)
        recall.step(recalls, precisions, where="post", color=colour, linewidth=1.3)
    roc.plot([0, 1], [0, 1], color=_FAINT, linewidth=0.9, linestyle=(0, (3, 3)))  # what chance would do
    _dress(roc, "share of calm rows flagged", "share of labelled rows flagged", "ROC")
    _dress(recall, "recall of rows", "precision of rows", "precision and recall")
    figure.suptitle(title, x=0.01, ha="left", fontsize=9, color=_TEXT, fontweight="bold")
    figure.legend(*roc.get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False, fontsize=7, labelcolor=_TEXT)
    return png(figure)


def _dress(axes: "Axes", across: str, up: str, title: str) -> None:
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axes.set_xlabel(across, fontsize=7.5, color=_TEXT)
    axes.set_ylabel(up, fontsize=7.5, color=_TEXT)
    axes.set_title(title, loc="left", fontsize=8, color=_TEXT)
    axes.tick_params(labelsize=7.5, colors=_TEXT, length=2.5)
    axes.grid(color="#e7ecef", linewidth=0.8)
    axes.set_axisbelow(True)
    for name, spine in axes.spines.items():
        spine.set_visible(name in ("bottom", "left"))
        spine.set_color(_FAINT)
