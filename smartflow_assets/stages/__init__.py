"""The stages of one source's run, in order: ingestion, preparation, modelling, detection, alerting, exporting.

A stage reads what it needs from the warehouse, calls `core` for what is to be computed, and writes the result in one commit.
It knows neither Dagster nor the command line: `defs` wraps each stage in an asset, `commands` calls it and prints what it returns.
A stage that is run again with the same clock changes nothing. `run.py` holds what each stage is given; the folders hold what
belongs to no single run: `experiments` on a copy of the past, `maintenance`, and `scheduling`.
"""
