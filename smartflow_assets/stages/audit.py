"""Who did what over HTTP: the rows of `api_audit`, written with what they are about, or by themselves where nothing was done.

Nothing in a row may be a secret: what sounds like one is left out of `before` and `after`, and values of the environment out of all texts.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd

from smartflow_assets.adapters.secret_references import redact_all
from smartflow_assets.adapters.warehouse.vocabularies import AuditOutcome
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.adapters.warehouse.writes import Append
from smartflow_assets.config.configuration_record import without_secrets
from smartflow_assets.core.incidents.watched import OF_NO_SOURCE

RUN_ID = "serve"
LONGEST_DETAIL = 500


@dataclass(frozen=True)
class Audited:
    """One request that changes something: of which source (empty for none), what, by which token in which role, what became of it, and
    when. `before` and `after` are plain values."""

    source: str
    action: str
    done_by: str
    role: str | None
    outcome: AuditOutcome
    request_id: str
    happened_at: datetime
    target: str = ""
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    detail: str = ""


def audit_rows(entries: Sequence[Audited]) -> Append:
    """The write that keeps them, for the commit of what they are about."""
    rows = [
        {
            "source": each.source or OF_NO_SOURCE,
            "happened_at": each.happened_at,
            "done_by": each.done_by or OF_NO_SOURCE,
            "role": each.role,
            "action": each.action,
            "target": _safe(each.target) or None,
            "before": _safe(without_secrets(each.before)) if each.before is not None else None,
            "after": _safe(without_secrets(each.after)) if each.after is not None else None,
            "outcome": each.outcome,
            "detail": _safe(each.detail)[:LONGEST_DETAIL] or None,
            "request_id": each.request_id,
        }
        for each in entries
    ]
    return Append("api_audit", pd.DataFrame(rows))


def note(warehouse: Warehouse, *entries: Audited) -> None:
    """Keep them in a commit of their own."""
    if entries:
        warehouse.commit(RUN_ID, [audit_rows(entries)])


def _safe(value: Any) -> Any:
    """The value without what the environment keeps secret."""
    if isinstance(value, Mapping):
        return {_safe(str(key)): _safe(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_safe(item) for item in value]
    return redact_all(value, os.environ) if isinstance(value, str) else value
