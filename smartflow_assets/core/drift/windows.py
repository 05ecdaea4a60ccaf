"""Which stretches of time a check compares, and how few of their rows it needs.

A window of `current` is compared with `reference` before it. The windows of the past are as long and lie whole weeks earlier, so that
they are at the same time of the week, each with a reference of its own. `cells` cuts all of it into stretches from which a bounded
sample can be asked of a database; a window is put together from its cells in proportion to the rows that they really have.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from smartflow_assets.core.drift.settings import DriftSettings

WEEK = timedelta(weeks=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Window:
    """`current_from` to before `current_to`, compared with `reference_from` to before `current_from`."""

    reference_from: datetime
    current_from: datetime
    current_to: datetime


@dataclass(frozen=True)
class Cell:
    """A stretch of time, from `start` to before `end`, from which a sample is taken."""

    start: datetime
    end: datetime


def windows(settings: DriftSettings, until: datetime) -> list[Window]:
    """The window that ends at `until` (aware), then those of the past, the newest first; none of them overlap."""
    ends = [until - _step(settings) * back for back in range(settings.past_windows + 1)]
    return [Window(end - settings.current - settings.reference, end - settings.current, end) for end in ends]


def cells(settings: DriftSettings, until: datetime) -> list[Cell]:
    """The stretches that a check at `until` reads, in order of time, without holes or overlaps: of each, `sample_rows` rows chosen by
    lot are enough (all, where it has fewer), together with how many it has. References are cut at the same time of the week as windows."""
    seen = windows(settings, until)
    first, step = seen[-1].reference_from, _step(settings)
    ends = [until - step * back for back in range((until - first) // step + 1)]
    edges = {window.reference_from for window in seen} | {edge for end in ends for edge in (end, end - settings.current)}
    return [Cell(start, end) for start, end in pairwise(sorted(edge for edge in edges if edge >= first))]


def _step(settings: DriftSettings) -> timedelta:
    return -(-settings.current // WEEK) * WEEK


class SampledCells:
    """Rows by cell, each cell's in an order by lot that hangs on the rows alone, so that its first rows are a sample of it."""

    def __init__(
        self, values: NDArray[np.float64], times: NDArray[np.int64], wanted: Sequence[Cell], counts: Mapping[datetime, int], most: int
    ):
        """`values`: (rows, columns); `times`: microseconds; `counts`: how many rows a cell really has, by its start; those that are given
        where it is not named."""
        self.times, self._cells = times, wanted
        lot = pd.util.hash_pandas_object(pd.DataFrame(np.column_stack([times.astype(float), values])), index=False).to_numpy()
        self.cell = cell = np.searchsorted([_microseconds(one.start) for one in wanted], times, side="right") - 1
        cell[times >= _microseconds(wanted[-1].end)] = -1
        order = np.lexsort((lot, cell))
        bounds = np.searchsorted(cell[order], np.arange(len(wanted) + 1))
        self._rows = [order[start:end][:most] for start, end in pairwise(bounds)]
        given = [int(size) for size in np.diff(bounds)]
        self._counts = [max(counts.get(one.start, size), size) for one, size in zip(wanted, given, strict=True)]

    def between(self, start: datetime, end: datetime) -> NDArray[np.intp]:
        """Positions of a sample of the rows from `start` to before `end`, which are edges of cells: as many of each cell, in proportion,
        as the one with the thinnest sample has."""
        mine = [at for at, cell in enumerate(self._cells) if start <= cell.start and cell.end <= end and len(self._rows[at])]
        if not mine:
            return np.zeros(0, np.intp)
        share = min(len(self._rows[at]) / self._counts[at] for at in mine)
        parts = [self._rows[at][: max(1, round(share * self._counts[at]))] for at in mine]
        return np.concatenate(parts)[_interleaved([len(part) for part in parts])]

    def reaches(self, start: datetime) -> bool:
        """Whether there are rows in the cell that begins then, so that a reference from there is a whole one."""
        return any(cell.start == start and len(rows) for cell, rows in zip(self._cells, self._rows, strict=True))

    def count(self, start: datetime, end: datetime) -> int:
        """How many rows there really are."""
        return sum(count for cell, count in zip(self._cells, self._counts, strict=True) if start <= cell.start and cell.end <= end)


def _interleaved(sizes: Sequence[int]) -> NDArray[np.intp]:
    """An order in which each beginning holds of every part its share."""
    return np.argsort(np.concatenate([(np.arange(size) + 0.5) / size for size in sizes]), kind="stable")


def _microseconds(time: datetime) -> int:
    return (time - _EPOCH) // timedelta(microseconds=1)
