"""Synthetic domains: one file each. The union is the registry; a new domain is one file and one line here."""

from typing import Annotated, get_args

from pydantic import Field

from smartflow_assets.core.generators.base import BaseGenerator, Generated
from smartflow_assets.core.generators.cpu_usage import CpuUsage
from smartflow_assets.core.generators.electricity import Electricity
from smartflow_assets.core.generators.finance import Finance
from smartflow_assets.core.generators.fraud import Fraud
from smartflow_assets.core.generators.iot_sensors import IotSensors
from smartflow_assets.core.generators.kpi_sales import KpiSales
from smartflow_assets.core.generators.machine_health import MachineHealth
from smartflow_assets.core.generators.network_traffic import NetworkTraffic
from smartflow_assets.core.generators.server_traffic import ServerTraffic
from smartflow_assets.core.generators.stock_risk import StockRisk
from smartflow_assets.core.generators.system_metrics import SystemMetrics
from smartflow_assets.core.generators.web_traffic import WebTraffic

Generator = Annotated[
    WebTraffic
    | SystemMetrics
    | CpuUsage
    | ServerTraffic
    | NetworkTraffic
    | Electricity
    | MachineHealth
    | IotSensors
    | Finance
    | StockRisk
    | Fraud
    | KpiSales,
    Field(discriminator="type"),
]
DOMAINS: dict[str, type[BaseGenerator]] = {domain.model_fields["type"].default: domain for domain in get_args(get_args(Generator)[0])}

__all__ = ["DOMAINS", "BaseGenerator", "Generated", "Generator", "SystemMetrics", "WebTraffic"]
