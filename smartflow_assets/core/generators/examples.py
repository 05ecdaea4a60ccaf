"""The two example sources, as text of the files in data/examples and as frames with their anomaly-free twin.

The files are versioned, so that a first run needs no code to make them; a test holds them equal to what is made here.
`python data/examples/regenerate.py` writes them anew. Their seed and events were fixed before there were detectors.
"""
from dataclasses import replace
from datetime import UTC, datetime

import pandas as pd

from smartflow_assets.core.generators import Generated, Generator, SystemMetrics, WebTraffic

START, ROWS, SEED = datetime(2026, 1, 7, tzinfo=UTC), 42 * 288, 7  # a Wednesday; six weeks of five minutes
PROMOTION_AT = datetime(2026, 2, 17, 9, 35, tzinfo=UTC)
EXAMPLES: dict[str, Generator] = {"web_traffic": WebTraffic(promotion_at=PROMOTION_AT), "system_metrics": SystemMetrics()}


def example(name: str) -> Generated:
    """Rows, labels and twin of an example source, by the source's name; KeyError for another name.
    The labels name the series as the source's YAML does: its column `value` is the metric `requests`."""
    made = EXAMPLES[name].generate(START, ROWS, SEED)
    return replace(made, labels=made.labels.replace({"series": {"value": "requests"}}))


def example_files() -> dict[str, str]:
    """File name to text: the rows of each example as a collector would have written them, and their labels."""
    files = {}
    for name in EXAMPLES:
        made = example(name)
        files[f"{name}.csv"] = _as_collected(name, _csv(made.frame))
        files[f"{name}_labels.csv"] = _csv(made.labels)
    return files


def _as_collected(name: str, text: str) -> str:
    """Real files are not clean: one damaged line and one line written twice in web_traffic, four lines that a restarting
    collector lost in system_metrics. All lie in calm hours, so that cleaning shows its work and no event is touched."""
    lines = text.splitlines(keepends=True)
    if name == "web_traffic":
        damaged = _line_at(lines, "2026-01-22T03:10:00Z")
        lines[damaged] = lines[damaged].replace("T03:10", "T03:1?")
        twice = _line_at(lines, "2026-02-05T04:25:00Z")
        lines.insert(twice, lines[twice])
    else:
        lost = _line_at(lines, "2026-02-05T04:00:00Z")
        del lines[lost:lost + 4]
    return "".join(lines)


def _line_at(lines: list[str], timestamp: str) -> int:
    return next(number for number, line in enumerate(lines) if line.startswith(timestamp))


def _csv(frame: pd.DataFrame) -> str:
    return frame.to_csv(index=False, float_format="%.6g", date_format="%Y-%m-%dT%H:%M:%SZ", lineterminator="\n")
