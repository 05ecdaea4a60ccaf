"""The commands of `smartflow`, one file for each or for a small family: they parse, call a stage, and print.

A module here may import only what costs nothing at its top, since `smartflow --help` imports them all: pandas, pydantic,
DuckDB, the catalogue and Dagster are imported inside the function that needs them.
"""
