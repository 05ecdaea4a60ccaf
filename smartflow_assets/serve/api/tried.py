"""What a trial beside the server came to: its values, or the problem that it had."""

from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from smartflow_assets.serve import trials
from smartflow_assets.serve.beside import Beside
from smartflow_assets.serve.problem import Problem
from smartflow_assets.serve.service import Service


async def values_of(service: Service, beside: Beside, trial: Callable[..., dict[str, Any]], *given: Any) -> dict[str, Any]:
    """The values of a trial in the home of the service."""
    try:
        found = await beside.call(trial, str(service.settings.home), *given)
    except BrokenProcessPool:
        raise Problem(503, "the process that works beside the server died of it", remedy="Ask for less, or see the log.") from None
    if trials.PROBLEM in found:
        raise Problem(**found[trials.PROBLEM])
    return found
