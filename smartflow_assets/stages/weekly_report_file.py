"""The report of a week as a file: read, written in its format, put in its place. The same week again takes the place of the one before."""

from datetime import datetime
from pathlib import Path

from smartflow_assets.adapters.files.report_file import write_report, write_report_to
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.settings import Settings
from smartflow_assets.core.reports import html_page, pdf_page
from smartflow_assets.core.reports.weekly_report import WeekFacts, summary, weekly_document
from smartflow_assets.core.temporal.week import Period
from smartflow_assets.stages.weekly_report import week_facts

__all__ = ["report_path", "summary", "written"]


def report_path(settings: Settings, period: Period, *, is_pdf: bool = False) -> Path:
    """Where the report of a period lies."""
    return settings.reports / "weekly" / f"{period.name}.{'pdf' if is_pdf else 'html'}"


def written(
    warehouse: Warehouse | None,
    catalogue: Catalogue,
    period: Period,
    *,
    now: datetime,
    path: Path,
    is_of_home: bool = True,
    is_pdf: bool = False,
) -> WeekFacts:
    """Write the report; what it says. SmartflowError where the library for PDF is not installed."""
    if is_pdf:
        pdf_page.require()
    facts = week_facts(warehouse, catalogue, period, now=now, folder=None if is_pdf else path.absolute().parent)
    document = weekly_document(facts)
    content = pdf_page.render(document, made_at=now) if is_pdf else html_page.render(document).encode()
    if is_of_home:
        write_report(path, content, catalogue.home.share)
    else:
        write_report_to(path, content)
    return facts
