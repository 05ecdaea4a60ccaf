"""The asset of the weekly report: a page for each Monday, and nothing in the runs of sources."""

from datetime import UTC, datetime

import dagster as dg
import pytest

from smartflow_assets.core.temporal.week import last_week
from smartflow_assets.defs.build import build_definitions
from smartflow_assets.defs.jobs import our_job
from smartflow_assets.defs.weekly_report import weekly_report, weekly_report_schedule
from smartflow_assets_tests.homes import Home


def test_its_job_writes_the_page_of_the_last_week_and_again_the_same(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    assert home.instance is not None
    monkeypatch.setenv("SMARTFLOW_HOME", str(home.folder))
    home.write_source("shop", "name: shop\nread: 7\n")
    job = build_definitions().resolve_job_def("smartflow_weekly_report")
    page = home.settings.reports / "weekly" / f"{last_week(datetime.now(UTC), 'UTC').name}.html"
    for _ in range(2):
        run = job.execute_in_process(instance=home.instance)
        assert run.success and [each.name for each in page.parent.iterdir()] == [page.name]
        assert our_job(run.dagster_run, home.instance, home.settings) is None  # nothing is closed after it
    (told,) = run.asset_materializations_for_node("smartflow__weekly_report")
    assert told.metadata["page"].value == str(page) and told.metadata["incidents"].value == 0
    assert told.metadata["summary"].value.startswith("- Nothing was watched then")
    assert page.stat().st_mode & 0o777 == 0o600


def test_it_is_of_no_run_of_a_source_and_due_on_mondays() -> None:
    assert weekly_report.partitions_def is None
    graph = build_definitions()
    keys = graph.resolve_job_def("smartflow_monitor_source").asset_layer.executable_asset_keys
    assert weekly_report.key not in keys and len(keys) == 16
    assert graph.resolve_job_def("smartflow_weekly_report").asset_layer.executable_asset_keys == {weekly_report.key}
    monday = datetime(2026, 11, 30, 6, tzinfo=UTC)
    context = dg.build_schedule_context(scheduled_execution_time=monday)
    (request,) = weekly_report_schedule.evaluate_tick(context).run_requests
    assert (weekly_report_schedule.cron_schedule, request.run_key) == ("0 6 * * 1", "weekly_report:2026-11-30")
