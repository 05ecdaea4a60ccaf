"""What a backtest says: figures side by side, what was told, what only one of two settings found; as rows, and as one HTML page.

Nothing here runs a replay.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pandas as pd

from smartflow_assets.core.evaluation.metrics import Quality
from smartflow_assets.core.reports import html_page
from smartflow_assets.core.temporal.notation import format_duration

LISTED = 500  # incidents of a table; a page with more is not read
LISTED_COLUMNS = ("opened", "resolved", "severity", "told", "series", "what")


@dataclass(frozen=True)
class Side:
    """One of the settings that were tried. `incidents` and `only` (those that no incident of the other side overlaps) have series,
    opened_at, resolved_at, severity, is_told and title; `plots` are PNGs by series."""

    name: str
    incidents: pd.DataFrame
    anomaly_count: int
    quality: Quality
    is_labelled: bool
    curves: bytes | None = None
    plots: dict[str, bytes] = field(default_factory=dict)
    only: pd.DataFrame | None = None


def only_in(incidents: pd.DataFrame, others: pd.DataFrame, slack: timedelta) -> pd.DataFrame:
    """The incidents that no other one of the same series overlaps, or comes as near to as `slack`."""
    spans: dict[str, list[tuple[datetime, datetime]]] = {}
    for other in others.itertuples(index=False):
        spans.setdefault(str(other.series), []).append((other.opened_at - slack, other.last_seen_at + slack))  # pyright: ignore
    is_alone = [
        not any(start <= one.last_seen_at and one.opened_at <= end for start, end in spans.get(str(one.series), ()))  # pyright: ignore
        for one in incidents.itertuples(index=False)
    ]
    return incidents[pd.Series(is_alone, index=incidents.index, dtype=bool)]


def figure_rows(sides: Sequence[Side]) -> list[list[str]]:
    """Rows of the comparison: what it is, and its value for each side. Without labels every alarm is one that may be right."""
    is_labelled = all(side.is_labelled for side in sides)
    rows = [
        ["incidents", *(f"{len(side.incidents):,}" for side in sides)],
        ["of them severe enough to tell", *(f"{int(side.incidents['is_told'].sum()):,}" for side in sides)],
        ["anomalies", *(f"{side.anomaly_count:,}" for side in sides)],
        ["series-days judged", *(f"{side.quality.days:,.1f}" for side in sides)],
    ]
    if not is_labelled:
        return [*rows, ["alarms per series-day", *(f"{side.quality.false_alerts_per_day:.3f}" for side in sides)]]
    found = [side.quality for side in sides]
    return [
        *rows,
        ["labelled intervals found", *(f"{each.events.hits} of {each.label_count}" for each in found)],
        ["event precision", *(f"{each.events.precision:.2f}" for each in found)],
        ["event recall", *(f"{each.events.recall:.2f}" for each in found)],
        ["event F1", *(f"{each.events.f1:.2f}" for each in found)],
        ["false alerts per series-day", *(f"{each.false_alerts_per_day:.3f}" for each in found)],
        ["point F1", *(f"{each.points.f1:.2f}" for each in found)],
        ["ROC AUC", *(_number(each.roc_auc) for each in found)],
        ["PR AUC", *(_number(each.pr_auc) for each in found)],
        ["median delay", *(_delay(each.delay_seconds) for each in found)],
    ]


def incident_rows(incidents: pd.DataFrame, timezone: str, limit: int = LISTED) -> list[list[str]]:
    """The first incidents as rows of `LISTED_COLUMNS`."""
    return [
        [
            _time(row.opened_at, timezone),  # pyright: ignore[reportArgumentType]
            "open" if pd.isna(row.resolved_at) else _time(row.resolved_at, timezone),  # pyright: ignore
            str(row.severity),
            "yes" if row.is_told else "no",
            str(row.series),
            str(row.title),
        ]
        for row in incidents.head(limit).itertuples(index=False)
    ]


def backtest_page(title: str, summary: Sequence[str], sides: Sequence[Side], timezone: str) -> str:
    """The whole page; `summary` are sentences below the title."""
    numbers = range(1, len(sides) + 1)
    parts = [*map(html_page.paragraph, summary), html_page.table(["", *(side.name for side in sides)], figure_rows(sides), numbers=numbers)]
    if len(sides) > 1:
        for side in sides:
            parts += [html_page.heading(f"Incidents only with {side.name}"), _incidents(side.only, timezone)]
    for series in dict.fromkeys(series for side in sides for series in side.plots):
        parts.append(html_page.heading(series))
        for side in sides:
            if series in side.plots:
                parts += [
                    html_page.paragraph(side.name) if len(sides) > 1 else "",
                    html_page.image(side.plots[series], f"{series}, {side.name}"),
                ]
    for side in sides:
        named = f" with {side.name}" if len(sides) > 1 else ""
        if side.curves:
            parts += [
                html_page.heading(f"How scores rank what is labelled{named}"),
                html_page.image(side.curves, "ROC and precision-recall curves"),
            ]
    for side in sides:
        named = f" with {side.name}" if len(sides) > 1 else ""
        parts += [html_page.heading(f"All incidents{named}"), _incidents(side.incidents, timezone)]
    return html_page.page(title, parts)


def _incidents(incidents: pd.DataFrame | None, timezone: str) -> str:
    if incidents is None or incidents.empty:
        return html_page.paragraph("None.")
    more = len(incidents) - LISTED
    listed = html_page.table(LISTED_COLUMNS, incident_rows(incidents, timezone))
    return listed + (html_page.paragraph(f"and {more:,} more") if more > 0 else "")


def _time(time: datetime, timezone: str) -> str:
    return f"{time.astimezone(ZoneInfo(timezone)):%Y-%m-%d %H:%M}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _delay(seconds: float | None) -> str:
    return "–" if seconds is None else "0s" if seconds == 0 else format_duration(timedelta(seconds=seconds))
