"""Whether the rows of a source are distributed as they were: asked once for each day of the data that has ended.

A day has ended when a row of a later one is there, so that which runs see the rows makes no difference. What is read is bounded: of each
stretch of time a sample by lot, and how many rows it has.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd

from smartflow_assets.adapters.sql_quoting import quoted_column
from smartflow_assets.adapters.warehouse.blocked_loads import accepted_rows
from smartflow_assets.adapters.warehouse.tables import raw_table
from smartflow_assets.adapters.warehouse.writes import Append
from smartflow_assets.core.drift.find_drift import find_drift
from smartflow_assets.core.drift.report import DriftReport
from smartflow_assets.core.drift.settings import DriftSettings
from smartflow_assets.core.drift.windows import cells
from smartflow_assets.stages.run import SourceRun
from smartflow_assets.stages.schema_changes import column_history
from smartflow_assets.stages.windows import table_rows

CHECK = "distributions_are_usual"
"""The check that shows it."""
DAY = timedelta(days=1)
MOST_COLUMNS = 60
"""Columns that are compared; of more, the first of the table."""
_SPARE = 1.5  # rows that are read for one that is wanted: a lottery draws now a few more, now a few less


@dataclass(frozen=True)
class Compared:
    """What one run found (`report`, None where no day has ended), the rows of `drift_checks` that count now, and in words what was done."""

    report: DriftReport | None
    standing: pd.DataFrame
    table_rows: int
    summary: str


def drift_checks(run: SourceRun) -> Compared:
    """Compare the newest days that have ended with those before them."""
    run.report("drift_checks")
    settings, report, summary = run.source.drift, None, "drift is off"
    with run.warehouse.reading():
        if settings != "off":
            until, summary = _due(run, settings)
            report = None if until is None else _compared(run, settings, until)
        if report is None:  # most runs find nothing to compare, and open the file once
            return _standing(run, None, summary)
    found = report.frame().assign(source=run.name, checked_at=run.now, run_id=run.run_id)
    summary = f"{len(found)} comparisons up to {report.window.current_to:%Y-%m-%d}, {int(found['is_drifted'].sum())} of them drift"
    summary += f": {', '.join(report.drifted_columns)}" if report.drifted_columns else ""
    run.warehouse.commit(run.run_id, [Append("drift_checks", found)])
    with run.warehouse.reading():
        return _standing(run, report, summary)


def _standing(run: SourceRun, report: DriftReport | None, summary: str) -> Compared:
    rows = run.warehouse.read(
        "SELECT * FROM drift_checks WHERE source = ? AND current_to = (SELECT max(current_to) FROM drift_checks WHERE source = ?)",
        [run.name, run.name],
    )
    return Compared(report, rows if run.source.drift != "off" else rows[:0], table_rows(run, "drift_checks"), summary)


def _due(run: SourceRun, settings: DriftSettings) -> tuple[datetime | None, str]:
    """The end of the newest day that is to be compared, None for none; and why not."""
    if not run.warehouse.has_table(raw_table(run.name)):
        return None, "there are no rows yet"
    time = quoted_column(run.source.time_column)
    row = run.warehouse.read(
        f"""SELECT min({time}) AS oldest_at, max({time}) FILTER ({time} <= ?) AS newest_at,
                   (SELECT max(current_to) FROM drift_checks WHERE source = ?) AS compared_to FROM {accepted_rows(run.name)}""",
        [run.now, run.name],
    ).iloc[0]
    if pd.isna(row["newest_at"]):
        return None, "there are no rows yet"
    until = row["newest_at"].tz_convert(run.source.calendar.timezone).normalize().tz_convert("UTC")
    if not pd.isna(row["compared_to"]) and until <= row["compared_to"]:
        return None, f"compared up to {row['compared_to']:%Y-%m-%d}; no later day has ended"
    whole = settings.reference + settings.current
    if row["oldest_at"] > until - whole:
        return None, f"too little history: {whole.days} days are needed"
    return until.to_pydatetime(), ""


def _compared(run: SourceRun, settings: DriftSettings, until: datetime) -> DriftReport | None:
    """The report; None where there is no column to compare."""
    names = [str(name) for name in settings.columns or _columns(run)]
    if not names:
        return None
    wanted = cells(settings, until)
    starts, time = [cell.start for cell in wanted], quoted_column(run.source.time_column)
    rows = f"{accepted_rows(run.name)} AS judged"

    def in_cells(more: str = "") -> str:
        return f"{rows} ASOF JOIN (SELECT unnest(CAST(? AS TIMESTAMPTZ[])) AS cell_start{more}) ON judged.{time} >= cell_start"

    chosen, extent = f"judged.{time} >= ? AND judged.{time} < ?", [wanted[0].start, wanted[-1].end]
    found = run.warehouse.read(f"SELECT cell_start, count(*) AS n FROM {in_cells()} WHERE {chosen} GROUP BY cell_start", [starts, *extent])
    counts = {start.to_pydatetime(): int(count) for start, count in zip(found["cell_start"], found["n"], strict=True)}
    one_of = [max(1, int(counts.get(start, 0) / (_SPARE * settings.sample_rows))) for start in starts]
    columns = ", ".join(f"judged.{quoted_column(name)}" for name in names)
    sample = run.warehouse.read(
        f"SELECT judged.{time} AS _happened_at, {columns} FROM {in_cells(', unnest(CAST(? AS UBIGINT[])) AS one_of')} "
        f"WHERE {chosen} AND _row_hash % one_of = 0",
        [starts, one_of, *extent],
    )
    a_day = settings.false_alarms * DAY / max(DAY, settings.current)
    own = settings.model_copy(update={"false_alarms": a_day, "columns": tuple(names)})
    return find_drift(sample, until=until, settings=own, time="_happened_at", counts=counts)


def _columns(run: SourceRun) -> Sequence[str]:
    """The columns of the source that are compared: none that says when, is sensitive, or is gone, since it may have been sensitive."""
    hidden = run.source.incomparable
    return [name for name in column_history(run.warehouse, run.name).accepted if name not in hidden][:MOST_COLUMNS]
