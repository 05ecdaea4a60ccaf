"""An error of ours as plain values, with the status that HTTP has for it: the one place that knows, for the server and for the processes
beside it, from which an error does not come through as it is."""

from pathlib import PurePath
from typing import Any

from smartflow_assets.config.allowed_changes import ForbiddenChange
from smartflow_assets.core.errors import DecisionError, ModelError, NotThereError, SmartflowError, WarehouseBusyError, WarehouseError
from smartflow_assets.serve.access.tokens import TokenFileError
from smartflow_assets.stages.configuration_changes import LostUpdate

_STATUSES: tuple[tuple[type[SmartflowError], int], ...] = (
    (ForbiddenChange, 403),
    (NotThereError, 404),
    (LostUpdate, 409),
    (DecisionError, 409),
    (ModelError, 409),
    (WarehouseBusyError, 503),
    (WarehouseError, 503),
    (TokenFileError, 503),
)


def error_values(error: SmartflowError) -> dict[str, Any]:
    """status, detail, remedy, source and field: the arguments of a Problem. Where the home lies is left out: it is nobody's business."""
    status = next((number for kind, number in _STATUSES if isinstance(error, kind)), 422)
    where = PurePath(error.where).name if error.where.startswith("/") else error.where
    return {"status": status, "detail": error.what, "remedy": error.remedy, "source": error.source, "field": where}
