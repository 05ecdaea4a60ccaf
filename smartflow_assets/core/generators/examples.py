"""The two example sources: rows, labels and anomaly-free twin.

Their files in data/examples are versioned, so that a first run needs no code to make them; `regenerate.py` beside them makes
them from what stands here, and a test holds them equal. Seed and events were fixed before there were detectors.
"""
from dataclasses import replace
from datetime import UTC, datetime

from smartflow_assets.core.generators import Generated, Generator, SystemMetrics, WebTraffic

START, ROWS, SEED = datetime(2026, 1, 7, tzinfo=UTC), 42 * 288, 7  # a Wednesday; six weeks of five minutes
PROMOTION_AT = datetime(2026, 2, 17, 9, 35, tzinfo=UTC)
EXAMPLES: dict[str, Generator] = {"web_traffic": WebTraffic(promotion_at=PROMOTION_AT), "system_metrics": SystemMetrics()}


def example(name: str) -> Generated:
    """Rows, labels and twin of an example source, by the source's name; KeyError for another name.
    The labels name the series as the source's YAML does: its column `value` is the metric `requests`."""
    made = EXAMPLES[name].generate(START, ROWS, SEED)
    return replace(made, labels=made.labels.replace({"series": {"value": "requests"}}))
