"""The asset `weekly_report`: each Monday the report of the week before, as a page in data/reports/weekly.

Of the home, of no source, so it has no partition and a job and a schedule of its own; runs of sources know nothing of it. Made again, the
same week takes the place of the page before.
"""

import os
from datetime import UTC, datetime

import dagster as dg

from smartflow_assets.adapters.files.access import private
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.settings import Settings
from smartflow_assets.core.temporal.week import last_week
from smartflow_assets.defs.metadata import OWNERS, numbers, plain_markdown, report_metadata
from smartflow_assets.defs.names import asset_key, prefixed
from smartflow_assets.defs.resources import open_warehouse
from smartflow_assets.stages.weekly_report import home_timezone
from smartflow_assets.stages.weekly_report_file import report_path, summary, written

WEEKLY_REPORT_JOB = "weekly_report"


@dg.asset(
    key=asset_key("weekly_report"),
    group_name=prefixed("serving"),
    owners=OWNERS,
    kinds={"duckdb", "html"},
    deps=[asset_key("incidents")],
    description="data/reports/weekly/2026-W48.html: how the last week that is over went, of all sources: incidents with times to "
    "acknowledge and to resolve, how the sources are, the noisiest series, messages, trends, what comes back. `smartflow report` writes "
    "any other week, and PDF.",
)
def weekly_report() -> dg.MaterializeResult:
    """Weeks are those of the zone of data/defaults.yaml."""
    settings, now = Settings.from_environment(os.environ), datetime.now(UTC)
    period = last_week(now, home_timezone(settings))
    path = report_path(settings, period)
    warehouse = open_warehouse(settings) if settings.warehouse_file.exists() else None
    with private():
        facts = written(warehouse, Catalogue.load(settings), period, now=now, path=path)
    return dg.MaterializeResult(
        metadata={
            "page": report_metadata(path, settings),
            "summary": dg.MetadataValue.md("\n".join(f"- {plain_markdown(sentence)}" for sentence in summary(facts))),
            **numbers(
                {
                    "incidents": len(facts.incidents),
                    "open_incidents": facts.still_open,
                    "messages": sum((facts.messages or {}).values()),
                    "sources": len(facts.sources),
                }
            ),
        }
    )


weekly_report_job = dg.define_asset_job(
    prefixed(WEEKLY_REPORT_JOB),
    selection=dg.AssetSelection.assets(weekly_report),
    executor_def=dg.in_process_executor,
    description="Write the report of the last week that is over. Running it again replaces the page.",
)


@dg.schedule(
    name=prefixed("weekly_report_schedule"),
    cron_schedule="0 6 * * 1",
    job=weekly_report_job,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="On Mondays at six: a run that writes the report of the week before.",
)
def weekly_report_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """One run for a week."""
    return dg.RunRequest(run_key=f"weekly_report:{context.scheduled_execution_time.date().isoformat()}")
