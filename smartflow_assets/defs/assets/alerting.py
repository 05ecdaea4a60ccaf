"""Alerting: one incident for one thing that is wrong, and each message once."""

import os
from datetime import timedelta
from typing import Any

import dagster as dg

from smartflow_assets.defs.metadata import NOTE, decoration, kept, numbers, report_metadata, small_table, stage_asset
from smartflow_assets.defs.resources import RunOptions
from smartflow_assets.stages import alerting, incident_pages, remediation
from smartflow_assets.stages.message_background import served_source


@stage_asset("incidents", "alerting", ["pandas"], deps=["anomalies"])
def incidents(context: dg.AssetExecutionContext, options: RunOptions) -> dg.MaterializeResult:
    """Open, extend, escalate, resolve; plan the messages in the same commit. Then do what `remediate` says of what is open, and write the
    pages of what people are about to be told of."""
    moved = alerting.incidents(options.run_with_bucket)
    remedied = remediation.remediations(options.run_with_bucket)
    metadata = numbers(
        {
            "dagster/row_count": moved.table_rows,
            "incidents_opened": moved.opened,
            "incidents_resolved": moved.resolved,
            "open_incidents": moved.still_open,
            "messages_planned": moved.planned,
            "messages_skipped": moved.skipped,
            "silent_hours": None if moved.silent_for is None else moved.silent_for / timedelta(hours=1),
        }
    )
    if page := served_source(options.run.name, os.environ):
        metadata["live_page"] = dg.MetadataValue.url(page)
    if remedied.rows:
        metadata |= numbers({f"remedies_{status}": remedied.count(status) for status in ("done", "failed", "skipped", "dry")})
        metadata[NOTE] = "; ".join(remedied.told)
    if len(moved.rows):
        metadata["incidents"] = small_table(moved.rows, ["opened_at", "series", "state", "severity", "title"])
        metadata |= decoration(context, "the pages of incidents", lambda: _pages(options))
    else:
        metadata |= kept(context, "incidents")
    return dg.MaterializeResult(metadata=metadata)


def _pages(options: RunOptions) -> dict[str, Any]:
    """Write the pages of what the run has moved; where they lie."""
    paths = incident_pages.write_touched(options.run_with_bucket, os.environ)
    return {f"page_{path.stem[:8]}": report_metadata(path, options.run.settings) for path in paths}


@stage_asset("alert_sends", "alerting", ["python"], deps=["incidents"])
def alert_sends(context: dg.AssetExecutionContext, options: RunOptions) -> dg.MaterializeResult:
    """Deliver what is due; a dead channel is retried later and stops nothing."""
    with options.run.warehouse.reading():
        drained = alerting.alert_sends(options.run_with_bucket, environment=os.environ)
        stored = alerting.table_rows(options.run_with_bucket, "alert_sends")
    context.log.info(str(drained))
    if drained.sent or drained.failed:  # the pages say who was told
        decoration(context, "the pages of incidents", lambda: _pages(options))
    return dg.MaterializeResult(
        metadata=numbers(
            {
                "dagster/row_count": stored,
                "messages_sent": drained.sent,
                "messages_failed": drained.failed,
            }
        )
    )
