"""What we are called in Dagster: whatever it finds by name bears the prefix of this home.

A project that we are merged into has an asset `incidents`, a job or a resource of the same name sooner or later, and two homes
on one instance have all of them. So asset keys, groups, jobs, schedules, sensors, the resource and the partition set begin with
the prefix. Names that the warehouse keeps (`run_log.job`, the cause of an incident, the keys of `run_log.seconds`) do not: they
stay when the prefix changes. Definitions are made when modules are imported, so the prefix is read once, here.
"""

import keyword
import os
import re
from collections.abc import Mapping

import dagster as dg

from smartflow_assets.core.errors import SmartflowError

PREFIX_VARIABLE = "SMARTFLOW_PREFIX"
DEFAULT_PREFIX = "smartflow"
_PATTERN = re.compile(r"[a-z][a-z0-9_]{0,31}")


def prefix_of(environ: Mapping[str, str]) -> str:
    """The prefix that the environment names, else the default. SmartflowError when Dagster could not take it.

    >>> prefix_of({}), prefix_of({"SMARTFLOW_PREFIX": "quality"})
    ('smartflow', 'quality')
    """
    prefix = environ.get(PREFIX_VARIABLE) or DEFAULT_PREFIX
    if not _PATTERN.fullmatch(prefix) or keyword.iskeyword(prefix):
        raise SmartflowError(
            f"{PREFIX_VARIABLE}={prefix} cannot be the prefix of names in Dagster",
            remedy="Take up to 32 small letters, digits and underscores, a letter first, such as quality.",
        )
    return prefix


PREFIX = prefix_of(os.environ)


def prefixed(name: str) -> str:
    """A group, job, schedule, sensor, resource or partition set as Dagster knows it."""
    return f"{PREFIX}_{name}"


def asset_key(name: str) -> dg.AssetKey:
    """The key of one of our assets."""
    return dg.AssetKey([PREFIX, name])


def stage_of(step_key: str) -> str | None:
    """The asset that a step makes, by the name that the warehouse keeps; None for a step that is not ours.

    Dagster wants the names of steps unique in a project, so they bear the prefix as well.

    >>> stage_of(f"{PREFIX}__incidents"), stage_of("incidents")
    ('incidents', None)
    """
    prefix, separator, name = step_key.partition("__")
    return name if separator and prefix == PREFIX else None


PARTITION_SET = prefixed("sources")
OPTIONS = prefixed("options")
