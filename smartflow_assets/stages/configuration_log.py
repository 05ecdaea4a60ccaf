"""What the YAML said when a run last came through, so that a plan can name each key that has changed since.

Noted at the end of the last stage that works by the YAML: of a run that fails before it, nothing has held yet. Fingerprints, by which rows
and models are made anew, stand with what was made under them.
"""

import json
from typing import Any

import pandas as pd

from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.adapters.warehouse.writes import Append
from smartflow_assets.config.configuration_record import configuration_of
from smartflow_assets.stages.run import SourceRun


def note_configuration(run: SourceRun) -> None:
    """Keep what the YAML says, unless it is what stands."""
    configuration = configuration_of(run.source)
    if configuration != last_configuration(run.warehouse, run.name):
        row = {"source": run.name, "configuration": configuration, "held_from": run.now, "run_id": run.run_id}
        run.warehouse.commit(run.run_id, [Append("configurations", pd.DataFrame([row]))])


def last_configuration(warehouse: Warehouse, source: str) -> dict[str, Any] | None:
    """What the YAML of a source said in the run that last came through; None where that is not known."""
    rows = warehouse.read("SELECT configuration FROM configurations WHERE source = ? ORDER BY rowid DESC LIMIT 1", [source])[
        "configuration"
    ]
    return None if rows.empty else json.loads(rows.iloc[0])
