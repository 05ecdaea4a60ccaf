"""Where everything lies: one home folder, and below it `data/`.

Every path of the platform is named here once, so that a copy of the home is a copy of the platform and a test runs in a
temporary folder. config.source says what a source may hold; of the environment only SMARTFLOW_HOME counts here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

HOME_VARIABLE = "SMARTFLOW_HOME"


@dataclass(frozen=True)
class Settings:
    """The folders and files of one home. `state` is where runs write; it differs from `data` only in a dry run."""

    home: Path
    state_folder: Path | None = None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Settings":
        """The home named by SMARTFLOW_HOME, else the current folder."""
        return cls(Path(environ.get(HOME_VARIABLE) or Path.cwd()).expanduser().absolute())

    def with_state_in(self, folder: Path) -> "Settings":
        """The same sources, defaults, channels and inbox; warehouse, models, locks, messages and reports below `folder`."""
        return Settings(self.home, folder)

    @property
    def data(self) -> Path:
        """The folder that relative paths in a YAML start from."""
        return self.home / "data"

    @property
    def state(self) -> Path:
        """The folder below which runs write."""
        return self.state_folder or self.data

    @property
    def sources(self) -> Path:
        """One YAML file for each source."""
        return self.data / "sources"

    @property
    def schema_file(self) -> Path:
        """The JSON schema that editors complete and check the sources with."""
        return self.sources / "source.schema.json"

    @property
    def defaults_file(self) -> Path:
        """What holds for every source unless it says otherwise."""
        return self.data / "defaults.yaml"

    @property
    def channels_file(self) -> Path:
        """The alert channels, named once."""
        return self.data / "channels.yaml"

    @property
    def home_file(self) -> Path:
        """What holds for the home as a whole, such as who may read the published copy."""
        return self.data / "home.yaml"

    @property
    def inbox(self) -> Path:
        """`inbox/<source>/` takes dropped files."""
        return self.data / "inbox"

    @property
    def warehouse_file(self) -> Path:
        """The DuckDB file that runs write."""
        return self.state / "warehouse" / "smartflow.duckdb"

    @property
    def published_file(self) -> Path:
        """The copy that everybody reads."""
        return self.state / "warehouse" / "analyst.duckdb"

    @property
    def models(self) -> Path:
        """Fitted models."""
        return self.state / "warehouse" / "models"

    @property
    def locks(self) -> Path:
        """One lock file for each source and run."""
        return self.state / "warehouse" / "locks"

    def source_lock(self, source: str) -> Path:
        """The lock of the run that may write this source."""
        return self.locks / f"{source}.lock"

    @property
    def staging(self) -> Path:
        """Typed Parquet on its way from a reader into the warehouse; may be deleted when nothing runs."""
        return self.state / "warehouse" / "staging"

    @property
    def outbox(self) -> Path:
        """Messages of the `file` channel."""
        return self.state / "outbox"

    @property
    def reports(self) -> Path:
        """Reports written by commands and runs."""
        return self.state / "reports"

    @property
    def exports(self) -> Path:
        """Tables written out for others."""
        return self.state / "exports"

    @property
    def serve(self) -> Path:
        """What the server keeps beside the warehouse: tokens, its log of events, where it is."""
        return self.state / "serve"

    @property
    def link_key(self) -> Path:
        """What links in messages are signed with."""
        return self.serve / "link_key"

    @property
    def heartbeat(self) -> Path:
        """Touched by every tick of ours; gone after a clean stop."""
        return self.state / "heartbeat"

    @property
    def ui_lock(self) -> Path:
        """Held by the `smartflow ui` of this home."""
        return self.state / "ui.lock"

    @property
    def missed_heartbeat(self) -> Path:
        """There while a dead daemon is an incident."""
        return self.state / "heartbeat_missed"

    @property
    def failed_call(self) -> Path:
        """Why the address outside could not be called at the last beat; gone once it could."""
        return self.state / "heartbeat_url_failed"

    @property
    def vital(self) -> tuple[Path, ...]:
        """The files and folders that a home cannot do without: nobody who names a file for a command to write means one of them."""
        return (
            self.sources,
            self.defaults_file,
            self.channels_file,
            self.home_file,
            self.warehouse_file.parent,
            self.serve,
            self.heartbeat,
            self.missed_heartbeat,
            self.failed_call,
            self.dagster_home,
            self.home / "dagster.yaml",
            self.home / "workspace.yaml",
        )

    @property
    def dagster_home(self) -> Path:
        """Dagster's run history."""
        return self.data / "dagster"
