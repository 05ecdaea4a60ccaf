"""The daily pruning: what `retention:` says goes from the warehouse and from Dagster's history, and files give back what they hold of it.

A job of the home, of no source. `smartflow prune` does the same by hand. Killed at any time it has done what it had committed, and the next
one goes on.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

import dagster as dg

from smartflow_assets.adapters.files.access import private
from smartflow_assets.adapters.model_store import ModelStore
from smartflow_assets.adapters.warehouse.compaction import FileUse
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.retention import NEVER
from smartflow_assets.config.settings import Settings
from smartflow_assets.core.errors import SmartflowError
from smartflow_assets.defs.jobs import PRUNE_JOB
from smartflow_assets.defs.names import prefixed
from smartflow_assets.defs.resources import STEP_PATIENCE, open_warehouse, run_lock
from smartflow_assets.defs.run_history import Before, history_use, prune_runs, prune_ticks
from smartflow_assets.defs.settling_in import settle_in
from smartflow_assets.stages.incident_pages import remove_pages
from smartflow_assets.stages.maintenance.announcements import Pruned
from smartflow_assets.stages.maintenance.retention import prune_by_settings


@dataclass
class HomePruned:
    """What a pruning did: of each source, of Dagster's history, and what the file was before it was rewritten, if it was."""

    sources: list[Pruned] = field(default_factory=list)
    runs: int = 0
    ticks: int = 0
    rewritten: FileUse | None = None
    problem: str = ""

    @property
    def problems(self) -> list[str]:
        """What could not be done, in words; a source that a run had is no problem, and one with a broken file is told as such."""
        return [*(str(each) for each in self.sources if each.problem and not each.is_left), *([self.problem] if self.problem else [])]


def prune_home(
    instance: dg.DagsterInstance,
    settings: Settings,
    *,
    now: datetime,
    run_id: str,
    is_at_once: bool = False,
    told: Callable[[str], None] = lambda text: None,
) -> HomePruned:
    """Prune everything of this home by its `retention:`; again, it finds nothing. `told` hears of each source as it is done."""
    catalogue, done = Catalogue.load(settings), HomePruned()
    if settings.warehouse_file.exists():
        warehouse = open_warehouse(settings)
        for pruned in prune_by_settings(warehouse, ModelStore(settings.models), catalogue, now=now, run_id=run_id, is_at_once=is_at_once):
            done.sources.append(pruned)
            told(str(pruned))
        try:
            done.rewritten = warehouse.compact(run_id)
        except SmartflowError as error:
            done.problem = str(error)
        if done.rewritten or any(each.rows and each.due_at is None for each in done.sources):
            warehouse.publish(run_id, is_forced=True)
        remove_pages(settings, warehouse)
    done.runs = prune_runs(instance, settings, before=_before(catalogue, now))
    if catalogue.default_retention.looks != NEVER:
        done.ticks = prune_ticks(instance, before=now - catalogue.default_retention.looks)
    return done


def _before(catalogue: Catalogue, now: datetime) -> Before:
    def before(source: str) -> datetime | None:
        ages = catalogue.sources[source].retention if source in catalogue.sources else catalogue.default_retention
        return None if ages.runs == NEVER else now - ages.runs

    return before


@dg.op(
    name=f"{prefixed(PRUNE_JOB)}_op", out=dg.Out(dg.Nothing), description="Prune by `retention:`, source by source, then Dagster's history."
)
def _prune(context: dg.OpExecutionContext) -> None:
    settings, now = Settings.from_environment(os.environ), datetime.now(UTC)
    settle_in(context.instance, settings)
    with private(), run_lock(settings, context.run_id).exclusive(STEP_PATIENCE, holder=context.run_id):  # says that this process lives
        done = prune_home(context.instance, settings, now=now, run_id=context.run_id, told=context.log.info)
    with suppress(FileNotFoundError):
        run_lock(settings, context.run_id).remove()
    went = [each for each in done.sources if each.rows and each.due_at is None]
    context.add_output_metadata(
        {
            "rows": sum(sum(each.rows.values()) for each in went),
            "runs": done.runs,
            "ticks": done.ticks,
            "freed_bytes": done.rewritten.free if done.rewritten else 0,
            "dagster_bytes": history_use(context.instance).size,
            "went": dg.MetadataValue.md("\n".join(f"- {each}" for each in done.sources if each.rows) or "nothing is that old"),
        }
    )
    if done.problems:
        raise SmartflowError("; ".join(done.problems))


@dg.job(
    name=prefixed(PRUNE_JOB),
    executor_def=dg.in_process_executor,
    description="Prune what `retention:` in data/defaults.yaml and in the sources does not keep: rows of the warehouse, this home's runs, "
    "events, logs and ticks in Dagster; rewrite the file when more than half of it is free. What models, open incidents and messages still "
    "need stays. Running it again with nothing old changes nothing.",
)
def prune_home_job() -> None:
    """One step."""
    _prune()


@dg.schedule(
    name=prefixed("prune_schedule"),
    cron_schedule="23 3 * * *",
    job=prune_home_job,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Once a day: a run that prunes what `retention:` does not keep. A large pruning is announced two weeks before.",
)
def prune_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """Whether anything is old the run finds out."""
    return dg.RunRequest(run_key=f"prune:{context.scheduled_execution_time.date().isoformat()}")
