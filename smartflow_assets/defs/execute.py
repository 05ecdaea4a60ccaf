"""Run a job in this process, for one source or for several, on the instance that the UI shows, and close it.

What `smartflow run`, `train` and `demo` call. The run has its partition, tags, logs and metadata like any other. A dry run is
kept out of the shared history: it works on a throw-away instance as it works on a throw-away copy of the warehouse.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import dagster as dg

from smartflow_assets.adapters.files.access import private
from smartflow_assets.config.settings import Settings
from smartflow_assets.defs.build import build_definitions
from smartflow_assets.defs.many_sources import ON_END, config_of_many, told_names
from smartflow_assets.defs.names import MONITOR_MANY_JOB, OPTIONS, PARTITION_SET, prefixed
from smartflow_assets.defs.partitions import DRY_RUN_TAG, REASON_TAG, SOURCE_TAG, SOURCES_TAG
from smartflow_assets.defs.resources import LISTENER, Listener, open_warehouse
from smartflow_assets.defs.run_closing import close_run, facts_of, failures_of, failures_of_many, notes_of, was_interrupted
from smartflow_assets.defs.source_report import Outcome, told_of
from smartflow_assets.stages.alerting import Failure


def execute(
    instance: dg.DagsterInstance,
    settings: Settings,
    job: str,
    source: str,
    options: dict[str, Any],
    *,
    reason: str = "command line",
    on_stage: Callable[[str], None] | None = None,
) -> Outcome:
    """Run `job`, named without its prefix, for `source` and close the run.

    `options` are fields of RunOptions; `on_stage` is told each stage as it begins. KeyboardInterrupt where somebody ended the run.
    """
    is_dry = bool(options.get("dry_run"))
    job = prefixed(job)
    tags = {SOURCE_TAG: source, REASON_TAG: reason} | ({DRY_RUN_TAG: "true"} if is_dry else {})
    begun, listening = time.monotonic(), LISTENER.set(on_stage and (lambda source, stage: on_stage(stage)))
    try:
        with private(), _throw_away([source]) if is_dry else contextlib.nullcontext(instance) as home:
            result = (
                build_definitions()
                .resolve_job_def(job)
                .execute_in_process(
                    instance=home,
                    partition_key=source,
                    raise_on_error=False,
                    tags=tags,
                    run_config={"resources": {OPTIONS: {"config": options}}},
                )
            )
            facts, _ = facts_of(home, result.run_id)
            failures, notes = tuple(failures_of(home, result.run_id)), notes_of(home, result.run_id)
            close_run(home, result.run_id, settings=settings)
            facts |= {} if is_dry else told_of(open_warehouse(settings), result.run_id, source, is_alone=True)
            is_interrupted = not result.success and was_interrupted(home, result.run_id)
    finally:
        LISTENER.reset(listening)
    if is_interrupted:
        raise KeyboardInterrupt  # Dagster caught it and ended the run
    return Outcome(source, result.run_id, result.success, failures, facts, notes, time.monotonic() - begun)


def execute_many(
    instance: dg.DagsterInstance,
    settings: Settings,
    sources: Sequence[str],
    options: dict[str, Any],
    *,
    reason: str = "command line",
    on_stage: Listener | None = None,
    on_end: Callable[[Outcome], None],
) -> tuple[Failure, ...]:
    """Watch several sources in one run and close it; `on_end` is told the outcome of each as it ends, `on_stage` each stage of each source.

    -> why the run failed as a whole, where it did. KeyboardInterrupt where somebody ended it; what cannot be sent or published when all
    are through is raised.
    """
    is_dry = bool(options.get("dry_run"))
    tags = {SOURCES_TAG: told_names(sources), REASON_TAG: reason} | ({DRY_RUN_TAG: "true"} if is_dry else {})
    listening, ending = LISTENER.set(on_stage), ON_END.set(on_end)
    try:
        with private(), _throw_away(sources) if is_dry else contextlib.nullcontext(instance) as home:
            result = (
                build_definitions()
                .resolve_job_def(prefixed(MONITOR_MANY_JOB))
                .execute_in_process(instance=home, raise_on_error=False, tags=tags, run_config=config_of_many(sources, options))
            )
            close_run(home, result.run_id, settings=settings)
            failures = failures_of_many(home, result.run_id)
    finally:
        LISTENER.reset(listening)
        ON_END.reset(ending)
    if failures is None:
        raise KeyboardInterrupt  # Dagster caught it and ended the run
    return failures


@contextlib.contextmanager
def _throw_away(sources: Sequence[str]) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(PARTITION_SET, sources)
        yield instance
