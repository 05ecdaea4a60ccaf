"""What is done by itself about what is wrong: the actions of `remediate:`, and when one is due. The union below is the registry.

Being listed here, or offered by an installed package under the entry point group `smartflow.actions`, lets a YAML name an action. An
action says what it wants of `Hands`, and nothing here touches anything: `stages.remediation` has the hands, and the ledger.
"""

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator

from smartflow_assets.core.extensions import registry_on_demand
from smartflow_assets.core.remediation.base import BaseAction
from smartflow_assets.core.remediation.fill import Fill
from smartflow_assets.core.remediation.hold_last import HoldLast
from smartflow_assets.core.remediation.pause import Pause
from smartflow_assets.core.remediation.quarantine import Quarantine
from smartflow_assets.core.remediation.reingest import Reingest
from smartflow_assets.core.remediation.retrain import Retrain
from smartflow_assets.core.remediation.run import Run

BUILT_IN: tuple[type[BaseAction], ...] = (Retrain, Reingest, Fill, HoldLast, Quarantine, Pause, Run)


def _by_name(value: object) -> object:
    return {"type": value} if isinstance(value, str) else value


if TYPE_CHECKING:
    ACTIONS: dict[str, type[BaseAction]]
    """Every action by its type; a built-in one cannot be replaced by a plug-in."""
    Action = BaseAction
    ActionOrName = Annotated[Action, BeforeValidator(_by_name)]
    """What a YAML's `do:` holds: the type of an action, or that with its keys."""
else:

    def _or_name(action: Any) -> Any:
        return Annotated[action, BeforeValidator(_by_name, json_schema_input_type=str | action)]

    __getattr__ = registry_on_demand(__name__, ("ACTIONS", "Action"), "smartflow.actions", BaseAction, BUILT_IN, ActionOrName=_or_name)
