"""The thin Dagster shell: assets, jobs, schedules and sensors, whose bodies are a few lines that call `stages`.

This file runs before every module of the shell, so the one warning that we have decided on is filtered here: checks with
partitions are marked preview in Dagster 1.13. We pin that minor version and hold what we rely on by end-to-end tests.
Remove the filter when `AssetCheckSpec(partitions_def=…)` is no longer preview.
"""

import warnings

import dagster as dg

warnings.filterwarnings("ignore", category=dg.PreviewWarning, message=".*partitions_def on an AssetCheckSpec")
