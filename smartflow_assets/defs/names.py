"""What we are called in Dagster: whatever it finds by name bears the prefix of this home.

A project that we are merged into has an asset `incidents`, a job or a resource of the same name sooner or later, and two homes
on one instance have all of them. So asset keys, groups, jobs, schedules, sensors, the resource and the partition set begin with
the prefix. Names that the warehouse keeps (`run_log.job`, the cause of an incident, the keys of `run_log.seconds`) do not: they
stay when the prefix changes. Definitions are made when modules are imported, so the prefix is read once, here.
"""

import os

import dagster as dg

from smartflow_assets.config.name_prefix import prefix_of

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
MONITOR_JOB, TRAIN_JOB, PRUNE_JOB = "monitor_source", "train_source", "prune_home"  # without the prefix, as the warehouse keeps them
MONITOR_MANY_JOB = "monitor_sources"  # likewise; `run_log.job` counts its runs as those of monitor_source
PREVIEW_JOB = "preview_rules"
OPTIONS = prefixed("options")
EACH_SOURCE = prefixed("each_source")  # the one step of that job
