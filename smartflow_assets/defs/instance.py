"""The Dagster instance that CLI, UI and tests share.

Dagster finds its history by DAGSTER_HOME; we set it to `<home>/data/dagster` unless the user has chosen one, and write our
settings there. A bare `dagster dev` in the project folder reads the dagster.yaml beside workspace.yaml instead, which names
the same folder; `test_instance.py` holds the two equal.
"""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg

from smartflow_assets.adapters.files.access import make_private_folder, private
from smartflow_assets.adapters.warehouse.locks import AdvisoryLock

INSTANCE_SETTINGS: dict[str, Any] = {
    "telemetry": {"enabled": False},
    "nux": {"enabled": False},
    "python_logs": {"python_log_level": "INFO", "managed_python_loggers": ["smartflow", "smartflow_assets"]},
    "concurrency": {"runs": {"max_concurrent_runs": 2}},
    "run_monitoring": {"enabled": True, "start_timeout_seconds": 120, "free_slots_after_run_end_seconds": 60},
    "retention": {
        "schedule": {"purge_after_days": {"skipped": 2, "failure": 30, "success": 30, "started": 30}},
        "sensor": {"purge_after_days": {"skipped": 2, "failure": 30, "success": 30, "started": 30}},
    },
}


_CREATION_TIMEOUT = timedelta(seconds=60)  # about a second when nobody else is at it


_NOT_CAPTURED = {"module": "dagster._core.storage.noop_compute_log_manager", "class": "NoOpComputeLogManager"}


def prepare_dagster_home(folder: Path) -> Path:
    """Make `folder` the DAGSTER_HOME of this process, with our settings and a history; a user's own DAGSTER_HOME wins.

    -> the home in force.
    """
    open_instance(folder).dispose()
    return Path(os.environ["DAGSTER_HOME"])


def open_instance(folder: Path, *, captures_output: bool = True) -> dg.DagsterInstance:
    """The instance of `prepare_dagster_home(folder)`; use it as a context manager or dispose of it.

    `captures_output`: what runs in this process write to stdout and stderr is kept in files for the UI, unless the settings keep it in a
    place of their own. It takes four child processes for each run. What our stages say is in the events of the run in any case.

    Opened by one process at a time: of two that create Dagster's SQLite files at once, each stamps a schema version of its
    own, and from then on Dagster refuses the files ("more than one head present").
    """
    home = Path(os.environ.setdefault("DAGSTER_HOME", str(folder.resolve())))
    make_private_folder(home)
    with private(), AdvisoryLock(home / "smartflow.lock").exclusive(_CREATION_TIMEOUT):
        settings = home / "dagster.yaml"
        if not settings.exists():
            import yaml

            text = "# Written by smartflow; yours to change.\n" + yaml.safe_dump(INSTANCE_SETTINGS, sort_keys=False)
            settings.write_text(text, encoding="utf-8")
        if captures_output or _has_place_for_output(settings):
            return dg.DagsterInstance.get()
        return dg.DagsterInstance.local_temp(str(home), overrides={"compute_logs": _NOT_CAPTURED})  # `get` takes no overrides


def _has_place_for_output(settings: Path) -> bool:
    """Whether the settings send output elsewhere than Dagster does by itself, to a bucket say."""
    import yaml

    stated = (yaml.safe_load(settings.read_text(encoding="utf-8")) or {}).get("compute_logs") or {}
    return stated.get("class", "LocalComputeLogManager") != "LocalComputeLogManager"
