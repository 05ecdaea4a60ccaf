"""Libraries of the extra `channels`: only the channels that need one import it, and who has not installed it is told how."""

from importlib import import_module
from typing import Any

from smartflow_assets.core.errors import DeliveryError

EXTRA = "channels"


def library(name: str, *, channel: str) -> Any:
    """The module `name`; DeliveryError when it is not installed, worth another attempt since somebody will install it."""
    try:
        return import_module(name)
    except ImportError:
        raise DeliveryError(
            f"the channel {channel} needs {name.partition('.')[0]}, which is not installed",
            is_channel_down=True,
            remedy=f"Run pip install 'smartflow[{EXTRA}]' where SmartFlow runs, then start that process again.",
        ) from None
