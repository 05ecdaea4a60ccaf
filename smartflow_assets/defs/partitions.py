"""One partition for each monitored source.

A partition, not an asset factory: a thousand sources load in 0.03 s instead of 80, and the lineage stays the picture of the
architecture. There is no time in the key: a run works from the source's watermark.
"""

import dagster as dg

SOURCES = dg.DynamicPartitionsDefinition(name="sources")
PARTITION_TAG = "dagster/partition"
SOURCE_TAG = "smartflow/source"
REASON_TAG = "smartflow/reason"
REQUEST_TAG = "smartflow/training_request"
KILLED_TAG = "smartflow/killed"
DRY_RUN_TAG = "smartflow/dry_run"
