"""The picture of the twelve synthetic domains with their labels, docs/images/synthetic_domains.png.

    python benchmarks/synthetic_domains.py [FILE]

One series of each domain; red is what was injected, the dashed line the twin in which nothing happened. Each red stretch is named
as its label names it. Of the payments, each dot is one.
"""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import matplotlib as mpl
import matplotlib.dates as mdates
import matplotlib.pyplot as plt
import pandas as pd

from smartflow_assets.core.generators import DOMAINS, BaseGenerator, Generated

TARGET = Path(__file__).parents[1] / "docs" / "images" / "synthetic_domains.png"
END, RATE = datetime(2026, 3, 6, tzinfo=UTC), 0.02
LINE, STRANGE, TWIN, GRID = "#27577d", "#d7301f", "#7c8894", "#e6e9ec"
SHOWN = {  # series, what it measures, rows
    "web_traffic": ("value", "requests", 4 * 288),
    "system_metrics": ("io", "disk, MB/s", 4 * 288),
    "cpu_usage": ("cpu", "cpu, %", 4 * 288),
    "server_traffic": ("latency", "latency, ms", 4 * 288),
    "network_traffic": ("outbound", "outbound, MB/s", 4 * 288),
    "electricity": ("demand", "demand, MW", 21 * 24),
    "machine_health": ("vibration", "vibration, mm/s", 12 * 60),
    "iot_sensors": ("temperature", "temperature, °C", 5 * 288),
    "finance": ("price", "price", 5 * 96),
    "stock_risk": ("value_at_risk", "value at risk, %", 28 * 24),
    "fraud": ("amount", "amount of a payment", 3 * 720),
    "kpi_sales": ("sales{region=north}", "sales, region north", 2 * 365),
}


def main(target: Path) -> None:
    """Draw all domains and write the picture."""
    mpl.rcParams.update({"font.size": 10.5, "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": "#9aa4ad"})
    figure, axes = plt.subplots(6, 2, figsize=(11, 13.2), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.09)
    for axis, domain in zip(axes.flat, DOMAINS.values(), strict=True):
        draw(axis, domain())
    figure.savefig(target, dpi=120, facecolor="white", pil_kwargs={"optimize": True})


def draw(axis: plt.Axes, domain: BaseGenerator) -> None:
    """One domain, up to END, by the first seed that shows two or three anomalies of its series."""
    series, what, rows = SHOWN[domain.type]
    metric, _, region = series.removesuffix("}").partition("{region=")
    made = chosen(domain, series, rows)
    tables = (table[table["region"] == region] if region else table for table in (made.frame, made.twin))
    frame, twin = (table.set_index("timestamp")[metric] for table in tables)
    axis.set_title(f"{domain.type}: {what}", loc="left", fontsize=11.5, fontweight="bold", color="#1d2b36")
    axis.grid(axis="y", color=GRID)
    axis.set_axisbelow(True)
    axis.tick_params(color="#9aa4ad", labelcolor="#44515c")
    labels = made.labels[made.labels["series"] == series]
    if domain.type == "fraud":
        draw_payments(axis, frame, labels)
    else:
        axis.plot(frame.index, frame, color=LINE, linewidth=1.0)
        for label in labels.itertuples():
            draw_event(axis, frame, twin, label, domain.step)
        low, high = frame.min(), frame.max()
        axis.set_ylim(low - 0.06 * (high - low), high + 0.26 * (high - low))
    axis.yaxis.set_major_locator(mpl.ticker.LogLocator(10) if domain.type == "fraud" else mpl.ticker.MaxNLocator(4))
    axis.yaxis.set_major_formatter(mpl.ticker.FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axis.set_xlim(frame.index[0], frame.index[-1])
    locator = mdates.AutoDateLocator(minticks=3, maxticks=7)
    axis.xaxis.set_major_locator(locator)
    axis.xaxis.set_major_formatter(mdates.ConciseDateFormatter(locator, show_offset=False))


def chosen(domain: BaseGenerator, series: str, rows: int) -> Generated:
    """Neither empty nor crowded, no anomaly at the edges, all of them large enough for a small picture."""
    length = rows * domain.step
    start = domain.finished(END) - length
    for seed in range(10_000):
        made = domain.stretch(start, start + length, seed, RATE)
        own = made.labels[made.labels["series"] == series]
        if domain.type == "fraud":  # a scheme beside the other
            middles = own.groupby("type")["started_at"].median().sort_values()
            spans = own.groupby("type")["started_at"].agg(lambda times: times.max() - times.min())
            own = pd.DataFrame({"type": middles.index, "started_at": middles, "ended_at": middles, "size": 1})
            if len(own) < 3 or (spans > 0.2 * length).any() or middles.iloc[-1] > start + 0.8 * length:
                continue
        is_inside = (own["started_at"] > start + 0.06 * length).all() and (own["ended_at"] < start + 0.92 * length).all()
        is_apart = (own["started_at"].sort_values().diff().dropna() > (0.12 if domain.type == "fraud" else 0.2) * length).all()
        if 2 <= len(own) <= 4 and own["type"].nunique() == len(own) and is_inside and is_apart and (own["size"] > 0.3).all():
            return made
    raise LookupError(domain.type)


def draw_event(axis: plt.Axes, frame: pd.Series, twin: pd.Series, label: tuple, step: timedelta) -> None:
    """A stretch in red with its name above, the twin beside it."""
    around = slice(label.started_at - step, label.ended_at + step)
    axis.axvspan(label.started_at - step, label.ended_at + step, color=STRANGE, alpha=0.1, linewidth=0)
    axis.plot(twin[around].index, twin[around], color=TWIN, linewidth=1.1, linestyle=(0, (2, 1.5)))
    axis.plot(frame[around].index, frame[around], color=STRANGE, linewidth=1.6)
    middle = label.started_at + (label.ended_at - label.started_at) / 2
    axis.annotate(label.type.replace("_", " "), (middle, 0.99), xycoords=("data", "axes fraction"), ha="center", va="top", color=STRANGE)


def draw_payments(axis: plt.Axes, amounts: pd.Series, labels: pd.DataFrame) -> None:
    """Each payment a dot, those of a scheme in red with its name at the first."""
    strange = amounts[amounts.index.isin(labels["started_at"])]
    calm = amounts.drop(strange.index)
    axis.set_yscale("log")
    axis.set_ylim(0.6, 4e6)
    axis.scatter(calm.index, calm, s=4, color=LINE, alpha=0.45, linewidths=0)
    axis.scatter(strange.index, strange, s=12, color=STRANGE, linewidths=0)
    for scheme, own in labels.groupby("type"):
        paid = amounts[own["started_at"]]
        at = own["started_at"].iloc[len(own) // 2]
        axis.annotate(
            str(scheme).replace("_", " "),
            (at, paid.max()),
            xytext=(0, 6),
            textcoords="offset points",
            ha="center",
            va="bottom",
            color=STRANGE,
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET)
