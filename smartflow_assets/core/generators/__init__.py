"""Synthetic domains: one file each. The union is the registry; a new domain is one file and one line here."""
from typing import Annotated

from pydantic import Field

from smartflow_assets.core.generators.base import Generated
from smartflow_assets.core.generators.system_metrics import SystemMetrics
from smartflow_assets.core.generators.web_traffic import WebTraffic

Generator = Annotated[WebTraffic | SystemMetrics, Field(discriminator="type")]

__all__ = ["Generated", "Generator", "SystemMetrics", "WebTraffic"]
