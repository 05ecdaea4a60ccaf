"""What was stored of the last weeks of a source, judged again by other settings: rules are put to the clean rows, thresholds to the scores.

Nothing is fitted and nothing scored, so it is quick enough for a slider. What does not depend on the settings is read once and kept, with
what each rule said; `rule_preview` makes anomalies and incidents of it.
"""

from collections import OrderedDict
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property

import numpy as np
import pandas as pd

from smartflow_assets.config.source import Source
from smartflow_assets.core import rules
from smartflow_assets.core.anomalies import grouping
from smartflow_assets.core.detection.reflagging import is_decided, of_guards, reflagged
from smartflow_assets.core.errors import SourceError
from smartflow_assets.core.feedback.raised_thresholds import Raise
from smartflow_assets.core.rules import BaseRule
from smartflow_assets.stages import profile
from smartflow_assets.stages.feedback_effects import raises_of
from smartflow_assets.stages.metric_groups import groups_of
from smartflow_assets.stages.records import bucket_verdicts
from smartflow_assets.stages.run import SourceRun
from smartflow_assets.stages.windows import joined, rows_in, series_rows

SCORES = (
    "observed_at, value, expected, lower, upper, raw_score, anomaly_score, threshold, "
    "coalesce(is_anomaly, false) AS is_anomaly, state, severity"
)
_HELD = "SELECT series, observed_at FROM clean_series WHERE source = ? AND observed_at >= ? AND observed_at < ? AND repair = 'held'"
MOST_ROWS = 2_000_000
"""Rows (buckets x series) that a preview holds: about a gigabyte."""
_COUNT = "SELECT count(*) AS n FROM anomaly_scores WHERE source = ? AND observed_at >= ?"
_NEWEST = "SELECT max(observed_at) AS at FROM clean_series WHERE source = ?"
_COMPONENTS = (
    "SELECT series, observed_at, detector, raw_score, surprise, share FROM detector_scores "
    "WHERE source = ? AND observed_at >= ? AND observed_at < ?"
)
_RULES_KEPT = 200


@dataclass(frozen=True)
class StoredVerdicts:
    """The rows of a source in [since, until) as runs have judged them. `run` is of the published copy."""

    run: SourceRun
    since: datetime
    until: datetime
    _violations: OrderedDict[str, pd.DataFrame] = field(default_factory=OrderedDict[str, pd.DataFrame])

    @classmethod
    def of_last(cls, run: SourceRun, length: timedelta) -> "StoredVerdicts":
        """Of so long before the newest bucket. SourceError when there is none."""
        newest = run.warehouse.read(_NEWEST, [run.name])["at"].iloc[0]
        if pd.isna(newest):
            raise SourceError("it has no rows yet", source=run.name, remedy=f"`smartflow run {run.name}` reads them.")
        until = newest.to_pydatetime() + run.source.time_bucket.every
        count = int(run.warehouse.read(_COUNT, [run.name, until - length])["n"].iloc[0])
        if count > MOST_ROWS:
            fewer = max(int(length.days * MOST_ROWS / count), 1)
            what = f"the last {length.days} days have {count:,} rows, and at most {MOST_ROWS:,} are looked at"
            raise SourceError(what, source=run.name, where="days", remedy=f"Ask for {fewer} day{'s' if fewer > 1 else ''}.")
        return cls(run, until - length, until)

    def judged(self, source: Source) -> pd.DataFrame:
        """One verdict for each row of the series in which anything is strange, as `detection.judged_rows` gives them, by the settings of
        `source`; rows of other series are left out."""
        scores, violations = self.flagged(source), self.violations(source)
        violations = violations[~self._is_held(violations)]
        strange = {*scores.loc[scores["is_anomaly"], "series"], *violations["series"]}
        parts = [scores[scores["series"].isin(strange)], *(each for each in (self._records, self._figures) if len(each))]
        return grouping.merge_violations(joined(parts), violations)

    def flagged(self, source: Source) -> pd.DataFrame:
        """The scored rows, as the settings of `source` flag them."""
        metrics = self.scores["metric"].unique()
        before = {metric: group.settings for group in groups_of(self.run.source, metrics) for metric in group.metrics}
        found = []
        for group in groups_of(source, metrics):
            rows = group.rows(self.scores)
            if group.settings.budget is None and all(is_decided(group.settings, before[metric]) for metric in group.metrics):
                guarded, lifted = of_guards(rows, self.components, group.settings)
                rows = reflagged(rows, group.settings, guarded, lifted, self._raises)
            found.append(rows)
        if not found:
            return self.scores
        rows = joined(found)
        return rows.assign(is_anomaly=rows["is_anomaly"].to_numpy(bool) & ~self._is_held(rows))

    def is_decided(self, source: Source) -> bool:
        """Whether what is stored decides what would be flagged; else it has to be learnt anew."""
        before = self.run.source
        return all(is_decided(source.detection(str(metric)), before.detection(str(metric))) for metric in self.scores["metric"].unique())

    def violations(self, source: Source) -> pd.DataFrame:
        """What the rules of `source` say of the clean rows."""
        found = [each for rule in source.all_rules if len(each := self._broken(rule))]
        if not found:
            return rules.no_violations()
        return pd.concat(found, ignore_index=True).sort_values(["series", "observed_at", "rule"], ignore_index=True)

    def _broken(self, rule: BaseRule) -> pd.DataFrame:
        key = rule.model_dump_json()
        if key not in self._violations:
            step = self.run.source.time_bucket.every
            rows = self._clean(rule.lookback(step))
            self._violations[key] = rows_in(rules.evaluate([rule], rows, step=step, since=self.since), (self.since, self.until))
            while len(self._violations) > _RULES_KEPT:
                self._violations.popitem(last=False)
        return self._violations[key]

    def _clean(self, lookback: timedelta) -> pd.DataFrame:
        """The clean rows, with so much before them; read once for all rules that look back no further."""
        if lookback <= self._lookback:
            return self._usual_rows
        return series_rows(self.run, "clean_series", "observed_at, value, repair", self.since - lookback, self.until)

    @cached_property
    def _lookback(self) -> timedelta:
        return max(timedelta(days=1), rules.lookback(self.run.source.all_rules, self.run.source.time_bucket.every))

    @cached_property
    def _usual_rows(self) -> pd.DataFrame:
        return series_rows(self.run, "clean_series", "observed_at, value, repair", self.since - self._lookback, self.until)

    @cached_property
    def scores(self) -> pd.DataFrame:
        """The rows of anomaly_scores."""
        return series_rows(self.run, "anomaly_scores", SCORES, self.since, self.until)

    @cached_property
    def components(self) -> pd.DataFrame:
        """What each detector said of the rows that were flagged, as rows of detector_scores."""
        return self.run.warehouse.read(_COMPONENTS, [self.run.name, self.since, self.until])

    @cached_property
    def _raises(self) -> dict[str, list[Raise]]:
        return raises_of(self.run)

    @cached_property
    def _held(self) -> pd.MultiIndex:
        return pd.MultiIndex.from_frame(self.run.warehouse.read(_HELD, [self.run.name, self.since, self.until]))

    def _is_held(self, rows: pd.DataFrame) -> np.ndarray:
        """Rows that a contract holds back, which are never anomalous."""
        if not len(self._held):
            return np.zeros(len(rows), np.bool_)
        return np.asarray(pd.MultiIndex.from_frame(rows[["series", "observed_at"]]).isin(self._held))

    @cached_property
    def _records(self) -> pd.DataFrame:
        return bucket_verdicts(self.run, self.since, self.until)

    @cached_property
    def _figures(self) -> pd.DataFrame:
        return profile.verdicts(self.run, self.since, self.until)


def of_source(run: SourceRun, source: Source) -> SourceRun:
    """The run with another source of the same bucket."""
    return replace(run, source=source.with_bucket(run.source.time_bucket.every) if not source.is_bucket_given else source)
