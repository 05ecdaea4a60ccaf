"""What every stage of one run is given: the source, its clock, its limits, and where things lie."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from smartflow_assets.adapters.model_store import ModelStore
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.settings import Settings
from smartflow_assets.config.source import Source
from smartflow_assets.stages.scheduling.appearance import Appearance


@dataclass(frozen=True)
class SourceRun:
    """One run of one source. `now` is the clock of the whole run: the wall clock in production, `--as-of` in replays.

    `source` is the declared one for ingestion, and has its time bucket for the stages after it: `bucket_resolution.with_bucket`
    is the step between the two. It differs only where the YAML names no bucket.
    """

    source: Source
    settings: Settings
    catalogue: Catalogue
    warehouse: Warehouse
    models: ModelStore
    now: datetime
    run_id: str
    since: datetime | None = None
    until: datetime | None = None
    is_retraining: bool = False
    reason: str = "by hand"  # why it was started, in a few words
    request_id: str = ""  # the request for a training that it was started for
    candidate: str = ""  # why it trains candidates, which judge nothing until they are promoted
    is_removal_accepted: bool = False  # what loads wanted to remove, and withheld, goes
    reads_anew_from: datetime | None = None  # what was read of rows from then on is read once more
    is_sending: bool = True
    is_dry: bool = False  # of a copy: nothing may reach the world outside
    appearance: Appearance | None = None  # before anything was read; None where the run does not do all that there is to do
    report: Callable[[str], None] = lambda stage: None  # told each stage as it begins

    @property
    def name(self) -> str:
        """The source's name."""
        return self.source.name

    def warn(self, text: str) -> None:
        """Say something that a person should read in the log of the run."""
        logging.getLogger("smartflow").warning("%s: %s", self.name, text)
