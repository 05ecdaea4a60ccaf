"""Preview: how many anomalies, and how many messages, would a source have had in the last weeks with other settings, and which anomalies.

Nothing is written, but in a folder that is thrown away. Where rules, thresholds, direction or alerts change, what is stored decides
(`stored_verdicts`), through the same grouping and the same lifecycle of incidents as a run. Other detectors have to learn: they are
replayed (`backtest`), from models of what lies before the window.
"""

import tempfile
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pandas as pd

from smartflow_assets.adapters.model_store import ModelStore
from smartflow_assets.adapters.warehouse.published_warehouse import PublishedWarehouse
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.settings import Settings
from smartflow_assets.config.source import Source
from smartflow_assets.core.anomalies import grouping
from smartflow_assets.core.incidents.event_log import OF_SERIES
from smartflow_assets.core.incidents.lifecycle import advance
from smartflow_assets.core.incidents.recovery import BAND_WIDTH
from smartflow_assets.core.reports import series_plot
from smartflow_assets.core.rules import Threshold
from smartflow_assets.core.severity import SEVERITIES
from smartflow_assets.stages import alerting, profile
from smartflow_assets.stages.bucket_resolution import with_bucket
from smartflow_assets.stages.experiments import backtest
from smartflow_assets.stages.experiments.stored_verdicts import StoredVerdicts, of_source
from smartflow_assets.stages.feedback_effects import expectations_of
from smartflow_assets.stages.run import SourceRun
from smartflow_assets.stages.windows import joined

Method = Literal["stored", "learnt_anew"]
"""Whether what is stored decided, or detectors had to learn."""
LAST = timedelta(days=28)
SOMEBODY, FOREVER = "somebody", timedelta(days=36_500)
RUN_ID = "preview"
SIDES_KEPT, SOURCES_KEPT = 24, 3
SHOWN = [
    "series",
    "metric",
    "started_at",
    "ended_at",
    "severity",
    "rules",
    "detectors",
    "value",
    "expected",
    "anomaly_score",
    "explanation",
]
_ANOMALIES = "SELECT * FROM anomalies WHERE source = ? AND started_at >= ? ORDER BY started_at, series"
_LEADERS = f"SELECT severity FROM incidents WHERE source = ? AND opened_at >= ? AND cause IN {OF_SERIES} AND group_id IS NULL"
_AFFECTING = ("alerts", "rules", "metrics")


class Counts(NamedTuple):
    """What some settings come to: anomalies by severity, and incidents that people would have been told of, each with all that was told
    with it."""

    anomaly_count: int
    alert_count: int
    alerts_per_week: float
    by_severity: dict[str, int]


class FixedLimit(NamedTuple):
    """A line that a rule draws through a series."""

    series: str
    rule: str
    value: float


@dataclass(frozen=True)
class Side:
    """The anomalies that some settings find, in `SHOWN`, oldest first, and what they come to."""

    anomalies: pd.DataFrame
    counts: Counts


@dataclass(frozen=True)
class RulePreview:
    """The two sides of a change, `after` without what it would not have found. `notes` say what to know of the figures."""

    source: str
    since: datetime
    until: datetime
    before: Side
    after: Side
    method: Method
    limits: tuple[FixedLimit, ...] = ()
    notes: tuple[str, ...] = ()

    def values(self, series: Sequence[str] = (), most: int = 500) -> dict[str, Any]:
        """As plain values; anomalies and limits of some series or of all, the newest anomalies where there are more than `most`."""
        after, known = self.after.anomalies, self.before.anomalies
        shown = after[after["series"].isin(list(series))] if series else after
        rows = shown.tail(most).to_dict("records")
        ends = {str(name): own[["started_at", "ended_at"]].to_numpy() for name, own in known.groupby("series")}
        for row in rows:
            row["is_new"] = not any(start < row["ended_at"] and end > row["started_at"] for start, end in ends.get(str(row["series"]), ()))
            row |= {name: None for name in ("value", "expected", "anomaly_score") if pd.isna(row[name])}
            row |= {name: row[name].to_pydatetime() for name in ("started_at", "ended_at")}
        return {
            "source": self.source,
            "from": self.since,
            "to": self.until,
            "before": self.before.counts._asdict(),
            "after": self.after.counts._asdict(),
            "anomalies": rows,
            "is_complete": len(rows) == len(shown),
            "thresholds": [each._asdict() for each in self.limits if not series or each.series in series],
            "method": self.method,
            "notes": list(self.notes),
        }


@dataclass
class Previewer:
    """The last weeks of one source, read once; previews of any number of changes."""

    stored: StoredVerdicts
    settings: Settings
    catalogue: Catalogue
    _sides: OrderedDict[str, Side] = field(default_factory=OrderedDict[str, Side])

    def is_quick(self, variant: Source) -> bool:
        """Whether what is stored decides, so that nothing has to learn."""
        return self.stored.is_decided(of_source(self.stored.run, variant).source)

    def preview(self, variant: Source) -> RulePreview:
        """What another form of the source would have found. SourceError where new detectors cannot learn from what is there."""
        variant, notes = of_source(self.stored.run, variant).source, list[str]()
        is_stored = self.stored.is_decided(variant)
        before = self._side(self.stored.run.source)
        if is_stored:
            after = self._side(variant)
        else:
            after = self._learnt_anew(variant)
            notes.append("models were learnt anew from what lies before the window, and have judged all of it")
        split = {metric for metric in map(str, self.stored.scores["metric"].unique()) if self._gets_own_model(variant, metric)}
        if is_stored and split:
            notes.append(f"{', '.join(sorted(split))}: the next run trains a model of its own for it, whose scores may differ a little")
        if variant.alerts.suppress_for is not None:
            notes.append("alerts.suppress_for is by the clock and is not counted")
        return RulePreview(
            variant.name,
            self.stored.since,
            self.stored.until,
            before,
            after,
            "stored" if is_stored else "learnt_anew",
            self._limits(variant),
            tuple(notes),
        )

    def picture(self, variant: Source, series: str) -> bytes:
        """One series of the window with what the other form of the source flags."""
        rows = self.stored.judged(of_source(self.stored.run, variant).source)
        own = rows[rows["series"] == series]
        return series_plot.series_plot(
            own,
            own[own["is_anomalous"]],
            title=f"{variant.name} {series}",
            unit=variant.unit(str(own["metric"].iloc[0])) if len(own) else "",
            timezone=variant.calendar.timezone,
        )

    def _side(self, source: Source) -> Side:
        key = source.model_dump_json(
            include={*_AFFECTING, "sensitivity", "threshold", "direction", "ignore_small_changes", "tags", "owner"}
        )
        if key not in self._sides:
            self._sides[key] = self._counted(source)
            while len(self._sides) > SIDES_KEPT:
                self._sides.popitem(last=False)
        return self._sides[key]

    def _counted(self, source: Source) -> Side:
        run, rows = replace(self.stored.run, source=source), self.stored.judged(source)
        anomalies = self._grouped(run, rows)
        return Side(anomalies[SHOWN], self._counts(anomalies, self._told(run, rows, anomalies)))

    def _grouped(self, run: SourceRun, rows: pd.DataFrame) -> pd.DataFrame:
        """Anomalies as a run groups them, without what only its explanation says more."""
        is_profile = rows["headline"].notna() if "headline" in rows else pd.Series(False, index=rows.index)
        parts = (
            (~is_profile, run.source.time_bucket.every, self.stored.components),
            (is_profile, run.source.profile_bucket, profile.components(rows[is_profile])),
        )
        found = [
            grouping.group(
                rows[own],
                source=run.name,
                step=step,
                run_id=RUN_ID,
                components=said,
                timezone=run.source.calendar.timezone,
                units=run.source.units,
            )
            for own, step, said in parts
            if own.any()
        ]
        grouped = [each for each in found if len(each)]
        return joined(grouped).sort_values(["started_at", "series"], ignore_index=True) if grouped else grouping.no_anomalies()

    def _told(self, run: SourceRun, rows: pd.DataFrame, anomalies: pd.DataFrame) -> int:
        """How many incidents somebody would have been told of."""
        if anomalies.empty:
            return 0
        everybody = {"to": (SOMEBODY,), "routes": (), "max_age": FOREVER, "suppress_for": None}
        told = advance(
            self._nothing["incident_events"],
            anomalies,
            rows,
            sends=self._nothing["alert_sends"],
            source=run.name,
            since=self.stored.since,
            step=run.source.time_bucket.every,
            policy=run.source.alert_policy.model_copy(update=everybody),
            now=self.stored.until,
            run_id=RUN_ID,
            units=run.source.units,
            timezone=run.source.calendar.timezone,
            silences=self._silences,
            bands=self._bands(rows, anomalies),
            steps=dict.fromkeys(alerting.profiled_series(self._nothing["incidents"], anomalies), run.source.profile_bucket),
            expectations=self._expectations,
        )
        opened = told.sends[(told.sends["event"] == "opened") & (told.sends["status"] == "planned")]
        return int(opened["incident_id"].nunique())

    def _bands(self, rows: pd.DataFrame, anomalies: pd.DataFrame) -> pd.DataFrame:
        """What was usual, by the hour: before the window as it is stored, in it by the rows that are not flagged now."""
        step = self.stored.run.source.time_bucket.every
        calm = rows[~rows["is_anomalous"] & rows["lower"].notna() & rows["upper"].notna() & rows["series"].isin(set(anomalies["series"]))]
        at = calm["observed_at"] if step >= BAND_WIDTH else calm["observed_at"].dt.floor(BAND_WIDTH)
        own = calm.assign(band_at=at).groupby(["series", "band_at"], observed=True)
        found = own.agg(lower=("lower", "min"), upper=("upper", "max"), expected=("expected", "mean")).reset_index()
        past = self._past_bands[self._past_bands["series"].isin(set(anomalies["series"]))]
        return pd.concat([past, found], ignore_index=True) if len(past) else found

    @cached_property
    def _past_bands(self) -> pd.DataFrame:
        names = sorted(map(str, self.stored.scores["series"].unique()))
        return alerting.bands_of(self.stored.run, self.stored.since, self.stored.since, names)

    @cached_property
    def _silences(self) -> list[Any]:
        return [*alerting.silences_since(self.stored.run, self.stored.since), *alerting.blocked_times(self.stored.run)]

    @cached_property
    def _expectations(self) -> list[Any]:
        return expectations_of(self.stored.run)

    @cached_property
    def _nothing(self) -> dict[str, pd.DataFrame]:
        names = ("incident_events", "alert_sends", "incidents")
        return {name: self.stored.run.warehouse.read(f"SELECT * FROM {name} LIMIT 0") for name in names}

    def _counts(self, anomalies: pd.DataFrame, told: int) -> Counts:
        weeks = (self.stored.until - self.stored.since) / timedelta(days=7)
        counted = anomalies["severity"].value_counts()
        return Counts(len(anomalies), told, round(told / weeks, 2), {each: int(counted.get(each, 0)) for each in SEVERITIES})

    def _learnt_anew(self, variant: Source) -> Side:
        """The same by a replay in a folder of its own."""
        with tempfile.TemporaryDirectory(prefix="smartflow-preview-") as folder:
            apart = self.settings.with_state_in(Path(folder))
            warehouse = backtest.stored_rows(variant, self.settings, apart, self.catalogue, self.stored.until)
            told = variant.model_copy(update={"alerts": variant.alerts.model_copy(update={"max_age": FOREVER})})
            told._files = variant._files
            backtest.replay(told, apart, self.catalogue, warehouse, since=self.stored.since, until=self.stored.until)
            bound = [variant.name, self.stored.since]
            anomalies = warehouse.read(_ANOMALIES, bound)
            leaders = warehouse.read(_LEADERS, bound)["severity"]
        return Side(anomalies[SHOWN], self._counts(anomalies, sum(map(variant.alerts.is_worth_telling, leaders))))

    def _gets_own_model(self, variant: Source, metric: str) -> bool:
        """Whether a metric is judged by a group of other metrics than before, so that a model is trained."""
        return _group_of(variant, self.stored, metric) != _group_of(self.stored.run.source, self.stored, metric)

    def _limits(self, variant: Source) -> tuple[FixedLimit, ...]:
        series = self.stored.scores.drop_duplicates("series")[["series", "metric"]].itertuples(index=False, name=None)
        return tuple(
            FixedLimit(str(name), rule.name, value)
            for name, metric in series
            for rule in variant.all_rules
            if isinstance(rule, Threshold) and rule.metric in (None, metric)
            for value in (rule.below, rule.above)
            if value is not None
        )


def _group_of(source: Source, stored: StoredVerdicts, metric: str) -> frozenset[str]:
    own = source.detection(metric)
    return frozenset(str(each) for each in stored.scores["metric"].unique() if source.detection(str(each)) == own)


_kept: OrderedDict[tuple[str, str, str, timedelta], Previewer] = OrderedDict()


def previewer(name: str, settings: Settings, catalogue: Catalogue, length: timedelta = LAST) -> Previewer:
    """What previews of a source are made with, kept until another copy is published or its YAML changes. SourceError when the source is
    broken or has no rows."""
    source, warehouse = catalogue.source(name), PublishedWarehouse(settings.warehouse_file, settings.published_file)
    key = (warehouse.generation, name, source.model_dump_json(exclude={"read"}), length)
    if key not in _kept:
        for old in [old for old in _kept if old[1] == name]:
            del _kept[old]
        run = SourceRun(source, settings, catalogue, warehouse, ModelStore(settings.models), datetime.now(UTC), RUN_ID, is_sending=False)
        _kept[key] = Previewer(StoredVerdicts.of_last(with_bucket(run), length), settings, catalogue)
        while len(_kept) > SOURCES_KEPT:
            _kept.popitem(last=False)
    return _kept[key]
