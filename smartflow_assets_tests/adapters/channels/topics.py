"""What was published to a topic of moto."""

from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.sns.models import sns_backends


def published(topic: str) -> list[tuple[Any, ...]]:
    """Each publication: its id, message, subject, attributes and group, the oldest first."""
    return list(sns_backends[DEFAULT_ACCOUNT_ID][topic.split(":")[3]].topics[topic].sent_notifications)
