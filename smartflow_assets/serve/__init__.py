"""The HTTP face: an API, a page, metrics. A shell over the stages beside Dagster's (`defs`), which it does not know.

It reads the published copy, and writes only through the stages' own commits. What takes long runs in a process beside it.
"""
