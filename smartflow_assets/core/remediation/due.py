"""Which remedies are due, by what is wrong and by what was done before: each once for an incident, and not more often than its limit."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from smartflow_assets.core.remediation.base import BaseAction
from smartflow_assets.core.remediation.matter import Matter, RemedyStatus
from smartflow_assets.core.remediation.settings import Remedy

A_DAY = timedelta(days=1)
MOST_ATTEMPTS = 2
"""A run that dies while it acts is followed by one other; what kills two is left alone."""


@dataclass(frozen=True)
class Past:
    """A remedy as the ledger has it."""

    remediation_id: str
    action: str
    status: RemedyStatus
    attempt: int
    happened_at: datetime


@dataclass(frozen=True)
class Due:
    """A remedy that is to be done (`planned`), or of which something is to be said (`skipped`, `dry`, `failed`), and why."""

    remediation_id: str
    matter: Matter
    action: BaseAction
    status: RemedyStatus
    attempt: int = 1
    why: str = ""


def remediation_id(matter: Matter, label: str) -> str:
    """The id of what an action does about a matter; the same for all runs that see it.

    >>> gap = Matter("web", "gap 1", frozenset({"gap"}), "a gap", "warning")
    >>> remediation_id(gap, "fill") == remediation_id(gap, "fill") != remediation_id(gap, "reingest")
    True
    """
    return hashlib.sha256(f"{matter.source}|{matter.matter_id}|{label}".encode()).hexdigest()[:16]


def due(remedies: Sequence[Remedy], matters: Iterable[Matter], past: Sequence[Past], now: datetime) -> list[Due]:
    """What is due at `now`, in the order of the matters and entries; of two entries with one action the first that fits counts.

    >>> from datetime import UTC
    >>> noon, gap = datetime(2026, 3, 1, 12, tzinfo=UTC), Matter("web", "gap 1", frozenset({"gap"}), "a gap", "warning")
    >>> fill = Remedy.model_validate({"when": "gap", "do": "fill", "limit": 1})
    >>> [(each.status, each.action.type) for each in due([fill], [gap], [], noon)]
    [('planned', 'fill')]
    >>> done = Past(remediation_id(gap, "fill"), "fill", "done", 1, noon)
    >>> due([fill], [gap], [done], noon)
    []
    >>> [each.why for each in due([fill], [Matter("web", "gap 2", gap.kinds, "another", "warning")], [done], noon)]
    ['fill was done 1 time within 24 hours, which is its limit']
    """
    known, found = {each.remediation_id: each for each in past}, dict[str, Due]()
    spent = [each.action for each in past if each.status in ("planned", "done", "failed") and now - A_DAY < each.happened_at <= now]
    for matter in matters:
        for remedy in remedies:
            if not remedy.when.fits(matter):
                continue
            label = remedy.do.label
            key = remediation_id(matter, label)
            before = known.get(key)
            if key in found or (before is not None and not (before.status == "planned" or (before.status == "dry" and not remedy.dry_run))):
                continue
            if remedy.dry_run:
                found[key] = Due(key, matter, remedy.do, "dry", why=f"it would {remedy.do.describe()}")
            elif before is not None and before.status == "planned":
                found[key] = _again(key, matter, remedy.do, before)
            elif spent.count(label) >= remedy.limit:
                times = f"{remedy.limit} time{'s' if remedy.limit > 1 else ''}"
                found[key] = Due(key, matter, remedy.do, "skipped", why=f"{label} was done {times} within 24 hours, which is its limit")
            else:
                spent.append(label)
                found[key] = Due(key, matter, remedy.do, "planned")
    return list(found.values())


def _again(key: str, matter: Matter, action: BaseAction, before: Past) -> Due:
    """What a run was about to do when it died: once more, and never again."""
    if before.attempt >= MOST_ATTEMPTS:
        return Due(key, matter, action, "failed", before.attempt, f"{before.attempt} runs died while they did it; it is not tried again")
    return Due(key, matter, action, "planned", before.attempt + 1, "a run died while it did this, so it may be done twice")
