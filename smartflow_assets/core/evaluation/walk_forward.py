"""Settings tried on clean rows as if live: trained at some moments, each on what lay before it, and judged up to the next.

For those who compare settings: rows are cleaned once, their features computed once, and only modelling and detection are
done again for each. What the verdicts are worth is measured in `metrics`; a whole replay, with incidents, is stages.experiments.backtest.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from itertools import pairwise

import pandas as pd

from smartflow_assets.core.detection import MetricGroup, Scoring, fit_models
from smartflow_assets.core.preparation import features
from smartflow_assets.core.series.learning_policy import LEARN_SHARE, without_flagged
from smartflow_assets.core.temporal.calendar import Calendar


@dataclass(frozen=True)
class TrialData:
    """Clean rows to try settings on: series, metric, observed_at, value (NaN = missing), in order of time.

    step: the bucket. window: how far back a training looks.
    """

    rows: pd.DataFrame
    step: timedelta
    window: timedelta
    calendar: Calendar

    @cached_property
    def features(self) -> pd.DataFrame:
        """Features of all rows, each with the residuals of its siblings."""
        made = features.compute(self.rows[["series", "observed_at", "value"]], step=self.step, calendar=self.calendar)
        return features.with_siblings(made, step=self.step) if self.rows["metric"].nunique() > 1 else made


def first_training(rows: pd.DataFrame, step: timedelta, least: int, *, share: float = LEARN_SHARE) -> datetime:
    """The moment after the first `share` of the rows' time, and after at least `least` buckets."""
    first, last = rows["observed_at"].min(), rows["observed_at"].max()
    return (first + max((last + step - first) * share // step * step, least * step)).to_pydatetime()


def trainings(since: datetime, until: datetime, every: timedelta, most: int) -> list[datetime]:
    """Moments of training from `since` to before `until`: every so often, but at most so many, and then evenly apart.

    >>> day = timedelta(days=1)
    >>> [at.day for at in trainings(datetime(2026, 3, 1), datetime(2026, 3, 9), day, 4)]
    [1, 3, 5, 7]
    """
    count = max(1, min(most, (until - since) // every))
    return [since + (until - since) / count * number for number in range(count)]


def walk_forward(
    trial_data: TrialData,
    groups: Sequence[MetricGroup],
    moments: Sequence[datetime],
    until: datetime,
    *,
    report: Callable[[int], None] = lambda rows: None,
) -> pd.DataFrame:
    """Verdicts (the columns of `detection.detect`, and metric) on the rows from the first of `moments` to before `until`.

    Models are trained at each moment on the window before it, without the rows that were flagged since the first, and judge up
    to the next. Rows of series that a training has not seen are `warming_up`. report: told how many rows have been judged.
    """
    return pd.concat([_group_verdicts(trial_data, group, moments, until, report) for group in groups], ignore_index=True)


def _group_verdicts(
    trial_data: TrialData, group: MetricGroup, moments: Sequence[datetime], until: datetime, report: Callable[[int], None]
) -> pd.DataFrame:
    rows = trial_data.rows[trial_data.rows["metric"].isin(group.metrics)]
    table = trial_data.features if any(detector.needs_features for detector in group.settings.active()) else None
    calm, parts = rows["value"].copy(), list[pd.DataFrame]()
    for since, end in pairwise([*moments, until]):
        is_past = (rows["observed_at"] < since) & (rows["observed_at"] >= since - trial_data.window)
        known = rows[is_past].assign(value=_learnable(rows[is_past], calm[is_past]))
        fitted = fit_models(
            known, group.settings, features=table, step=trial_data.step, is_log=group.is_log, calendar=trial_data.calendar,
            calendar_history=rows[rows["observed_at"] < since],
        )  # fmt: skip
        scoring = Scoring(fitted)
        seen = rows[(rows["observed_at"] >= fitted.context_from) & (rows["observed_at"] < end)]
        for _, own in seen.groupby("series", sort=False):
            scores = scoring.score(own, features=table).scores
            judged = scores[own["observed_at"] >= since]
            calm.loc[judged.index[judged["is_anomaly"]]] = float("nan")
            parts.append(judged.assign(metric=own["metric"].iloc[0]))
            report(len(judged))
    return pd.concat(parts) if parts else pd.DataFrame()


def _learnable(rows: pd.DataFrame, calm: pd.Series) -> pd.Series:
    """The values without those that were flagged, which are NaN in `calm`; of a series in which they are too many, all of them."""
    return without_flagged(rows["value"], rows["value"].notna() & calm.isna(), rows["series"])
