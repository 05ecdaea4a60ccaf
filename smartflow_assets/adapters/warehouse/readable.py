"""What can be asked with SQL: the live file, for the steps of a run, and a snapshot of the published copy, for a server."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import duckdb
import numpy as np
import pandas as pd


class Readable(Protocol):
    """A warehouse that is only read."""

    def read(self, sql: str, params: Sequence[Any] = ()) -> pd.DataFrame:
        """The result of one query, as `frame_of` makes it."""
        ...

    def reading(self) -> AbstractContextManager[None]:
        """Keep it open from read to read."""
        ...


def frame_of(result: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """The result as a frame: times are `datetime64[us, UTC]`, a MAP is a dict, a list a list, JSON is text."""
    types = {name: str(type_) for name, type_, *_ in result.description or ()}
    frame = result.df()
    for name, type_ in types.items():
        if type_.endswith("[]"):
            frame[name] = pd.Series([list(v) if isinstance(v, np.ndarray) else None for v in frame[name]], dtype="object")
        elif type_.startswith("MAP"):
            frame[name] = pd.Series([v if isinstance(v, dict) else None for v in frame[name]], dtype="object")
    return frame
