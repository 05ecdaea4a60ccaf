"""What people have set up for themselves on the page: kept for each token under a name, saved as a whole, and taken out again."""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pandas as pd

from smartflow_assets.adapters.warehouse.writes import Rewrite
from smartflow_assets.core.errors import SmartflowError

LONGEST_NAME, LONGEST_VALUE, MOST_VIEWS = 80, 20_000, 100
OF_OWNER = "SELECT name, value, saved_at FROM saved_views WHERE owner = ? ORDER BY name"
"""The views of a token, for the published copy and the live file alike."""


def saved(owner: str, name: str, value: Mapping[str, Any], at: datetime) -> Rewrite:
    """The write that keeps a view in the place of the one of that name. SmartflowError for a name or a value that cannot be kept."""
    if not name.strip() or name != name.strip() or not name.isprintable() or len(name) > LONGEST_NAME:
        raise SmartflowError(f"a view has a name of 1 to {LONGEST_NAME} letters in one line", where="name", remedy="Give it a short name.")
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    if len(text) > LONGEST_VALUE:
        raise SmartflowError(f"a view holds at most {LONGEST_VALUE:,} letters, this one {len(text):,}", where="value", remedy="Save less.")
    row = {"view_id": view_id(owner, name), "owner": owner, "name": name, "value": text, "saved_at": at}
    return Rewrite("saved_views", (str(row["view_id"]),), pd.DataFrame([row]))


def removed(owner: str, name: str) -> Rewrite:
    """The write that takes a view out; of one that there is not it does nothing."""
    return Rewrite("saved_views", (view_id(owner, name),), pd.DataFrame())


def view_id(owner: str, name: str) -> str:
    """One id for each owner and name."""
    return hashlib.sha256(json.dumps([owner, name]).encode()).hexdigest()[:16]
