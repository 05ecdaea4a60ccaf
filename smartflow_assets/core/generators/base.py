"""What a synthetic domain is: rows, labels of what was put into them, and a twin in which nothing happened.

There are two ways to ask. `generate` makes one piece, the events drawn with all of it in sight: the first third is quiet
enough to learn from. `stretch` cuts a period out of a run without beginning or end, made of blocks of whole weeks: a row
depends on its time and the seed alone, so that a source can grow for ever and its past never changes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast
from zlib import crc32

import pandas as pd
from pydantic import Field

from smartflow_assets.core.declared import Declared
from smartflow_assets.core.generators.anomaly_events import Bounds
from smartflow_assets.core.generators.random_streams import FIRST_MONDAY, Chance
from smartflow_assets.core.temporal.notation import Duration

BLOCK_ROWS, WEEK = 2016, timedelta(days=7)  # a block is the fewest weeks that hold so many rows


@dataclass(frozen=True)
class Generated:
    """`frame` and `twin` hold `timestamp` (UTC) and the columns of the domain; they differ only inside the events of `labels`
    (series, started_at, ended_at, type, size; `ended_at` is the start of the last row, size the largest change over
    the range)."""

    frame: pd.DataFrame
    labels: pd.DataFrame
    twin: pd.DataFrame

    def rows(self, first: int | None, last: int | None) -> "Generated":
        """The rows from `first` to before `last`, as positions in a slice, and the labels that lie in them, cut like them."""
        frame, twin = (table.iloc[first:last].reset_index(drop=True) for table in (self.frame, self.twin))
        if frame.empty:
            return Generated(frame, self.labels.iloc[:0], twin)
        start, end = frame["timestamp"].iloc[0], frame["timestamp"].iloc[-1]
        lies_inside = (self.labels["ended_at"] >= start) & (self.labels["started_at"] <= end)
        labels = cast(pd.DataFrame, self.labels[lies_inside]).reset_index(drop=True)
        labels = labels.assign(started_at=labels["started_at"].clip(lower=start), ended_at=labels["ended_at"].clip(upper=end))
        return Generated(frame, labels, twin)


class BaseGenerator(Declared, frozen=True):
    """A domain. `type` names it; a subclass says how a piece of it is made."""

    type: str
    step: Duration = Field(default=timedelta(minutes=5), ge=timedelta(seconds=1), description="Time between two rows.")

    @property
    def bounds(self) -> Mapping[str, Bounds]:
        """The series of this domain, by the id that labels call them."""
        raise NotImplementedError

    def piece(self, times: pd.DatetimeIndex, chance: Chance, anomaly_rate: float) -> Generated:
        """The rows of these times."""
        raise NotImplementedError

    def generate(self, start: datetime, rows: int, seed: int = 0, anomaly_rate: float = 0.01) -> Generated:
        """One piece of `rows` steps from `start` (aware), the same for the same arguments.

        `anomaly_rate` is the share of rows of each series that lie inside an event, about; 0 leaves the planned ones.
        """
        times = pd.date_range(pd.Timestamp(start).tz_convert("UTC"), periods=rows, freq=self.step, unit="us")
        return self.piece(times, Chance(seed), anomaly_rate)

    def stretch(self, since: datetime, until: datetime, seed: int = 0, anomaly_rate: float = 0.01) -> Generated:
        """The rows from `since` to before `until` (aware) of the endless run of this seed; no row depends on the two."""
        weeks = -(-BLOCK_ROWS * self.step // WEEK) * WEEK
        first, last = (since - FIRST_MONDAY) // weeks, -(-(until - FIRST_MONDAY) // weeks)
        own = crc32(f"{self.type} {seed}".encode())  # two domains of one seed have their events at different times
        parts = [self.piece(self._times(block, weeks), Chance(own, block), anomaly_rate) for block in range(first, max(last, first + 1))]
        whole = Generated(*(pd.concat([getattr(part, name) for part in parts], ignore_index=True) for name in ("frame", "labels", "twin")))
        return whole.rows(*whole.frame["timestamp"].searchsorted([pd.Timestamp(since), pd.Timestamp(until)]))

    def rows_from(self, since: datetime, rows: int, seed: int = 0, anomaly_rate: float = 0.01) -> Generated:
        """The first so many rows of the endless run that are not before `since`."""
        return self.stretch(since, since + self._span(rows), seed, anomaly_rate).rows(None, rows)

    def rows_until(self, end: datetime, rows: int, seed: int = 0, anomaly_rate: float = 0.01) -> Generated:
        """The last so many rows of the endless run whose step is over at `end`."""
        until = self.finished(end)
        made = self.stretch(until - self._span(rows), until, seed, anomaly_rate)
        return made.rows(len(made.frame) - rows, None)

    def finished(self, at: datetime) -> datetime:
        """Up to when the steps of the endless run are over at a time."""
        return FIRST_MONDAY + (at - FIRST_MONDAY) // self.step * self.step

    def _span(self, rows: int) -> timedelta:
        return rows * self.step + timedelta(days=2)  # a payment lies elsewhere in its day than its step does

    def _times(self, block: int, length: timedelta) -> pd.DatetimeIndex:
        first, last = -(-block * length // self.step), -(-(block + 1) * length // self.step)
        return pd.date_range(FIRST_MONDAY + first * self.step, periods=last - first, freq=self.step, unit="us")
