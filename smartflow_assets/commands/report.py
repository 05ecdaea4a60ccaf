"""`smartflow report`: a week of the home as one page for whoever was not there, as HTML or PDF."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smartflow_assets.commands import home, terminal
from smartflow_assets.commands.target_file import writable

if TYPE_CHECKING:
    from smartflow_assets.core.temporal.week import Period

EXAMPLES = """
smartflow report
smartflow report --week 2026-W48
smartflow report --since 30d -o november.html
smartflow report --week 2026-W48 --pdf
"""


def report(
    week: Annotated[
        str | None,
        typer.Option("--week", metavar="WEEK", help="A week, such as 2026-W48. Default: the last one that is over.", show_default=False),
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="From a time on, or the newest of it: 7d.", show_default=False)
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write it there. Default: data/reports/weekly/WEEK.html.", show_default=False),
    ] = None,
    pdf: Annotated[bool, typer.Option("--pdf", help="Write a PDF; needs pip install 'smartflow[pdf]'.")] = False,
) -> None:
    """Write the report of a week: how it went in three sentences, sources, incidents with times to acknowledge and to resolve, the
    noisiest series and what to turn, messages, trends, what comes back, remedies, drift and broken promises. Prints its path.

    Weeks are from Monday to Sunday in the zone of data/defaults.yaml. `smartflow ui` writes each by itself, on Monday at six.
    """
    from smartflow_assets.stages.weekly_report import home_timezone
    from smartflow_assets.stages.weekly_report_file import report_path, written

    if week and since:
        raise terminal.UsageError("--week and --since: give one of them")
    is_pdf = _is_pdf(output, pdf)
    settings = home.open_home()
    from smartflow_assets.config.catalogue import Catalogue
    from smartflow_assets.defs.resources import open_warehouse

    now, catalogue = datetime.now(UTC), Catalogue.load(settings)
    period = _period(week, since, now, home_timezone(settings))
    warehouse = open_warehouse(settings)
    path = writable(output) if output else report_path(settings, period, is_pdf=is_pdf)
    written(warehouse if warehouse.is_begun() else None, catalogue, period, now=now, path=path, is_of_home=output is None, is_pdf=is_pdf)
    terminal.result(os.fspath(path))


def _is_pdf(output: Path | None, pdf: bool) -> bool:
    """Whether a PDF is to be written. UsageError for a file whose name says something else."""
    ending = output.suffix.lower() if output else ""
    known = (".pdf",) if pdf else (".html", ".htm", ".pdf")
    if output and ending not in known:
        what = "--pdf writes a PDF" if pdf else "a report is HTML or PDF"
        raise terminal.UsageError(f"-o {output}: {what}", remedy=f"Let the name end in {'.pdf' if pdf else '.html or .pdf'}.")
    return pdf or ending == ".pdf"


def _period(week: str | None, since: str | None, now: datetime, timezone: str) -> "Period":
    from smartflow_assets.core.temporal.notation import parse_duration
    from smartflow_assets.core.temporal.week import Period, last_week, week_named

    if week:
        try:
            period = week_named(week, timezone)
        except ValueError as error:
            raise terminal.UsageError(f"--week: {error}", remedy="Write it as 2026-W48.") from None
        if period.start >= now:
            raise terminal.UsageError(f"--week {week} has not begun yet")
        return period
    if not since:
        return last_week(now, timezone)
    try:
        start = now - parse_duration(since)
    except ValueError:
        start = home.moment(since, "--since") or now
    if start > now:
        raise terminal.UsageError(f"--since {since} lies ahead", remedy="Write --since 7d, or a time of the past.")
    if now - start < timedelta(hours=1):
        raise terminal.UsageError(f"--since {since}: that is less than an hour ago", remedy="Write --since 7d, or a time further back.")
    return Period(f"since-{start:%Y-%m-%d}", start, now, timezone)


COMMANDS = (("report", report, EXAMPLES),)
