"""A Dagster project of somebody else, who has thought of the same names as we did before ours had a prefix."""

import dagster as dg

DAYS = dg.DailyPartitionsDefinition("2026-03-01")
REGIONS = dg.DynamicPartitionsDefinition(name="sources")  # their word for something else


class Options(dg.ConfigurableResource):
    """Their resource of that name."""

    dry_run: bool = False


@dg.asset(partitions_def=REGIONS, group_name="alerting", check_specs=[dg.AssetCheckSpec("no_new_anomalies", asset="incidents")])
def incidents(options: Options) -> dg.MaterializeResult:
    """Their incidents."""
    return dg.MaterializeResult(check_results=[dg.AssetCheckResult(passed=not options.dry_run)], metadata={"rows_in": 7})


@dg.asset(partitions_def=DAYS, group_name="ingestion")
def raw_records() -> None:
    """One partition a day, so no job can have it beside ours."""


@dg.asset(deps=[dg.AssetKey(["smartflow", "anomalies"])], group_name="reports")
def weekly_report() -> None:
    """Reads what we make, and fails."""
    raise RuntimeError("the printer is out of paper")


@dg.job(name="monitor_source", partitions_def=dg.StaticPartitionsDefinition(["orders"]))
def monitor_source() -> None:
    """Their job of that name."""


@dg.schedule(cron_schedule="0 6 * * *", job=monitor_source)
def monitor_schedule() -> dg.SkipReason:
    """Their schedule of that name."""
    return dg.SkipReason("not today")


@dg.sensor(job=monitor_source)
def inbox_sensor() -> dg.SkipReason:
    """Their sensor of that name."""
    return dg.SkipReason("nothing there")


THEIRS = dg.Definitions(
    assets=[incidents, raw_records, weekly_report],
    jobs=[monitor_source],
    schedules=[monitor_schedule],
    sensors=[inbox_sensor],
    resources={"options": Options()},
    executor=dg.multiprocess_executor,
)
