"""A Dagster project that is not ours and works or fails as it is told: by the tag `fails` of a run, which names what is to fail."""

import dagster as dg


def _is_told_to_fail(context: dg.AssetExecutionContext | dg.OpExecutionContext, what: str) -> bool:
    return what in context.run.tags.get("fails", "").split(",")


@dg.asset(
    key=["shop", "orders"],
    check_specs=[
        dg.AssetCheckSpec("not_null", asset=["shop", "orders"], blocking=True),
        dg.AssetCheckSpec("fresh", asset=["shop", "orders"]),
    ],
)
def orders(context: dg.AssetExecutionContext):
    """A blocking check that may fail, and one that may warn."""
    if _is_told_to_fail(context, "orders"):
        raise ValueError("no such file")
    bad = _is_told_to_fail(context, "not_null")
    yield dg.MaterializeResult(
        check_results=[
            dg.AssetCheckResult(check_name="not_null", passed=not bad, description="3 nulls" if bad else "none"),
            dg.AssetCheckResult(
                check_name="fresh",
                passed=not _is_told_to_fail(context, "fresh"),
                severity=dg.AssetCheckSeverity.WARN,
                metadata={"hours": 7},
            ),
        ]
    )


@dg.asset(key=["shop", "report"], deps=[orders])
def report() -> None:
    """Below the blocking check."""


@dg.op
def load(context: dg.OpExecutionContext) -> None:
    """One step of a job without assets."""
    if _is_told_to_fail(context, "load"):
        raise RuntimeError("the disk is full")


@dg.job
def nightly() -> None:
    """Theirs."""
    load()


@dg.schedule(cron_schedule="0 2 * * *", job=nightly, execution_timezone="America/New_York")
def at_night() -> dg.SkipReason:
    """Theirs."""
    return dg.SkipReason("not today")


@dg.sensor(job=nightly, minimum_interval_seconds=30)
def on_file() -> dg.SkipReason:
    """Theirs."""
    return dg.SkipReason("no file")


STRANGERS = dg.Definitions(assets=[orders, report], jobs=[nightly], schedules=[at_night], sensors=[on_file])
