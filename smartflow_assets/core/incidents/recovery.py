"""When an incident of a series is over: calm rows whose values are usual again, by what was usual before it began.

A calm score is not enough: a band that follows an outage down calls it normal after a while. So the values must lie where the bands
of the weeks before the incident lay, at the same time of the week (of the day where there is no week, anywhere where there is no day),
carried on by the growth of those weeks. A row in which the incident itself would look usual, such as the zeros of a night in an
outage, proves nothing. A level that stays calm outside of that range for long enough is a new level, and ends the incident in words
of its own; a value that no longer moves is none. All of it is a function of the rows: which run sees them makes no difference.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil
from types import MappingProxyType
from typing import Any, NamedTuple, Self
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from smartflow_assets.core.text_format import lasting, number

BAND_WIDTH = timedelta(hours=1)
"""Bands are kept by the hour, so that they are as many whatever the bucket."""
NEW_LEVEL = "a new level since "
"""How the reason begins of an incident that ended as a new level: its rows are usual from then on."""
RETIRED = "the series is over: its rows have stayed away while others came"
"""Why the incident of a series ends that has no further buckets (`core.series.lifetimes`)."""
_LEAST_OBSERVED = 0.2  # of the time of a new level, which a gap is not; a feed of working hours has .24
_LEAST_MOVES = 0.05  # of those that were usual: an outage, or a sensor that is stuck, is no level
_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY, _WEEK = 86_400_000_000, 7 * 86_400_000_000
_Floats = NDArray[np.float64]


def lookback(step: timedelta) -> timedelta:
    """In how long a time before an incident is looked up what was usual: four weeks, or eight buckets if that is longer."""
    return max(timedelta(days=28), 8 * step)


class Recovery(NamedTuple):
    """When an incident was over, and why."""

    at: pd.Timestamp
    reason: str


@dataclass(frozen=True)
class Strangest:
    """The value that an incident has been told with, and its time."""

    at: datetime
    value: float


def accepted(since: datetime, by_whom: str, timezone: str) -> str:
    """Why an incident is over whose level a person has accepted.

    >>> accepted(datetime(2026, 3, 3, 12), "ana", "UTC")
    'a new level since 3 March, accepted by ana'
    """
    return f"{NEW_LEVEL}{_date(since, timezone)}, accepted by {by_whom or 'a person'}"


class Calm:
    """Says of each series when, after some moment, it had recovered. A missing bucket neither counts nor breaks calm."""

    def __init__(
        self,
        rows: pd.DataFrame,
        bands: pd.DataFrame | None,
        *,
        step: timedelta,
        resolve_after: timedelta,
        new_level_after: timedelta,
        timezone: str = "UTC",
        steps: Mapping[str, timedelta] = MappingProxyType({}),
    ) -> None:
        """`rows`: judged rows (of `grouping.merge_violations`). `bands`: series, band_at, lower, upper and expected, the hull and the mean
        of the bands of each `BAND_WIDTH` (or bucket, if longer) without flagged rows, from `lookback` before each incident on; without
        any, a calm score is all that is asked for. `steps`: the buckets of series that have others than the source."""
        self.step, self._steps, self._resolve_after = step, steps, resolve_after
        self._new_level_after, self._zone, self._timezone = new_level_after, ZoneInfo(timezone), timezone
        self._width = max(BAND_WIDTH, step)
        self._ends = {
            str(series): newest + self.step_of(str(series)) for series, newest in rows.groupby("series")["observed_at"].max().items()
        }
        observed = rows[rows["is_observed"]].sort_values(["series", "observed_at"])
        self._rows = {
            str(series): (pd.DatetimeIndex(group["observed_at"]), group["value"].to_numpy(float), group["is_calm"].to_numpy(bool))
            for series, group in observed.groupby("series")
        }
        self._bands = {} if bands is None else {str(series): _Bands.of(group) for series, group in bands.groupby("series")}
        self._incidents: dict[str, dict[str, tuple[int, int | None]]] = {}  # when each began and ended
        self._usual: tuple[Any, _Usual | None] = (None, None)  # of the incident that was asked for last

    def step_of(self, series: str) -> timedelta:
        """How long a bucket of the series is."""
        return self._steps.get(series, self.step)

    def needed(self, step: timedelta) -> int:
        """How many calm buckets of this length end an incident."""
        return max(1, ceil(self._resolve_after / step))

    def note(self, incident: Mapping[str, Any], ended_at: datetime | None, reason: str | None) -> None:
        """Take note of an incident: what it was is not usual, unless it ended as a new level."""
        known = self._incidents.setdefault(str(incident["series"]), {})
        if reason is not None and reason.startswith(NEW_LEVEL):
            known.pop(str(incident["incident_id"]), None)
        else:
            known[str(incident["incident_id"])] = (
                _microseconds(incident["opened_at"]),
                None if ended_at is None else _microseconds(ended_at),
            )
        self._usual = (None, None)

    def newest(self, series: str) -> pd.Timestamp | None:
        """The end of the newest bucket of the series."""
        return self._ends.get(series)

    def reached(
        self, series: str, after: datetime, by: datetime | None = None, *, opened_at: datetime, strangest: Strangest | None = None
    ) -> Recovery | None:
        """How an incident of the series that opened then was over after a moment; None when it was not, or not `by` then.
        `strangest`: what it was last told with."""
        if series not in self._rows:
            return None
        times, values, is_calm = self._rows[series]
        step, needed = self.step_of(series), self.needed(self.step_of(series))
        first, last = (int(times.searchsorted(pd.Timestamp(moment))) if moment is not None else len(times) for moment in (after, by))
        if last <= first:
            return None
        times, values, is_calm = times[first:last], values[first:last], is_calm[first:last]
        usual = self._usual_before(series, opened_at)
        if usual is None:
            is_inside, is_proof, centre = np.ones(len(times), bool), np.ones(len(times), bool), np.full(len(times), np.nan)
        else:
            lower, upper, centre = usual.at(times)
            is_inside = ~((values < lower) | (values > upper))
            told = usual.deviation(strangest)
            is_proof = ~_would_be_usual(values, centre, lower, upper, is_calm & ~is_inside, told)
            if told is None and strangest is not None:  # usual by itself, such as a value that is stuck: another value is the proof
                is_proof &= values != strangest.value
        position = np.arange(len(times))
        restless = np.maximum.accumulate(np.where(is_calm, -1, position))
        broken = np.maximum.accumulate(np.where(is_calm & is_inside, -1, position))
        proven = np.cumsum(is_calm & is_inside & is_proof)
        before = np.where(broken >= 0, proven[broken], 0)
        recovered = np.flatnonzero(proven - before >= needed)
        is_frozen = _moves(values, restless) < _LEAST_MOVES * _moves(centre, restless)
        stays = np.flatnonzero(self._has_stayed(step, times, position, restless) & is_calm & ~is_frozen)
        if len(stays) and not (len(recovered) and recovered[0] <= stays[0]):
            since = slice(int(restless[stays[0]]) + 1, int(stays[0]) + 1)
            reason = f"nothing strange for {lasting(self._new_level_after)}"
            if not (is_inside[since].all() and is_proof[since].any()):
                reason = self._new_level(opened_at, values[since], centre[since])
            return Recovery(times[int(stays[0])] + step, reason)
        if len(recovered):
            return Recovery(times[int(recovered[0])] + step, f"back to normal for {lasting(needed * step)}")
        return None

    def _has_stayed(
        self, step: timedelta, times: pd.DatetimeIndex, position: NDArray[np.int64], restless: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Whether, at each row, nothing has been restless for long enough, and enough was observed to say so."""
        start = np.minimum(restless + 1, len(times) - 1)
        local: NDArray[np.int64] = times.as_unit("us").asi8
        lasted = local - local[start] + step // _MICROSECOND
        observed = (position - restless) * (step // _MICROSECOND)
        return (lasted >= self._new_level_after // _MICROSECOND) & (observed >= _LEAST_OBSERVED * lasted)

    def _new_level(self, opened_at: datetime, values: _Floats, centre: _Floats) -> str:
        level, usual = float(np.median(values)), float(np.nanmedian(centre))
        since = f"{NEW_LEVEL}{_date(opened_at, self._timezone)}"
        share = level / usual - 1 if usual > 0 and level >= 0 else 0.0
        if number(level) == number(usual):
            return f"nothing strange for {lasting(self._new_level_after)}"
        if not round(100 * share):
            return f"{since}: {number(level)} instead of {number(usual)}"
        return f"{since}: {round(100 * abs(share)):,} % {'higher' if share > 0 else 'lower'}"

    def _usual_before(self, series: str, opened_at: datetime) -> "_Usual | None":
        key = series, opened_at
        if self._usual[0] != key:
            self._usual = key, self._looked_up(series, opened_at)
        return self._usual[1]

    def _looked_up(self, series: str, opened_at: datetime) -> "_Usual | None":
        bands = self._bands.get(series)
        if bands is None:
            return None
        width, begin, end = self._width // _MICROSECOND, _microseconds(opened_at - lookback(self.step)), _microseconds(opened_at)
        first, last = bands.at.searchsorted([begin, end - width + 1])
        bands = bands.where(slice(first, last))
        is_usual = np.ones(len(bands.at), bool)
        for began_at, ended_at in self._incidents.get(series, {}).values():
            until = end if ended_at is None else ended_at
            if began_at < end and until > begin:
                first, last = bands.at.searchsorted([began_at - width + 1, until])
                is_usual[first:last] = False
        return _Usual(bands.where(is_usual), width, self._zone) if is_usual.any() else None


class _Bands(NamedTuple):
    """The bands of a series, by time."""

    at: NDArray[np.int64]  # microseconds
    lower: _Floats
    upper: _Floats
    expected: _Floats

    @classmethod
    def of(cls, rows: pd.DataFrame) -> Self:
        rows = rows.sort_values("band_at")
        at = pd.DatetimeIndex(rows["band_at"]).as_unit("us").asi8
        return cls(at, *(rows[name].to_numpy(float) for name in ("lower", "upper", "expected")))

    def where(self, chosen: slice | NDArray[np.bool_]) -> "_Bands":
        return _Bands(self.at[chosen], self.lower[chosen], self.upper[chosen], self.expected[chosen])


class _Usual:
    """The bands before one incident, and what they say of any moment after it."""

    def __init__(self, bands: _Bands, width: int, zone: ZoneInfo) -> None:
        """`width`: of a band, in microseconds."""
        self._width, self._zone = width, zone
        self._times = self._local(pd.DatetimeIndex(bands.at.astype("M8[us]")).tz_localize("UTC"))
        _, self._lower, self._upper, self._expected = bands
        self._growth = self._growth_by_microsecond()

    def at(self, times: pd.DatetimeIndex) -> tuple[_Floats, _Floats, _Floats]:
        """lower, upper and the middle of what was usual at each moment."""
        local = self._local(times)
        found = np.full((3, len(local)), np.nan)
        for period in (_WEEK, _DAY, 0):
            open_ = np.isnan(found[2])
            if not open_.any():
                break
            if period and (self._width >= period or self._times[-1] - self._times[0] < period - self._width):
                continue
            slot, known = self._slots(local, period), self._slots(self._times, period)
            for each in np.unique(slot[open_]):
                of_slot, mine = np.flatnonzero(known == each), np.flatnonzero(open_ & (slot == each))
                if len(of_slot):
                    found[:, mine] = self._hull(of_slot, local[mine])
        return found[0], found[1], found[2]

    def deviation(self, strangest: Strangest | None) -> tuple[float, float] | None:
        """Its value and what was usual then; None where it lay within what was usual."""
        if strangest is None:
            return None
        lower, upper, centre = (float(each[0]) for each in self.at(pd.DatetimeIndex([strangest.at])))
        return None if lower <= strangest.value <= upper else (strangest.value, centre)

    def _local(self, times: pd.DatetimeIndex) -> NDArray[np.int64]:
        return times.tz_convert(self._zone).tz_localize(None).as_unit("us").asi8

    def _slots(self, times: NDArray[np.int64], period: int) -> NDArray[np.int64]:
        return times % period // self._width if period else np.zeros(len(times), np.int64)

    def _hull(self, bands: NDArray[np.int64], times: NDArray[np.int64]) -> _Floats:
        grown = np.multiply(self._growth, times[:, None] - self._times[bands][None, :], dtype=np.float64)
        lower = (self._lower[bands] + np.minimum(grown, 0)).min(axis=1)
        upper = (self._upper[bands] + np.maximum(grown, 0)).max(axis=1)
        middle = np.asarray(np.median(self._expected[bands] + grown, axis=1), np.float64)
        return np.stack([lower, upper, middle])

    def _growth_by_microsecond(self) -> float:
        """How fast what is expected moved last: from week to week, else from day to day, else from band to band."""
        for lag in (_WEEK, _DAY, self._width):
            at = np.minimum(np.searchsorted(self._times, self._times - lag), len(self._times) - 1)
            pairs = np.flatnonzero(self._times[at] == self._times - lag)
            if len(pairs):
                newest = pairs[self._times[pairs] > self._times[pairs[-1]] - max(lag, 8 * self._width)]
                return float(np.nanmedian((self._expected - self._expected[at])[newest])) / lag
        return 0.0


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def _moves(values: _Floats, restless: NDArray[np.int64]) -> NDArray[np.int64]:
    """How often, at each row, the values have moved since the last restless one."""
    count = np.cumsum(np.concatenate([[False], np.abs(np.diff(values)) > 0]))
    return count - count[np.minimum(restless + 1, len(values) - 1)]


def _would_be_usual(
    values: _Floats, centre: _Floats, lower: _Floats, upper: _Floats, is_level: NDArray[np.bool_], deviation: tuple[float, float] | None
) -> NDArray[np.bool_]:
    """Whether what is wrong would look usual at each row: as far from what is usual there, in proportion, as the last row that lay outside
    of it (`is_level`), or as the incident was told with (`deviation`: value and what was usual)."""
    newest = np.maximum.accumulate(np.where(is_level, np.arange(len(values)), -1))
    told, usual = deviation or (np.nan, np.nan)
    value = np.where(newest >= 0, values[newest], told)
    middle = np.where(newest >= 0, centre[newest], usual)
    with np.errstate(divide="ignore", invalid="ignore"):
        is_ratio = (middle > 0) & (value >= 0) & (centre >= 0)
        expected = np.where(is_ratio, centre * (value / middle), centre + value - middle)
    return (expected >= lower) & (expected <= upper)


def _date(moment: datetime, timezone: str) -> str:
    local = pd.Timestamp(moment)
    local = (local.tz_localize("UTC") if local.tzinfo is None else local).tz_convert(timezone)
    return f"{local.day} {local:%B}"
