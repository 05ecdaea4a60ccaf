"""The order in which one process takes several sources: those that may take it down go last.

A function that ends its process, or a source that is too large for the memory, ends the run of all that come after it, time after time
where names go by the alphabet. Behind all others, once what these have to tell is sent, it costs itself alone. The schedule gives one that
was killed a run of its own; this is for those who start a run of all.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from smartflow_assets.adapters.warehouse.locks import AdvisoryLock
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.config.settings import Settings

_NEVER = datetime.min.replace(tzinfo=UTC)
_ENDED = """
WITH newest AS (SELECT source, job, max(started_at) AS started_at, arg_max(status, started_at) AS status FROM run_log GROUP BY source, job)
SELECT source, max(started_at) AS started_at FROM newest WHERE status IN ('killed', 'canceled') GROUP BY source
"""


class Turns(NamedTuple):
    """Names in the order in which they are taken: those that nothing is known against, and behind them those that may end the process."""

    sound: list[str]
    doubtful: list[str]

    @property
    def names(self) -> list[str]:
        return [*self.sound, *self.doubtful]


def in_turn(names: Iterable[str], warehouse: Warehouse, settings: Settings) -> Turns:
    """The names in their order, and behind them those whose newest run was killed or canceled, the one first whose end is longest ago: so
    none of these waits behind the same other one for ever."""
    names = list(names)
    if len(names) < 2:
        return Turns(names, [])
    rows = warehouse.read(_ENDED) if settings.warehouse_file.exists() else None
    ended = {} if rows is None else {str(name): at.to_pydatetime() for name, at in rows.itertuples(index=False)}

    def last_ended(name: str) -> datetime:
        unclosed = AdvisoryLock(settings.source_lock(name)).abandoned_at()
        return max(ended.get(name, _NEVER), unclosed or _NEVER)

    moments = {name: last_ended(name) for name in names}
    doubtful = sorted((name for name in names if moments[name] > _NEVER), key=moments.__getitem__)
    return Turns([name for name in names if name not in doubtful], doubtful)
