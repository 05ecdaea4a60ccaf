"""What an instance holds under the names of before, brought once under those of now.

Dagster knows an asset, a schedule, a partition by its name alone, so with new names all of it would look as if it had never run.
For each source of this home the newest materialisation of each asset that one of our runs made, with its metadata and data version,
and the newest answer of each check are reported once under the new key; what somebody has switched off stays off; runs that ended
and were not closed are closed. What stands under the old names is left as it is: another project may have the same ones.
Remove this file with `old_names` when no home of version 8 or earlier is left.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluation,
    AssetCheckEvaluationTargetMaterializationData,
)
from dagster._core.event_api import PartitionKeyFilter
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus

from smartflow_assets.adapters.warehouse.locks import AdvisoryLock
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.settings import Settings
from smartflow_assets.core.errors import WarehouseBusyError
from smartflow_assets.defs.assets import ASSETS
from smartflow_assets.defs.names import PARTITION_SET, PREFIX, asset_key, prefixed
from smartflow_assets.defs.old_names import OLD_JOBS, OLD_PARTITION_SET
from smartflow_assets.defs.resources import open_warehouse
from smartflow_assets.defs.run_closing import close_run
from smartflow_assets.defs.run_history import FINISHED

_KEY = f"smartflow/carried_over/{PREFIX}"
_OLD_SENSORS = ("catalogue", "inbox", "training", "settle_success", "settle_failure", "outbox", "housekeeping")
_OLD_INSTIGATORS = (*(f"{name}_sensor" for name in _OLD_SENSORS), "monitor_schedule", "train_schedule")
_INPUT_TAGS = ("dagster/input_data_version/", "dagster/input_event_pointer/")  # their end is the key of an upstream asset
_UNCLOSED = timedelta(days=1)  # what ended earlier has been closed, or its row of run_log pruned
_LOOK_BACK = 20  # materialisations of one partition in which one of ours is looked for


def carry_over(instance: dg.DagsterInstance, settings: Settings, *, patience: timedelta) -> bool:
    """Bring what is under the old names under the new ones. -> whether there was something left to bring.

    Once for an instance. What `patience` does not suffice for is left for the next call, so a tick of a sensor ends in time.
    """
    if instance.daemon_cursor_storage.get_cursor_values({_KEY}) or not settings.sources.is_dir():
        return False
    deadline = datetime.now(UTC) + patience
    with suppress(WarehouseBusyError), AdvisoryLock(settings.locks / "carry-over.lock").exclusive(timedelta(0)):
        catalogue = Catalogue.load(settings)
        sources = [name for name in instance.get_dynamic_partitions(OLD_PARTITION_SET) if name in catalogue.names]
        if sources and settings.warehouse_file.exists():
            _keep_switched_off(instance)
            ours = _run_ids(settings)
            for source in sources:
                for asset in ASSETS:
                    if datetime.now(UTC) > deadline:
                        return True
                    _carry_asset(instance, asset, source, ours)
            instance.add_dynamic_partitions(PARTITION_SET, sources)
            _close_runs(instance, settings)
        instance.daemon_cursor_storage.set_cursor_values({_KEY: datetime.now(UTC).isoformat(timespec="seconds")})
        return bool(sources)
    return True  # another process is at it


def old_cursor(instance: dg.DagsterInstance, sensor: str) -> dict[str, Any]:
    """What the sensors of an old name had in their cursors, where that is a JSON object as in ours."""
    found: dict[str, Any] = {}
    for state in instance.all_instigator_state():
        cursor = getattr(state.instigator_data, "cursor", None)
        if state.instigator_name == sensor and cursor:
            with suppress(ValueError):
                kept = json.loads(cursor)
                found |= kept if isinstance(kept, dict) else {}
    return found


def _run_ids(settings: Settings) -> frozenset[str]:
    """Runs that have written into this home: whatever is called as ours was, but was made by another run, is somebody else's."""
    rows = open_warehouse(settings).read("SELECT run_id FROM run_log UNION SELECT run_id FROM writes")
    return frozenset(rows["run_id"])


def _carry_asset(instance: dg.DagsterInstance, asset: dg.AssetsDefinition, source: str, ours: frozenset[str]) -> None:
    """The newest state of one partition, unless a run has made a newer one already."""
    name = asset.key.path[-1]
    if next(_materialisations(instance, asset.key, source, limit=1), None) is not None:
        return
    records = _materialisations(instance, dg.AssetKey(name), source, limit=_LOOK_BACK)
    newest = next((record for record in records if record.run_id in ours), None)
    if newest is None or newest.asset_materialization is None:
        return
    made = newest.asset_materialization
    tags = {_renamed_tag(tag): value for tag, value in (made.tags or {}).items()}
    instance.report_runless_asset_event(
        dg.AssetMaterialization(asset.key, description=made.description, metadata=made.metadata, partition=source, tags=tags)
    )
    (carried,) = _materialisations(instance, asset.key, source, limit=1)
    target = AssetCheckEvaluationTargetMaterializationData(
        storage_id=carried.storage_id, run_id=carried.run_id, timestamp=carried.timestamp
    )
    for spec in asset.check_specs:
        _carry_check(instance, spec, name, source, ours, target)


def _carry_check(
    instance: dg.DagsterInstance,
    spec: dg.AssetCheckSpec,
    name: str,
    source: str,
    ours: frozenset[str],
    target: AssetCheckEvaluationTargetMaterializationData,
) -> None:
    """The newest answer of a check: one that is red stays red. A run that failed before it has only planned to ask it."""
    history = instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(dg.AssetKey(name), spec.name), limit=_LOOK_BACK, partition_filter=PartitionKeyFilter(key=source)
    )
    answers = (record.evaluation for record in history if record.run_id in ours)
    if (answer := next((each for each in answers if isinstance(each, AssetCheckEvaluation)), None)) is not None:
        instance.report_runless_asset_event(
            AssetCheckEvaluation(
                asset_key=spec.asset_key,
                check_name=spec.name,
                passed=answer.passed,
                metadata=answer.metadata,
                target_materialization_data=target,
                severity=answer.severity,
                description=answer.description,
                blocking=answer.blocking,
                partition=source,
            )
        )


def _materialisations(instance: dg.DagsterInstance, key: dg.AssetKey, source: str, limit: int) -> Iterator[dg.EventLogRecord]:
    """Newest first."""
    yield from instance.fetch_materializations(dg.AssetRecordsFilter(asset_key=key, asset_partitions=[source]), limit=limit).records


def _renamed_tag(tag: str) -> str:
    """The data version of an input stands under the input's key.

    >>> _renamed_tag("dagster/input_data_version/raw_records").replace(PREFIX, "smartflow")
    'dagster/input_data_version/smartflow/raw_records'
    """
    for beginning in _INPUT_TAGS:
        if tag.startswith(beginning):
            return beginning + asset_key(tag.removeprefix(beginning)).to_user_string()
    return tag


def _keep_switched_off(instance: dg.DagsterInstance) -> None:
    """A schedule or sensor that somebody has switched off is off under its new name too, in the same place of the workspace."""
    for state in instance.all_instigator_state():
        if state.instigator_name not in _OLD_INSTIGATORS or state.status != InstigatorStatus.STOPPED:
            continue
        origin = state.origin._replace(instigator_name=prefixed(state.instigator_name))
        renamed = InstigatorState(origin, state.instigator_type, InstigatorStatus.STOPPED, state.instigator_data)
        if instance.get_instigator_state(renamed.instigator_origin_id, renamed.selector_id) is None:
            instance.add_instigator_state(renamed)
        else:
            instance.update_instigator_state(renamed)


def _close_runs(instance: dg.DagsterInstance, settings: Settings) -> None:
    """Close what ended while nobody watched: the sensors that close runs begin anew under their new names."""
    for job in OLD_JOBS:
        ended = instance.get_run_records(
            dg.RunsFilter(job_name=job, statuses=FINISHED, updated_after=datetime.now(UTC) - _UNCLOSED), ascending=True
        )
        for record in ended:
            close_run(instance, record.dagster_run.run_id, settings=settings)
