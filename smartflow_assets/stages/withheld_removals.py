"""Removals that loads have withheld: how many rows wait, and the incident that says so until they are accepted or nobody wants them to go.

The ledger knows it: the newest reading of each file, and of a server whatever window and address it asked for, says in `ingestions`
how many stored rows it does not hold, and how many of them were to go. So the incident follows from what is stored, whatever became
of the run.
"""

from smartflow_assets.adapters.warehouse.going_on import GOING_ON
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.core.incidents.event_log import REMOVAL
from smartflow_assets.core.incidents.run_failures import Failure
from smartflow_assets.stages.run import SourceRun

_WINDOW = "' since (start|[0-9TZ:-]+)$'"
_NEWEST = f"""
SELECT source, origin, missing_count, withheld_count FROM ingestions WHERE missing_count IS NOT NULL
QUALIFY row_number() OVER (
    PARTITION BY source, CASE WHEN regexp_matches(origin, {_WINDOW}) THEN ' ' ELSE origin END ORDER BY rowid DESC
) = 1
"""
LEFT_BEHIND = f"""
SELECT source, CAST(sum(missing_count) AS BIGINT) AS missing, CAST(sum(withheld_count) AS BIGINT) AS withheld
FROM ({_NEWEST}) GROUP BY source HAVING missing > 0 ORDER BY source
"""
"""Of each source, how many stored rows are not in what was read last, and how many of them wait to be removed."""
_STANDING = f"SELECT max(title) AS title FROM incidents WHERE source = ? AND cause = ? AND {GOING_ON}"


def withheld_rows(warehouse: Warehouse, source: str) -> dict[str, int]:
    """By origin, how many stored rows its newest reading wanted to remove, and did not."""
    rows = warehouse.read(f"SELECT * FROM ({_NEWEST}) WHERE source = ? AND withheld_count > 0 ORDER BY origin", [source])
    return {str(origin): int(count) for origin, count in zip(rows["origin"], rows["withheld_count"], strict=True)}


def news_of(run: SourceRun) -> tuple[list[Failure], frozenset[str], str]:
    """What is to be told: a removal that waits and was not told so yet, or the cause that is over, with the reason."""
    waiting = withheld_rows(run.warehouse, run.name)
    standing = run.warehouse.read(_STANDING, [run.name, REMOVAL])["title"].iloc[0]
    is_standing = isinstance(standing, str)
    if not waiting:
        because = "the removal was accepted" if run.is_removal_accepted else "no load wants to remove them any more"
        return [], frozenset({REMOVAL}) if is_standing else frozenset(), because
    failure = _failure(run.name, waiting)
    return [] if is_standing and standing == failure.title else [failure], frozenset(), ""


def _failure(source: str, waiting: dict[str, int]) -> Failure:
    count, where = sum(waiting.values()), ", ".join(list(waiting)[:3])
    rows = "1 stored row is" if count == 1 else f"{count:,} stored rows are"
    title = f"{rows} not in {where} any more"
    return Failure(
        REMOVAL,
        f"{title}: on_missing_rows is delete, but so many are removed only when somebody says so. What is new was taken.",
        severity="warning",
        title=title,
        next_step=f"Run: smartflow run {source} --accept-removals, or put the rows back",
    )
