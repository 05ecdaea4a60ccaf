"""Thirteen partitioned assets that do nothing, in one run of Dagster on SQLite: the floor of any run of as many steps.

python benchmarks/peers/bare_dagster.py FOLDER
"""

import sys

import dagster as dg

SOURCES = dg.DynamicPartitionsDefinition(name="sources")


def chain(length: int) -> list[dg.AssetsDefinition]:
    """Assets that stand in a row."""
    made: list[dg.AssetsDefinition] = []
    for k in range(length):

        @dg.asset(key=f"stage_{k}", partitions_def=SOURCES, deps=made[-1:])
        def stage() -> None: ...

        made.append(stage)
    return made


assets = chain(13)
with dg.DagsterInstance.local_temp(sys.argv[1]) as instance:
    instance.add_dynamic_partitions("sources", ["bench"])
    assert dg.materialize(assets, instance=instance, partition_key="bench").success
