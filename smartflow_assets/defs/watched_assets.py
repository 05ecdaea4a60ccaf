"""Whether what an incident is about is still there: an asset that is gone never passes a check again.

Of our own code location the definitions say it, of all others Dagster's history, from which somebody may wipe an asset. What was known
when is kept in the cursor of the sensor, since an asset that was never made, or that is of another location, is in one of the two alone.
"""

from collections.abc import Iterable, Mapping

import dagster as dg

from smartflow_assets.core.incidents.watched import Matter

CODE, HISTORY = "code", "history"
_REASONS = {CODE: "it is not in the code any more", HISTORY: "the asset was wiped from Dagster's history"}
Known = Mapping[str, list[str]]
"""By cause: where the asset of an open incident was known when it was looked at."""


def gone(
    instance: dg.DagsterInstance, repository: dg.RepositoryDefinition | None, matters: Iterable[Matter], known: Known
) -> tuple[dict[str, str], dict[str, list[str]]]:
    """The causes whose asset or check is gone, with the reason; and what is known now."""
    ended, now_known = dict[str, str](), dict[str, list[str]]()
    for matter in matters:
        if matter.kind not in ("check", "materialization"):
            continue
        here = [place for place in (CODE, HISTORY) if _is_in(place, instance, repository, matter)]
        lost = [place for place in known.get(matter.cause, ()) if place not in here and (place != CODE or repository is not None)]
        if lost:
            ended[matter.cause] = _REASONS[lost[0]]
        else:
            now_known[matter.cause] = here
    return ended, now_known


def _is_in(place: str, instance: dg.DagsterInstance, repository: dg.RepositoryDefinition | None, matter: Matter) -> bool:
    key = dg.AssetKey.from_user_string(matter.name)
    if place == HISTORY:
        return instance.has_asset_key(key)
    if repository is None:
        return False
    graph = repository.asset_graph
    return dg.AssetCheckKey(key, matter.check) in graph.asset_check_keys if matter.check else graph.has(key)
