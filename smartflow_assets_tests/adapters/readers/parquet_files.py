"""What lies in a staged origin: its good rows, their types, and why the bad ones are bad."""

import duckdb

from smartflow_assets.adapters.readers import Staged


def rows(staged: Staged, columns: str = "*") -> list[tuple]:
    """The good rows, in the order of the content, with times in UTC."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return connection.execute(f"SELECT {columns} FROM '{staged.parquet}' ORDER BY _row").fetchall()


def types(staged: Staged) -> dict[str, str]:
    """The type of each column."""
    with duckdb.connect() as connection:
        return {name: type_ for name, type_, *_ in connection.execute(f"DESCRIBE FROM '{staged.parquet}'").fetchall() if name != "_row"}


def reasons(staged: Staged) -> list[tuple[int, str]]:
    """(number, reason) of the bad rows."""
    with duckdb.connect() as connection:
        return connection.execute(f"SELECT row_number, reason FROM '{staged.rejected}' ORDER BY row_number").fetchall()
