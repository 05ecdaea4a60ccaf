"""Moments as people write them: `2026-03-01`, `2026-03-01T09:35`, `2026-03-01T09:35+01:00`."""

from datetime import UTC, datetime


def parse_moment(text: str) -> datetime:
    """An ISO time, aware; one without a zone is UTC. ValueError otherwise.

    >>> parse_moment("2026-03-01T09:35 ").isoformat()
    '2026-03-01T09:35:00+00:00'
    """
    time = datetime.fromisoformat(text.strip())
    return time if time.tzinfo else time.replace(tzinfo=UTC)
