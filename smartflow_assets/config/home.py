"""What data/home.yaml may say: settings of the home as a whole, which belong to no source. The file may be missing."""

from functools import lru_cache
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from smartflow_assets.adapters.files.access import Share
from smartflow_assets.config.problems import InvalidFileError, problems_of
from smartflow_assets.config.readable_schema import ReadableSchema
from smartflow_assets.config.settings import Settings
from smartflow_assets.config.yaml_file import read_yaml
from smartflow_assets.core.errors import SourceError


class HomeSettings(BaseModel):
    """Settings of the home. Every key may be left out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    share: Share | None = Field(
        default=None,
        description="Who may read data/warehouse/analyst.duckdb and data/exports: SmartFlow's user alone (owner), its group, or all. "
        "Default: as any file that SmartFlow's user makes, by the umask. All else that SmartFlow writes below data is for its "
        "user alone.",
    )


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
