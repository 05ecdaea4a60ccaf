"""The stages of one source's run, in the order of the files' numbers in the lineage: ingestion, preparation, modelling,
detection, alerting.

A stage reads what it needs from the warehouse, calls `core` for what is to be computed, and writes the result in one commit.
It knows neither Dagster nor the command line: `defs` wraps each stage in an asset. A stage that is run again with the same
clock changes nothing.
"""
