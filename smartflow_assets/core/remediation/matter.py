"""What a remedy may be for: an open incident, or a gap between rows, as `when:` speaks of it.

Which cause of an incident is of which kind is said here and nowhere else: whoever adds a cause adds it to `Kind` and to `kinds_of`.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from smartflow_assets.core.severity import Severity

Kind = Literal[
    "anomaly", "rule", "volume", "profile", "freshness", "readability", "removal", "check", "schema", "drift", "blocked", "gap", "failure"
]
"""What may be wrong: anomalies of a series, those that break a rule, too many or too few rows, another figure of a profile, no rows, rows
that cannot be read, a removal that waits, a check that is red (any; columns that changed; a distribution that moved), a load that is
blocked, buckets without rows between rows, a stage or a run that failed."""
_BY_NAME: dict[str, frozenset[Kind]] = {
    "volume": frozenset({"volume"}),
    "profile": frozenset({"profile"}),
    "freshness": frozenset({"freshness"}),
    "readability": frozenset({"readability"}),
    "removal": frozenset({"removal"}),
    "check:columns_are_as_agreed": frozenset({"check", "schema"}),
    "check:distributions_are_usual": frozenset({"check", "drift"}),
    "gap": frozenset({"gap"}),
}
RemedyStatus = Literal["planned", "done", "failed", "skipped", "dry"]
"""How a remedy stands: about to be done, done, tried in vain, left out (its limit, or nothing to do), or only said."""
OWN = "remediation:"
"""How the cause of the incident of a remedy that failed begins; its action follows."""


@dataclass(frozen=True)
class Matter:
    """One thing that is wrong with a source. `matter_id` is that of its incident (`incident_id`; empty for a gap, and for a person's
    wish); from `since` to `until` are the times of the data that it is about. `series` and `metric` are empty where it is about all."""

    source: str
    matter_id: str
    kinds: frozenset[Kind]
    title: str
    severity: Severity
    since: datetime | None = None
    until: datetime | None = None
    series: str = ""
    metric: str = ""
    incident_id: str = ""
    cause: str = ""


def kinds_of(cause: str, rules: Collection[str] = ()) -> frozenset[Kind]:
    """The kinds that an incident of a cause is of; `rules` are those that its anomalies break. None for what remedies and channels have
    done themselves.

    >>> sorted(kinds_of("anomaly", ["surge"])), sorted(kinds_of("check:distributions_are_usual")), sorted(kinds_of("clean_series"))
    (['anomaly', 'rule'], ['check', 'drift'], ['failure'])
    >>> sorted(kinds_of("load:3f0a")), sorted(kinds_of("remediation:retrain")), sorted(kinds_of("delivery:mail"))
    (['blocked'], [], [])
    """
    if cause == "anomaly":
        return frozenset({"anomaly", "rule"}) if len(rules) else frozenset({"anomaly"})
    if cause in _BY_NAME:
        return _BY_NAME[cause]
    kind, separator, _ = cause.partition(":")
    if not separator:
        return frozenset({"failure"})
    return {"check": frozenset[Kind]({"check"}), "load": frozenset[Kind]({"blocked"})}.get(kind, frozenset())
