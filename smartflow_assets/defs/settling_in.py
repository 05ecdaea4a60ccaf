"""What comes before anything else that is done on an instance: take the prefix, and bring what stands under older names along."""

from datetime import timedelta

import dagster as dg

from smartflow_assets.config.settings import Settings
from smartflow_assets.defs.carry_over import carry_over
from smartflow_assets.defs.name_claim import claim_prefix

IN_A_TICK = timedelta(seconds=20)  # Dagster gives a tick 60 seconds
AS_LONG_AS_IT_TAKES = timedelta(days=1)  # a command: an event takes 10 ms, so a thousand sources some minutes
CARRIED_OVER = "what stood under the names without a prefix is being carried over; the next tick goes on"


def settle_in(instance: dg.DagsterInstance, settings: Settings, *, patience: timedelta = IN_A_TICK) -> bool:
    """Claim the prefix and carry over what there is. -> whether something had to be carried over.

    SmartflowError when another home has the prefix.
    """
    claim_prefix(instance, settings)
    return carry_over(instance, settings, patience=patience)
