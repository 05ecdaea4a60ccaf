"""What Dagster loads: `dagster dev` finds it by workspace.yaml."""

from smartflow_assets.defs.build import build_definitions

defs = build_definitions()
