"""Expectations asked of rows: the standard vocabulary as one aggregate SQL statement in DuckDB, the rest by Great Expectations.

`evaluation.evaluate` is the way in. `row_checks` and `figure_checks` say in SQL what a type of Great Expectations means, `patterns`
which regular expressions DuckDB reads alike, `great_expectations_engine` runs what SQL cannot say, `suite` reads and writes suites of
Great Expectations. That both engines find the same is held by a conformance test.
"""
