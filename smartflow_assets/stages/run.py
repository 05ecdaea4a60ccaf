"""What every stage of one run is given: the source, its clock, its limits, and where things lie."""
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from smartflow_assets.adapters.model_store import ModelStore
from smartflow_assets.adapters.warehouse import Warehouse
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.settings import Settings
from smartflow_assets.config.source import Source


@dataclass(frozen=True)
class SourceRun:
    """One run of one source. `now` is the clock of the whole run: the wall clock in production, `--as-of` in replays."""

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
    is_sending: bool = True
    report: Callable[[str], None] = lambda stage: None  # told each stage as it begins

    def warn(self, text: str) -> None:
        """Say something that a person should read in the log of the run."""
        logging.getLogger("smartflow").warning("%s: %s", self.source.name, text)

    @property
    def name(self) -> str:
        """The source's name."""
        return self.source.name
