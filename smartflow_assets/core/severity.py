"""Severities, in their order.

Three words serve scores, rules, anomalies, incidents and alert policies; here they are ranked, so that "the worst of" and
"at least a warning" mean the same everywhere. When a score deserves which word is decided in `core.detection`.
"""

from collections.abc import Iterable
from typing import Literal, get_args

Severity = Literal["info", "warning", "critical"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
RANK: dict[str, int] = {severity: rank for rank, severity in enumerate(SEVERITIES)}


def worst(severities: Iterable[object], default: Severity = "info") -> Severity:
    """The highest of the severities; anything that is not one of them (None, NaN) is passed over.

    >>> worst(["info", None, "critical", "warning"])
    'critical'
    """
    ranks = (RANK[severity] for severity in severities if isinstance(severity, str) and severity in RANK)
    return SEVERITIES[max(ranks, default=RANK[default])]
