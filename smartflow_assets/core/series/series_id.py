"""The id of a series that people can read: `requests`, or `requests{region=eu,tier=gold}`.

One way to write it, so that tables, incidents, plots and messages name a series alike.
"""

import re
from collections.abc import Mapping

RECORDS_METRIC = "records"
"""The series of a source that counts its strange records by bucket; `metrics` cannot have one of that name beside it."""
PROFILE = "profile"
"""Who finds what is unusual in a profile, as anomalies name detectors."""
ROW_COUNT = "row_count"
"""The figure of a profile that counts the rows."""
_METRIC = re.compile(r'"(?:[^"\\]|\\.)*"|[^{]*')
_QUOTED = re.compile(r'[{}=,"\\\x00-\x1f]')


def series_id(metric: str, dimensions: Mapping[str, str] | None = None) -> str:
    r"""Metric and dimensions, sorted by name, as one id. Different inputs never give the same id: a part that holds one of
    the signs of the notation itself is quoted.

    >>> series_id("requests"), series_id("requests", {"tier": "gold", "region": "eu"})
    ('requests', 'requests{region=eu,tier=gold}')
    >>> series_id("a", {"b": "c,d=e"})
    'a{b="c,d=e"}'
    """
    if not dimensions:
        return _part(metric)
    return _part(metric) + "{" + ",".join(f"{_part(name)}={_part(dimensions[name])}" for name in sorted(dimensions)) + "}"


def metric_and_dimensions(name: str) -> tuple[str, str]:
    """The id in two: its metric, and its dimensions in braces or nothing.

    >>> metric_and_dimensions("requests{region=eu}"), metric_and_dimensions("cpu"), metric_and_dimensions('"a{b"{c=d}')
    (('requests', '{region=eu}'), ('cpu', ''), ('"a{b"', '{c=d}'))
    """
    metric = _METRIC.match(name)
    end = metric.end() if metric else 0
    return name[:end], name[end:]


def _part(text: str) -> str:
    if text and not _QUOTED.search(text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
