"""What data/home.yaml may say: settings of the home as a whole, which belong to no source. The file may be missing."""

from functools import lru_cache
from typing import Any, Literal

from pydantic import Field, ValidationError

from smartflow_assets.adapters.files.access import Share
from smartflow_assets.adapters.secret_references import Secret
from smartflow_assets.config.alerts_for import AlertsFor
from smartflow_assets.config.problems import InvalidFileError, problems_of
from smartflow_assets.config.readable_schema import ReadableSchema
from smartflow_assets.config.settings import Settings
from smartflow_assets.config.yaml_file import read_yaml
from smartflow_assets.core.declared import Declared
from smartflow_assets.core.errors import SourceError
from smartflow_assets.core.incidents.alert_policy import AlertPolicy


class HomeSettings(Declared):
    """Settings of the home. Every key may be left out."""

    share: Share | None = Field(
        default=None,
        description="Who may read data/warehouse/analyst.duckdb and data/exports: SmartFlow's user alone (owner), its group, or all. "
        "With group and all they may read data/reports/incidents and data/reports/weekly too. "
        "Default: as any file that SmartFlow's user makes, by the umask, and reports for its user alone. "
        "All else that SmartFlow writes below data is for its user alone.",
    )
    alerts_for: AlertsFor | None = Field(
        default=None,
        description="What of other projects on the same Dagster instance alerts: failed checks and runs, schedules that missed, sensors "
        "that fail. '*' for all, or patterns. Default: nothing; what is SmartFlow's own alerts in any case.",
        examples=["*", {"assets": ["shop/*"], "jobs": ["nightly*"], "schedules": ["*"]}],
    )
    alerts: AlertPolicy | None = Field(
        default=None,
        description="Who is told of what belongs to no source: what `alerts_for` asks for, SmartFlow's own schedules, a dead daemon. "
        "Default: what data/defaults.yaml says of alerts; a key that is given here wins over it.",
    )
    heartbeat_url: Secret | None = Field(
        default=None,
        description="An address outside that each tick calls, at most once a minute, so that somebody else notices when the calls cease. "
        "It is a secret, so it is named: ${HEARTBEAT_URL}.",
    )
    heartbeat_method: Literal["get", "post"] = Field(default="get", description="How heartbeat_url is called.")


def read_home(settings: Settings) -> HomeSettings:
    """The settings of the home. InvalidFileError, with all problems found, when the file cannot be used."""
    path = settings.home_file
    if not path.exists():
        return HomeSettings()
    try:
        file = read_yaml(path)
    except SourceError as error:
        raise InvalidFileError([error]) from None
    try:
        return HomeSettings.model_validate(file.values)
    except ValidationError as error:
        problems = problems_of(error, name="home", files=(file,), values=file.values, schema=home_schema())
        raise InvalidFileError(problems) from None


def share_of(settings: Settings) -> Share | None:
    """Who may read what is there to be read. Its owner alone where the file cannot be used: that fails each run, by name."""
    try:
        return read_home(settings).share
    except SourceError:
        return "owner"


@lru_cache(maxsize=1)
def home_schema() -> dict[str, Any]:
    """The schema of data/home.yaml."""
    return HomeSettings.model_json_schema(schema_generator=ReadableSchema)
