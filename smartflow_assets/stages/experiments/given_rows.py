"""Rows that somebody hands over, read as the source reads its own: the same times, numbers, quarantine and reasons.

They are one more origin beside those of the source, so they add to what is stored and take nothing away. Used for predictions; nobody can
name this reader in a YAML.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from smartflow_assets.adapters.ingest import EVERYTHING
from smartflow_assets.adapters.readers.json import JsonReader
from smartflow_assets.adapters.staging.contract import ReadContext
from smartflow_assets.config.source import Source
from smartflow_assets.core.errors import SourceError
from smartflow_assets.stages.run import SourceRun


class GivenRows(JsonReader, frozen=True):
    """The rows of a file that belongs to no feed; those of the source's own stay."""

    def covers(self, origin: str, source: str, data: Path) -> bool:
        return True


@dataclass(frozen=True)
class ReadRows:
    """What could be read: the rows as typed columns, with `_row`, the place of each among those that were given, from 0; and why others
    could not, by place."""

    rows: pd.DataFrame
    reasons: Mapping[int, str]


def as_given(source: Source, rows: Sequence[Mapping[str, Any]], file: Path) -> Source:
    """The source as if these rows, which are written to `file`, were what it reads. None of them is too bad to go on."""
    with file.open("w", encoding="utf-8") as lines:
        for row in rows:
            lines.write(json.dumps(dict(row), default=str, allow_nan=True) + "\n")
    reader = GivenRows(path=str(file), time=source.read.time, key=source.read.key)
    made = source.model_copy(update={"read": reader, "on_bad_rows": EVERYTHING.model_copy(update={"do": source.on_bad_rows.do})})
    made._files = source._files
    return made


def read_rows(run: SourceRun, folder: Path, count: int) -> ReadRows:
    """Read them by themselves, to know which row is which. `count`: how many there are."""
    source = run.source
    context = ReadContext(
        source=run.name, data=run.settings.data, staging=folder, wanted=source.wanted, now=run.now, timezone=source.calendar.timezone
    )
    try:
        (staged,) = source.read.batches(context)
    except SourceError as error:  # of all of them, as of a file: no row has a time, or a column is missing
        return ReadRows(pd.DataFrame(), dict.fromkeys(range(count), f"{error.what}. {error.remedy}".rstrip()))
    rows = run.warehouse.read("SELECT * FROM read_parquet(?)", [str(staged.parquet)])
    reasons = dict[int, str]()
    if staged.rejected is not None:
        bad = run.warehouse.read("SELECT row_number, reason FROM read_parquet(?)", [str(staged.rejected)])
        reasons = {int(number) - 1: str(reason) for number, reason in bad.itertuples(index=False)}
    return ReadRows(rows.assign(_row=rows["_row"] - 1), reasons)


def outside(rows: pd.DataFrame, time: str, since: datetime, until: datetime) -> tuple[list[int], list[int]]:
    """The places of rows that lie before and behind a window."""
    return rows.loc[rows[time] < since, "_row"].tolist(), rows.loc[rows[time] >= until, "_row"].tolist()
