"""When the rows of a source come: how late they are by nature, how far its buckets go, and whether it has fallen silent."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd

from smartflow_assets.adapters.aggregation import buckets
from smartflow_assets.adapters.sql_quoting import quoted, quoted_column
from smartflow_assets.adapters.warehouse.tables import raw_table
from smartflow_assets.core.rules import MissingRule
from smartflow_assets.core.series import arrivals
from smartflow_assets.core.series.arrivals import Arrivals
from smartflow_assets.core.severity import Severity, worst
from smartflow_assets.core.text_format import day, each, lasting, number
from smartflow_assets.stages.run import SourceRun

MOST_AHEAD = 48
"""Buckets, from the front on, for which it is found out one by one what they would say if no row came."""
_A_DAY, _INSTANT = timedelta(days=1), timedelta(microseconds=1)


@dataclass(frozen=True)
class SourceArrivals:
    """What the stored rows of a source say, as the run's clock sees them: rows and loads of the future say nothing."""

    run: SourceRun
    plan: buckets.BucketPlan

    @cached_property
    def delay(self) -> timedelta:
        """How late rows are by nature."""
        given = self.run.source.freshness.delay
        return arrivals.usual_delay(self._ages, self._first_age) if given is None else given

    @property
    def front(self) -> pd.Timestamp:
        """The end of the newest bucket whose rows should be there."""
        return self.plan.grid.floor(self.run.now - self.run.source.time_bucket.settle_time - self.delay)

    @cached_property
    def is_watched(self) -> bool:
        """Whether time goes on when rows do not: not for a source that says `off`, nor for a recording that `auto` takes for one."""
        mode = self.run.source.freshness.mode
        return mode == "given" or (mode == "auto" and not self.is_recording)

    @cached_property
    def is_recording(self) -> bool:
        """Whether every load brought rows that were old already: a feed that is alive has brought a fresh one at some time."""
        return self._may_be_recording and self._is_older_than(arrivals.recording_after(self.known.distance))

    @property
    def recording(self) -> str:
        """What the run that loaded a recording says of it, once; empty for all others."""
        newest = self._newest
        if newest is None or newest[1] != self.run.now or self.run.source.freshness.mode != "auto" or not self.is_recording:
            return ""
        at = day(self.run.source.calendar.local([newest[0]])[0])
        return (
            f"taken as a recording, since its newest row is of {at} {newest[0]:%Y}: it is never called silent. "
            "`freshness: off` says so for good; `freshness: {warn_after: 1h}` watches it all the same"
        )

    @property
    def newest_at(self) -> pd.Timestamp | None:
        """The time of the newest row."""
        return self._newest and self._newest[0]

    def first_after(self, moment: datetime) -> pd.Timestamp | None:
        """The time of the first row after a moment."""
        at = self._read(f"SELECT min({self._time}) AS at FROM {self._table} WHERE {self._time} > ? AND {self._time} <= ?", moment)["at"]
        return None if pd.isna(at.iloc[0]) else at.iloc[0]

    @property
    def severity(self) -> Severity | None:
        """How bad the silence since the newest row is; None when it is not."""
        if self.newest_at is None or not self.is_watched:
            return None
        [end] = self.plan.grid.number([self.front])
        found = self.run.source.freshness.severity(self.run.now - self.newest_at.to_pydatetime(), self.known.silence(int(end)))
        bad = [found, *self._broken_rules(self.newest_at)]
        return worst(bad) if any(bad) else None

    def changes_at(self) -> datetime | None:
        """When the clock alone may change what is said here of delay, silence or recordings; None when it does not within a day."""
        if self.run.source.freshness.mode == "off":
            return None
        return min((moment for moment in self._changes() if moment > self.run.now), default=None)

    def _changes(self) -> Iterator[datetime]:
        run, grid = self.run, self.plan.grid
        time, tomorrow = self._time, run.now + _A_DAY
        ahead = self._read(
            f"SELECT min({time}) FILTER ({time} > $2) AS row_at, min(_ingested_at) FILTER (_ingested_at > $2) AS load_at, "
            f"min(_ingested_at) FILTER (_ingested_at > $1) AS oldest_at FROM {self._table}",
            run.now - arrivals.HISTORY,
        )
        row_at, load_at, oldest_at = (None if pd.isna(at) else at.to_pydatetime() for at in ahead.iloc[0])
        yield from (at for at in (row_at, load_at) if at is not None)  # of a clock that was wrong
        if oldest_at is not None and oldest_at + arrivals.HISTORY <= tomorrow and not self._is_as_late_at(tomorrow):
            yield oldest_at + arrivals.HISTORY
        steps = self._window_steps()
        if self._may_be_recording and len(steps):
            yield steps[0]
        if self.newest_at is None or not self.is_watched:
            return
        newest_at, fresh, late = self.newest_at.to_pydatetime(), run.source.freshness, run.source.time_bucket.settle_time + self.delay
        yield from (newest_at + age + _INSTANT for age in (fresh.warn_after, fresh.error_after) if age is not None)
        for least in self._lasting_of_rules().values():
            broken_from = grid.step(newest_at, 1) + least
            yield (grid.step(broken_from - _INSTANT, 1) + late).to_pydatetime()
        if fresh.mode == "auto":
            yield from self._turn_of_silence(late, steps)

    def _turn_of_silence(self, late: timedelta, steps: Sequence[datetime]) -> Iterator[datetime]:
        """When the silence since the newest row becomes another one, by what was usual in the weeks that are looked back at then.

        While those weeks stay the same it only becomes longer, so the moment is found by halving; where they move on (`steps`), one after
        the other.
        """
        run, grid, filled = self.run, self.plan.grid, self.known.filled
        [end] = grid.number([self.front])
        count = MOST_AHEAD if steps else max(1, _A_DAY // self.plan.every + 1)
        fronts = [start.to_pydatetime() + late for start in grid.start(np.arange(end + 1, end + 1 + count))]
        moments = sorted(moment for moment in {*fronts, *steps} if moment <= min(run.now + _A_DAY, fronts[-1]))
        standing = self.known.silence(int(end))

        def has_turned(moment: datetime) -> bool:
            [first, front] = grid.number([pd.Timestamp(moment - arrivals.HISTORY), pd.Timestamp(moment - late)])
            missed = (Arrivals(filled[filled >= first], grid) if steps else self.known).silence(int(front))
            return (missed.is_unusual, missed.is_long) != (standing.is_unusual, standing.is_long)

        if steps:
            yield next((moment for moment in moments if has_turned(moment)), fronts[-1])
        else:
            yield from moments[bisect_left(moments, True, key=has_turned) :][:1]

    def _window_steps(self) -> list[datetime]:
        """When buckets with rows leave the weeks that are looked back at, within a day; the first few dozen times."""
        grid, filled = self.plan.grid, self.known.filled
        [last] = grid.number([pd.Timestamp(self.run.now + _A_DAY - arrivals.HISTORY)])
        leaving = filled[filled < last][:MOST_AHEAD]
        return [start.to_pydatetime() + arrivals.HISTORY for start in grid.start(leaving + 1)]

    def _is_as_late_at(self, moment: datetime) -> bool:
        """Whether the loads that are older than `HISTORY` by then have no say in how late rows are."""
        later = SourceArrivals(replace(self.run, now=moment), self.plan)
        most = arrivals.DELAY_LOADS
        return len(later._ages) >= most and np.array_equal(later._ages[-most:], self._ages[-most:])

    @property
    def _may_be_recording(self) -> bool:
        """Whether only how far apart its rows are says that it is a recording, or none."""
        return self._is_older_than(arrivals.recording_after(self.plan.every)) and len(self._ages) < arrivals.REGULAR_LOADS

    def _lasting_of_rules(self) -> dict[MissingRule, timedelta]:
        """The rules `missing`, each with the silence that breaks it."""
        return {rule: max(rule.lasting, self.plan.every) for rule in self.run.source.all_rules if isinstance(rule, MissingRule)}

    def _broken_rules(self, newest_at: datetime) -> list[Severity]:
        """The severities of the rules `missing` that the silence since the newest row breaks: whoever wrote one is not told later by its
        incident."""
        silent_for = self.front - self.plan.grid.step(newest_at, 1)
        return [rule.severity for rule, least in self._lasting_of_rules().items() if silent_for >= least]

    @cached_property
    def known(self) -> Arrivals:
        """The buckets that hold rows."""
        since = self.plan.grid.floor(self.run.now - arrivals.HISTORY)
        return Arrivals(buckets.filled(self.run.warehouse, self.run.name, self.plan, since, self.run.now), self.plan.grid)

    @cached_property
    def _newest(self) -> tuple[pd.Timestamp, pd.Timestamp] | None:
        """The time of the newest row, and when it was loaded."""
        found = self._read(
            f"SELECT max({self._time}) AS at, arg_max(_ingested_at, {self._time}) AS loaded_at FROM {self._table} WHERE {self._time} <= ?"
        ).iloc[0]
        return None if pd.isna(found["at"]) else (found["at"], found["loaded_at"])

    @cached_property
    def _load_ages(self) -> pd.Series:
        """How old the newest row of each load was when it was loaded, in order of the loads."""
        return self._read(
            f"SELECT _ingested_at - max({self._time}) AS age FROM {self._table} WHERE {self._time} <= _ingested_at AND _ingested_at <= ? "
            "GROUP BY _ingested_at ORDER BY _ingested_at"
        )["age"]

    def _is_older_than(self, limit: timedelta) -> bool:
        """Whether the newest row of every load was."""
        return len(self._load_ages) > 0 and self._load_ages.min() > limit

    @property
    def _first_age(self) -> float:
        """How long before the first load the bucket of its newest row had ended."""
        if not len(self._load_ages) or self.is_recording:
            return 0.0
        return (self._load_ages.iloc[0] - self.plan.every).total_seconds()

    @cached_property
    def _ages(self) -> np.ndarray:
        """Seconds between the oldest new row of each load and its ingestion; the first load, and one that only corrects, have none."""
        loads = self._read(
            f"""
            WITH arrived AS (SELECT {self._time} AS row_at, _ingested_at AS loaded_at FROM {self._table}
                             WHERE _ingested_at > ? AND {self._time} <= _ingested_at AND _ingested_at <= ?),
                 loads AS (SELECT loaded_at, max(max(row_at)) OVER (
                               ORDER BY loaded_at ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS known_to
                           FROM arrived GROUP BY loaded_at)
            SELECT epoch(loaded_at - min(row_at)) AS age FROM arrived JOIN loads USING (loaded_at) WHERE row_at > known_to
            GROUP BY loaded_at ORDER BY loaded_at
            """,
            self.run.now - arrivals.HISTORY,
        )
        return loads["age"].to_numpy(float)

    @property
    def _table(self) -> str:
        return quoted(raw_table(self.run.name))

    @property
    def _time(self) -> str:
        return quoted_column(self.plan.time_column)

    def _read(self, sql: str, *bound: datetime) -> pd.DataFrame:
        return self.run.warehouse.read(sql, [*bound, self.run.now])


class Arriving(NamedTuple):
    """Whether rows come as they usually do: how bad it is that they do not, None where it is not; in a sentence; and for how long none has
    come, None where none ever has."""

    severity: Severity | None
    said: str
    silent_for: timedelta | None


def arriving(run: SourceRun, plan: buckets.BucketPlan) -> Arriving:
    """What is known by now of the rows of the source."""
    arrived = arrivals_of(run, plan) if run.source.is_bucket_given else None
    if arrived is None or arrived.newest_at is None:
        return Arriving(None, "Too few rows have come to say how often they do.", None)
    newest_at = arrived.newest_at.to_pydatetime()
    age, at = run.now - newest_at, run.source.calendar.local([arrived.newest_at])[0]
    newest = f"The newest row is of {at:%a %d %b %H:%M %Z}, {lasting(age)} old"
    if not arrived.is_watched:
        why = "freshness is off" if run.source.freshness.mode == "off" else "it is taken as a recording"
        return Arriving(None, f"{newest}; {why}, so it is never called silent.", age)
    usual = f"rows usually come {each(arrived.known.distance)}" + (f", {lasting(arrived.delay)} late" if arrived.delay else "")
    severity = arrived.severity
    if severity is None:
        return Arriving(None, f"{newest}; {usual}.", age)
    fresh = run.source.freshness
    if fresh.mode == "given":
        limit = fresh.error_after if severity == "critical" and fresh.error_after else fresh.warn_after or fresh.error_after
        allowed = f"it may be {lasting(limit)} old" if limit else ""
    else:
        [end] = plan.grid.number([arrived.front])
        missed = arrived.known.silence(int(end))
        allowed = f"{number(missed.missed)} arrivals are missing, and fewer than {number(missed.limit)} may be"
    return Arriving(severity, f"No row since {at:%a %d %b %H:%M %Z}, {lasting(age)} ago; {usual}; {allowed}.", age)


def arrivals_of(run: SourceRun, plan: buckets.BucketPlan) -> SourceArrivals | None:
    """When the rows of the source came; None where it has none yet."""
    if not run.warehouse.has_table(raw_table(run.name)):
        return None
    arrived = SourceArrivals(run, plan)
    return None if arrived.newest_at is None else arrived
