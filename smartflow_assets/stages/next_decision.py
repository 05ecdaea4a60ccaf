"""When the clock alone may lead a source to another decision, though no row comes: a bucket that closes, a silence that becomes too long.

Asked at the end of a run that found nothing to do. It may say too early a time, never too late a one, so what is in doubt is due with the
next bucket; and once a day a run looks in any case.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from smartflow_assets.adapters.aggregation import encoded_columns
from smartflow_assets.stages.arrivals import arrivals_of
from smartflow_assets.stages.preparation import axis_grows_at, bucket_plan, next_close
from smartflow_assets.stages.run import SourceRun
from smartflow_assets.stages.windows import table_rows

AT_LEAST_EACH = timedelta(days=1)


class Decision(NamedTuple):
    """From `at` on a run is due, because of `reason`."""

    at: datetime
    reason: str


def next_decision(run: SourceRun) -> Decision:
    """The first moment after the run's clock at which the same rows may lead to something else."""
    return min(_decisions(run), key=lambda decision: decision.at)


def _decisions(run: SourceRun) -> Iterator[Decision]:
    yield Decision(run.now + AT_LEAST_EACH, "a run a day, whatever the looks say")
    arrived = arrivals_of(run, bucket_plan(run)) if run.source.is_bucket_given else None
    if arrived is None:
        return
    if (grows_at := axis_grows_at(run, arrived)) is not None:
        yield Decision(grows_at, "a bucket has closed")
    if _waits_for_first_rows(run):
        yield Decision(next_close(run), "the rows that are learnt from first may be complete")
    if (changes_at := arrived.changes_at()) is not None:
        yield Decision(changes_at, "how long the source has been silent")


def _waits_for_first_rows(run: SourceRun) -> bool:
    """Whether categories or records are to be learnt as soon as the buckets of the first week are closed, with rows in them or not."""
    source = run.source
    learnt = {each.column: each.encoding for each in encoded_columns.stored(run.warehouse, run.name)} if source.encode else {}
    return learnt != source.encode or (source.records is not None and not table_rows(run, "record_models"))
