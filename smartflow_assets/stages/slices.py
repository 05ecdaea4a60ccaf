"""Slices: for metrics with `explain_by`, which values of a column made an anomaly.

The rows of an anomaly (of its first day) are counted by value, as cleaning counts them, beside the mean of the same time one to
four weeks before; where the source has no week before, of the days before. So it is a function of rows in a bounded window,
equal however runs split the data, and costs five small queries for an anomaly.
"""

from datetime import datetime, timedelta

import pandas as pd

from smartflow_assets.adapters.aggregation import buckets
from smartflow_assets.config.metric import Metric
from smartflow_assets.core.anomalies import explanation
from smartflow_assets.core.anomalies.slice_attribution import describe_slices, named_slices, slice_shares
from smartflow_assets.stages.preparation import bucket_plan
from smartflow_assets.stages.run import SourceRun

LONGEST = timedelta(days=1)
WEEK, DAY, BEFORE = timedelta(days=7), timedelta(days=1), 4


def with_slices(run: SourceRun, anomalies: pd.DataFrame) -> pd.DataFrame:
    """The anomalies with `slices`, and what they say in the explanation."""
    explained = {metric.name: metric for metric in run.source.metrics if metric.explain_by}
    if anomalies.empty or not anomalies["metric"].isin(list(explained)).any():
        return anomalies
    slices, explanations = anomalies["slices"].tolist(), anomalies["explanation"].tolist()
    extent = buckets.extent(run.warehouse, run.name, bucket_plan(run))
    for at, row in enumerate(anomalies.to_dict("records")):
        metric = explained.get(str(row["metric"]))
        if metric is None or extent is None:
            continue
        slices[at], said = _explained(run, metric, row["started_at"], row["ended_at"], dict(row["dimensions"] or {}), extent[0])
        explanations[at] = explanation.with_slices(str(explanations[at]), said)
    return anomalies.assign(slices=pd.Series(slices, index=anomalies.index, dtype=object), explanation=explanations)


def _explained(
    run: SourceRun,
    metric: Metric,
    since: pd.Timestamp,
    until: pd.Timestamp,
    own: dict[str, str],
    first: pd.Timestamp,
) -> tuple[dict[str, float], str]:
    """Kept slices of an anomaly of a metric, and their sentence."""
    plan, step = bucket_plan(run), run.source.time_bucket.every
    until = min(until, max(since + LONGEST, plan.grid.step(since, 1)))
    length = len(plan.grid.numbers(since, until))
    back = WEEK // step if step <= WEEK else 1
    if step < DAY and plan.grid.step(since, -back) < first:
        back = DAY // step
    now = _amounts(run, metric, since, until, own)
    past: list[dict[str, dict[str, float]]] = []
    for weeks in range(1, BEFORE + 1):
        start = plan.grid.step(since, -weeks * back)
        if start >= first:
            past.append(_amounts(run, metric, start, plan.grid.step(start, length), own))
    if not past:
        return {}, ""
    usual = {column: _mean([each[column] for each in past]) for column in metric.explain_by}
    shares = {column: slice_shares(now[column], usual[column]) for column in metric.explain_by}
    return named_slices(shares), describe_slices(shares, usual)


def _amounts(run: SourceRun, metric: Metric, since: datetime, until: datetime, own: dict[str, str]) -> dict[str, dict[str, float]]:
    """What each value of each column adds to the metric in [since, until), of the rows with the series' own dimensions."""
    plan, column = bucket_plan(run), metric.source_column
    asked = tuple(buckets.MetricColumn(name, column.column, column.aggregate, (*own, name), column.where) for name in metric.explain_by)
    sliced = buckets.BucketPlan(plan.time_column, plan.every, asked, (), plan.calendar, plan.categories, plan.encoded)
    found = buckets.aggregate(run.warehouse, run.name, sliced, since, until)
    amounts: dict[str, dict[str, float]] = {name: {} for name in metric.explain_by}
    for name, dimensions, value in zip(found["metric"], found["dimensions"], found["value"].fillna(0.0), strict=True):
        if all(dimensions[key] == wanted for key, wanted in own.items()):
            of_column = amounts[name]
            of_column[dimensions[name]] = of_column.get(dimensions[name], 0.0) + value
    return amounts


def _mean(amounts: list[dict[str, float]]) -> dict[str, float]:
    values = sorted({value for each in amounts for value in each})
    return {value: sum(each.get(value, 0.0) for each in amounts) / len(amounts) for value in values}
