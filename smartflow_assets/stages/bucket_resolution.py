"""Which time bucket a source has: the YAML's, else that of its clean rows, else the one that its raw rows suggest.

A bucket once used is kept: clean rows, scores and models are made of it. So it is resolved once in a run, after ingestion and
before rows are aggregated into buckets, and every later stage is given the source that has it.
"""

import json
from dataclasses import replace
from datetime import timedelta

from smartflow_assets.adapters.aggregation.bucket_inference import usual_bucket
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.config.source import Source
from smartflow_assets.core.temporal.notation import parse_duration
from smartflow_assets.stages.run import SourceRun

MADE_UNDER = """
SELECT fingerprint FROM writes WHERE source = ? AND table_name = 'clean_series' AND operation = 'replace' AND fingerprint IS NOT NULL
ORDER BY written_at DESC LIMIT 1
"""


def with_bucket(run: SourceRun) -> SourceRun:
    """The run of the source with its bucket; as long as there are no rows that suggest one, the run as it is."""
    source = with_known_bucket(run.source, run.warehouse)
    return run if source is run.source else replace(run, source=source)


def with_known_bucket(source: Source, warehouse: Warehouse) -> Source:
    """The source with its time bucket: the YAML's; else the one its clean rows have; else the usual interval of its raw rows.

    Without enough rows to tell an interval it is returned as it is.
    """
    if source.is_bucket_given:
        return source
    stored = made_under(warehouse, source.name)
    every = stored_bucket(stored) if stored is not None else None
    every = every or usual_bucket(warehouse, source.name, source.time_column)
    return source if every is None else source.with_bucket(every)


def made_under(warehouse: Warehouse, source: str) -> str | None:
    """The fingerprint that the clean rows of a source were made under; None when it has none."""
    rows = warehouse.read(MADE_UNDER, [source])
    return None if rows.empty else str(rows["fingerprint"].iloc[0])


def stored_bucket(fingerprint: str) -> timedelta | None:
    """The bucket that rows with this fingerprint have."""
    every = json.loads(fingerprint)["time_bucket"].get("every")
    return None if every is None else parse_duration(every)
