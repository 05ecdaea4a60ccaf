"""The Dagster instance that CLI, UI and tests share.

Dagster finds its history by DAGSTER_HOME; we set it to `<home>/data/dagster` unless the user has chosen one, and write our
settings there. A bare `dagster dev` in the project folder reads the dagster.yaml beside workspace.yaml instead, which names
the same folder; `test_instance.py` holds the two equal.
"""
import os
from pathlib import Path
from typing import Any

import dagster as dg

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


def prepare_dagster_home(folder: Path) -> Path:
    """Make `folder` the DAGSTER_HOME of this process, with our settings; a user's own DAGSTER_HOME wins. -> the home in force."""
    home = Path(os.environ.setdefault("DAGSTER_HOME", str(folder.resolve())))
    home.mkdir(parents=True, exist_ok=True)
    settings = home / "dagster.yaml"
    if not settings.exists():
        import yaml

        text = "# Written by smartflow; yours to change.\n" + yaml.safe_dump(INSTANCE_SETTINGS, sort_keys=False)
        settings.write_text(text, encoding="utf-8")
    return home


def open_instance(folder: Path) -> dg.DagsterInstance:
    """The instance of `prepare_dagster_home(folder)`; use it as a context manager or dispose of it."""
    prepare_dagster_home(folder)
    return dg.DagsterInstance.get()
