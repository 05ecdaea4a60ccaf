"""Alert channels: the union below is the registry.

A channel listed here, or offered by an installed package under the entry point group `smartflow.channels`, can be named in
data/channels.yaml; its fields are validated, documented in the JSON schema and covered by the conformance tests.
"""

from typing import TYPE_CHECKING

from smartflow_assets.adapters.channels.apprise import AppriseChannel
from smartflow_assets.adapters.channels.base import BaseChannel, Preview
from smartflow_assets.adapters.channels.discord import DiscordChannel
from smartflow_assets.adapters.channels.email import EmailChannel
from smartflow_assets.adapters.channels.file import FileChannel
from smartflow_assets.adapters.channels.ntfy import NtfyChannel
from smartflow_assets.adapters.channels.opsgenie import OpsgenieChannel
from smartflow_assets.adapters.channels.pagerduty import PagerDutyChannel
from smartflow_assets.adapters.channels.slack import SlackChannel
from smartflow_assets.adapters.channels.sns import SnsChannel
from smartflow_assets.adapters.channels.teams import TeamsChannel
from smartflow_assets.adapters.channels.webhook import WebhookChannel
from smartflow_assets.core.extensions import registry_on_demand

__all__ = ["CHANNELS", "BaseChannel", "Channel", "EmailChannel", "FileChannel", "Preview", "WebhookChannel"]

BUILT_IN: tuple[type[BaseChannel], ...] = (
    EmailChannel,
    WebhookChannel,
    FileChannel,
    SlackChannel,
    DiscordChannel,
    TeamsChannel,
    PagerDutyChannel,
    OpsgenieChannel,
    NtfyChannel,
    SnsChannel,
    AppriseChannel,
)

if TYPE_CHECKING:
    CHANNELS: dict[str, type[BaseChannel]]
    """Every channel by its type; a built-in one cannot be replaced by a plug-in."""
    Channel = (
        EmailChannel
        | WebhookChannel
        | FileChannel
        | SlackChannel
        | DiscordChannel
        | TeamsChannel
        | PagerDutyChannel
        | OpsgenieChannel
        | NtfyChannel
        | SnsChannel
        | AppriseChannel
    )
else:
    __getattr__ = registry_on_demand(__name__, ("CHANNELS", "Channel"), "smartflow.channels", BaseChannel, BUILT_IN)
