"""What every stage of one run is given: the source, its clock, its limits, and where things lie."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from smartflow_assets.adapters.model_store import ModelStore
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.settings import Settings
from smartflow_assets.config.source import Source
from smartflow_assets.stages.bucket_resolution import with_known_bucket


@dataclass(frozen=True)
class SourceRun:
    """One run of one source. `now` is the clock of the whole run: the wall clock in production, `--as-of` in replays."""

    declared: Source
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
    is_sending: bool = True
    report: Callable[[str], None] = lambda stage: None  # told each stage as it begins
    _bucketed: list[Source] = field(default_factory=list, repr=False)

    @property
    def name(self) -> str:
        """The source's name."""
        return self.declared.name

    @property
    def source(self) -> Source:
        """The source with its bucket: as declared, as its rows were made, or as its first rows suggest. Until there are rows it
        is the declared one."""
        if self._bucketed:
            return self._bucketed[0]
        source = with_known_bucket(self.declared, self.warehouse)
        if not source.is_bucket_given:
            return source
        self._bucketed.append(source)
        return source

    def warn(self, text: str) -> None:
        """Say something that a person should read in the log of the run."""
        logging.getLogger("smartflow").warning("%s: %s", self.name, text)
