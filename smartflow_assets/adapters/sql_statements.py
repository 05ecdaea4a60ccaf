"""How many statements a text holds, as DuckDB reads it: it runs all of them and gives the rows of the last."""

import duckdb


def statement_count(sql: str) -> int | None:
    """The number of statements; None for what is no SQL, of which DuckDB itself says why.

    >>> statement_count("-- nothing"), statement_count("SELECT ';';"), statement_count("SELECT 1; SELECT 2"), statement_count("SELEC 1")
    (0, 1, 2, None)
    """
    try:
        return len(duckdb.extract_statements(sql))
    except duckdb.Error:
        return None
