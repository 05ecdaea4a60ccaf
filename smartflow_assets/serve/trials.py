"""What is tried beside the server: a prediction, a forecast, a preview. Called in a process of its own (`beside`), which loads what
detection needs: the server itself has 130 MB without and 300 with it.

Plain values in and out. An error of ours is a value too, since one that is raised does not come through to another process as it is.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.settings import Settings
from smartflow_assets.core.errors import ModelError, SmartflowError
from smartflow_assets.serve.error_values import error_values

MOST_ANOMALIES = 500
PROBLEM, TAKES_LONG = "problem", "takes_long"


def _as_value(work: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    @functools.wraps(work)
    def done(*given: Any) -> dict[str, Any]:
        try:
            return work(*given)
        except SmartflowError as error:
            return {PROBLEM: error_values(error)}

    return done


@_as_value
def predict(home: str, name: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What `stages.experiments.prediction` says of rows."""
    from smartflow_assets.stages.experiments.prediction import predict as predicted
    from smartflow_assets.stages.experiments.prediction import verdict_values

    settings = Settings(Path(home))
    found = predicted(name, rows, settings, Catalogue.load(settings), datetime.now(UTC))
    return {
        "source": found.source,
        "model_id": found.model_id,
        "rows": verdict_values(found.verdicts),
        "unread": [{"row": row, "reason": reason} for row, reason in sorted(found.unread.items())],
        "notes": list(found.notes),
    }


@_as_value
def forecast(home: str, name: str, series: str, buckets: int | None) -> dict[str, Any]:
    """What `stages.experiments.forecast` says of the next buckets of a series; no buckets, and why, where no model can say."""
    from smartflow_assets.stages.experiments.forecast import forecast as foretold

    settings = Settings(Path(home))
    try:
        return foretold(name, series, settings, Catalogue.load(settings), buckets).values() | {"why_not": None}
    except ModelError as error:
        nothing = dict.fromkeys(("metric", "model_id", "newest_at")) | {
            "origin_count": 0,
            "at": [],
            "expected": [],
            "lower": [],
            "upper": [],
        }
        return {"source": name, "series": series, **nothing, "why_not": f"{error.what}. {error.remedy}"}


@_as_value
def preview(home: str, name: str, changes: Mapping[str, Any], days: float, series: Sequence[str], is_quick: bool) -> dict[str, Any]:
    """What `stages.experiments.rule_preview` says of changes; with `is_quick` only that it takes long, where detectors have to learn."""
    from smartflow_assets.config.configuration_edit import proposed
    from smartflow_assets.stages.experiments.rule_preview import previewer

    settings = Settings(Path(home))
    catalogue = Catalogue.load(settings)
    edit = proposed(settings, catalogue, name, changes)
    made = previewer(name, settings, catalogue, timedelta(days=days))
    if is_quick and not made.is_quick(edit.source):
        return {TAKES_LONG: True}
    return made.preview(edit.source).values(series, MOST_ANOMALIES) | {"diff": edit.diff, "hash": edit.hash}
