"""What the YAML said when a run last came through, so that a plan can name each key that has changed since; and which files are gone.

Noted at the end of the last stage that works by the YAML: of a run that fails before it, nothing has held yet. Fingerprints, by which rows
and models are made anew, stand with what was made under them.
"""

import json
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.adapters.warehouse.writes import Append
from smartflow_assets.config.configuration_record import configuration_of
from smartflow_assets.stages.run import SourceRun

AT_REST = timedelta(minutes=1)  # that nothing came or went: a file that is gone is then removed
_NEWEST = "SELECT source, arg_max(is_gone, rowid) AS is_gone FROM configurations GROUP BY source"
_STORED = f"""
SELECT stored.source, coalesce(noted.is_gone, FALSE) AS is_gone
FROM (SELECT source FROM run_log UNION SELECT source FROM ingestions) AS stored
LEFT JOIN ({_NEWEST}) AS noted USING (source) WHERE stored.source <> '*' ORDER BY stored.source
"""


def is_at_rest(folder: Path, now: datetime) -> bool:
    """Whether the folder is there, and no file came or went lately: that is when the folder itself was changed. `now` is the wall clock."""
    try:
        changed_at = datetime.fromtimestamp(folder.stat().st_mtime, UTC)
    except OSError:
        return False
    return folder.is_dir() and abs(now - changed_at) >= AT_REST  # a folder changed in the future was changed by a wrong clock


def note_configuration(run: SourceRun) -> None:
    """Keep what the YAML says, unless it is what stands."""
    configuration, newest = configuration_of(run.source), _newest(run.warehouse, run.name)
    if newest is None or newest["is_gone"] or configuration != _read(newest):
        run.warehouse.commit(run.run_id, [_row(run.name, configuration, False, run.now, run.run_id)])


def note_files(warehouse: Warehouse, names: Collection[str], *, now: datetime, run_id: str) -> tuple[str, ...]:
    """Note of each stored source whether it still has a file, where that has changed; `names` are those that have. -> those that went."""
    stored = warehouse.read(_STORED)
    changed = [(str(name), name not in names) for name, was_gone in stored.itertuples(index=False) if (name not in names) != was_gone]
    if changed:
        rows = [_row(name, last_configuration(warehouse, name), is_gone, now, run_id) for name, is_gone in changed]
        warehouse.commit(run_id, rows)
    return tuple(name for name, is_gone in changed if is_gone)


def last_configuration(warehouse: Warehouse, source: str) -> dict[str, Any] | None:
    """What the YAML of a source said in the run that last came through; None where that is not known."""
    newest = _newest(warehouse, source)
    return None if newest is None else _read(newest)


def _newest(warehouse: Warehouse, source: str) -> "pd.Series | None":
    rows = warehouse.read("SELECT configuration, is_gone FROM configurations WHERE source = ? ORDER BY rowid DESC LIMIT 1", [source])
    return None if rows.empty else rows.iloc[0]


def _read(row: "pd.Series") -> dict[str, Any] | None:
    return json.loads(row["configuration"]) if isinstance(row["configuration"], str) else None


def _row(source: str, configuration: dict[str, Any] | None, is_gone: bool, now: datetime, run_id: str) -> Append:
    row = {"source": source, "configuration": configuration, "is_gone": is_gone, "held_from": now, "run_id": run_id}
    return Append("configurations", pd.DataFrame([row]))
